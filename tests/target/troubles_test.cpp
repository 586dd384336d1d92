#include "target/troubles.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "config/parse.h"

namespace target {
namespace {

using About = engine::Finding::About;
using testing::ElementsAre;
using testing::IsEmpty;

config::Config configuration() {
  auto outcome = config::parse_text(
      "apiVersion: forebay/v1\n"
      "node: store1\n"
      "listeners:\n"
      "  san: {protocol: nvme-tcp, address: 192.0.2.1}\n"
      "pools:\n"
      "  bulk: {kind: file, directory: /p, uuid: 6f0c7f9e-5a53-4b0e-9c51-2f4f4d1e7a10}\n"
      "volumes:\n"
      "  db01:\n"
      "    pool: bulk\n"
      "    size: 1TiB\n"
      "  logs: {pool: bulk, size: 1GiB, block_size: 512}\n"
      "  vm01: {pool: bulk, size: 1GiB, cache: {device: pmem0, guaranteed: 1GiB}}\n"
      "cache_devices:\n"
      "  pmem0:\n"
      "    path: /c\n"
      "    uuid: 6f0c7f9e-5a53-4b0e-9c51-2f4f4d1e7a10\n"
      "    payload_crc: true\n"
      "    require: cache-line\n"
      "  pmem1: {path: /d}\n"
      "memory: 2GiB\n",
      "forebay.yaml");
  EXPECT_TRUE(outcome.config.has_value());
  return std::move(*outcome.config);
}

TEST(Troubles, EachIsToldAtTheKeyThatItIsAbout) {
  const config::Config config = configuration();
  const auto line = [&](About about, const char* name) {
    return config::format(trouble_of(config, {.about = about, .name = name, .text = "why."},
                                     config::Severity::error));
  };
  EXPECT_EQ(line(About::pool_directory, "bulk"), "forebay.yaml:6:33: pools.bulk.directory: why.");
  EXPECT_EQ(line(About::pool_disk, "bulk"), "forebay.yaml:6:3: pools.bulk.directory: why.");
  EXPECT_EQ(line(About::pool_uuid, "bulk"), "forebay.yaml:6:43: pools.bulk.uuid: why.");
  EXPECT_EQ(line(About::volume, "db01"), "forebay.yaml:8:3: volumes.db01: why.");
  EXPECT_EQ(line(About::volume_size, "db01"), "forebay.yaml:10:11: volumes.db01.size: why.");
  EXPECT_EQ(line(About::volume_block_size, "logs"),
            "forebay.yaml:11:46: volumes.logs.block_size: why.");
  EXPECT_EQ(line(About::volume_block_size, "db01"),
            "forebay.yaml:8:3: volumes.db01.block_size: why.")
      << "a default has no place of its own";
  EXPECT_EQ(line(About::cache_device, "pmem0"),
            "forebay.yaml:15:11: cache_devices.pmem0.path: why.");
  EXPECT_EQ(line(About::cache_uuid, "pmem0"), "forebay.yaml:16:11: cache_devices.pmem0.uuid: why.");
  EXPECT_EQ(line(About::cache_payload_crc, "pmem0"),
            "forebay.yaml:17:18: cache_devices.pmem0.payload_crc: why.");
  EXPECT_EQ(line(About::cache_require, "pmem0"),
            "forebay.yaml:18:14: cache_devices.pmem0.require: why.");
  EXPECT_EQ(line(About::cache_require, "pmem1"),
            "forebay.yaml:19:3: cache_devices.pmem1.require: why.");
  EXPECT_EQ(line(About::memory, "pmem0"), "forebay.yaml:20:9: memory: why.");
  EXPECT_EQ(line(About::volume_guaranteed, "vm01"),
            "forebay.yaml:12:69: volumes.vm01.cache.guaranteed: why.");
  EXPECT_EQ(line(About::volume_maximum, "vm01"),
            "forebay.yaml:12:34: volumes.vm01.cache.maximum: why.");
  EXPECT_EQ(line(About::known_volumes, ""), "forebay.yaml: why.");
  EXPECT_EQ(
      config::format(trouble_of(config, {.about = About::volume, .name = "db01", .text = "why."},
                                config::Severity::warning)),
      "forebay.yaml:8:3: warning: volumes.db01: why.");
  EXPECT_EQ(listener_trouble(config, config.listeners.at("san"), "why."),
            "forebay.yaml:4:38: listeners.san.address: why.");
}

TEST(Troubles, OfADevicePoolEachMemberAndItsFormHavePlaces) {
  const auto outcome = config::parse_text(
      "apiVersion: forebay/v1\n"
      "node: store1\n"
      "pools:\n"
      "  fast:\n"
      "    kind: device\n"
      "    layout: stripe\n"
      "    chunk_size: 64KiB\n"
      "    members: [/dev/a, /dev/b]\n"
      "  tail: {kind: device, layout: linear, members: [/dev/c]}\n",
      "forebay.yaml");
  ASSERT_TRUE(outcome.config.has_value());
  const auto line = [&](About about, const char* name, const char* member = "") {
    return config::format(trouble_of(
        *outcome.config, {.about = about, .name = name, .text = "why.", .member = member},
        config::Severity::error));
  };
  EXPECT_EQ(line(About::pool_members, "fast", "/dev/b"),
            "forebay.yaml:8:23: pools.fast.members[1]: why.");
  EXPECT_EQ(line(About::pool_members, "fast"), "forebay.yaml:8:15: pools.fast.members: why.");
  EXPECT_EQ(line(About::pool_members, "fast", "/dev/z"),
            "forebay.yaml:8:15: pools.fast.members: why.");
  EXPECT_EQ(line(About::pool_directory, "fast"), "forebay.yaml:8:15: pools.fast.members: why.");
  EXPECT_EQ(line(About::pool_layout, "fast"), "forebay.yaml:6:13: pools.fast.layout: why.");
  EXPECT_EQ(line(About::pool_chunk_size, "fast"), "forebay.yaml:7:17: pools.fast.chunk_size: why.");
  EXPECT_EQ(line(About::pool_chunk_size, "tail"), "forebay.yaml:9:3: pools.tail.chunk_size: why.");
}

TEST(Troubles, ALineIsToldOnceUntilItWasGone) {
  TroubleLog log;
  EXPECT_THAT(log.news({"b", "a"}), ElementsAre("b", "a"));
  EXPECT_THAT(log.news({"a", "b"}), IsEmpty());
  EXPECT_THAT(log.news({"b", "c"}), ElementsAre("c"));
  EXPECT_THAT(log.news({}), IsEmpty());
  EXPECT_THAT(log.news({"a"}), ElementsAre("a"));
}

}  // namespace
}  // namespace target
