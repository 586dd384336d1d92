#include "engine/cache/recovery_workers.h"

#include <pthread.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <string>

#include "engine/foundation/check.h"

namespace engine {
namespace {

// Each may hold slabs of the index that it has been promised.
constexpr std::size_t most_useful_threads = 16;
// Hosts of the volumes that are served already come first.
constexpr int niceness = 5;

std::size_t usable_cores() {
  return std::clamp<std::size_t>(std::thread::hardware_concurrency(), 1, most_useful_threads);
}

}  // namespace

RecoveryWorkers::RecoveryWorkers() : RecoveryWorkers(usable_cores()) {}

RecoveryWorkers::RecoveryWorkers(std::size_t most_threads) : threads_(most_threads) {
  CHECK(most_threads >= 1);
}

RecoveryWorkers::~RecoveryWorkers() {
  give_up();
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return jobs_.empty() && jobs_running_ == 0; });
  lock.unlock();
  for (Slot& slot : threads_) {
    if (slot.thread.joinable()) slot.thread.join();
  }
}

void RecoveryWorkers::begin(std::uint64_t size, Job job) {
  const std::lock_guard lock(mutex_);
  jobs_.emplace(size, std::move(job));
  start_threads();
  changed_.notify_all();
}

// All of them, as the first job will have parts for them.
void RecoveryWorkers::start_threads() {
  for (std::size_t number = 0; number < threads_.size(); ++number) {
    Slot& slot = threads_[number];
    if (slot.alive) continue;
    if (slot.thread.joinable()) slot.thread.join();  // it has nothing left to lock
    slot.alive = true;
    slot.thread = std::thread([this, &slot, number] { work(slot, number); });
  }
}

void RecoveryWorkers::work(Slot& slot, std::size_t number) {
  (void)pthread_setname_np(pthread_self(), ("recovery " + std::to_string(number)).c_str());
  (void)setpriority(PRIO_PROCESS, static_cast<id_t>(gettid()), niceness);
  std::unique_lock lock(mutex_);
  for (;;) {
    if (!jobs_.empty()) {
      run_job(lock);
    } else if (Parts* const parts = parts_left()) {
      run_part(lock, *parts);
    } else if (jobs_running_ == 0) {
      break;
    } else {
      changed_.wait(lock);
    }
  }
  slot.alive = false;
}

void RecoveryWorkers::run_job(std::unique_lock<std::mutex>& lock) {
  Job job = std::move(jobs_.begin()->second);
  jobs_.erase(jobs_.begin());
  ++jobs_running_;
  lock.unlock();
  job();
  job = nullptr;  // what it holds goes before anybody hears that it has ended
  lock.lock();
  --jobs_running_;
  changed_.notify_all();
}

void RecoveryWorkers::run_part(std::unique_lock<std::mutex>& lock, Parts& parts) {
  const std::size_t at = parts.begun++;
  lock.unlock();
  parts.task(at);
  lock.lock();
  if (++parts.ended == parts.count) changed_.notify_all();
}

RecoveryWorkers::Parts* RecoveryWorkers::parts_left() {
  const auto found = std::ranges::find_if(
      under_way_, [](const Parts* parts) { return parts->begun < parts->count; });
  return found != under_way_.end() ? *found : nullptr;
}

void RecoveryWorkers::run(std::size_t count, FunctionRef<void(std::size_t)> task) {
  Parts parts{.task = task, .count = count};
  std::unique_lock lock(mutex_);
  under_way_.push_back(&parts);
  if (count > 1) changed_.notify_all();
  while (parts.begun < count) run_part(lock, parts);
  changed_.wait(lock, [&parts] { return parts.ended == parts.count; });
  std::erase(under_way_, &parts);
}

}  // namespace engine
