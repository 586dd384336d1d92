// What forebayctl says of how far a drain, a detachment or a retirement is, and how long it takes.
#include "appliance/cli/progress.h"

#include <gtest/gtest.h>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <cstdint>
#include <string>

#include "appliance/cli/task_command.h"

namespace cli {
namespace {

boost::json::object volume(std::uint64_t bytes, std::int64_t seconds,
                           const std::string& state = "online",
                           const std::string& cache = "pmem0") {
  return {{"cache", cache},
          {"dirty_bytes", bytes},
          {"drain_bytes", bytes},
          {"drain_seconds", seconds},
          {"state", state}};
}

constexpr std::uint64_t mib = std::uint64_t{1} << 20;

TEST(Progress, SaysHowLongItTakesOnlyWhereThatIsKnown) {
  EXPECT_EQ(drain_text(volume(3174 * mib, 125)), "3.1 GiB, about 2m 5s left");
  EXPECT_EQ(drain_text(volume(512, 1)), "512 B, about 1s left");
  EXPECT_EQ(drain_text(volume(3 * mib, -1)), "3.0 MiB left");
  EXPECT_EQ(drain_text(volume(0, 0)), "0 B left") << "about to end, or only zeros";
  EXPECT_EQ(drain_text(volume(0, -1)), "0 B left");
}

TEST(Progress, SaysWhereItDoesNotGetOn) {
  EXPECT_EQ(drain_text(volume(3 * mib, -1, "degraded")),
            "3.0 MiB left; it does not get on: forebayctl status says why");
  EXPECT_EQ(drain_text(volume(3 * mib, 9, "degraded")), "3.0 MiB, about 9s left")
      << "something else is not well";
}

TEST(Progress, OfARetirementIsThatOfAllItsVolumes) {
  const auto text = [](const boost::json::array& volumes) {
    return retirement_text(boost::json::object{{"volumes", volumes}}, "pmem0");
  };
  EXPECT_EQ(text({}), "0 B left of 0 volumes");
  EXPECT_EQ(text({volume(mib, 3)}), "1.0 MiB, about 3s left of 1 volume");
  EXPECT_EQ(text({volume(mib, 3), volume(2 * mib, 7), volume(9 * mib, 99, "online", "pmem1")}),
            "3.0 MiB, about 7s left of 2 volumes");
  EXPECT_EQ(text({volume(mib, 3), volume(2 * mib, -1)}), "3.0 MiB left of 2 volumes");
}

boost::json::object task(const std::string& state, std::uint64_t done, std::int64_t seconds) {
  return {{"id", "7"},
          {"kind", "scrub"},
          {"object", "db01"},
          {"started_by", "root"},
          {"state", state},
          {"done_bytes", done},
          {"total_bytes", 200 * mib},
          {"bytes_per_second", done == 0 ? 0 : 10 * mib},
          {"seconds_left", seconds},
          {"created_ms", 1'000},
          {"started_ms", 1'000},
          {"ended_ms", 0},
          {"result", ""},
          {"findings_total", 0},
          {"findings", boost::json::array{}}};
}

TEST(Progress, OfATaskIsABar) {
  EXPECT_EQ(task_progress(task("queued", 0, -1)), "queued");
  EXPECT_EQ(task_progress(task("running", 0, -1)), "[--------------------]   0%  0 B of 200 MiB");
  EXPECT_EQ(task_progress(task("running", 50 * mib, 15)),
            "[#####---------------]  25%  50 MiB of 200 MiB, 10 MiB/s, about 15s left");
  EXPECT_EQ(task_list(boost::json::object{{"tasks", boost::json::array{}}}), "");
  const std::string list =
      task_list(boost::json::object{{"tasks", boost::json::array{task("queued", 0, -1)}}});
  EXPECT_NE(list.find("7     scrub  db01  queued  queued    root"), std::string::npos) << list;
}

TEST(Progress, WhatIsLostIsNamedByBlocks) {
  boost::json::object volume{{"name", "db01"},     {"lost_bytes", 0},
                             {"lost_ranges", {}},  {"lost_reads", 1},
                             {"block_size", 4096}, {"scrub", {{"lost", boost::json::array{}}}}};
  EXPECT_EQ(lost_text(volume), "volume db01: nothing is lost.\n");
  volume["lost_bytes"] = 8192;
  volume["lost_ranges"] =
      boost::json::array{boost::json::object{{"offset_bytes", 70 * 4096}, {"length_bytes", 8192}}};
  const std::string text = lost_text(volume);
  EXPECT_NE(text.find("db01: 8.0 KiB are lost"), std::string::npos) << text;
  EXPECT_NE(text.find("70           2       286720  8.0 KiB"), std::string::npos) << text;
  EXPECT_NE(text.find("1 read has failed there"), std::string::npos) << text;
}

}  // namespace
}  // namespace cli
