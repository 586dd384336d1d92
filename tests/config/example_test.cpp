// The example that ships: free of errors and warnings, and each value arrives where the daemon
// looks for it.
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "tests/config/complaints.h"

namespace config {
namespace {

using std::chrono::milliseconds;

std::string example_path() { return std::string(FOREBAY_CONFIG_SOURCE) + "/example.yaml"; }

TEST(Example, ParsesWithoutErrorOrWarning) {
  const ParseOutcome outcome = parse_file(example_path());
  for (const Message& message : outcome.messages) ADD_FAILURE() << format(message);
  ASSERT_TRUE(outcome.config.has_value());
  EXPECT_EQ(outcome.config->file, example_path());
}

TEST(Example, EachValueArrives) {
  const ParseOutcome outcome = parse_file(example_path());
  ASSERT_TRUE(outcome.config.has_value());
  const Config& config = *outcome.config;
  EXPECT_EQ(config.node, "store1");
  EXPECT_EQ(config.reactors.count, 2U);
  EXPECT_EQ(config.reactors.cpus, std::vector<std::uint32_t>({2, 3}));
  EXPECT_EQ(config.memory.value, 4_GiB);

  ASSERT_EQ(config.listeners.size(), 8U);
  EXPECT_EQ(config.listeners.at("san-a").address.value.text, "10.10.1.5");
  EXPECT_EQ(config.listeners.at("san-a").port.value, 4420);
  EXPECT_EQ(config.listeners.at("san-b").address.value.family, IpAddress::Family::ipv6);
  EXPECT_EQ(config.listeners.at("san-b").nvme_tcp.digests, Digests::required);
  EXPECT_EQ(config.listeners.at("disc").discovery, Discovery::only);
  EXPECT_EQ(config.listeners.at("disc").address.value.family, IpAddress::Family::any);
  EXPECT_EQ(config.listeners.at("disc").port.value, 8009);

  ASSERT_EQ(config.cache_devices.size(), 2U);
  const CacheDevice& pmem = config.cache_devices.at("pmem0");
  EXPECT_EQ(pmem.name, "pmem0");
  EXPECT_EQ(pmem.path.value, "/dev/dax0.0");
  EXPECT_EQ(pmem.uuid->value.text(), "6f0c7f9e-5a53-4b0e-9c51-2f4f4d1e7a10");
  EXPECT_EQ(pmem.require.value, Require::cache_line);
  EXPECT_TRUE(pmem.payload_crc->value);
  const CacheDevice& file = config.cache_devices.at("file0");
  EXPECT_EQ(file.path.value, "/srv/forebay/cache/file0");
  EXPECT_FALSE(file.uuid.has_value());
  EXPECT_EQ(file.require.value, Require::page);
  EXPECT_EQ(file.require.at.line, 0U);
  EXPECT_FALSE(file.payload_crc.has_value());

  EXPECT_EQ(config.pools.at("bulk").kind, Pool::Kind::file);
  EXPECT_EQ(config.pools.at("bulk").directory.value, "/srv/forebay/bulk");
  EXPECT_EQ(config.volumes.at("db01").pool.value, "bulk");
  EXPECT_EQ(config.volumes.at("db01").size.value.value, 2ULL << 40);
  EXPECT_EQ(config.volumes.at("db01").block_size.value.bytes, 512U);
  EXPECT_EQ(config.volumes.at("logs").block_size.value.bytes, 4096U);
  EXPECT_EQ(config.volumes.at("vm01").size.value.value, 3ULL << 39);
  EXPECT_EQ(config.volumes.at("db01").cache->device.value, "pmem0");
  EXPECT_EQ(config.volumes.at("db01").cache->guaranteed->value, 32_GiB);
  EXPECT_EQ(config.volumes.at("db01").cache->maximum->value, 96_GiB);
  EXPECT_EQ(config.volumes.at("logs").cache->mode, VolumeCache::Mode::write_through);
  EXPECT_EQ(config.volumes.at("logs").cache->guaranteed->value, 8_GiB);
  EXPECT_FALSE(config.volumes.at("logs").cache->maximum.has_value());
  EXPECT_EQ(config.volumes.at("vm01").cache->device.value, "file0");
  EXPECT_FALSE(config.volumes.at("vm01").cache->guaranteed.has_value());
  EXPECT_EQ(config.hosts.at("dbhost2").nqn,
            "nqn.2014-08.org.nvmexpress:uuid:7d4441a0-9dc0-11d1-b245-5ffdce74fad2");

  const Subsystem& db = config.subsystems.at("nqn.2026-11.com.example:store1.db");
  ASSERT_EQ(db.listeners.size(), 3U);
  EXPECT_EQ(db.listeners[1].value, "san-b");
  ASSERT_EQ(db.hosts.size(), 2U);
  EXPECT_FALSE(db.allow_any_host);
  EXPECT_FALSE(db.serial.has_value());
  ASSERT_EQ(db.namespaces.size(), 2U);
  EXPECT_EQ(db.namespaces.at(1).volume.value, "db01");
  EXPECT_FALSE(db.namespaces.at(1).hosts.has_value());
  ASSERT_TRUE(db.namespaces.at(2).hosts.has_value());
  EXPECT_EQ(db.namespaces.at(2).hosts->at(0).value, "dbhost1");

  const Subsystem& vm = config.subsystems.at("nqn.2026-11.com.example:store1.vm");
  EXPECT_TRUE(vm.allow_any_host);
  EXPECT_EQ(vm.serial, "FB0001");

  EXPECT_EQ(config.listeners.at("scsi-b").protocol, Protocol::iscsi);
  EXPECT_EQ(config.listeners.at("scsi-b").port.value, 3260);
  const Host& initiator = config.hosts.at("hyper1");
  EXPECT_EQ(initiator.nqn, "");
  EXPECT_EQ(initiator.iqn, "iqn.1993-08.org.debian:01:5a7c1e9f2b");
  ASSERT_EQ(initiator.networks.size(), 2U);
  EXPECT_EQ(initiator.networks[1].text, "fd00:2::/64");
  EXPECT_EQ(initiator.chap->user.value, "hyper1");
  EXPECT_EQ(initiator.chap->secret.value,
            (SecretRef{SecretRef::Source::file, "/etc/forebay/secrets/hyper1"}));
  EXPECT_EQ(initiator.chap->mutual_user->value, "store1");
  EXPECT_EQ(initiator.chap->mutual_secret->value,
            (SecretRef{SecretRef::Source::credential, "store1"}));
  const Target& machines = config.targets.at("iqn.2026-11.com.example:store1.vm");
  EXPECT_EQ(machines.alias, "virtual machines");
  ASSERT_EQ(machines.listeners.size(), 2U);
  EXPECT_EQ(machines.hosts.at(0).value, "hyper1");
  EXPECT_FALSE(machines.chap.has_value());
  ASSERT_EQ(machines.luns.size(), 2U);
  EXPECT_EQ(machines.luns.at(0).volume.value, "vm02");
  EXPECT_EQ(machines.luns.at(1).number, 1U);
  EXPECT_EQ(machines.luns.at(1).hosts->at(0).value, "hyper1");
  const Target& open = config.targets.at("iqn.2026-11.com.example:store1.lab");
  EXPECT_TRUE(open.allow_any_host);
  EXPECT_EQ(open.chap->user.value, "lab");
  EXPECT_FALSE(open.chap->mutual_secret.has_value());
  EXPECT_EQ(config.iscsi.discovery_chap->secret.value.name, "/etc/forebay/secrets/discovery");

  ASSERT_TRUE(config.metrics.has_value());
  EXPECT_EQ(config.metrics->address.value.text, "127.0.0.1");
  EXPECT_EQ(config.metrics->port.value, 9930);
  ASSERT_EQ(config.metrics->stages.size(), 1U);
  EXPECT_EQ(config.metrics->stages[0].value, "db01");
  EXPECT_EQ(config.control.socket.value, "/run/forebay/control.sock");
  EXPECT_EQ(config.control.group->value, "forebay");
  EXPECT_EQ(config.log_level, LogLevel::info);
}

// The listeners `lab` and `scsi-lab`, the subsystem `vm` and the cache of `db01` write out every
// default.
TEST(Example, WrittenDefaultsAreTheDefaults) {
  const ParseOutcome outcome = parse_file(example_path());
  ASSERT_TRUE(outcome.config.has_value());
  const Listener& lab = outcome.config->listeners.at("lab");
  const Listener made;
  EXPECT_EQ(lab.port.value, made.port.value);
  EXPECT_EQ(lab.discovery, made.discovery);
  EXPECT_EQ(lab.nvme_tcp.digests, made.nvme_tcp.digests);
  EXPECT_EQ(lab.nvme_tcp.c2h_success, made.nvme_tcp.c2h_success);
  EXPECT_EQ(lab.nvme_tcp.in_capsule_data, made.nvme_tcp.in_capsule_data);
  EXPECT_EQ(lab.nvme_tcp.max_r2t, made.nvme_tcp.max_r2t);
  EXPECT_EQ(lab.nvme_tcp.max_h2c_data, made.nvme_tcp.max_h2c_data);
  EXPECT_EQ(lab.max_connections, made.max_connections);
  EXPECT_EQ(lab.nvme_tcp.icreq_timeout, made.nvme_tcp.icreq_timeout);
  EXPECT_EQ(lab.nvme_tcp.connect_timeout, made.nvme_tcp.connect_timeout);
  EXPECT_EQ(lab.idle_timeout, made.idle_timeout);
  const Listener& scsi = outcome.config->listeners.at("scsi-lab");
  EXPECT_EQ(scsi.max_connections, made.max_connections);
  EXPECT_EQ(scsi.idle_timeout, made.idle_timeout);
  EXPECT_EQ(scsi.portal_group, made.portal_group);
  EXPECT_EQ(scsi.iscsi.header_digest, made.iscsi.header_digest);
  EXPECT_EQ(scsi.iscsi.data_digest, made.iscsi.data_digest);
  EXPECT_EQ(scsi.iscsi.initial_r2t, made.iscsi.initial_r2t);
  EXPECT_EQ(scsi.iscsi.immediate_data, made.iscsi.immediate_data);
  EXPECT_EQ(scsi.iscsi.first_burst, made.iscsi.first_burst);
  EXPECT_EQ(scsi.iscsi.max_burst, made.iscsi.max_burst);
  EXPECT_EQ(scsi.iscsi.max_recv_data_segment, made.iscsi.max_recv_data_segment);
  EXPECT_EQ(scsi.iscsi.max_outstanding_r2t, made.iscsi.max_outstanding_r2t);
  EXPECT_EQ(scsi.iscsi.queue_depth, made.iscsi.queue_depth);
  EXPECT_EQ(scsi.iscsi.login_timeout, made.iscsi.login_timeout);
  EXPECT_EQ(scsi.iscsi.nop_interval, made.iscsi.nop_interval);
  EXPECT_EQ(scsi.iscsi.nop_timeout, made.iscsi.nop_timeout);
  EXPECT_EQ(outcome.config->iscsi.max_sessions, Iscsi{}.max_sessions);
  const Subsystem& vm = outcome.config->subsystems.at("nqn.2026-11.com.example:store1.vm");
  const Subsystem plain;
  EXPECT_EQ(vm.model, plain.model);
  EXPECT_EQ(vm.cntlid_min, plain.cntlid_min);
  EXPECT_EQ(vm.cntlid_max, plain.cntlid_max);
  EXPECT_EQ(vm.max_io_queues, plain.max_io_queues);
  EXPECT_EQ(vm.max_queue_depth, plain.max_queue_depth);
  EXPECT_EQ(vm.mdts, plain.mdts);
  const VolumeCache& cache = *outcome.config->volumes.at("db01").cache;
  const VolumeCache usual;
  EXPECT_EQ(cache.mode, usual.mode);
  EXPECT_EQ(cache.dirty_low_percent, usual.dirty_low_percent);
  EXPECT_EQ(cache.dirty_high_percent, usual.dirty_high_percent);
  EXPECT_EQ(cache.max_dirty_age, usual.max_dirty_age);
  EXPECT_EQ(cache.ordered, usual.ordered);
}

TEST(Example, NonDefaultsArriveToo) {
  const ParseOutcome outcome = parse_text(
      std::string(heading) +
          "listeners:\n"
          "  l: {protocol: nvme-tcp, address: 10.0.0.1, port: 1, discovery: none, c2h_success: "
          "false,\n"
          "      digests: refused, in_capsule_data: 64KiB, max_r2t: 1, max_h2c_data: 1MiB,\n"
          "      max_connections: 7, icreq_timeout: 1s, connect_timeout: 2m, idle_timeout: 1d}\n"
          "subsystems:\n"
          "  nqn.2026-11.com.example:a:\n"
          "    {listeners: [l], allow_any_host: true, model: M 1, cntlid_range: [5, 9],\n"
          "     max_io_queues: 2, max_queue_depth: 3, mdts: 2MiB}\n"
          "cache_devices:\n  c: {path: /c, require: byte, payload_crc: false}\n"
          "pools: {p: {kind: file, directory: /p}}\n"
          "volumes:\n"
          "  v: {pool: p, size: 1GiB, cache: {device: c, mode: write-through, guaranteed: 1MiB,\n"
          "      maximum: 128TiB, dirty_low: 1%, dirty_high: 100%, max_dirty_age: 1d,\n"
          "      ordered: journal}, atomic: required, allow_format: true}\n"
          "scrub: {rate: 16GiB/s}\nlog: {level: debug}\n",
      "f.yaml");
  ASSERT_TRUE(outcome.config.has_value());
  const Listener& listener = outcome.config->listeners.at("l");
  EXPECT_EQ(listener.port.value, 1);
  EXPECT_EQ(listener.port.at, (Position{4, 52}));
  EXPECT_EQ(listener.at, (Position{4, 3}));
  EXPECT_EQ(listener.discovery, Discovery::none);
  EXPECT_FALSE(listener.nvme_tcp.c2h_success);
  EXPECT_EQ(listener.nvme_tcp.digests, Digests::refused);
  EXPECT_EQ(listener.nvme_tcp.in_capsule_data, 64_KiB);
  EXPECT_EQ(listener.nvme_tcp.max_r2t, 1U);
  EXPECT_EQ(listener.nvme_tcp.max_h2c_data, 1_MiB);
  EXPECT_EQ(listener.max_connections, 7U);
  EXPECT_EQ(listener.nvme_tcp.icreq_timeout, milliseconds{1'000});
  EXPECT_EQ(listener.nvme_tcp.connect_timeout, milliseconds{120'000});
  EXPECT_EQ(listener.idle_timeout, milliseconds{86'400'000});
  const Subsystem& subsystem = outcome.config->subsystems.at("nqn.2026-11.com.example:a");
  EXPECT_EQ(subsystem.model, "M 1");
  EXPECT_EQ(subsystem.cntlid_min, 5);
  EXPECT_EQ(subsystem.cntlid_max, 9);
  EXPECT_EQ(subsystem.max_io_queues, 2U);
  EXPECT_EQ(subsystem.max_queue_depth, 3U);
  EXPECT_EQ(subsystem.mdts, 2_MiB);
  const CacheDevice& device = outcome.config->cache_devices.at("c");
  EXPECT_EQ(device.at, (Position{12, 3}));
  EXPECT_EQ(device.path.at, (Position{12, 13}));
  EXPECT_EQ(device.require.value, Require::byte);
  EXPECT_EQ(device.require.at, (Position{12, 26}));
  EXPECT_FALSE(device.payload_crc->value);
  EXPECT_EQ(device.payload_crc->at, (Position{12, 45}));
  EXPECT_EQ(outcome.config->volumes.at("v").atomic.value, Volume::Atomic::required);
  EXPECT_TRUE(outcome.config->volumes.at("v").allow_format);
  const VolumeCache& cache = *outcome.config->volumes.at("v").cache;
  EXPECT_EQ(cache.at, (Position{15, 28}));
  EXPECT_EQ(cache.device.at, (Position{15, 44}));
  EXPECT_EQ(cache.mode, VolumeCache::Mode::write_through);
  EXPECT_EQ(cache.guaranteed->value, 1_MiB);
  EXPECT_EQ(cache.guaranteed->at, (Position{15, 80}));
  EXPECT_EQ(cache.maximum->value.value, 128ULL << 40);
  EXPECT_EQ(cache.dirty_low_percent, 1U);
  EXPECT_EQ(cache.dirty_high_percent, 100U);
  EXPECT_EQ(cache.max_dirty_age, milliseconds{86'400'000});
  EXPECT_EQ(cache.ordered, VolumeCache::Ordered::journal);
  EXPECT_EQ(outcome.config->scrub.rate.value.value, std::uint64_t{16} << 30);
  EXPECT_EQ(outcome.config->log_level, LogLevel::debug);
}

TEST(Example, TheSmallestFileHasTheDefaults) {
  const ParseOutcome outcome = parse_text(heading, "f.yaml");
  ASSERT_TRUE(outcome.config.has_value());
  EXPECT_EQ(outcome.config->reactors.count, 1U);
  EXPECT_TRUE(outcome.config->reactors.cpus.empty());
  EXPECT_EQ(outcome.config->memory.value, 1_GiB);
  EXPECT_EQ(outcome.config->memory.at.line, 0U);
  EXPECT_EQ(outcome.config->control.socket.value, "/run/forebay/control.sock");
  EXPECT_FALSE(outcome.config->control.group.has_value());
  EXPECT_FALSE(outcome.config->metrics.has_value());
  EXPECT_EQ(outcome.config->scrub.rate.value, 100_MiB);
  EXPECT_TRUE(outcome.config->listeners.empty());
}

}  // namespace
}  // namespace config
