// How long a start takes. The bound is the machine's too: nothing runs beside these.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/end_to_end/harness/daemon.h"
#include "tests/end_to_end/harness/host.h"

namespace end_to_end {
namespace {

// With 1,000 volumes, on `pool`: from start to the first I/O.
void expect_quick_start(Daemon& daemon) {
  constexpr Milliseconds promised{3'000 * sanitizer_slowness};
  const auto begin = SteadyClock::now();
  ASSERT_TRUE(daemon.start());
  Host host(daemon.endpoint());
  ASSERT_TRUE(host.connected());
  const Bytes first = read(*host.queue, 1000, 0, 1, 4096);
  const auto took = std::chrono::duration_cast<Milliseconds>(SteadyClock::now() - begin);
  EXPECT_EQ(first.size(), 4096U);
  EXPECT_LE(took.count(), promised.count());
  testing::Test::RecordProperty("start_ms", static_cast<int>(took.count()));
  const auto namespaces = host.controller->active_namespaces();
  ASSERT_GOOD(namespaces);
  EXPECT_EQ(namespaces.value().size(), 1000U);
  write_and_read_back(*host.queue, 500, 0, 16, 4096, 1);
}

ConfigText thousand_volumes(PoolText pool) {
  ConfigText config;
  config.subsystems.emplace_back();
  for (std::uint32_t nsid = 1; nsid <= 1000; ++nsid) {
    const std::string name = fmt::format("v{}", nsid);
    config.volumes.push_back({.name = name, .pool = pool.name, .size = "1MiB"});
    config.subsystems[0].namespaces.push_back({.nsid = nsid, .volume = name});
  }
  config.pools.push_back(std::move(pool));
  return config;
}

TEST(Startup, AThousandVolumesInMemoryAreServedWithinThreeSeconds) {
  Workplace workplace;
  Daemon daemon(workplace, thousand_volumes({.name = "mem"}));
  expect_quick_start(daemon);
}

TEST(Startup, AThousandVolumesOnDiskAreServedWithinThreeSeconds) {
  Workplace workplace;
  Daemon daemon(workplace,
                thousand_volumes({.name = "disk", .directory = workplace.make_pool("pool")}));
  ASSERT_TRUE(daemon.start());  // makes them
  daemon.stop();
  expect_quick_start(daemon);
  daemon.kill();
  expect_quick_start(daemon);
}

}  // namespace
}  // namespace end_to_end
