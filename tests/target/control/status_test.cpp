#include "target/control/status.h"

#include <gtest/gtest.h>

#include <boost/json.hpp>

namespace target::control {
namespace {

Status all_well() {
  Status status;
  status.node = "store1";
  status.listeners.push_back({.name = "san-a",
                              .protocol = "nvme-tcp",
                              .address = "192.0.2.10:4420",
                              .listening = true,
                              .reason = "",
                              .connections = 2});
  status.pools.push_back({.name = "bulk",
                          .kind = "file",
                          .open = true,
                          .reason = "",
                          .size_bytes = 100,
                          .free_bytes = 60});
  status.caches.push_back({.name = "pmem0",
                           .path = "/dev/dax0.0",
                           .open = true,
                           .reason = "",
                           .note = "",
                           .uuid = "6f0c",
                           .media = "cache line (devdax)",
                           .size_bytes = 1000,
                           .free_bytes = 700,
                           .dirty_bytes = 30});
  VolumeStatus volume;
  volume.name = "db01";
  volume.state = "online";
  status.volumes.push_back(volume);
  return status;
}

TEST(Status, OneThingAmissIsNotHealthy) {
  EXPECT_TRUE(all_well().healthy());
  auto status = all_well();
  status.listeners[0].listening = false;
  EXPECT_FALSE(status.healthy());
  status = all_well();
  status.pools[0].open = false;
  EXPECT_FALSE(status.healthy());
  status = all_well();
  status.pools[0].reason = "measuring since 10:00:00 UTC: its disk does not answer";
  EXPECT_FALSE(status.healthy());
  status = all_well();
  status.caches[0].open = false;
  EXPECT_FALSE(status.healthy());
  status.caches[0].retired = true;
  EXPECT_TRUE(status.healthy()) << "closed on purpose";
  for (const char* state : {"degraded", "late", "failed", "refused"}) {
    status = all_well();
    status.volumes[0].state = state;
    EXPECT_FALSE(status.healthy()) << state;
  }
}

TEST(Status, JsonCarriesEveryMemberAndEscapesText) {
  auto status = all_well();
  status.volumes[0].reason = "quote \" and\nnewline";
  status.volumes[0].note = "in memory (tmpfs)";
  status.volumes[0].durable = false;
  status.volumes[0].cache = "pmem0";
  status.volumes[0].configured_cache = "pmem1";
  status.volumes[0].detaching = true;
  status.volumes[0].detach_error = "its pool does not answer";
  status.volumes[0].drain_bytes = 8192;
  status.volumes[0].drain_seconds = 3;
  status.volumes[0].lost_bytes = 4608;
  status.volumes[0].lost_ranges = {{.offset_bytes = 4096, .length_bytes = 4096},
                                   {.offset_bytes = 12288, .length_bytes = 512}};
  status.volumes[0].lost_reads = 7;
  status.volumes[0].qos = {.read_iops = 11,
                           .write_iops = 12,
                           .iops = 13,
                           .read_bandwidth = 14,
                           .write_bandwidth = 15,
                           .bandwidth = 16,
                           .burst_ms = 17,
                           .reads_held = 18,
                           .writes_held = 19,
                           .reads_held_total = 20,
                           .writes_held_total = 21,
                           .read_hold_us_total = 22,
                           .write_hold_us_total = 23};
  status.volumes[0].overload = {.hold_ms = 31,
                                .retries = 32,
                                .inaccessible_after_ms = 33,
                                .recovery_ms = 34,
                                .held = 35,
                                .held_total = 36,
                                .hold_us_total = 37,
                                .interrupted_total = 38,
                                .closings_total = 39,
                                .closed = true};
  status.volumes[0].pool_errors = 8;
  status.pools[0].disks.push_back(
      {.path = "/dev/disk/by-id/x",
       .device = "/dev/sdb",
       .model = "ST8000",
       .serial = "WRQ0",
       .rotational = true,
       .reads = {.count = 100,
                 .in_flight = 1,
                 .errors = 2,
                 .timeouts = 3,
                 .mean_us = 400,
                 .p99_us = 500},
       .last_error =
           DiskErrorStatus{
               .kind = "read", .error = "bad", .lba = 7, .offset_bytes = 3584, .time_ms = 9},
       .smart = {.status = "passed", .temperature_celsius = -3},
       .outlier = "slower",
       .troubles = {"is slow"}});
  status.pools[0].disks.push_back({.path = "/srv/pool"});
  status.caches[0].retiring = true;
  status.pools[0].promised_bytes = 4096;
  status.pools[0].provisioning = "thin";
  status.pools[0].reserve_bytes = 8192;
  status.pools[0].warn_at_percent = 80;
  status.pools[0].queue_depth = 32;
  status.pools[0].filling = true;
  status.pools[0].advice = {"add \"it\""};
  status.pools[0].retained.push_back({.name = "old",
                                      .uuid = "77a1",
                                      .size_bytes = 8192,
                                      .block_size = 512,
                                      .cache = "6f0c",
                                      .dirty = true});
  status.hosts.push_back({.nqn = "nqn.x",
                          .address = "192.0.2.20:5",
                          .subsystem = "nqn.y",
                          .controller = 3,
                          .io_queues = 2,
                          .security = "none",
                          .connected_seconds = 9});
  status.targets.push_back({.name = "iqn.t",
                            .alias = "A",
                            .allow_any_host = true,
                            .initiators = {"iqn.i"},
                            .listeners = {"scsi-a"},
                            .luns = {{.lun = 16383,
                                      .volume = "v",
                                      .size_bytes = 1ULL << 40,
                                      .block_size = 512,
                                      .initiators = {"iqn.i", "iqn.j"}}}});
  status.sessions.push_back({.initiator = "iqn.i",
                             .alias = "host",
                             .address = "192.0.2.20:7",
                             .portal = "192.0.2.10:3260",
                             .listener = "scsi-a",
                             .portal_group = 2,
                             .target = "iqn.t",
                             .isid = "00023d000001",
                             .tsih = 3,
                             .header_digest = true,
                             .data_digest = false,
                             .security = "CHAP",
                             .queue_depth = 128,
                             .read_commands = 5,
                             .write_commands = 6,
                             .other_commands = 7,
                             .bytes_read = 8,
                             .bytes_written = 9,
                             .check_conditions = 10,
                             .busy = 12,
                             .aborted = 4,
                             .connected_seconds = 11});
  status.reactors.push_back(
      {.name = "reactor 0", .connections = 4, .timers = 5, .disk_operations = 6});
  const auto json = boost::json::parse(to_json(status));
  EXPECT_TRUE(json.at("healthy").as_bool());
  EXPECT_EQ(json.at("volumes").at(0).at("reason").as_string(), "quote \" and\nnewline");
  EXPECT_EQ(json.at("volumes").at(0).at("note").as_string(), "in memory (tmpfs)");
  EXPECT_FALSE(json.at("volumes").at(0).at("durable").as_bool());
  EXPECT_EQ(json.at("hosts").at(0).at("io_queues").to_number<int>(), 2);
  EXPECT_EQ(json.at("targets").at(0),
            boost::json::parse(R"({"name": "iqn.t", "alias": "A", "allow_any_host": true,
                                   "initiators": ["iqn.i"], "listeners": ["scsi-a"],
                                   "luns": [{"lun": 16383, "volume": "v",
                                             "size_bytes": 1099511627776, "block_size": 512,
                                             "initiators": ["iqn.i", "iqn.j"]}],
                                   "chap_user": "", "mutual_user": ""})"));
  EXPECT_EQ(json.at("sessions").at(0),
            boost::json::parse(R"({"initiator": "iqn.i", "alias": "host", "address": "192.0.2.20:7",
                             "portal": "192.0.2.10:3260", "listener": "scsi-a", "portal_group": 2,
                             "target": "iqn.t", "isid": "00023d000001", "tsih": 3,
                             "header_digest": true, "data_digest": false, "security": "CHAP",
                             "queue_depth": 128, "read_commands": 5,
                             "write_commands": 6, "other_commands": 7, "bytes_read": 8,
                             "bytes_written": 9, "check_conditions": 10, "busy": 12, "aborted": 4, "connected_seconds": 11})"));
  EXPECT_EQ(json.at("pools").at(0).at("free_bytes").to_number<int>(), 60);
  EXPECT_EQ(json.at("pools").at(0).at("promised_bytes").to_number<int>(), 4096);
  EXPECT_EQ(json.at("pools").at(0).at("provisioning").as_string(), "thin");
  EXPECT_EQ(json.at("pools").at(0).at("reserve_bytes").to_number<int>(), 8192);
  EXPECT_EQ(json.at("pools").at(0).at("warn_at_percent").to_number<int>(), 80);
  EXPECT_EQ(json.at("pools").at(0).at("queue_depth").to_number<int>(), 32);
  EXPECT_TRUE(json.at("pools").at(0).at("filling").as_bool());
  EXPECT_EQ(json.at("pools").at(0).at("advice").at(0).as_string(), "add \"it\"");
  const auto& retained = json.at("pools").at(0).at("retained").at(0);
  EXPECT_EQ(retained.at("name").as_string(), "old");
  EXPECT_EQ(retained.at("uuid").as_string(), "77a1");
  EXPECT_EQ(retained.at("size_bytes").to_number<int>(), 8192);
  EXPECT_EQ(retained.at("block_size").to_number<int>(), 512);
  EXPECT_EQ(retained.at("cache").as_string(), "6f0c");
  EXPECT_TRUE(retained.at("dirty").as_bool());
  EXPECT_EQ(json.at("volumes").at(0).at("pool_errors").to_number<int>(), 8);
  int expected = 11;
  for (const char* key : {"read_iops", "write_iops", "iops", "read_bandwidth", "write_bandwidth",
                          "bandwidth", "burst_ms", "reads_held", "writes_held", "reads_held_total",
                          "writes_held_total", "read_hold_us_total", "write_hold_us_total"}) {
    EXPECT_EQ(json.at("volumes").at(0).at("qos").at(key).to_number<int>(), expected++) << key;
  }
  const auto& overload = json.at("volumes").at(0).at("overload");
  expected = 31;
  for (const char* key : {"hold_ms", "retries", "inaccessible_after_ms", "recovery_ms", "held",
                          "held_total", "hold_us_total", "interrupted_total", "closings_total"}) {
    EXPECT_EQ(overload.at(key).to_number<int>(), expected++) << key;
  }
  EXPECT_TRUE(overload.at("closed").as_bool());
  const auto& disk = json.at("pools").at(0).at("disks").at(0);
  EXPECT_EQ(disk.at("path").as_string(), "/dev/disk/by-id/x");
  EXPECT_EQ(disk.at("device").as_string(), "/dev/sdb");
  EXPECT_EQ(disk.at("model").as_string(), "ST8000");
  EXPECT_EQ(disk.at("serial").as_string(), "WRQ0");
  EXPECT_TRUE(disk.at("rotational").as_bool());
  EXPECT_EQ(disk.at("reads"),
            boost::json::parse(R"({"count": 100, "in_flight": 1, "errors": 2, "timeouts": 3,
                                   "mean_us": 400, "p99_us": 500})"));
  EXPECT_EQ(disk.at("syncs").at("count").to_number<int>(), 0);
  EXPECT_EQ(disk.at("last_error"),
            boost::json::parse(R"({"kind": "read", "error": "bad", "lba": 7, "offset_bytes": 3584,
                                   "time_ms": 9})"));
  EXPECT_EQ(disk.at("smart"),
            boost::json::parse(R"({"status": "passed", "why": "", "temperature_celsius": -3,
                                   "power_on_hours": null, "reallocated_sectors": null,
                                   "pending_sectors": null, "percentage_used": null,
                                   "spare_percent": null})"));
  EXPECT_EQ(disk.at("outlier").as_string(), "slower");
  EXPECT_EQ(disk.at("troubles").at(0).as_string(), "is slow");
  const auto& bare = json.at("pools").at(0).at("disks").at(1);
  EXPECT_TRUE(bare.at("last_error").is_null());
  EXPECT_TRUE(bare.at("outlier").is_null());
  EXPECT_EQ(json.at("caches").at(0).at("media").as_string(), "cache line (devdax)");
  EXPECT_EQ(json.at("caches").at(0).at("dirty_bytes").to_number<int>(), 30);
  EXPECT_TRUE(json.at("caches").at(0).at("retiring").as_bool());
  EXPECT_FALSE(json.at("caches").at(0).at("retired").as_bool());
  EXPECT_EQ(json.at("volumes").at(0).at("cache").as_string(), "pmem0");
  EXPECT_EQ(json.at("volumes").at(0).at("configured_cache").as_string(), "pmem1");
  EXPECT_TRUE(json.at("volumes").at(0).at("detaching").as_bool());
  EXPECT_EQ(json.at("volumes").at(0).at("detach_error").as_string(), "its pool does not answer");
  EXPECT_EQ(json.at("volumes").at(0).at("drain_bytes").to_number<int>(), 8192);
  EXPECT_EQ(json.at("volumes").at(0).at("drain_seconds").to_number<int>(), 3);
  EXPECT_EQ(json.at("volumes").at(0).at("lost_bytes").to_number<int>(), 4608);
  EXPECT_EQ(json.at("volumes").at(0).at("lost_reads").to_number<int>(), 7);
  const auto& lost = json.at("volumes").at(0).at("lost_ranges").as_array();
  ASSERT_EQ(lost.size(), 2U);
  EXPECT_EQ(lost[1].at("offset_bytes").to_number<int>(), 12288);
  EXPECT_EQ(lost[1].at("length_bytes").to_number<int>(), 512);
  EXPECT_EQ(json.at("listeners").at(0).at("connections").to_number<int>(), 2);
  EXPECT_EQ(json.at("listeners").at(0).at("protocol").as_string(), "nvme-tcp");
  EXPECT_EQ(json.at("reactors").at(0).at("name").as_string(), "reactor 0");
  EXPECT_EQ(json.at("reactors").at(0).at("connections").to_number<int>(), 4);
  EXPECT_EQ(json.at("reactors").at(0).at("timers").to_number<int>(), 5);
  EXPECT_EQ(json.at("reactors").at(0).at("disk_operations").to_number<int>(), 6);
}

}  // namespace
}  // namespace target::control
