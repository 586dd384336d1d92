// The load generator against the daemon: thousands of stamped blocks, every one checked.
#include <gtest/gtest.h>

#include <boost/json/parse.hpp>
#include <fstream>
#include <sstream>

#include "tests/end_to_end/harness/daemon.h"

namespace end_to_end {
namespace {

void run_verified(Daemon& daemon, const std::vector<std::string>& more) {
  std::vector<std::string> arguments = {FOREBAY_LOAD,
                                        "--address",
                                        "127.0.0.1",
                                        "--port",
                                        std::to_string(daemon.endpoint().port),
                                        "--subsystem",
                                        default_subsystem,
                                        "--verify",
                                        "--quiet",
                                        "--duration",
                                        std::to_string(rounds(3, 60))};
  arguments.insert(arguments.end(), more.begin(), more.end());
  const Outcome outcome = run({.arguments = arguments}, Milliseconds{rounds(120'000, 600'000)});
  EXPECT_EQ(outcome.exit.code, 0) << outcome.output;
}

TEST(Load, VerifiedOnAFilePoolWithDigests) {
  Workplace workplace;
  Daemon daemon(workplace, file_config(workplace.make_pool("pool")));
  ASSERT_TRUE(daemon.start());
  run_verified(daemon, {"--nsid", "1", "--block-size", "4096", "--depth", "32", "--queues", "4",
                        "--mix", "50", "--pattern", "random", "--digests", "header,data"});
  run_verified(daemon, {"--nsid", "2", "--block-size", "2560", "--depth", "16", "--queues", "2",
                        "--mix", "50", "--pattern", "random"});
}

TEST(Load, VerifiedOnMemoryWithLargeTransfers) {
  Workplace workplace;
  ConfigText config = memory_config();
  config.reactors = 2;
  Daemon daemon(workplace, config);
  ASSERT_TRUE(daemon.start());
  run_verified(daemon, {"--nsid", "1", "--block-size", "131072", "--depth", "8", "--connections",
                        "2", "--queues", "2", "--mix", "50", "--pattern", "sequential"});
  run_verified(daemon, {"--nsid", "2", "--block-size", "512", "--depth", "128", "--queues", "4",
                        "--mix", "70", "--pattern", "random", "--digests", "data"});
}

// Far more asked for than the cap of all buffers holds: it takes longer, and nothing fails.
TEST(Load, VerifiedWithLittleMemoryWhichIsTheCap) {
  Workplace workplace;
  ConfigText config = file_config(workplace.make_pool("pool"));
  config.memory = "64MiB";
  Daemon daemon(workplace, config);
  ASSERT_TRUE(daemon.start());
  const Usage before = daemon.usage();
  run_verified(daemon, {"--nsid", "1", "--block-size", "1048576", "--depth", "32", "--connections",
                        "4", "--queues", "2", "--mix", "50", "--pattern", "random"});
  const Usage after = daemon.usage();
  EXPECT_LE(after.resident_bytes, before.resident_bytes + (80U << 20) + sanitizer_bytes);
}

}  // namespace
}  // namespace end_to_end
