#include "target/termination_watch.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdlib>

namespace target {
namespace {

using std::chrono::milliseconds;

// Each in a process of its own: signals are everybody's.
void hang_after_sigterm() {
  const TerminationWatch watch([] {}, milliseconds(100));
  ::kill(::getpid(), SIGTERM);
  for (;;) ::pause();
}
TEST(TerminationWatchDeathTest, EndsAProcessThatHangs) {
  EXPECT_EXIT(hang_after_sigterm(), testing::ExitedWithCode(1), "something hangs");
}

void end_in_time(int signal) {
  std::atomic<int> hangups{0};
  {
    TerminationWatch watch([&hangups] { ++hangups; }, milliseconds(60'000));
    ::kill(::getpid(), SIGHUP);
    while (hangups == 0) ::usleep(1000);
    ::kill(::getpid(), signal);  // before anybody waits for it
    watch.await_termination();
  }
  std::_Exit(hangups == 1 ? 0 : 2);
}
TEST(TerminationWatchDeathTest, TellsOfASignalThatCameBeforeAnybodyWaited) {
  EXPECT_EXIT(end_in_time(SIGTERM), testing::ExitedWithCode(0), "");
  EXPECT_EXIT(end_in_time(SIGINT), testing::ExitedWithCode(0), "");
}

void end_without_a_signal() {
  {
    const TerminationWatch watch([] {}, milliseconds(1));
  }
  std::_Exit(0);
}
TEST(TerminationWatchDeathTest, EndsByItselfWhenTheStartHasFailed) {
  EXPECT_EXIT(end_without_a_signal(), testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace target
