#include "target/control/event_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>
#include <fstream>
#include <iterator>
#include <map>
#include <regex>
#include <string>

#include "target/control/state_times.h"
#include "tests/sim/sim_clock.h"

namespace target::control {
namespace {

std::vector<std::uint64_t> ids(const EventLog::Slice& slice) {
  std::vector<std::uint64_t> all;
  for (const Event& event : slice.events) all.push_back(event.id);
  return all;
}

TEST(EventLog, TheOldestGoesAndTheGapIsSaid) {
  SimClock clock;
  EventLog log(clock, 3);
  EXPECT_TRUE(log.after(0).events.empty());
  EXPECT_FALSE(log.after(0).has_gap);
  for (int i = 0; i < 3; ++i) log.add(EventName::pool_open, "bulk", std::to_string(i));
  EXPECT_THAT(ids(log.after(0)), testing::ElementsAre(1, 2, 3));
  EXPECT_FALSE(log.after(0).has_gap);
  log.add(EventName::pool_unavailable, "bulk", "gone");
  EXPECT_THAT(ids(log.after(0)), testing::ElementsAre(2, 3, 4));
  EXPECT_TRUE(log.after(0).has_gap) << "1 is not kept";
  EXPECT_FALSE(log.after(1).has_gap);
  EXPECT_THAT(ids(log.after(1, 2)), testing::ElementsAre(2, 3));
  EXPECT_THAT(ids(log.after(3)), testing::ElementsAre(4));
  EXPECT_TRUE(log.after(4).events.empty());
  EXPECT_EQ(log.after(4).last_id, 4U);
  EXPECT_THAT(ids(log.after(400)), testing::ElementsAre(2, 3, 4)) << "of an earlier daemon";
}

TEST(EventLog, HostsCannotPushOutWhatElseThereIs) {
  SimClock clock;
  EventLog log(clock);
  int told = 0;
  log.on_added([&told] { ++told; });
  log.add(EventName::volume_failed, "db01", "flush failed");
  for (std::uint32_t i = 0; i < 2 * EventLog::most_events; ++i) {
    log.add(EventName::host_connected, "nqn", "again");
  }
  EXPECT_EQ(log.after(0).events.size(), 1 + EventLog::most_by_hosts);
  EXPECT_EQ(told, static_cast<int>(1 + EventLog::most_by_hosts));
  EXPECT_EQ(log.after(0).events.front().subject, "db01");
  clock.advance(std::chrono::minutes(2));
  log.add(EventName::host_connected, "nqn", "once more");
  EXPECT_EQ(log.after(0).events.back().text, "once more (7892 more of this kind were not kept)");
}

TEST(EventLog, IsJson) {
  SimClock clock;
  EventLog log(clock);
  log.add(EventName::volume_degraded, "vm\"01\"", "EIO");
  const auto value = boost::json::parse(to_json(log.after(0), log.began_ms()));
  EXPECT_EQ(value.at("last_id").to_number<int>(), 1);
  EXPECT_FALSE(value.at("has_gap").as_bool());
  const auto& event = value.at("events").as_array().at(0);
  EXPECT_EQ(event.at("name").as_string(), "volume.degraded");
  EXPECT_EQ(event.at("severity").as_string(), "warning");
  EXPECT_EQ(event.at("subject").as_string(), "vm\"01\"");
  EXPECT_EQ(event.at("text").as_string(), "EIO");
}

// Name and severity of each place of the page: what it means, what hosts see of it, what to do.
std::map<std::string, std::string> places_of_page() {
  std::ifstream page(FOREBAY_SOURCE_DIR "/docs/events.md");
  const std::string text{std::istreambuf_iterator<char>(page), {}};
  std::map<std::string, std::string> places;
  const std::regex place(
      "### ([a-z.-]+)\n\n\\*(\\w+)\\.\\* [^\n]{20,}\n\nHosts: [^\n]+\n\nTo do: [^\n]{8,}\n");
  for (std::sregex_iterator at(text.begin(), text.end(), place), end; at != end; ++at) {
    EXPECT_TRUE(places.emplace((*at)[1], (*at)[2]).second) << (*at)[1] << " stands there twice";
  }
  return places;
}

TEST(EventLog, EachNameStandsInDocsEvents) {
  std::map<std::string, std::string> in_code;
  for (const EventKind& kind : event_kinds()) in_code.emplace(kind.text, text(kind.severity));
  EXPECT_EQ(in_code.size(), event_kinds().size()) << "a name is used twice";
  EXPECT_EQ(places_of_page(), in_code);
}

TEST(StateTimes, ATimeIsThatOfTheLastChange) {
  SimClock clock;
  StateTimes times(clock);
  EXPECT_EQ(times.since_ms("volume", "db01"), 0U);
  EXPECT_EQ(times.note("volume", "db01", "late"), StateTimes::News::first);
  const std::uint64_t first = times.since_ms("volume", "db01");
  clock.advance(std::chrono::seconds(5));
  EXPECT_EQ(times.note("volume", "db01", "late"), StateTimes::News::same);
  EXPECT_EQ(times.since_ms("volume", "db01"), first);
  EXPECT_EQ(times.note("volume", "db01", "online"), StateTimes::News::changed);
  EXPECT_EQ(times.since_ms("volume", "db01"), first + 5000);
  EXPECT_EQ(times.since_ms("pool", "db01"), 0U);
}

TEST(StateTimes, WhatIsGoneIsForgotten) {
  SimClock clock;
  StateTimes times(clock);
  for (const char* name : {"db01", "db02"}) times.note("volume", name, "online");
  times.note("pool", "db01", "ok");
  times.keep_only("volume", {"db02", "db03"});
  EXPECT_EQ(times.since_ms("volume", "db01"), 0U);
  EXPECT_NE(times.since_ms("volume", "db02"), 0U);
  EXPECT_NE(times.since_ms("pool", "db01"), 0U) << "of another kind";
  EXPECT_EQ(times.note("volume", "db01", "late"), StateTimes::News::first);
}

}  // namespace
}  // namespace target::control
