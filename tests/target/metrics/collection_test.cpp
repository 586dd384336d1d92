#include "target/metrics/collection.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <tuple>

namespace target::metrics {
namespace {

using testing::HasSubstr;
using testing::Not;

// A daemon that has one of everything.
Snapshot everything() {
  Snapshot all;
  all.version = "1.2.3";
  all.node = "store1";
  all.config = {.hash = "0badcafe", .last_reload_time = 1'700'000'000};
  all.control.certificate_end = 1'800'000'000;
  all.ready = true;
  all.memory_limit_bytes = 1 << 20;

  VolumeFigures volume;
  volume.name = "db01";
  volume.pool = "fast";
  volume.state = "online";
  volume.online = true;
  volume.size_bytes = 4096;
  volume.counts.reads.counts[0] = 2;
  volume.counts.reads.counts[4] = 1;
  volume.counts.reads.counts[11] = 1;
  volume.counts.reads.sum_ns = 3'500'000'000;
  volume.counts.read_errors[static_cast<std::size_t>(block::CommandOutcome::media)] = 7;
  volume.counts.begun = 9;
  volume.counts.ended = 4;
  volume.cache = engine::VolumeCacheStatus{.device = "pmem0", .dirty = {8192}};
  volume.cache->traffic.of_event[static_cast<std::size_t>(engine::CacheTraffic::Event::no_room)] =
      5;
  volume.cache->dirty_age = std::chrono::milliseconds(1500);
  volume.stages.emplace();  // it is named in the configuration
  all.volumes.push_back(volume);
  VolumeFigures short_of_room;
  short_of_room.name = "vm01";
  short_of_room.overload = {.held = 3, .interrupted = 5, .closings = 1, .closed = true};
  all.volumes.push_back(short_of_room);

  engine::CacheStatus cache;
  cache.name = "pmem0";
  cache.open = true;
  cache.recovery = std::chrono::seconds(2);
  all.caches.push_back(cache);

  engine::PoolStatus pool;
  pool.name = "fast";
  pool.kind = engine::PoolSpec::Kind::device;
  pool.open = true;
  engine::DiskStatus disk;
  disk.disk.path = "/dev/disk/by-id/one";
  disk.disk.whole_device = "/dev/sda";
  auto& reads = disk.counts.works[static_cast<std::size_t>(engine::DiskWork::read)];
  reads.latency.add(engine::LatencyHistogram::step_of(std::chrono::microseconds(70)), 3);
  reads.took = std::chrono::microseconds(210);
  reads.begun = 4;
  pool.disks.push_back(disk);
  all.pools.push_back(pool);
  all.smart["/dev/sda"] = {.passed = true,
                           .temperature_celsius = 41,
                           .power_on_seconds = 3600,
                           .reallocated_sectors = 0,
                           .pending_sectors = 0,
                           .wear_ratio = 0.25,
                           .spare_ratio = 0.5};

  all.nvme.hosts.of("nqn.host").connects = 2;
  all.iscsi.hosts.of("iqn.host").reads = 3;
  all.listeners.push_back({.name = "san-a", .protocol = "nvme-tcp", .up = true, .connections = 4});
  all.reactors.resize(2);
  return all;
}

std::string text_of(const Snapshot& snapshot) { return Collection(snapshot).text(); }

// The families of a text, and their types.
std::map<std::string, std::string> exported(const std::string& text) {
  std::map<std::string, std::string> types;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string hash, word, name, type;
    words >> hash >> word >> name >> type;
    if (hash == "#" && word == "TYPE") types[name] = type;
  }
  return types;
}

struct Documented {
  std::string type;
  std::set<std::string> labels;
};

// `| `name` | type | `label`, `label` | meaning |`
std::map<std::string, Documented> documented() {
  std::map<std::string, Documented> found;
  std::ifstream page(FOREBAY_METRICS_PAGE);
  const std::regex row(R"(^\| `([a-z_:]+)` \| (counter|gauge|histogram) \| ([^|]*)\|.*)");
  const std::regex label("`([a-z_]+)`");
  for (std::string line; std::getline(page, line);) {
    std::smatch match;
    if (!std::regex_match(line, match, row)) continue;
    Documented& entry = found[match[1]];
    entry.type = match[2];
    const std::string labels = match[3];
    for (std::sregex_iterator each(labels.begin(), labels.end(), label), end; each != end; ++each) {
      entry.labels.insert((*each)[1]);
    }
  }
  return found;
}

TEST(Collection, ThePageHasEveryNameWithItsTypeAndNoOther) {
  const auto types = exported(text_of(everything()));
  const auto page = documented();
  ASSERT_GT(page.size(), 100U);
  for (const auto& [name, type] : types) {
    const auto found = page.find(name);
    ASSERT_NE(found, page.end()) << name << " is not in docs/metrics.md";
    EXPECT_EQ(found->second.type, type) << name;
  }
  for (const auto& [name, entry] : page) {
    EXPECT_TRUE(types.contains(name)) << name << " is in docs/metrics.md and is not exported";
  }
}

TEST(Collection, ThePageHasTheLabelsOfEveryName) {
  const auto page = documented();
  const Snapshot snapshot = everything();
  for (const auto& family : Collection(snapshot).Collect()) {
    const auto found = page.find(family.name);
    ASSERT_NE(found, page.end()) << family.name;
    for (const auto& metric : family.metric) {
      std::set<std::string> labels;
      for (const auto& label : metric.label) labels.insert(label.name);
      EXPECT_EQ(labels, found->second.labels) << family.name;
    }
  }
}

// Without its stages, which it has where the configuration asks for them.
TEST(Collection, AVolumeHasAtMostSixtySeries) {
  std::istringstream lines(text_of(everything()));
  int series = 0;
  for (std::string line; std::getline(lines, line);) {
    if (line.find("forebay_volume_stage_seconds") != std::string::npos) continue;
    if (line.find("volume=\"db01\"") != std::string::npos) ++series;
  }
  EXPECT_GT(series, 40);
  EXPECT_LE(series, 60);
}

// Four more, of those that have been: mostly none.
TEST(Collection, OverloadIsToldOfVolumesThatWereShortOfRoom) {
  const std::string text = text_of(everything());
  for (const char* line : {"forebay_volume_held{volume=\"vm01\"} 3\n",
                           "forebay_volume_interrupted_total{volume=\"vm01\"} 5\n",
                           "forebay_volume_unreachable{volume=\"vm01\"} 1\n",
                           "forebay_volume_unreachable_total{volume=\"vm01\"} 1\n"}) {
    EXPECT_NE(text.find(line), std::string::npos) << line;
  }
  EXPECT_EQ(text.find("forebay_volume_held{volume=\"db01\"}"), std::string::npos);
}

TEST(Collection, BucketsAreCumulativeAndTheLastIsAll) {
  const std::string text = text_of(everything());
  for (const char* line : {"forebay_volume_read_seconds_bucket{volume=\"db01\",le=\"5e-05\"} 2\n",
                           "forebay_volume_read_seconds_bucket{volume=\"db01\",le=\"0.0005\"} 2\n",
                           "forebay_volume_read_seconds_bucket{volume=\"db01\",le=\"0.001\"} 3\n",
                           "forebay_volume_read_seconds_bucket{volume=\"db01\",le=\"2.5\"} 3\n",
                           "forebay_volume_read_seconds_bucket{volume=\"db01\",le=\"+Inf\"} 4\n",
                           "forebay_volume_read_seconds_count{volume=\"db01\"} 4\n",
                           "forebay_volume_read_seconds_sum{volume=\"db01\"} 3.5\n",
                           "forebay_volume_reads_total{volume=\"db01\"} 4\n"}) {
    EXPECT_THAT(text, HasSubstr(line));
  }
}

TEST(Collection, FiguresStandUnderTheirLabels) {
  const std::string text = text_of(everything());
  for (const char* line :
       {"forebay_volume_read_errors_total{volume=\"db01\",class=\"media\"} 7\n",
        "forebay_volume_read_errors_total{volume=\"db01\",class=\"refused\"} 0\n",
        "forebay_volume_in_flight{volume=\"db01\"} 5\n",
        "forebay_volume_cache_bypasses_total{volume=\"db01\",reason=\"no_room\"} 5\n",
        "forebay_volume_oldest_dirty_age_seconds{volume=\"db01\"} 1.5\n",
        "forebay_volume_dirty_bytes{volume=\"db01\"} 8192\n",
        "forebay_cache_recovery_seconds{cache=\"pmem0\"} 2\n",
        "forebay_disk_read_seconds_bucket{pool=\"fast\",disk=\"/dev/disk/by-id/"
        "one\",le=\"0.0001\"} "
        "3\n",
        "forebay_disk_in_flight{pool=\"fast\",disk=\"/dev/disk/by-id/one\"} 1\n",
        "forebay_disk_wear_ratio{pool=\"fast\",disk=\"/dev/disk/by-id/one\"} 0.25\n",
        "forebay_disk_spare_ratio{pool=\"fast\",disk=\"/dev/disk/by-id/one\"} 0.5\n",
        "forebay_host_connects_total{host=\"nqn.host\",protocol=\"nvme-tcp\"} 2\n",
        "forebay_host_reads_total{host=\"iqn.host\",protocol=\"iscsi\"} 3\n",
        "forebay_build_info{version=\"1.2.3\",node=\"store1\"} 1\n"}) {
    EXPECT_THAT(text, HasSubstr(line));
  }
}

TEST(Collection, WhatDoesNotExistHasNoSeries) {
  Snapshot snapshot = everything();
  snapshot.volumes.front().cache.reset();
  snapshot.caches.front().recovery.reset();
  snapshot.smart["/dev/sda"] = {};
  const std::string text = text_of(snapshot);
  for (const char* name : {"forebay_volume_dirty_bytes", "forebay_volume_cache_read_hits_total",
                           "forebay_cache_recovery_seconds", "forebay_disk_smart_passed"}) {
    EXPECT_THAT(text, Not(HasSubstr(name)));
  }
  EXPECT_THAT(text, HasSubstr("forebay_volume_reads_total{volume=\"db01\"} 4\n"));
}

// Hosts and disks say what they like.
TEST(Collection, LabelsAreEscaped) {
  Snapshot snapshot = everything();
  snapshot.nvme.hosts.of("a\"b\\c\nd").connects = 1;
  EXPECT_THAT(text_of(snapshot),
              HasSubstr(R"(forebay_host_connects_total{host="a\"b\\c\nd",protocol="nvme-tcp"} 1)"));
}

}  // namespace
}  // namespace target::metrics
