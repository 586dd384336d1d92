// What the engine is told of caches, and the iSCSI side of its targets, is what the file says.
#include "target/assembly.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <chrono>
#include <fstream>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "config/parse.h"
#include "tests/engine/test_directory.h"
#include "tests/target/nvmf/settable_volume.h"

namespace target {
namespace {

using engine::operator""_GiB;
using engine::VolumeCacheSpec;

constexpr std::string_view heading =
    "apiVersion: forebay/v1\n"
    "node: store1\n"
    "pools: {p: {kind: file, directory: /p}}\n";

config::Config parsed(std::string_view rest) {
  auto outcome = config::parse_text(std::string(heading) + std::string(rest), "f.yaml");
  for (const config::Message& message : outcome.messages) ADD_FAILURE() << format(message);
  return std::move(outcome.config).value();
}

TEST(Assembly, CacheDevicesArriveAsTheyAreWritten) {
  const auto specs = cache_specs(
      parsed("cache_devices:\n"
             "  a: {path: /dev/dax0.0, uuid: 6f0c7f9e-5a53-4b0e-9c51-2f4f4d1e7a10, require: byte,\n"
             "      payload_crc: true}\n"
             "  b: {path: /b, require: cache-line, payload_crc: false}\n"
             "  c: {path: /c, require: page}\n"));
  ASSERT_EQ(specs.size(), 3U);
  EXPECT_EQ(specs[0].name, "a");
  EXPECT_EQ(specs[0].path, "/dev/dax0.0");
  EXPECT_EQ(specs[0].uuid, engine::Uuid::parse("6f0c7f9e-5a53-4b0e-9c51-2f4f4d1e7a10"));
  EXPECT_EQ(specs[0].required, engine::PmemGranularity::byte);
  EXPECT_EQ(specs[0].payload_crc, true);
  EXPECT_EQ(specs[1].required, engine::PmemGranularity::cache_line);
  EXPECT_EQ(specs[1].payload_crc, false);
  EXPECT_EQ(specs[2].required, engine::PmemGranularity::page);
}

TEST(Assembly, WhatIsNotSaidOfACacheDeviceIsNotDemanded) {
  const auto specs = cache_specs(parsed("cache_devices: {c: {path: /c}}\n"));
  ASSERT_EQ(specs.size(), 1U);
  EXPECT_EQ(specs[0].uuid, std::nullopt);
  EXPECT_EQ(specs[0].required, engine::PmemGranularity::page);
  EXPECT_EQ(specs[0].payload_crc, std::nullopt);
  EXPECT_TRUE(cache_specs(parsed("")).empty());
}

TEST(Assembly, CachesOfVolumesArriveAsTheyAreWritten) {
  const auto specs = volume_specs(parsed(
      "cache_devices: {c: {path: /c}}\n"
      "volumes:\n"
      "  plain: {pool: p, size: 1GiB}\n"
      "  some: {pool: p, size: 1GiB, cache: {device: c, mode: write-through, guaranteed: 2GiB,\n"
      "         maximum: 3GiB, dirty_low: 10%, dirty_high: 20%, max_dirty_age: 90s,\n"
      "         ordered: journal}}\n"
      "  usual: {pool: p, size: 1GiB, cache: {device: c}}\n"));
  ASSERT_EQ(specs.size(), 3U);
  EXPECT_FALSE(specs[0].cache.has_value());

  ASSERT_TRUE(specs[1].cache.has_value());
  EXPECT_EQ(specs[1].cache->device, "c");
  EXPECT_EQ(specs[1].cache->mode, engine::CacheMode::write_through);
  EXPECT_EQ(specs[1].cache->guaranteed, 2_GiB);
  EXPECT_EQ(specs[1].cache->maximum, 3_GiB);
  EXPECT_EQ(specs[1].cache->dirty_low_percent, 10U);
  EXPECT_EQ(specs[1].cache->dirty_high_percent, 20U);
  EXPECT_EQ(specs[1].cache->max_dirty_age, std::chrono::seconds(90));
  EXPECT_EQ(specs[1].cache->ordered, engine::WriteBackOrder::journal);

  // The file's defaults are the engine's own.
  const VolumeCacheSpec made;
  ASSERT_TRUE(specs[2].cache.has_value());
  EXPECT_EQ(specs[2].cache->mode, made.mode);
  EXPECT_EQ(specs[2].cache->guaranteed, made.guaranteed);
  EXPECT_EQ(specs[2].cache->maximum, made.maximum);
  EXPECT_EQ(specs[2].cache->dirty_low_percent, made.dirty_low_percent);
  EXPECT_EQ(specs[2].cache->dirty_high_percent, made.dirty_high_percent);
  EXPECT_EQ(specs[2].cache->max_dirty_age, made.max_dirty_age);
  EXPECT_EQ(specs[2].cache->ordered, made.ordered);
}

constexpr std::string_view iscsi_things =
    "volumes: {v: {pool: p, size: 1GiB}, w: {pool: p, size: 1GiB}}\n"
    "listeners:\n"
    "  a: {protocol: iscsi, address: 10.0.0.1, portal_group: 2}\n"
    "  b: {protocol: iscsi, address: \"*\", port: 3261}\n"
    "  c: {protocol: iscsi, address: \"fe80::1%eth0\", port: 3262}\n"
    "  m: {protocol: nvme-tcp, address: 10.0.0.1}\n"
    "hosts:\n"
    "  one: {iqn: iqn.2026-11.com.example:One, networks: [10.0.0.0/8, \"fd00::/8\"]}\n"
    "  two: {iqn: iqn.2026-11.com.example:two, nqn: nqn.2026-11.com.example:two}\n"
    "  three: {nqn: nqn.2026-11.com.example:three}\n";

struct Volumes {
  Volumes() {
    for (nvmf::SettableVolume* volume : {&v, &w}) {
      all.emplace(volume->identity().name, std::make_unique<block::BlockVolume>(*volume));
    }
  }
  nvmf::SettableVolume v{"v", engine::Uuid{}, 4096, 8};
  nvmf::SettableVolume w{"w", engine::Uuid{}, 512, 8};
  BlockVolumes all;
};

iscsi::TargetOptions iscsi_options_of(const config::Config& config, const BlockVolumes& volumes) {
  const Secrets secrets(config, config::Severity::error);
  EXPECT_TRUE(secrets.messages().empty());
  return iscsi_options(config, volumes, secrets);
}

TEST(Assembly, TargetsArriveAsTheyAreWritten) {
  const config::Config config =
      parsed(std::string(iscsi_things) +
             "targets:\n"
             "  iqn.2026-11.com.example:T:\n"
             "    {alias: Disks, listeners: [a, c], hosts: [one, two],\n"
             "     luns: {0: {volume: v}, 16383: {volume: w, hosts: [two]}}}\n"
             "iscsi: {max_sessions: 7}\n");
  const Volumes volumes;
  const iscsi::TargetOptions options = iscsi_options_of(config, volumes.all);
  EXPECT_EQ(options.max_sessions, 7U);
  EXPECT_FALSE(options.discovery_chap.has_value());
  ASSERT_EQ(options.listeners.size(), 3U) << "those of iSCSI";
  EXPECT_EQ(options.listeners[0].name, "a");
  EXPECT_EQ(options.listeners[0].address, "10.0.0.1");
  EXPECT_EQ(options.listeners[0].port, 3260);
  EXPECT_EQ(options.listeners[0].portal_group, 2);
  EXPECT_EQ(options.listeners[1].family, iscsi::ListenerOptions::Family::any);
  EXPECT_EQ(options.listeners[1].address, "");
  EXPECT_EQ(options.listeners[1].portal_group, 1);
  EXPECT_EQ(options.listeners[2].family, iscsi::ListenerOptions::Family::ipv6);
  EXPECT_EQ(options.listeners[2].address, "fe80::1");
  ASSERT_EQ(options.initiators.size(), 2U) << "hosts that have an iqn";
  EXPECT_EQ(options.initiators[0].name, "iqn.2026-11.com.example:one");
  EXPECT_EQ(options.initiators[0].networks, (std::vector<std::string>{"10.0.0.0/8", "fd00::/8"}));
  EXPECT_TRUE(options.initiators[1].networks.empty());
  EXPECT_FALSE(options.initiators[1].chap.has_value());
  ASSERT_EQ(options.nodes.size(), 1U);
  const iscsi::NodeOptions& node = options.nodes[0];
  EXPECT_EQ(node.name, "iqn.2026-11.com.example:t");
  EXPECT_EQ(node.alias, "Disks");
  EXPECT_FALSE(node.initiators.allow_any);
  EXPECT_EQ(node.initiators.names, (std::vector<std::string>{"iqn.2026-11.com.example:one",
                                                             "iqn.2026-11.com.example:two"}));
  EXPECT_EQ(node.listeners, (std::vector<std::string>{"a", "c"}));
  EXPECT_FALSE(node.chap.has_value());
  ASSERT_EQ(node.luns.size(), 2U);
  EXPECT_EQ(node.luns[0].lun, 0);
  EXPECT_EQ(node.luns[0].volume, volumes.all.at("v").get());
  EXPECT_FALSE(node.luns[0].initiators.has_value());
  EXPECT_EQ(node.luns[1].lun, 16383);
  EXPECT_EQ(node.luns[1].volume, volumes.all.at("w").get());
  EXPECT_EQ(node.luns[1].initiators, (std::vector<std::string>{"iqn.2026-11.com.example:two"}));

  const nvmf::TargetOptions nvme =
      nvmf_options(config, volumes.all, Secrets(config, config::Severity::error));
  ASSERT_EQ(nvme.listeners.size(), 1U);
  EXPECT_EQ(nvme.listeners[0].name, "m");
}

TEST(Assembly, SecretsArriveWithTheirNames) {
  const engine::TestDirectory directory("assembly");
  const auto secret = [&](const std::string& name) {
    const std::string path = directory.path() + "/" + name;
    std::ofstream(path) << "the secret of " << name << "\n";
    EXPECT_EQ(::chmod(path.c_str(), 0600), 0);
    return "'file:" + path + "'";
  };
  const config::Config config = parsed(
      "listeners: {a: {protocol: iscsi, address: 10.0.0.1}}\n"
      "hosts: {h: {iqn: iqn.2026-11.com.example:h, chap: {user: host, secret: " +
      secret("host") + ", mutual_user: us, mutual_secret: " + secret("us") +
      "}}}\n"
      "targets:\n"
      "  iqn.2026-11.com.example:t: {listeners: [a], allow_any_host: true, chap: {user: any, "
      "secret: " +
      secret("any") + "}}\niscsi: {discovery_chap: {user: asks, secret: " + secret("asks") +
      "}}\n");
  const iscsi::TargetOptions options = iscsi_options_of(config, {});
  const iscsi::ChapOptions& of_host = options.initiators.at(0).chap.value();
  EXPECT_EQ(of_host.initiator.user, "host");
  EXPECT_EQ(of_host.initiator.secret, "the secret of host");
  EXPECT_EQ(of_host.mutual.value().user, "us");
  EXPECT_EQ(of_host.mutual.value().secret, "the secret of us");
  const iscsi::NodeOptions& node = options.nodes.at(0);
  EXPECT_TRUE(node.initiators.allow_any);
  EXPECT_EQ(node.chap.value().initiator.secret, "the secret of any");
  EXPECT_FALSE(node.chap.value().mutual.has_value());
  EXPECT_EQ(options.discovery_chap.value().initiator.user, "asks");
  EXPECT_EQ(options.discovery_chap.value().initiator.secret, "the secret of asks");
}

TEST(Assembly, IscsiOptionsOfAListenerArrive) {
  const config::Config config = parsed(
      "listeners:\n"
      "  plain: {protocol: iscsi, address: 10.0.0.1}\n"
      "  other: {protocol: iscsi, address: 10.0.0.2, idle_timeout: 7s,\n"
      "          iscsi: {header_digest: required, data_digest: refused, initial_r2t: true,\n"
      "                  immediate_data: false, first_burst: 8KiB, max_burst: 12KiB,\n"
      "                  max_recv_data_segment: 16KiB, max_outstanding_r2t: 2, queue_depth: 3,\n"
      "                  login_timeout: 4s, nop_interval: 5s, nop_timeout: 6s}}\n");
  const auto other = iscsi_connection_options(config.listeners.at("other"));
  EXPECT_EQ(other.listener, "other");
  EXPECT_EQ(other.header_digest, iscsi::DigestPolicy::required);
  EXPECT_EQ(other.data_digest, iscsi::DigestPolicy::refused);
  EXPECT_TRUE(other.initial_r2t);
  EXPECT_FALSE(other.immediate_data);
  EXPECT_EQ(other.first_burst_bytes, 8192U);
  EXPECT_EQ(other.max_burst_bytes, 12288U);
  EXPECT_EQ(other.max_receive_bytes, 16384U);
  EXPECT_EQ(other.max_outstanding_r2t, 2U);
  EXPECT_EQ(other.queue_depth, 3U);
  EXPECT_EQ(other.login_timeout, std::chrono::seconds(4));
  EXPECT_EQ(other.nop_interval, std::chrono::seconds(5));
  EXPECT_EQ(other.nop_timeout, std::chrono::seconds(6));
  EXPECT_EQ(other.stall_timeout, std::chrono::seconds(7));

  // The file's defaults are the iSCSI side's own.
  const auto plain = iscsi_connection_options(config.listeners.at("plain"));
  const iscsi::ConnectionOptions made;
  EXPECT_EQ(plain.header_digest, made.header_digest);
  EXPECT_EQ(plain.data_digest, made.data_digest);
  EXPECT_EQ(plain.initial_r2t, made.initial_r2t);
  EXPECT_EQ(plain.immediate_data, made.immediate_data);
  EXPECT_EQ(plain.first_burst_bytes, made.first_burst_bytes);
  EXPECT_EQ(plain.max_burst_bytes, made.max_burst_bytes);
  EXPECT_EQ(plain.max_receive_bytes, made.max_receive_bytes);
  EXPECT_EQ(plain.max_outstanding_r2t, made.max_outstanding_r2t);
  EXPECT_EQ(plain.queue_depth, made.queue_depth);
  EXPECT_EQ(plain.login_timeout, made.login_timeout);
  EXPECT_EQ(plain.nop_interval, made.nop_interval);
  EXPECT_EQ(plain.nop_timeout, made.nop_timeout);
  EXPECT_EQ(plain.stall_timeout, made.stall_timeout);
}

}  // namespace
}  // namespace target
