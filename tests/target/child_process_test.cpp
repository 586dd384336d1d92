// Programs that answer, do not answer, say too much, or are not there.
#include "target/child_process.h"

#include <gtest/gtest.h>

#include <chrono>
#include <csignal>
#include <thread>

namespace target {
namespace {

using namespace std::chrono_literals;

std::vector<std::string> shell(const std::string& script) { return {"sh", "-c", script}; }

TEST(ChildProcess, ItsOutputAndItsEndAreGiven) {
  ChildRunner runner;
  const auto output = runner.run(shell("echo some; echo noise >&2; echo more; cat; exit 12"));
  ASSERT_TRUE(output);
  EXPECT_EQ(output->text, "some\nmore\n");
  EXPECT_EQ(output->exit_status, 12);
  EXPECT_EQ(runner.run({"printf", "%s|", "a b", "$HOME"})->text, "a b|$HOME|") << "no shell";
}

TEST(ChildProcess, WhatIsNotThereOrIsKilledGivesNothing) {
  ChildRunner runner;
  EXPECT_FALSE(runner.run({"/no/such/program"}));
  EXPECT_FALSE(runner.run(shell("kill -KILL $$")));
}

TEST(ChildProcess, OneThatDoesNotEndIsKilled) {
  ChildRunner runner;
  EXPECT_FALSE(runner.run(shell("echo some; exec sleep 1000"), {.patience = 50ms}));
  EXPECT_FALSE(runner.run(shell("exec >&-; exec sleep 1000"), {.patience = 50ms}))
      << "its output has ended, it has not";
}

TEST(ChildProcess, OneThatSaysTooMuchIsKilled) {
  ChildRunner runner;
  EXPECT_FALSE(runner.run({"cat", "/dev/zero"}, {.most_bytes = 100'000}));
}

// The daemon blocks and ignores signals that programs expect to have.
TEST(ChildProcess, StartsWithoutTheSignalsOfItsThread) {
  ChildRunner runner;
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, &before);
  const auto output = runner.run(shell("grep -E 'SigBlk' /proc/self/status"));
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  ASSERT_TRUE(output);
  EXPECT_EQ(output->text, "SigBlk:\t0000000000000000\n");
}

TEST(ChildProcess, AfterGivingUpNothingIsWaitedFor) {
  ChildRunner runner;
  std::thread other([&runner] { runner.give_up(); });
  EXPECT_FALSE(runner.run({"sleep", "1000"}));
  other.join();
  EXPECT_FALSE(runner.run({"sleep", "1000"}));
}

}  // namespace
}  // namespace target
