#include "target/smart_watch.h"

#include <pthread.h>

#include <algorithm>
#include <set>
#include <utility>

namespace target {
namespace {

constexpr std::chrono::hours period{1};
constexpr std::chrono::seconds new_disks_period{60};
constexpr ChildLimits limits{};
constexpr const char* failing_text =
    "says by SMART that it is failing: replace it before it is too late";

}  // namespace

SmartWatch::SmartWatch(Find find, std::string program)
    : find_(std::move(find)), program_(std::move(program)), thread_([this] { run(); }) {
  (void)pthread_setname_np(thread_.native_handle(), "smart");
}

SmartWatch::~SmartWatch() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  children_.give_up();
  thread_.join();
}

void SmartWatch::run() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    lock.unlock();
    const std::vector<std::string> devices = due(std::chrono::steady_clock::now());
    for (const std::string& device : devices) {
      SmartReport report = ask(device);
      lock.lock();
      asked_[device] = {.report = std::move(report),
                        .again = std::chrono::steady_clock::now() + period};
      const bool is_over = stopping_;
      lock.unlock();
      if (is_over) return;
    }
    lock.lock();
    has_asked_all_ = true;
    changed_.notify_all();
    changed_.wait_for(lock, new_disks_period, [this] { return stopping_; });
  }
}

// Each once, whatever pools share it.
std::vector<std::string> SmartWatch::due(TimePoint now) const {
  std::set<std::string> devices;
  for (const engine::PoolStatus& pool : find_()) {
    for (const engine::DiskStatus& disk : pool.disks) {
      if (!disk.disk.whole_device.empty()) devices.insert(disk.disk.whole_device);
    }
  }
  const std::lock_guard lock(mutex_);
  std::erase_if(devices, [&](const std::string& device) {
    const auto found = asked_.find(device);
    return found != asked_.end() && found->second.again > now;
  });
  return {devices.begin(), devices.end()};
}

SmartReport SmartWatch::ask(const std::string& device) {
  const auto output = children_.run({program_, "--json", "-H", "-A", device}, limits);
  if (output) return smart_report_of(output->text, output->exit_status);
  return {.verdict = SmartReport::Verdict::unavailable,
          .why = program_ + " is not installed, or has not answered"};
}

SmartReport SmartWatch::report_of(const std::string& device) const {
  const std::lock_guard lock(mutex_);
  const auto found = asked_.find(device);
  if (found != asked_.end()) return found->second.report;
  return {.verdict = SmartReport::Verdict::unavailable,
          .why = device.empty() ? "no disk is known beneath it" : "it has not been asked yet"};
}

void SmartWatch::add_troubles(std::vector<engine::PoolStatus>& pools) const {
  for (engine::PoolStatus& pool : pools) {
    for (engine::DiskStatus& disk : pool.disks) {
      const SmartReport report = report_of(disk.disk.whole_device);
      if (report.verdict == SmartReport::Verdict::failed) disk.troubles.emplace_back(failing_text);
    }
  }
}

std::vector<engine::Finding> SmartWatch::findings(
    const std::vector<engine::PoolStatus>& pools) const {
  std::vector<engine::Finding> all;
  for (const engine::PoolStatus& pool : pools) {
    for (const engine::DiskStatus& disk : pool.disks) {
      const SmartReport report = report_of(disk.disk.whole_device);
      if (report.verdict != SmartReport::Verdict::failed) continue;
      all.push_back({.about = engine::Finding::About::pool_disk,
                     .name = pool.name,
                     .text = engine::name_of(disk.disk) + " " + failing_text});
    }
  }
  return all;
}

bool SmartWatch::await_all(std::chrono::milliseconds patience) const {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, patience, [this] { return has_asked_all_; });
}

}  // namespace target
