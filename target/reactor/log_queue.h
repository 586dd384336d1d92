// LogQueue: log lines on their way to a sink that may be slow or stuck. Who writes a line never
// waits for the sink.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <thread>

#include "engine/foundation/clock.h"
#include "target/reactor/log.h"

namespace target {

struct LogLine {
  LogLevel level = LogLevel::info;
  std::chrono::system_clock::time_point time;  // when it happened, not when it was written
  std::string text;
};

// Any thread. Invariant: at most `most_bytes` of text wait; the oldest lines are thrown away for
// newer ones, and how many is said in a line of its own.
class LogQueue {
 public:
  using Sink = std::function<void(const LogLine&)>;

  explicit LogQueue(Sink sink, std::size_t most_bytes = default_bytes);
  LogQueue(const LogQueue&) = delete;
  LogQueue& operator=(const LogQueue&) = delete;
  // run() must have ended, or never begun.
  ~LogQueue() = default;

  static constexpr std::size_t default_bytes = 1U << 20;

  void push(LogLine line);
  // Writes what comes until stop(); the calling thread is the log's.
  void run();
  void stop();
  // True when everything pushed before has been written; false if the sink takes longer than
  // `patience`, or if it is the log's own thread that asks.
  bool flush(engine::Duration patience);

 private:
  const Sink sink_;
  const std::size_t most_bytes_;

  std::mutex mutex_;  // guards the rest; a leaf, never held while the sink works
  std::condition_variable changed_;
  std::deque<LogLine> lines_;
  std::size_t bytes_ = 0;
  std::uint64_t lost_ = 0;
  bool writing_ = false;
  bool stopping_ = false;
  std::thread::id writer_;
};

}  // namespace target
