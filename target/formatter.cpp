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

void Formatter::format(block::BlockVolume& volume, const std::string& host,
                       engine::BlockSize blocks, Ended ended) {
  const std::string& name = volume.volume().identity().name;
  if (const std::string other = uses_.other_user(volume, host); !other.empty()) {
    log_warn("volume={} host={} may not format it: {} is connected to it too", name, host, other);
    return ended(End::in_use);
  }
  // Waits before it begins, or nobody might be there to be told of the end.
  if (!wait(volume, ended)) return ended(End::in_progress);
  if (!volume.volume().begin_format(blocks)) return answer(volume, End::in_progress);
  const std::string change =
      blocks == volume.volume().identity().block_size
          ? std::string()
          : fmt::format(" with blocks of {} bytes instead of {}", blocks.bytes,
                        volume.volume().identity().block_size.bytes);
  log_warn("volume={} host={} formats it{}: all that was in it is given up", name, host, change);
  uses_.events.add(EventName::volume_format_started, name,
                   fmt::format("for {}{}: all that was in it is given up", host, change));
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
    if (!volume->volume().is_formatting()) continue;
    Run& run = runs_[volume.get()];
    if (run.run != nullptr || run.is_renewing || now < run.next_try) continue;
    if (run.is_zeroed) {
      renew(name, *volume);
    } else if (can_be_zeroed(volume->volume())) {
      start(name, *volume);
    }
  }
  forget_removed();
}

void Formatter::forget_removed() {
  const auto is_removed = [this](const block::BlockVolume* one) {
    return std::ranges::none_of(uses_.volumes,
                                [one](const auto& served) { return served.second.get() == one; });
  };
  std::erase_if(runs_, [&](const auto& one) {
    return one.second.run == nullptr && !one.second.is_renewing && is_removed(one.first);
  });
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
  if (!why.empty()) return try_again(name, volume, why);
  const engine::BlockSize own = volume.volume().identity().block_size;
  if (volume.volume().formatted_blocks() == own) return end(name, volume, own);
  run.is_zeroed = true;
  renew(name, volume);
}

// The volume is held: the engine may free it before `renewed`.
void Formatter::renew(const std::string& name, block::BlockVolume& volume) {
  Run& run = runs_[&volume];
  run.is_renewing = true;
  run.hold = volume.holds().take();
  uses_.renew(name, [this, name, &volume](const std::string& why) {
    uses_.post([this, name, &volume, why] { renewed(name, volume, why); });
  });
}

void Formatter::renewed(const std::string& name, block::BlockVolume& volume,
                        const std::string& why) {
  Run& run = runs_[&volume];
  run.is_renewing = false;
  const auto hold = std::move(run.hold);
  if (stopping_) return;
  if (!why.empty()) return try_again(name, volume, why);
  end(name, volume, volume.volume().formatted_blocks());
}

void Formatter::end(const std::string& name, const block::BlockVolume& volume,
                    engine::BlockSize blocks) {
  runs_.erase(&volume);
  log_info("volume={} formatted, blocks={}", name, blocks.bytes);
  uses_.events.add(
      EventName::volume_formatted, name,
      fmt::format("all of it is zeros, in blocks of {} bytes, and it is served", blocks.bytes));
  answer(volume, End::done);
}

void Formatter::try_again(const std::string& name, const block::BlockVolume& volume,
                          const std::string& why) {
  Run& run = runs_[&volume];
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
