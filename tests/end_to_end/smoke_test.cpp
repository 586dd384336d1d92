// One run of the whole daemon, short enough for a build under sanitizers: serve, be attacked, be
// killed, serve again, end in order.
#include <gtest/gtest.h>

#include "tests/end_to_end/harness/attacker.h"
#include "tests/end_to_end/harness/daemon.h"

namespace end_to_end {
namespace {

void exercise(const client::Endpoint& endpoint, std::uint64_t seed) {
  for (const bool digests : {false, true}) {
    Host host(endpoint, {.transport = {.header_digest = digests, .data_digest = digests}});
    ASSERT_TRUE(host.connected());
    for (const std::uint32_t bytes : {4096U, 8192U, 65536U, 1U << 20}) {
      ++seed;
      write_and_read_back(*host.queue, 1, seed, bytes / 4096, 4096, seed);
      write_and_read_back(*host.queue, 2, seed, bytes / 512, 512, seed);
    }
    EXPECT_EQ(status_of(*host.queue, client::io::write_zeroes(1, 0, 64, true)), 0);
    EXPECT_TRUE(read(*host.queue, 1, 0, 64, 4096) == Bytes(64 * 4096));
    EXPECT_EQ(status_of(*host.queue, client::io::dataset_management(2, {{0, 128}, {300, 7}})), 0);
    EXPECT_EQ(status_of(*host.queue, client::io::compare(1, 0, Bytes(4096), 4096)), 0);
    EXPECT_EQ(status_of(*host.queue, client::io::verify(2, 0, 64)), 0);
    EXPECT_EQ(status_of(*host.queue, client::io::flush(1)), 0);
    for (std::uint64_t i = 0; i < 100; ++i) {
      ASSERT_GOOD(host.queue->submit(client::io::write(1, i, pattern(4096, i), 4096)));
    }
    while (host.queue->in_flight() > 0) {
      const auto done = host.queue->await_any();
      ASSERT_GOOD(done);
      ASSERT_TRUE(done.value().ok()) << done.value().describe();
    }
    EXPECT_GOOD(host.controller->keep_alive());
    EXPECT_GOOD(host.controller->shut_down());
  }
  const auto discovery = attach(endpoint, {.subsystem = client::discovery_nqn});
  ASSERT_TRUE(discovery);
  const auto log = discovery->discovery_log();
  ASSERT_GOOD(log);
  EXPECT_FALSE(log.value().entries.empty());
}

TEST(Smoke, ServesSurvivesDamageAndKillsAndEndsInOrder) {
  Workplace workplace;
  ConfigText config = file_config(workplace.make_pool("pool"));
  config.reactors = 2;
  config.pools.push_back({.name = "mem"});
  config.volumes.push_back({.name = "prey", .pool = "mem", .size = "16MiB"});
  config.subsystems.push_back(
      {.nqn = prey_subsystem, .namespaces = {{.nsid = 1, .volume = "prey"}}});
  Daemon daemon(workplace, config);
  ASSERT_TRUE(daemon.start());
  exercise(daemon.endpoint(), 1);
  for (const Stage stage : {Stage::fresh, Stage::negotiated, Stage::admin, Stage::io}) {
    Attacker attacker(daemon.endpoint(), stage);
    ASSERT_TRUE(attacker.ready());
    (void)attacker.raw().send(pattern(5000, static_cast<std::uint64_t>(stage)));
    attacker.await_end();
  }
  {
    Host host(daemon.endpoint());
    ASSERT_TRUE(host.connected());
    ASSERT_NO_FATAL_FAILURE(write(*host.queue, 1, 100, pattern(4096, 42), 4096));
    for (std::uint64_t i = 0; i < 64; ++i) {  // cut with all of these in flight
      ASSERT_GOOD(host.queue->submit(client::io::read(1, i * 64, 64, 4096)));
    }
  }
  EXPECT_TRUE(daemon.await_status(
      [](const boost::json::value& status) { return status.at("hosts").as_array().empty(); }));
  daemon.kill();
  ASSERT_TRUE(daemon.start());
  {
    Host host(daemon.endpoint());
    ASSERT_TRUE(host.connected());
    EXPECT_TRUE(read(*host.queue, 1, 100, 1, 4096) == pattern(4096, 42));
  }
  exercise(daemon.endpoint(), 1000);
  daemon.stop();
}

}  // namespace
}  // namespace end_to_end
