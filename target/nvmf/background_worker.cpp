#include "target/nvmf/background_worker.h"

#include <pthread.h>

#include <utility>

namespace target::nvmf {

BackgroundWorker::~BackgroundWorker() {
  {
    const std::lock_guard guard(mutex_);
    ends_ = true;
  }
  changed_.notify_one();
  if (thread_.joinable()) thread_.join();
}

void BackgroundWorker::start() {
  const std::lock_guard guard(mutex_);
  if (!thread_.joinable()) thread_ = std::thread([this] { run(); });
}

bool BackgroundWorker::submit(Job job) {
  const std::lock_guard guard(mutex_);
  if (!thread_.joinable() || waiting_.size() >= most_waiting) return false;
  waiting_.push_back(std::move(job));
  changed_.notify_one();
  return true;
}

void BackgroundWorker::run() {
  pthread_setname_np(pthread_self(), "authentication");
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [this] { return ends_ || !waiting_.empty(); });
    if (waiting_.empty()) return;
    {
      const Job job = std::move(waiting_.front());
      waiting_.pop_front();
      lock.unlock();
      job();
    }
    lock.lock();
  }
}

}  // namespace target::nvmf
