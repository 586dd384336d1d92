#include "target/process_limits.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <cstdio>
#include <cstdlib>

namespace target {
namespace {

// In a process of its own: a hard limit cannot be raised again.
void raise_under(rlim_t hard, std::uint64_t needed) {
  rlimit limit{.rlim_cur = hard / 2, .rlim_max = hard};
  if (setrlimit(RLIMIT_NOFILE, &limit) != 0) std::_Exit(3);
  const auto problem = raise_descriptor_limit(needed);
  getrlimit(RLIMIT_NOFILE, &limit);
  if (limit.rlim_cur != hard) std::_Exit(4);
  std::fprintf(stderr, "%s\n", problem ? problem->c_str() : "enough");
  std::_Exit(0);
}

TEST(ProcessLimitsDeathTest, SoftLimitIsRaisedToTheHardOneAndCompared) {
  EXPECT_EXIT(raise_under(200, 200), testing::ExitedWithCode(0), "^enough\n$");
  EXPECT_EXIT(raise_under(200, 201), testing::ExitedWithCode(0),
              "^may open 200 files, but 201 may be needed .*LimitNOFILE=.*max_connections.*\n$");
}

}  // namespace
}  // namespace target
