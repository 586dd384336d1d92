// What a host finds out before and after it attaches: discovery log, Identify, namespaces by host.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/end_to_end/harness/daemon.h"
#include "tests/end_to_end/harness/host.h"

namespace end_to_end {
namespace {

constexpr const char* alice =
    "nqn.2014-08.org.nvmexpress:uuid:11111111-1111-4111-8111-111111111111";
constexpr const char* bob = "nqn.2014-08.org.nvmexpress:uuid:22222222-2222-4222-8222-222222222222";
constexpr const char* mallory =
    "nqn.2014-08.org.nvmexpress:uuid:33333333-3333-4333-8333-333333333333";
constexpr const char* private_subsystem = "nqn.2026-11.com.example:private";
constexpr std::uint8_t nvm_subsystem = 2;

// NSID 1 for everybody in the open subsystem; the private one is for alice and bob, its NSID 8 only
// for alice.
ConfigText two_subsystems() {
  ConfigText config = memory_config();
  config.listeners = {{.name = "lo"},
                      {.name = "six", .address = "::1"},
                      {.name = "disc", .address = "*", .options = "discovery: only"},
                      {.name = "quiet", .options = "discovery: none"}};
  config.volumes.push_back({.name = "secret", .size = "16MiB", .block_size = 512});
  config.volumes.push_back({.name = "mine", .size = "32MiB", .block_size = 4096});
  config.hosts = {{"alice", alice}, {"bob", bob}};
  config.subsystems[0].listeners = "[lo, six, quiet]";
  config.subsystems.push_back({.nqn = private_subsystem,
                               .listeners = "[lo]",
                               .hosts = "[alice, bob]",
                               .options = "serial: \"FB7\"\nmodel: Basin\n",
                               .namespaces = {{.nsid = 7, .volume = "secret"},
                                              {.nsid = 8, .volume = "mine", .hosts = "[alice]"}}});
  return config;
}

std::vector<std::string> seen_at(const client::DiscoveryLog& log) {
  std::vector<std::string> found;
  for (const client::DiscoveryEntry& entry : log.entries) {
    if (entry.subsystem_type != nvm_subsystem) continue;
    EXPECT_EQ(entry.transport_type, 3);
    found.push_back(fmt::format("{} {} {}", entry.subsystem_nqn, entry.address, entry.service_id));
  }
  std::sort(found.begin(), found.end());
  return found;
}

TEST(Discovery, TheLogShowsEachHostWhatItMayAttachAndWhere) {
  Workplace workplace;
  Daemon daemon(workplace, two_subsystems());
  ASSERT_TRUE(daemon.start());
  const auto text = [&](const char* nqn, std::size_t listener) {
    const client::Endpoint at = daemon.endpoint(listener);
    return fmt::format("{} {} {}", nqn, at.host, at.port);
  };
  const std::vector<std::string> open = {text(default_subsystem, 0), text(default_subsystem, 1),
                                         text(default_subsystem, 3)};
  const auto expected = [&](bool member) {
    std::vector<std::string> all = open;
    if (member) all.push_back(text(private_subsystem, 0));
    std::sort(all.begin(), all.end());
    return all;
  };
  for (const std::size_t listener : {0U, 1U, 2U}) {
    for (const char* host : {alice, bob, mallory}) {
      SCOPED_TRACE(fmt::format("listener {} host {}", listener, host));
      const auto controller =
          attach(daemon.endpoint(listener), {.subsystem = client::discovery_nqn, .host_nqn = host});
      ASSERT_TRUE(controller);
      const auto log = controller->discovery_log();
      ASSERT_GOOD(log);
      EXPECT_EQ(seen_at(log.value()), expected(host != mallory));
    }
  }
  auto refused =
      Controller::attach({.endpoint = daemon.endpoint(3), .subsystem_nqn = client::discovery_nqn});
  EXPECT_FALSE(refused) << "this listener has no discovery";
}

// "*" is no address that a host could use: the one it reached stands in its place.
TEST(Discovery, AWildcardListenerIsShownAsTheAddressThatTheHostReached) {
  Workplace workplace;
  ConfigText config = memory_config();
  config.listeners = {{.name = "lo", .address = "*"}};
  Daemon daemon(workplace, config);
  ASSERT_TRUE(daemon.start());
  const std::uint16_t port = daemon.endpoint().port;
  for (const char* address : {"127.0.0.1", "127.0.0.5", "::1"}) {
    const auto controller =
        attach({.host = address, .port = port}, {.subsystem = client::discovery_nqn});
    ASSERT_TRUE(controller);
    const auto log = controller->discovery_log();
    ASSERT_GOOD(log);
    EXPECT_EQ(seen_at(log.value()),
              (std::vector{fmt::format("{} {} {}", default_subsystem, address, port)}));
  }
}

TEST(Discovery, IdentifySaysWhatTheConfigurationSays) {
  Workplace workplace;
  Daemon daemon(workplace, two_subsystems());
  ASSERT_TRUE(daemon.start());
  const auto controller =
      attach(daemon.endpoint(), {.subsystem = private_subsystem, .host_nqn = alice});
  ASSERT_TRUE(controller);
  EXPECT_EQ(controller->data().serial_number, "FB7");
  EXPECT_EQ(controller->data().model_number, "Basin");
  EXPECT_EQ(controller->data().subsystem_nqn, private_subsystem);
  EXPECT_EQ(controller->data().volatile_write_cache & 1, 0) << "every write is durable";

  const auto namespaces = controller->active_namespaces();
  ASSERT_GOOD(namespaces);
  EXPECT_EQ(namespaces.value(), (std::vector<std::uint32_t>{7, 8}));
  const auto seven = controller->identify_namespace(7);
  ASSERT_GOOD(seven);
  EXPECT_EQ(seven.value().block_bytes, 512U);
  EXPECT_EQ(seven.value().blocks, (16U << 20) / 512);
  const auto eight = controller->identify_namespace(8);
  ASSERT_GOOD(eight);
  EXPECT_EQ(eight.value().block_bytes, 4096U);
  EXPECT_NE(seven.value().nguid, eight.value().nguid);
  EXPECT_EQ(seven.value().eui64, (std::array<std::byte, 8>{}));
  EXPECT_NE(seven.value().ana_group, eight.value().ana_group) << "one group for each volume";
}

TEST(Discovery, AMaskedNamespaceIsNotThere) {
  Workplace workplace;
  Daemon daemon(workplace, two_subsystems());
  ASSERT_TRUE(daemon.start());
  Host host(daemon.endpoint(), {.subsystem = private_subsystem, .host_nqn = bob});
  ASSERT_TRUE(host.connected());
  const auto namespaces = host.controller->active_namespaces();
  ASSERT_GOOD(namespaces);
  EXPECT_EQ(namespaces.value(), (std::vector<std::uint32_t>{7}));
  constexpr std::uint16_t invalid_namespace = 0x0b;
  EXPECT_EQ(status_of(*host.queue, client::io::read(8, 0, 1, 4096)), invalid_namespace);
  EXPECT_EQ(status_of(*host.queue, client::io::write(8, 0, Bytes(4096), 4096)), invalid_namespace);
  write_and_read_back(*host.queue, 7, 0, 8, 512, 1);
}

TEST(Discovery, AHostThatIsNotNamedIsRefusedAndTheLogSaysSo) {
  Workplace workplace;
  Daemon daemon(workplace, two_subsystems());
  ASSERT_TRUE(daemon.start());
  const auto queue = Queue::open(daemon.endpoint());
  ASSERT_GOOD(queue);
  const auto done = queue.value()->connect(
      {.host_id = {std::byte{1}}, .subsystem_nqn = private_subsystem, .host_nqn = mallory});
  ASSERT_GOOD(done);
  EXPECT_EQ(done.value().kind(), 0x184) << "Connect Invalid Host";
  EXPECT_TRUE(done.value().do_not_retry());
  daemon.await_log({mallory, private_subsystem, "127.0.0.1"});
}

}  // namespace
}  // namespace end_to_end
