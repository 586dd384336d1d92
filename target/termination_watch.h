// TerminationWatch: SIGTERM and SIGINT, from the first moment on and to the bitter end.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>

namespace target {

// Takes the signals on a thread of its own, so that they count whatever the main thread is doing,
// and ends the process hard when it is still there `patience` later: something hung that was not
// expected to. Made before any other thread, which then inherit the blocked signals; destroyed
// last.
class TerminationWatch {
 public:
  static constexpr std::chrono::milliseconds most_patience{9'500};  // SIGTERM ends within 10 s

  // `on_hangup` runs on the watch's thread for each SIGHUP.
  explicit TerminationWatch(std::function<void()> on_hangup,
                            std::chrono::milliseconds patience = most_patience);
  TerminationWatch(const TerminationWatch&) = delete;
  TerminationWatch& operator=(const TerminationWatch&) = delete;
  ~TerminationWatch();

  // Returns at once if the signal has come before.
  void await_termination();

 private:
  void watch();
  // SIGTERM, SIGINT or SIGHUP; 0 when the watch ends.
  [[nodiscard]] int next_signal() const;

  const std::function<void()> on_hangup_;
  const std::chrono::milliseconds patience_;
  int signals_ = -1;  // signalfd
  int end_ = -1;      // eventfd
  std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  bool terminating_ = false;
  bool ended_ = false;
  std::thread thread_;
};

}  // namespace target
