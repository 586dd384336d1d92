// BackgroundWorker: a thread for what would hold a reactor up: Diffie-Hellman takes tens of
// milliseconds.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

namespace target::nvmf {

// The seam: tests do the jobs when it suits them.
class JobTaker {
 public:
  using Job = std::function<void()>;
  // Any thread. False: there are too many already, and this one will not be done.
  [[nodiscard]] virtual bool submit(Job job) = 0;

 protected:
  ~JobTaker() = default;
};

// Jobs one after another, in order.
class BackgroundWorker final : public JobTaker {
 public:
  // What waits is bounded: who floods us with handshakes costs one core, and no memory to speak of.
  static constexpr std::size_t most_waiting = 128;

  BackgroundWorker() = default;
  BackgroundWorker(const BackgroundWorker&) = delete;
  BackgroundWorker& operator=(const BackgroundWorker&) = delete;
  // Does what was submitted, then ends the thread.
  ~BackgroundWorker();

  // Not by a reactor: the thread inherits where its maker may run. Nothing if it is there already.
  void start();
  // Also false before start().
  [[nodiscard]] bool submit(Job job) override;

 private:
  void run();

  // Guards everything below. Leaf.
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Job> waiting_;
  bool ends_ = false;
  std::thread thread_;
};

}  // namespace target::nvmf
