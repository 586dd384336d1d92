// What works all the time beside an attack, and tells afterwards whether it noticed anything.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>
#include <thread>

#include "tests/end_to_end/harness/process.h"
#include "tests/end_to_end/harness/process_usage.h"

namespace end_to_end {

// "Undisturbed": no error, no wrong data, no reply later than this.
constexpr Milliseconds longest_reply{1'000 * sanitizer_slowness};

class Watcher {
 public:
  // Does one thing and says what was wrong with it; empty: nothing.
  using Step = std::function<std::string()>;
  // Does one round by calling timed(); false when one of them was.
  using Round = std::function<bool(std::uint64_t seed)>;

  Watcher() = default;
  Watcher(const Watcher&) = delete;
  Watcher& operator=(const Watcher&) = delete;
  ~Watcher() { stop(); }

  // From now on, in a thread of its own, until stop() or something is wrong.
  void start(Round round);
  void stop();
  // For a round: false when something was wrong.
  [[nodiscard]] bool timed(const char* what, const Step& step);

  // Ends the work. Fails the test unless it saw no error and no late reply.
  void expect_undisturbed();
  // Waits until it has done `count` more rounds.
  void await_rounds(int count);

 private:
  void work();

  Round round_;
  std::atomic<bool> stop_{false};
  std::atomic<int> rounds_{0};
  Milliseconds slowest_{0};
  std::string slowest_what_;
  std::string trouble_ = "it never began";
  std::thread thread_;
};

}  // namespace end_to_end
