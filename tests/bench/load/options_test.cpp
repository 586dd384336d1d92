#include "tests/bench/load/options.h"

#include <gtest/gtest.h>

namespace bench {
namespace {

struct Parsed {
  std::optional<LoadOptions> options;
  int exit_code = -1;
};

Parsed parse(std::vector<const char*> arguments) {
  arguments.insert(arguments.begin(), "forebay-load");
  Parsed parsed;
  testing::internal::CaptureStdout();
  testing::internal::CaptureStderr();
  parsed.options =
      parse_options(static_cast<int>(arguments.size()), arguments.data(), parsed.exit_code);
  (void)testing::internal::GetCapturedStdout();
  (void)testing::internal::GetCapturedStderr();
  return parsed;
}

TEST(Options, AllOfThemArrive) {
  const auto parsed =
      parse({"--subsystem",   "nqn.x",     "--address",   "::1",       "--port",     "4421",
             "--connections", "2",         "--queues",    "4",         "--depth",    "128",
             "--threads",     "2",         "--cpu",       "1,4-6",     "--poll",     "--block-size",
             "128KiB",        "--mix",     "70",          "--pattern", "sequential", "--range",
             "1GiB",          "--digests", "header,data", "--verify",  "--rate",     "1000",
             "--count",       "5",         "--json",      "-"});
  ASSERT_TRUE(parsed.options);
  const LoadOptions& options = *parsed.options;
  EXPECT_EQ(options.address, "::1");
  EXPECT_EQ(options.port, 4421);
  EXPECT_EQ(options.block_bytes, 131072u);
  EXPECT_EQ(options.range_bytes, std::uint64_t{1} << 30);
  EXPECT_EQ(options.cpus, (std::vector<unsigned>{1, 4, 5, 6}));
  EXPECT_EQ(options.pattern, Pattern::sequential);
  EXPECT_TRUE(options.header_digest && options.data_digest && options.verify && options.poll);
}

TEST(Options, WrongUsageEndsWithTwo) {
  EXPECT_EQ(parse({}).exit_code, 2);
  EXPECT_EQ(parse({"--subsystem", "x", "--mix", "101"}).exit_code, 2);
  EXPECT_EQ(parse({"--subsystem", "x", "--verify"}).exit_code, 2);
  EXPECT_EQ(parse({"--subsystem", "x", "--block-size", "1000"}).exit_code, 2);
  EXPECT_EQ(parse({"--subsystem", "x", "--threads", "2"}).exit_code, 2);
  EXPECT_EQ(parse({"--subsystem", "x", "--cpu", "one"}).exit_code, 2);
  EXPECT_EQ(parse({"--subsystem", "x", "--digests", "tail"}).exit_code, 2);
  EXPECT_EQ(parse({"--subsystem", "x", "--tls-key", "/no/such/file"}).exit_code, 2);
  EXPECT_EQ(parse({"--subsystem", "x", "--tls-key", "/dev/null"}).exit_code, 2);
  EXPECT_EQ(parse({"--subsystem", "x", "--dhchap-group", "ffdhe1024"}).exit_code, 2);
  EXPECT_EQ(parse({"--no-such-option"}).exit_code, 2);
}

TEST(Options, TheLastOfARepeatedOptionCounts) {
  const auto parsed = parse({"--subsystem", "x", "--count", "5", "--count", "6"});
  ASSERT_TRUE(parsed.options);
  EXPECT_EQ(parsed.options->count, 6u);
}

TEST(Options, HelpEndsWithZero) {
  const auto parsed = parse({"--help"});
  EXPECT_FALSE(parsed.options);
  EXPECT_EQ(parsed.exit_code, 0);
}

}  // namespace
}  // namespace bench
