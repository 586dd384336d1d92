// RecoveryWorkers: the threads that read logs at start-up; gone when there is nothing to read.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <thread>
#include <vector>

#include "engine/foundation/parallel_tasks.h"

namespace engine {

// Jobs run beside each other, one on a thread, the smallest first: the log of a large volume holds
// up no small one as long as a thread is free. A thread without a job of its own does parts of the
// others' (run()). Threads are made when jobs come and end when none is left; they stand back
// behind all other threads of the process.
//
// Any thread may call anything; run() only inside a job.
class RecoveryWorkers final : public ParallelTasks {
 public:
  using Job = std::function<void()>;

  // As many threads as the process may use cores.
  RecoveryWorkers();
  explicit RecoveryWorkers(std::size_t most_threads);
  RecoveryWorkers(const RecoveryWorkers&) = delete;
  RecoveryWorkers& operator=(const RecoveryWorkers&) = delete;
  // Gives up, and waits for the jobs.
  ~RecoveryWorkers();

  // `size`: how much work it is, in whatever unit.
  void begin(std::uint64_t size, Job job);
  // Jobs end as soon as they look at given_up(); those that have not begun do, too.
  void give_up() { given_up_.store(true, std::memory_order_relaxed); }

  void run(std::size_t count, FunctionRef<void(std::size_t)> task) override;
  [[nodiscard]] std::size_t width() const override { return threads_.size(); }
  [[nodiscard]] bool given_up() const override { return given_up_.load(std::memory_order_relaxed); }

 private:
  // One run() that is under way.
  struct Parts {
    FunctionRef<void(std::size_t)> task;
    const std::size_t count;
    std::size_t begun = 0;
    std::size_t ended = 0;
  };
  struct Slot {
    std::thread thread;
    bool alive = false;  // else it has left work(), or was never there
  };

  void work(Slot& slot, std::size_t number);
  // With the lock held, which they let go of meanwhile.
  void run_job(std::unique_lock<std::mutex>& lock);
  void run_part(std::unique_lock<std::mutex>& lock, Parts& parts);
  // With the lock held.
  void start_threads();
  [[nodiscard]] Parts* parts_left();

  std::atomic<bool> given_up_{false};
  std::mutex mutex_;  // guards everything below; a leaf
  std::condition_variable changed_;
  std::vector<Slot> threads_;  // their number never changes
  std::multimap<std::uint64_t, Job> jobs_;
  std::size_t jobs_running_ = 0;
  std::vector<Parts*> under_way_;
};

}  // namespace engine
