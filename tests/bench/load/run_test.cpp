// forebay-load as a whole against the fake target: what it reports, and what it must not overlook.
#include "tests/bench/load/run.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <chrono>
#include <functional>
#include <mutex>
#include <thread>

#include "tests/client/fake_target.h"

namespace bench {
namespace {

using client::FakeTarget;
using client::Fault;

LoadOptions short_run(const FakeTarget& target) {
  LoadOptions options;
  options.address = target.endpoint().host;
  options.port = target.endpoint().port;
  options.subsystem_nqn = FakeTarget::subsystem_nqn;
  options.count = 2000;
  options.quiet = true;
  stop_requested = false;
  return options;
}

Figures run(const LoadOptions& options) {
  auto figures = run_load(options);
  if (!figures) {
    ADD_FAILURE() << figures.error().describe();
    return {};
  }
  return figures.value();
}

struct Shape {
  const char* name;
  std::uint32_t block_bytes;
  std::uint32_t depth;
  std::uint32_t queues;
  std::uint32_t threads;
  bool poll;
  bool digests;
  Pattern pattern = Pattern::random;
};

class LoadShape : public testing::TestWithParam<Shape> {};

TEST_P(LoadShape, VerifiesAllItWrote) {
  const Shape& shape = GetParam();
  FakeTarget target(
      {.blocks = 1024, .maxh2cdata = 16384, .r2t_bytes = 65536, .c2h_piece_bytes = 49152});
  LoadOptions options = short_run(target);
  options.block_bytes = shape.block_bytes;
  options.depth = shape.depth;
  options.queues = shape.queues;
  options.threads = shape.threads;
  options.poll = shape.poll;
  options.header_digest = options.data_digest = shape.digests;
  options.pattern = shape.pattern;
  options.read_percent = 50;
  options.verify = true;
  const Figures figures = run(options);
  EXPECT_FALSE(failed(figures)) << as_text(options, figures);
  EXPECT_EQ(figures.reads + figures.writes, 2000u);
  EXPECT_NEAR(static_cast<double>(figures.reads), 1000, 150);
  EXPECT_GT(figures.verified_blocks, figures.writes / 4);
}

INSTANTIATE_TEST_SUITE_P(Shapes, LoadShape,
                         testing::Values(Shape{"Small", 4096, 1, 1, 1, false, false},
                                         Shape{"SmallPolling", 4096, 1, 1, 1, true, false},
                                         Shape{"DeepWithDigests", 4096, 32, 2, 1, false, true},
                                         Shape{"TwoThreads", 8192, 16, 4, 2, false, false},
                                         Shape{"ByR2tWithDigests", 65536, 8, 1, 1, true, true},
                                         Shape{"LargeSequential", 131072, 4, 1, 1, false, false,
                                               Pattern::sequential}),
                         [](const auto& tested) { return tested.param.name; });

class LoadFault : public testing::TestWithParam<Fault> {};

TEST_P(LoadFault, IsNotOverlooked) {
  FakeTarget target({.blocks = 512, .c2h_piece_bytes = 4096, .fault = GetParam()});
  LoadOptions options = short_run(target);
  options.header_digest = options.data_digest = true;
  options.block_bytes = 16384;
  options.depth = 8;
  options.read_percent = 50;
  options.verify = true;
  const Figures figures = run(options);
  EXPECT_TRUE(failed(figures));
  ASSERT_FALSE(figures.messages.empty());
}

INSTANTIATE_TEST_SUITE_P(Faults, LoadFault,
                         testing::Values(Fault::lost_write, Fault::torn_write,
                                         Fault::misplaced_write, Fault::wrong_data_digest,
                                         Fault::wrong_header_digest, Fault::data_out_of_sequence,
                                         Fault::data_beyond_buffer, Fault::success_without_last,
                                         Fault::short_data, Fault::response_of_nobody,
                                         Fault::response_twice, Fault::r2t_beyond_data,
                                         Fault::r2t_out_of_sequence, Fault::terminate));

TEST(Load, ServesIPv6AndManyAssociations) {
  FakeTarget target({.address = "::1", .blocks = 1024});
  LoadOptions options = short_run(target);
  options.connections = 4;
  options.queues = 2;
  options.depth = 4;
  const Figures figures = run(options);
  EXPECT_FALSE(failed(figures));
  EXPECT_EQ(figures.reads, 2000u);
}

TEST(Load, ARateIsKept) {
  FakeTarget target({.blocks = 1024});
  LoadOptions options = short_run(target);
  options.count = 0;
  options.duration_s = 2;
  options.rate = 1000;
  const Figures figures = run(options);
  EXPECT_LE(figures.reads, 2002u);
  EXPECT_GE(figures.reads, 1000u);  // a busy machine may lose some at the end
}

// A target that stalls once makes all late that came due meanwhile, not the one I/O it held.
TEST(Load, WithARateLatencyCountsFromWhenAnIoWasDue) {
  FakeTarget target({.blocks = 1024});
  LoadOptions options = short_run(target);
  options.count = 500;
  options.rate = 1000;
  options.depth = 1;
  options.read_percent = 0;
  options.keep_alive_s = 0.12;  // one is sent every 40 ms
  std::thread stall([&target] {
    while (target.writes < 50) std::this_thread::yield();
    const std::lock_guard held(target.storage_mutex());
    // Until the client has measured out 400 ms itself.
    const std::uint64_t begin = target.keep_alives;
    while (target.keep_alives < begin + 11) std::this_thread::yield();
  });
  const Figures figures = run(options);
  stall.join();
  EXPECT_EQ(figures.writes, 500u);
  EXPECT_GE(figures.write_latency.percentile(0.5), 50'000'000u);
}

// What is written to standard error while `work` runs, when that is a terminal.
std::string on_a_terminal(const std::function<void()>& work) {
  const int terminal = ::posix_openpt(O_RDWR | O_NOCTTY);
  EXPECT_TRUE(terminal >= 0 && ::grantpt(terminal) == 0 && ::unlockpt(terminal) == 0);
  const int seen_by_program = ::open(::ptsname(terminal), O_RDWR | O_NOCTTY);
  const int before = ::dup(STDERR_FILENO);
  EXPECT_GE(::dup2(seen_by_program, STDERR_FILENO), 0);
  work();
  EXPECT_GE(::dup2(before, STDERR_FILENO), 0);
  ::close(before);
  EXPECT_EQ(::fcntl(terminal, F_SETFL, O_NONBLOCK), 0);
  std::string text;
  char some[512];
  for (ssize_t got = 0; (got = ::read(terminal, some, sizeof some)) > 0;) {
    text.append(some, static_cast<std::size_t>(got));
  }
  ::close(seen_by_program);
  ::close(terminal);
  return text;
}

TEST(Load, ATerminalShowsProgressAndQuietShowsNone) {
  FakeTarget target({.blocks = 1024});
  LoadOptions options = short_run(target);
  options.count = 0;
  options.duration_s = 1.5;  // longer than a line takes to come
  options.rate = 1000;
  options.quiet = false;
  const std::string shown = on_a_terminal([&] { (void)run(options); });
  EXPECT_THAT(shown, testing::ContainsRegex("[1-9][0-9]* IOPS +[0-9.]+ MiB/s"));
  EXPECT_TRUE(shown.ends_with("\r\x1b[K")) << "the line is left behind: " << shown;
  options.quiet = true;
  EXPECT_EQ(on_a_terminal([&] { (void)run(options); }), "");
}

TEST(Load, IdleAssociationsStayConnected) {
  FakeTarget target({.blocks = 64});
  LoadOptions options = short_run(target);
  options.idle = true;
  options.connections = 10;
  options.keep_alive_s = 0.1;
  options.duration_s = 0.3;
  EXPECT_FALSE(failed(run(options)));
}

TEST(Load, WhatCannotBeDoneIsRefusedBeforeItStarts) {
  FakeTarget target({.blocks = 64});
  const auto refusal = [&](auto change) {
    LoadOptions options = short_run(target);
    change(options);
    auto figures = run_load(options);
    return figures ? std::string("accepted") : figures.error().describe();
  };
  EXPECT_NE(refusal([](auto& o) { o.block_bytes = 6144; }).find("multiple"), std::string::npos);
  EXPECT_NE(refusal([](auto& o) { o.block_bytes = 2 << 20; }).find("MDTS"), std::string::npos);
  EXPECT_NE(refusal([](auto& o) { o.depth = 5000; }).find("entries"), std::string::npos);
  EXPECT_NE(refusal([](auto& o) { o.subsystem_nqn = "nqn.no"; }).find("182h"), std::string::npos);
}

TEST(Load, ReportIsValidJsonWithTheFigures) {
  LoadOptions options;
  options.subsystem_nqn = "a\"b\\c";
  Figures figures;
  figures.reads = 1000;
  figures.elapsed_ns = 500'000'000;
  figures.read_latency.record(1000);
  figures.messages = {"one\nline"};
  const std::string json = as_json(options, figures);
  EXPECT_NE(json.find(R"("subsystem": "a\"b\\c")"), std::string::npos);
  EXPECT_NE(json.find(R"("iops": 2000.0)"), std::string::npos);
  EXPECT_NE(json.find(R"(one\u000aline)"), std::string::npos);
}

}  // namespace
}  // namespace bench
