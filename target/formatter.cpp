#include "target/formatter.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "target/reactor/log.h"

namespace target {

using control::EventName;

namespace {

constexpr engine::Duration try_format_again_after = std::chrono::seconds(5);

bool can_be_zeroed(const engine::Volume& volume) {
  const engine::VolumeState state = volume.state();
  return state == engine::VolumeState::online || state == engine::VolumeState::degraded;
}

}  // namespace

void Formatter::format(block::BlockVolume& volume, const std::string& host, Ended ended) {
  const std::string& name = volume.volume().identity().name;
  if (const std::string other = uses_.other_user(volume, host); !other.empty()) {
    log_warn("volume={} host={} may not format it: {} is connected to it too", name, host, other);
    return ended(End::in_use);
  }
  // Waits before it begins, or nobody might be there to be told of the end.
  if (!wait(volume, ended)) return ended(End::in_progress);
  if (!volume.volume().begin_format()) return answer(volume, End::in_progress);
  log_warn("volume={} host={} formats it: all that was in it is given up", name, host);
  uses_.events.add(EventName::volume_format_started, name,
                   fmt::format("for {}: all that was in it is given up", host));
  uses_.post([this] { look(); });
}

bool Formatter::wait(const block::BlockVolume& volume, Ended& ended) {
  const std::lock_guard lock(mutex_);
  if (stopped_ || waiting_.contains(&volume)) return false;
  waiting_.emplace(&volume, std::move(ended));
  return true;
}

void Formatter::look() {
  if (stopping_) return;
  const engine::Instant now = uses_.clock.now();
  for (const auto& [name, volume] : uses_.volumes) {
    if (!volume->volume().is_formatting() || !can_be_zeroed(volume->volume())) continue;
    const Run& run = runs_[volume.get()];
    if (run.run == nullptr && now >= run.next_try) start(name, *volume);
  }
  forget_removed();
}

void Formatter::forget_removed() {
  const auto is_removed = [this](const block::BlockVolume* one) {
    return std::ranges::none_of(uses_.volumes,
                                [one](const auto& served) { return served.second.get() == one; });
  };
  std::erase_if(
      runs_, [&](const auto& one) { return one.second.run == nullptr && is_removed(one.first); });
  std::vector<const block::BlockVolume*> left;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [volume, ended] : waiting_) {
      if (!runs_.contains(volume) && is_removed(volume)) left.push_back(volume);
    }
  }
  for (const auto* volume : left) answer(*volume, End::failed);
}

void Formatter::start(const std::string& name, block::BlockVolume& volume) {
  auto ended = [this, name, &volume](const std::string& why) {
    uses_.post([this, name, &volume, why] { run_ended(name, volume, why); });
  };
  Run& run = runs_[&volume];
  run.run = std::make_shared<FormatRun>(volume, uses_.reactor(), std::move(ended));
  run.run->start();
}

void Formatter::run_ended(const std::string& name, block::BlockVolume& volume,
                          const std::string& why) {
  Run& run = runs_[&volume];
  run.run = nullptr;
  if (stopping_) return;
  if (why.empty()) {
    runs_.erase(&volume);
    log_info("volume={} formatted", name);
    uses_.events.add(EventName::volume_formatted, name, "all of it is zeros, and it is served");
    return answer(volume, End::done);
  }
  run.next_try = uses_.clock.now() + try_format_again_after;
  if (std::exchange(run.trouble, why) != why) {
    log_warn("volume={} is not formatted yet, and not served until it is: {}", name, why);
  }
  answer(volume, End::failed);
}

void Formatter::answer(const block::BlockVolume& volume, End end) {
  Ended ended;
  {
    const std::lock_guard lock(mutex_);
    const auto found = waiting_.find(&volume);
    if (found == waiting_.end()) return;
    ended = std::move(found->second);
    waiting_.erase(found);
  }
  ended(end);
}

void Formatter::stop() {
  stopping_ = true;
  for (const auto& [volume, run] : runs_) {
    if (run.run != nullptr) run.run->cancel();
  }
  std::map<const block::BlockVolume*, Ended> waiting;
  {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
    waiting.swap(waiting_);
  }
  for (const auto& [volume, ended] : waiting) ended(End::stopped);
}

}  // namespace target
