// What a daemon costs when nothing happens.
#include <gtest/gtest.h>

#include <thread>

#include "tests/end_to_end/harness/daemon.h"
#include "tests/end_to_end/harness/host.h"

namespace end_to_end {
namespace {

// Processor time, not latency: a busy machine does not change it much.
TEST(Idle, AHundredConnectedHostsCostLessThanOnePercentOfACore) {
  Workplace workplace;
  ConfigText config = memory_config();
  config.reactors = 2;
  Daemon daemon(workplace, config);
  ASSERT_TRUE(daemon.start());
  std::vector<std::unique_ptr<Host>> hosts;
  for (int i = 0; i < 100; ++i) {
    hosts.push_back(
        std::make_unique<Host>(daemon.endpoint(), HostOptions{.keep_alive_ms = 120'000}));
    ASSERT_TRUE(hosts.back()->connected());
    // Each has an event request open, as every real host has.
    ASSERT_GOOD(hosts.back()->controller->admin().submit(client::admin::async_event_request()));
  }
  write_and_read_back(*hosts[0]->queue, 1, 0, 256, 4096, 1);
  constexpr Milliseconds window{10'000};
  const Usage before = daemon.usage();
  std::this_thread::sleep_for(window);  // the passing of time is what is measured
  const Usage after = daemon.usage();
  const auto used = after.cpu - before.cpu;
  RecordProperty("cpu_ms", static_cast<int>(used.count()));
  EXPECT_LE(used.count(), window.count() / 100 * sanitizer_slowness);
}

}  // namespace
}  // namespace end_to_end
