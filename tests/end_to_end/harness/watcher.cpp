#include "tests/end_to_end/harness/watcher.h"

#include <gtest/gtest.h>

namespace end_to_end {
namespace {

// A pause between rounds: it watches, it does not compete.
constexpr Milliseconds pause{5};

}  // namespace

void Watcher::start(Round round) {
  round_ = std::move(round);
  trouble_.clear();
  thread_ = std::thread([this] { work(); });
}

void Watcher::stop() {
  stop_ = true;
  if (thread_.joinable()) thread_.join();
}

void Watcher::expect_undisturbed() {
  await_rounds(1);
  stop();
  EXPECT_EQ(trouble_, "");
  EXPECT_LE(slowest_.count(), longest_reply.count()) << "of a " << slowest_what_;
}

void Watcher::await_rounds(int count) {
  if (!thread_.joinable()) return;
  const int wanted = rounds_ + count;
  for (int now = rounds_; now < wanted && !stop_; now = rounds_) rounds_.wait(now);
}

void Watcher::work() {
  for (std::uint64_t seed = 1; !stop_; ++seed) {
    if (!round_(seed)) stop_ = true;
    ++rounds_;
    rounds_.notify_all();
    std::this_thread::sleep_for(pause);
  }
}

bool Watcher::timed(const char* what, const Step& step) {
  const auto begin = SteadyClock::now();
  const std::string trouble = step();
  const auto took = std::chrono::duration_cast<Milliseconds>(SteadyClock::now() - begin);
  if (took > slowest_) {
    slowest_ = took;
    slowest_what_ = what;
  }
  if (!trouble.empty()) trouble_ = std::string(what) + ": " + trouble;
  return trouble.empty();
}

}  // namespace end_to_end
