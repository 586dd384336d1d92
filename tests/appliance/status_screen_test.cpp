// The lines of `forebayctl status` that are composed, from what the daemon's API says.
#include "appliance/cli/status_screen.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <utility>

#include "appliance/cli/listing.h"

namespace cli {
namespace {

namespace json = boost::json;
using testing::HasSubstr;
using testing::Not;

// As the daemon shows it, with nothing to say.
json::object open_pool(const char* name, const char* kind) {
  return {{"name", name},
          {"kind", kind},
          {"open", true},
          {"reason", ""},
          {"size_bytes", 100},
          {"free_bytes", 50},
          {"promised_bytes", 0},
          {"reserve_bytes", 0},
          {"warn_at_percent", 0},
          {"filling", false},
          {"retained", json::array{}},
          {"advice", json::array{}},
          {"disks", json::array{}}};
}

class StatusScreen : public testing::Test {
 protected:
  [[nodiscard]] json::value status() const {
    return {{"node", "store1"},
            {"version", "1.0.0"},
            {"healthy", true},
            {"config_hash", "0"},
            {"config_note", ""},
            {"config_applied_ms", now_ms - 7'260'000},
            {"last_reload", last_reload},
            {"config_is_copy", false},
            {"config_disk_hash", disk_hash},
            {"config_file", "/f.yaml"},
            {"overrides", overrides},
            {"overrides_note", overrides_note},
            {"uptime_seconds", 1},
            {"listeners", listeners},
            {"pools", pools},
            {"caches", json::array{}},
            {"volumes", json::array{volume}},
            {"known_hosts", json::array{}},
            {"subsystems", json::array{}},
            {"hosts", hosts},
            {"targets", targets},
            {"sessions", sessions}};
  }
  [[nodiscard]] std::string screen() const { return status_screen(status(), nullptr, now_ms); }
  void lose(std::initializer_list<std::pair<std::uint64_t, std::uint64_t>> ranges) {
    json::array all;
    std::uint64_t bytes = 0;
    for (const auto& [offset, length] : ranges) {
      all.push_back({{"offset_bytes", offset}, {"length_bytes", length}});
      bytes += length;
    }
    volume["lost_ranges"] = all;
    volume["lost_bytes"] = bytes;
  }

  static constexpr std::uint64_t now_ms = 1'796'000'000'000;

  std::string disk_hash = "0";
  json::object last_reload{{"time_ms", 0}, {"by", ""}, {"result", ""}, {"reason", ""}};
  json::array overrides;
  std::string overrides_note;
  json::array listeners;
  json::array pools;
  json::array hosts;
  json::array targets;
  json::array sessions;
  json::object volume{{"name", "db01"},
                      {"pool", "bulk"},
                      {"cache", "pmem0"},
                      {"configured_cache", "pmem0"},
                      {"cache_mode", "write-back"},
                      {"ordered", "batch"},
                      {"dirty_bytes", 0},
                      {"draining", false},
                      {"detaching", false},
                      {"detach_error", ""},
                      {"qos", {{"reads_held", 0}, {"writes_held", 0}}},
                      {"overload", {{"held", 0}, {"closed", false}, {"disk_silent", false}}},
                      {"drain_bytes", 0},
                      {"drain_seconds", -1},
                      {"lost_bytes", 0},
                      {"lost_ranges", json::array{}},
                      {"lost_reads", 0},
                      {"write_protected", false},
                      {"scrub", {{"lost", json::array{}}}},
                      {"uuid", "6f0c"},
                      {"size_bytes", 1U << 30},
                      {"block_size", 4096},
                      {"state", "online"},
                      {"reason", ""},
                      {"note", ""},
                      {"durable", true}};
};

TEST_F(StatusScreen, ComparesWhatRunsWithWhatWasApplied) {
  EXPECT_THAT(screen(), HasSubstr("config 0, applied 2h 1m ago\n"));
  EXPECT_THAT(screen(), Not(HasSubstr("- config")));
  disk_hash = "1";
  EXPECT_THAT(screen(), HasSubstr("\n- config: /f.yaml has changed since it was applied, and is 1 "
                                  "now  (forebayctl plan /f.yaml)\n"));
  disk_hash = "";
  EXPECT_THAT(screen(), Not(HasSubstr("- config"))) << "nobody knows";
  overrides_note = "it is damaged";
  for (const char* name : {"db01", "db02"}) {
    overrides.push_back(json::object{{"subject", name}, {"text", "as somebody wanted"}});
  }
  EXPECT_THAT(screen(), HasSubstr("config 0, applied 2h 1m ago, 2 overrides\n"));
  EXPECT_THAT(screen(), HasSubstr("\n- overrides: it is damaged\n- override: as somebody wanted  "
                                  "(forebayctl overrides --clear db01)\n- override: "));
}

TEST_F(StatusScreen, SaysThatTheLastChangeWasNotMade) {
  EXPECT_THAT(screen(), Not(HasSubstr("last change")));
  last_reload = {{"time_ms", now_ms - 61'000},
                 {"by", "alice"},
                 {"result", "refused"},
                 {"reason", "/f.yaml:3:1: unknown key"}};
  EXPECT_THAT(screen(),
              HasSubstr("\n- config: the last change, 1m 1s ago, by alice, was not made (refused): "
                        "nothing has changed: /f.yaml:3:1: unknown key\n"));
}

TEST_F(StatusScreen, SaysWhatTheLimitsOfAVolumeHoldBack) {
  EXPECT_THAT(screen(), Not(HasSubstr("limits")));
  volume["qos"] = {{"reads_held", 1}, {"writes_held", 0}};
  EXPECT_THAT(screen(), HasSubstr("- volume db01: its limits hold 1 command back\n"));
  volume["qos"] = {{"reads_held", 5}, {"writes_held", 7}};
  EXPECT_THAT(screen(), HasSubstr("- volume db01: its limits hold 12 commands back\n"));
}

TEST_F(StatusScreen, SaysThatThereIsNoRoomForWhatIsWritten) {
  EXPECT_THAT(screen(), Not(HasSubstr("room")));
  volume["overload"] = {{"held", 1}, {"closed", false}, {"disk_silent", false}};
  EXPECT_THAT(screen(), HasSubstr("- volume db01: 1 command waits for room in its cache\n"));
  volume["overload"] = {{"held", 0}, {"closed", true}, {"disk_silent", false}};
  EXPECT_THAT(screen(), HasSubstr("- volume db01: it has had no room for too long: hosts are told "
                                  "to wait until it has\n"));
}

TEST_F(StatusScreen, SaysThatADiskDoesNotAnswer) {
  volume["overload"] = {{"held", 2}, {"closed", false}, {"disk_silent", true}};
  EXPECT_THAT(screen(),
              HasSubstr("- volume db01: its disk does not answer: 2 commands wait for it\n"));
  volume["overload"] = {{"held", 0}, {"closed", true}, {"disk_silent", true}};
  EXPECT_THAT(screen(),
              HasSubstr("- volume db01: its disk has answered nothing for too long: hosts "
                        "are told to wait\n"));
}

TEST_F(StatusScreen, OfAVolumeThatHasLostNothingSaysNothing) {
  EXPECT_THAT(screen(), Not(HasSubstr("lost")));
  EXPECT_THAT(screen(), Not(HasSubstr("- volume")));
}

TEST_F(StatusScreen, ListsWhatTheConfigurationDoesNotNameAnyMore) {
  const json::object old{{"name", "old"},      {"uuid", "77a1"},  {"size_bytes", 1U << 20},
                         {"block_size", 4096}, {"cache", "6f0c"}, {"dirty", true}};
  pools.push_back(open_pool("bulk", "file"));
  pools[0].as_object()["retained"] = json::array{old};
  EXPECT_THAT(screen(), HasSubstr("\n- pool bulk: 1 volume that the configuration does not name is "
                                  "retained: served again when named, deleted by forebayctl volume "
                                  "destroy NAME --uuid UUID\n"));
  EXPECT_THAT(volumes_table(status()),
              testing::ContainsRegex("old +1.0 MiB +4096 +- +- +in its cache +bulk +"
                                     "retained +77a1\n"));
}

TEST_F(StatusScreen, SaysWhatTheMembersOfAPoolWant) {
  pools.push_back(open_pool("fast", "device"));
  pools[0].as_object()["advice"] = json::array{"/dev/b has become a member", "and /dev/c"};
  EXPECT_THAT(screen(), HasSubstr("\n- pool fast: /dev/b has become a member\n"
                                  "- pool fast: and /dev/c\n"));
}

TEST_F(StatusScreen, SaysThatAPoolIsFilling) {
  json::object pool = open_pool("bulk", "file");
  pool["size_bytes"] = 100ULL << 30;
  pool["free_bytes"] = 30ULL << 30;
  pool["warn_at_percent"] = 70;
  pool["filling"] = true;
  pools.push_back(pool);
  EXPECT_THAT(screen(),
              HasSubstr("\n- pool bulk: 70% of its file system is used or promised: 30 GiB "
                        "of 100 GiB are free\n"));
  pool["promised_bytes"] = 5ULL << 30;
  pool["reserve_bytes"] = 20ULL << 30;
  pools[0] = pool;
  EXPECT_THAT(screen(), HasSubstr("30 GiB of 100 GiB are free, 5.0 GiB of that for what waits in "
                                  "caches, 20 GiB are kept\n"));
  pool["filling"] = false;
  pools[0] = pool;
  EXPECT_THAT(screen(), Not(HasSubstr("used or promised")));
}

TEST_F(StatusScreen, NamesADiskOnlyWhenThereIsSomethingToSayOfIt) {
  const json::object well{{"errors", 0}};
  json::object disk{{"path", "/dev/disk/by-id/x"},
                    {"reads", well},
                    {"writes", well},
                    {"syncs", well},
                    {"zeroings", well},
                    {"device", "/dev/sdb"},
                    {"model", ""},
                    {"serial", "WRQ0"},
                    {"troubles", json::array{}}};
  json::object pool = open_pool("bulk", "device");
  pool["disks"] = json::array{disk};
  pools.push_back(pool);
  EXPECT_THAT(screen(), Not(HasSubstr("disk")));
  disk["troubles"] = json::array{"is slow", "reports errors"};
  pool["disks"] = json::array{disk};
  pools[0] = pool;
  EXPECT_THAT(screen(),
              HasSubstr("\n- pool bulk: disk /dev/disk/by-id/x (/dev/sdb, serial WRQ0) is "
                        "slow\n- pool bulk: disk /dev/disk/by-id/x (/dev/sdb, serial "
                        "WRQ0) reports errors\n"));
}

TEST_F(StatusScreen, ListsWhatIsLostByBlocks) {
  lose({{28672, 4096}});
  EXPECT_THAT(screen(), HasSubstr("- volume db01: 4.0 KiB of it are lost (blocks 7): reading them "
                                  "fails until they are written\n"));
  lose({{28672, 4096}, {40960, 16384}});
  volume["lost_reads"] = 1;
  EXPECT_THAT(screen(), HasSubstr("20 KiB of it are lost (blocks 7, 10 to 13): reading them fails "
                                  "until they are written; 1 read has failed\n"));
  volume["block_size"] = 512;
  lose({{1024, 512}, {2048, 512}, {4096, 1024}, {8192, 512}, {16384, 512}, {32768, 512}});
  volume["lost_reads"] = 12;
  EXPECT_THAT(screen(), HasSubstr("(blocks 2, 4, 8 to 9, 16 and 2 more places)"));
  EXPECT_THAT(screen(), HasSubstr("; 12 reads have failed\n"));
}

TEST_F(StatusScreen, SaysHowFarADrainIs) {
  volume["dirty_bytes"] = 9U << 20;
  EXPECT_THAT(screen(), Not(HasSubstr("left")));
  volume["draining"] = true;
  volume["drain_bytes"] = 3U << 20;
  EXPECT_THAT(screen(), HasSubstr("- volume db01: being drained: 3.0 MiB left\n"));
  volume["drain_seconds"] = 12;
  EXPECT_THAT(screen(), HasSubstr("- volume db01: being drained: 3.0 MiB, about 12s left\n"));
  volume["detaching"] = true;
  EXPECT_THAT(screen(),
              HasSubstr("- volume db01: being detached from pmem0: 3.0 MiB, about 12s left\n"));
}

TEST_F(StatusScreen, SaysThatReadsHaveFailedBeforeAnybodyHasGivenUp) {
  volume["lost_reads"] = 3;
  EXPECT_THAT(screen(),
              HasSubstr("- volume db01: 3 reads have failed of what its cache had and has lost\n"));
}

json::object session_of(const char* target) {
  return {{"initiator", "iqn.1993-08.org.debian:01:5a"},
          {"address", "192.0.2.20:50000"},
          {"portal", "192.0.2.10:3260"},
          {"listener", "scsi-a"},
          {"target", target},
          {"header_digest", false},
          {"data_digest", false},
          {"security", "none"},
          {"read_commands", 12},
          {"write_commands", 3},
          {"connected_seconds", 61}};
}

TEST_F(StatusScreen, ListsListenersWithTheirProtocol) {
  listeners = {{{"name", "san-a"},
                {"protocol", "nvme-tcp"},
                {"address", "192.0.2.10:4420"},
                {"listening", true},
                {"reason", ""},
                {"connections", 17}},
               {{"name", "scsi-a"},
                {"protocol", "iscsi"},
                {"address", "192.0.2.10:3260"},
                {"listening", false},
                {"reason", "not up"},
                {"connections", 0}}};
  EXPECT_THAT(screen(), HasSubstr("\n! listener scsi-a (192.0.2.10:3260): not up\n"));
  EXPECT_THAT(listeners_table(status()),
              HasSubstr("\n"
                        "LISTENER  PROTOCOL  ADDRESS          CONNECTIONS  STATE\n"
                        "san-a     nvme-tcp  192.0.2.10:4420  17           listening\n"
                        "scsi-a    iscsi     192.0.2.10:3260  0            waiting\n"));
}

TEST_F(StatusScreen, WithoutIscsiSaysNothingOfIt) {
  EXPECT_THAT(screen(), HasSubstr("\nNo host is configured or connected.\n"));
  EXPECT_EQ(targets_table(status()) + sessions_table(status()), "");
}

TEST_F(StatusScreen, ListsTargetsWithTheirLunsAndWhoSeesThem) {
  const json::object lun{
      {"lun", 0}, {"volume", "vm01"}, {"size_bytes", 1ULL << 42}, {"initiators", json::array{}}};
  json::object masked = lun;
  masked["lun"] = 16383;
  masked["volume"] = "logs";
  masked["initiators"] = json::array{"iqn.1993-08.org.debian:01:5a"};
  targets = {{{"name", "iqn.2026-11.com.example:vm"},
              {"allow_any_host", true},
              {"initiators", json::array{}},
              {"listeners", json::array{"scsi"}},
              {"luns", json::array{lun, masked}}},
             {{"name", "iqn.2026-11.com.example:empty"},
              {"allow_any_host", false},
              {"initiators", json::array{"iqn.a", "iqn.b"}},
              {"listeners", json::array{}},
              {"luns", json::array{}}}};
  EXPECT_THAT(targets_table(status()),
              HasSubstr("\n"
                        "TARGET                         LUN    VOLUME  SIZE     SEEN BY\n"
                        "iqn.2026-11.com.example:vm     0      vm01    4.0 TiB  any initiator\n"
                        "                               16383  logs    4.0 TiB  "
                        "iqn.1993-08.org.debian:01:5a\n"
                        "iqn.2026-11.com.example:empty  -      -       -        iqn.a, iqn.b\n"));
}

TEST_F(StatusScreen, ListsSessionsBesideHosts) {
  sessions = {session_of("iqn.2026-11.com.example:vm"), session_of("")};
  sessions[0].as_object()["data_digest"] = true;
  sessions[0].as_object()["security"] = "mutual CHAP";
  sessions[1].as_object()["header_digest"] = true;
  sessions[1].as_object()["data_digest"] = true;
  const std::string table =
      "\n"
      "INITIATOR                     FROM              TARGET                      PORTAL          "
      " "
      "DIGESTS       SECURITY     READS  WRITES  SINCE\n"
      "iqn.1993-08.org.debian:01:5a  192.0.2.20:50000  iqn.2026-11.com.example:vm  192.0.2.10:3260 "
      " "
      "data          mutual CHAP  12     3       1m 1s\n"
      "iqn.1993-08.org.debian:01:5a  192.0.2.20:50000  (discovery)                 192.0.2.10:3260 "
      " "
      "header, data  none         12     3       1m 1s\n";
  EXPECT_THAT(sessions_table(status()), HasSubstr(table));
  hosts.push_back({{"nqn", "nqn.x"},
                   {"address", "192.0.2.20:5"},
                   {"subsystem", "nqn.y"},
                   {"io_queues", 2},
                   {"security", "none"},
                   {"connected_seconds", 9},
                   {"listener", "san-a"},
                   {"discovery", false}});
  EXPECT_THAT(screen(), testing::ContainsRegex("nqn.x +nvme-tcp +none +- +1 of 1 +2 +9s ago\n"));
  EXPECT_THAT(screen(),
              testing::ContainsRegex("debian:01:5a +iscsi +mutual CHAP +- +1 of 1 +1 +1m 1s ago\n"))
      << "who is only looking around is no host of a volume";
}

}  // namespace
}  // namespace cli
