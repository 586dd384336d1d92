#include "target/reactor/log_queue.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

#include "engine/foundation/check.h"

namespace target {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using namespace std::chrono_literals;

// A queue with its thread, whose sink works only while the test lets it.
class LogQueueTest : public testing::Test {
 protected:
  ~LogQueueTest() override {
    open = true;
    open.notify_all();
    queue.stop();
    thread.join();
  }
  void push(std::string text) { queue.push({LogLevel::info, {}, std::move(text)}); }
  void close() { open = false; }
  void let_go() {
    open = true;
    open.notify_all();
  }
  void await_sink() { asked.wait(0); }

  std::vector<std::string> written;
  std::atomic<bool> open{true};
  std::atomic<int> asked{0};
  LogQueue queue{[this](const LogLine& line) {
                   asked.fetch_add(1);
                   asked.notify_all();
                   open.wait(false);
                   written.push_back(line.text);
                 },
                 16 << 10};
  std::thread thread{[this] { queue.run(); }};
};

TEST_F(LogQueueTest, LinesAreWrittenInOrder) {
  for (int i = 0; i < 50; ++i) push(std::to_string(i));
  EXPECT_TRUE(queue.flush(30s));
  ASSERT_EQ(written.size(), 50U);
  EXPECT_EQ(written[49], "49");
}

TEST_F(LogQueueTest, StuckSinkHoldsNobodyUpAndTheNewestLinesStay) {
  close();
  push("first");
  await_sink();
  for (int i = 0; i < 100'000; ++i) push("line " + std::to_string(i));  // would never come back
  EXPECT_FALSE(queue.flush(1ms));
  let_go();
  ASSERT_TRUE(queue.flush(30s));
  ASSERT_GT(written.size(), 10U);
  EXPECT_LT(written.size(), 1000U) << "bounded";
  EXPECT_EQ(written[0], "first");
  const std::size_t kept = written.size() - 2;
  EXPECT_THAT(written[1], HasSubstr("lost=" + std::to_string(100'000 - kept)));
  EXPECT_EQ(written.back(), "line 99999");
}

TEST_F(LogQueueTest, LineLongerThanTheBoundIsStillWritten) {
  push(std::string(100'000, 'x'));
  EXPECT_TRUE(queue.flush(30s));
  EXPECT_THAT(written, ElementsAre(std::string(100'000, 'x')));
}

// In a process of its own, whose stderr nobody reads until it has ended.
template <class F>
std::string stderr_of(F&& body, int& status) {
  int ends[2];
  EXPECT_EQ(::pipe(ends), 0);
  std::fflush(nullptr);  // or the child would write it too
  const pid_t child = ::fork();
  if (child == 0) {
    ::dup2(ends[1], STDERR_FILENO);
    ::close(ends[0]);
    ::close(ends[1]);
    body();
    std::exit(0);
  }
  ::close(ends[1]);
  EXPECT_EQ(::waitpid(child, &status, 0), child);
  std::string all;
  char buffer[4096];
  for (ssize_t got = 0; (got = ::read(ends[0], buffer, sizeof(buffer))) > 0;) {
    all.append(buffer, static_cast<std::size_t>(got));
  }
  ::close(ends[0]);
  return all;
}

TEST(Log, IsWrittenToItsEndWhenTheProcessExits) {
  int status = 0;
  const std::string text = stderr_of(
      [] {
        open_log(LogSink::standard_error, LogLevel::info);
        for (int i = 0; i < 100; ++i) log_info("line {}", i);
      },
      status);
  EXPECT_EQ(status, 0);
  EXPECT_THAT(text, HasSubstr("info line 99\n"));
}

TEST(Log, IsWrittenToItsEndWhenACheckFails) {
  int status = 0;
  const std::string text = stderr_of(
      [] {
        open_log(LogSink::standard_error, LogLevel::info);
        for (int i = 0; i < 100; ++i) log_info("line {}", i);
        CHECK(!"a reason");
      },
      status);
  EXPECT_TRUE(WIFSIGNALED(status));
  EXPECT_THAT(text, AllOf(HasSubstr("a reason"), HasSubstr("info line 99\n")));
}

TEST(Log, PipeThatNobodyReadsDoesNotStopTheProcess) {
  int status = 0;
  (void)stderr_of(
      [] {
        open_log(LogSink::standard_error, LogLevel::info);
        for (int i = 0; i < 20'000; ++i) log_info("line {} that fills the pipe", i);
        std::_Exit(7);
      },
      status);
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 7);
}

}  // namespace
}  // namespace target
