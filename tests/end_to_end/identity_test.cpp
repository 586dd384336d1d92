// What a host knows a disk by stays what it is: over restarts, over edits of the file.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <map>

#include "tests/end_to_end/harness/daemon.h"
#include "tests/end_to_end/harness/host.h"

namespace end_to_end {
namespace {

// By NSID: NGUID, UUID descriptor and all else of CNS 03h, as bytes.
struct Identity {
  std::string serial;  // and model
  std::map<std::uint32_t, std::string> namespaces;
  friend bool operator==(const Identity&, const Identity&) = default;
};

Identity identity_at(const client::Endpoint& endpoint) {
  Identity identity;
  const auto controller = attach(endpoint);
  if (!controller) return identity;
  identity.serial = controller->data().serial_number + " of " + controller->data().model_number;
  const auto namespaces = controller->active_namespaces();
  EXPECT_GOOD(namespaces);
  if (!namespaces) return identity;
  for (const std::uint32_t nsid : namespaces.value()) {
    const auto space = controller->identify_namespace(nsid);
    const auto descriptors = controller->identify({.cns = 3, .nsid = nsid});
    EXPECT_GOOD(space);
    EXPECT_GOOD(descriptors);
    if (!space || !descriptors) continue;
    identity.namespaces[nsid] =
        fmt::format("{} blocks of {} nguid {} descriptors {}", space.value().blocks,
                    space.value().block_bytes, client::to_hex(space.value().nguid),
                    client::to_hex(std::span(descriptors.value()).first(64)));
  }
  return identity;
}

TEST(Identity, StaysTheSameAfterARestartAndAfterReorderingTheFile) {
  Workplace workplace;
  ConfigText config = file_config(workplace.make_pool("one"));
  config.pools.push_back({.name = "two", .directory = workplace.make_pool("two")});
  config.volumes.push_back({.name = "third", .pool = "two", .size = "8MiB", .block_size = 512});
  config.subsystems[0].namespaces.push_back({.nsid = 77, .volume = "third"});
  Daemon daemon(workplace, config);
  ASSERT_TRUE(daemon.start());
  const Identity first = identity_at(daemon.endpoint());
  ASSERT_EQ(first.namespaces.size(), 3U);
  {
    Host host(daemon.endpoint());
    ASSERT_TRUE(host.connected());
    for (const std::uint32_t nsid : {1U, 2U, 77U}) {
      write(*host.queue, nsid, 0, pattern(4096, nsid), nsid == 1 ? 4096 : 512);
    }
  }
  daemon.stop();
  ASSERT_TRUE(daemon.start());
  EXPECT_EQ(identity_at(daemon.endpoint()), first);
  daemon.stop();

  ConfigText& text = daemon.config();
  text.node = "another-name";
  std::reverse(text.pools.begin(), text.pools.end());
  std::reverse(text.volumes.begin(), text.volumes.end());
  std::reverse(text.subsystems[0].namespaces.begin(), text.subsystems[0].namespaces.end());
  text.volumes.insert(text.volumes.begin(), {.name = "added", .pool = "two", .size = "4MiB"});
  text.subsystems[0].namespaces.insert(text.subsystems[0].namespaces.begin(),
                                       {.nsid = 5, .volume = "added"});
  ASSERT_TRUE(daemon.start());
  Identity later = identity_at(daemon.endpoint());
  EXPECT_EQ(later.namespaces.count(5), 1U);
  later.namespaces.erase(5);
  EXPECT_EQ(later, first);
  Host host(daemon.endpoint());
  ASSERT_TRUE(host.connected());
  for (const std::uint32_t nsid : {1U, 2U, 77U}) {
    const std::uint32_t block_bytes = nsid == 1 ? 4096 : 512;
    EXPECT_TRUE(read(*host.queue, nsid, 0, 4096 / block_bytes, block_bytes) == pattern(4096, nsid));
  }
}

// A volume taken out of the file is not served; put back, it is the same disk with the same data.
TEST(Identity, AVolumeThatWasOutOfTheFileComesBackAsTheSameDisk) {
  Workplace workplace;
  Daemon daemon(workplace, file_config(workplace.make_pool("pool")));
  ASSERT_TRUE(daemon.start());
  const Identity first = identity_at(daemon.endpoint());
  {
    Host host(daemon.endpoint());
    ASSERT_TRUE(host.connected());
    write(*host.queue, 2, 5, pattern(512, 1), 512);
  }
  daemon.stop();
  const ConfigText whole = daemon.config();
  daemon.config().volumes.pop_back();
  daemon.config().subsystems[0].namespaces.pop_back();
  ASSERT_TRUE(daemon.start());
  EXPECT_EQ(identity_at(daemon.endpoint()).namespaces.size(), 1U);
  daemon.stop();
  daemon.config() = whole;
  ASSERT_TRUE(daemon.start());
  EXPECT_EQ(identity_at(daemon.endpoint()), first);
  Host host(daemon.endpoint());
  ASSERT_TRUE(host.connected());
  EXPECT_TRUE(read(*host.queue, 2, 5, 1, 512) == pattern(512, 1));
}

// A grown size is served; a smaller one is refused, and the data stays.
TEST(Identity, AVolumeGrowsAndNeverShrinks) {
  Workplace workplace;
  Daemon daemon(workplace, file_config(workplace.make_pool("pool")));
  ASSERT_TRUE(daemon.start());
  {
    Host host(daemon.endpoint());
    ASSERT_TRUE(host.connected());
    write(*host.queue, 1, 0, pattern(4096, 1), 4096);
  }
  daemon.stop();
  daemon.config().volumes[0].size = "96MiB";
  ASSERT_TRUE(daemon.start());
  {
    Host host(daemon.endpoint());
    ASSERT_TRUE(host.connected());
    const auto space = host.controller->identify_namespace(1);
    ASSERT_GOOD(space);
    EXPECT_EQ(space.value().blocks, (96U << 20) / 4096);
    EXPECT_TRUE(read(*host.queue, 1, 0, 1, 4096) == pattern(4096, 1));
    EXPECT_TRUE(read(*host.queue, 1, (96U << 20) / 4096 - 1, 1, 4096) == Bytes(4096));
  }
  daemon.stop();
  daemon.config().volumes[0].size = "32MiB";
  ASSERT_TRUE(daemon.start());
  {
    const auto volume = named(daemon.status(), "volumes", "big");
    EXPECT_EQ(volume.at("state").as_string(), "refused");
    EXPECT_TRUE(daemon.await_event("volume.refused", "big"));
    EXPECT_EQ(volume.at("reason").as_string().find("32MiB is smaller than the existing 96MiB"), 0U)
        << volume.at("reason");
    EXPECT_TRUE(daemon.await_log({daemon.config_path() + ":",
                                  ": volumes.big.size: 32MiB is smaller than the existing 96MiB"}));
    Host host(daemon.endpoint());
    ASSERT_TRUE(host.connected());
    const auto space = host.controller->identify_namespace(1);
    ASSERT_GOOD(space);
    EXPECT_EQ(space.value().blocks, (96U << 20) / 4096) << "its true size";
    EXPECT_NE(status_of(*host.queue, client::io::read(1, 0, 1, 4096)), 0);
    write_and_read_back(*host.queue, 2, 0, 8, 512, 1);
  }
  daemon.stop();
  daemon.config().volumes[0].size = "96MiB";
  ASSERT_TRUE(daemon.start());
  Host host(daemon.endpoint());
  ASSERT_TRUE(host.connected());
  EXPECT_TRUE(read(*host.queue, 1, 0, 1, 4096) == pattern(4096, 1));
}

// What a machine that was installed anew has: the pools, their cache and the file. Everything else
// of the daemon's own is gone.
TEST(Identity, AReinstalledMachineShowsHostsTheSameDevices) {
  Workplace workplace;
  ConfigText config = file_config(workplace.make_pool("pool"));
  std::string members;
  for (const char* name : {"m0", "m1"}) {
    write_file(workplace.path(name), "");
    std::filesystem::resize_file(workplace.path(name), 64U << 20);
    members += (members.empty() ? "" : ", ") + workplace.path(name);
  }
  const Outcome made = run({.arguments = {FOREBAYCTL, "pool", "init", "--layout", "linear",
                                          workplace.path("m0"), workplace.path("m1")}});
  ASSERT_EQ(made.exit.code, 0) << made.output;
  config.caches = {{.name = "front", .path = workplace.make_cache("cache", "256MiB")}};
  config.pools.push_back({.name = "fast", .members = "[" + members + "]", .layout = "linear"});
  config.volumes.push_back({.name = "plain", .pool = "fast", .size = "24MiB"});
  config.volumes.push_back({.name = "cached",
                            .pool = "fast",
                            .size = "8MiB",
                            .block_size = 512,
                            .cache = "device: front"});
  config.subsystems[0].namespaces.push_back({.nsid = 7, .volume = "plain"});
  config.subsystems[0].namespaces.push_back({.nsid = 9, .volume = "cached"});
  const auto block_bytes = [](std::uint32_t nsid) { return nsid == 2 || nsid == 9 ? 512U : 4096U; };

  Daemon daemon(workplace, config);
  daemon.state_directory = workplace.path("state");
  std::filesystem::create_directory(daemon.state_directory);
  ASSERT_TRUE(daemon.start());
  const Identity first = identity_at(daemon.endpoint());
  ASSERT_EQ(first.namespaces.size(), 4U);
  {
    Host host(daemon.endpoint());
    ASSERT_TRUE(host.connected());
    for (const std::uint32_t nsid : {1U, 2U, 7U, 9U}) {
      ASSERT_NO_FATAL_FAILURE(write(*host.queue, nsid, 0, pattern(4096, nsid), block_bytes(nsid)));
    }
  }
  EXPECT_FALSE(std::filesystem::is_empty(daemon.state_directory));
  daemon.stop();

  std::filesystem::remove_all(daemon.state_directory);
  std::filesystem::create_directory(daemon.state_directory);
  std::filesystem::remove(daemon.config().control_socket);
  ASSERT_TRUE(daemon.start());
  EXPECT_EQ(identity_at(daemon.endpoint()), first);
  Host host(daemon.endpoint());
  ASSERT_TRUE(host.connected());
  for (const std::uint32_t nsid : {1U, 2U, 7U, 9U}) {
    EXPECT_TRUE(read(*host.queue, nsid, 0, 4096 / block_bytes(nsid), block_bytes(nsid)) ==
                pattern(4096, nsid))
        << nsid;
  }
}

}  // namespace
}  // namespace end_to_end
