// The status page: what it says of a status, at all sizes and whatever things are called; and the
// past that its charts show.
#include "target/control/status_page.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <functional>
#include <iterator>
#include <regex>
#include <string>
#include <vector>

#include "target/control/chart.h"
#include "target/control/page_text.h"
#include "target/control/page_troubles.h"

namespace target::control {
namespace {

using std::chrono::seconds;
using testing::HasSubstr;
using testing::Not;

engine::Instant at(int second) { return engine::Instant{} + seconds(second); }

Sample sample(const std::string& name, std::uint64_t reads, std::size_t bucket = 0) {
  Sample one{.name = name};
  one.reads.counts[bucket] = reads;
  one.read_bytes = reads * 4096;
  return one;
}

// One more of a list.
template <class List, class Fill>
void add(List& list, Fill fill) {
  fill(list.emplace_back());
}

Status calm(std::size_t volumes) {
  Status status;
  status.node = "store1";
  for (std::size_t i = 0; i < volumes; ++i) {
    add(status.volumes, [&](auto& one) {
      one.name = "v" + std::to_string(i);
      one.size_bytes = 1ULL << 30;
      one.state = "online";
    });
  }
  return status;
}

std::size_t rows_of(const std::string& page) {
  const std::regex row("<tr data-volume");
  return static_cast<std::size_t>(
      std::distance(std::sregex_iterator(page.begin(), page.end(), row), std::sregex_iterator()));
}

TEST(History, KeepsTenMinutesOfRates) {
  History history;
  for (int i = 0; i < 250; ++i) {
    history.add({sample("a", static_cast<std::uint64_t>(i) * 30)}, at(3 * i));
  }
  ASSERT_EQ(history.of("a").size(), History::kept);
  EXPECT_FLOAT_EQ(history.of("a").back().reads, 10);
  EXPECT_FLOAT_EQ(history.of("a").back().read_bytes, 40'960);
  EXPECT_TRUE(std::isnan(history.of("a").back().write_p99_us)) << "nothing was written";
  EXPECT_TRUE(std::isnan(history.of("a").back().hit_ratio));
  EXPECT_TRUE(history.of("b").empty());
}

TEST(History, AVolumeThatComesOrGoesIsNoBurstOfAll) {
  History history;
  history.add({sample("a", 100)}, at(0));
  history.add({sample("a", 130)}, at(3));
  history.add({sample("a", 160), sample("b", 1'000'000)}, at(6));
  history.add({sample("a", 190), sample("b", 1'000'030)}, at(9));
  history.add({sample("a", 220)}, at(12));
  history.add({sample("a", 5)}, at(15));  // removed and added again in between
  EXPECT_FLOAT_EQ(greatest(history.of_all(), &Figures::reads), 20);
  EXPECT_TRUE(history.of("b").empty());
  EXPECT_EQ(history.of("a").size(), 5U);
}

TEST(History, PercentilesAreReadFromTheBuckets) {
  LatencyCounts counts;
  EXPECT_FALSE(percentile_us(counts, 0.99));
  counts.counts[1] = 100;  // 50 to 100 us
  EXPECT_NEAR(*percentile_us(counts, 0.99), 99.5, 0.01);
  EXPECT_NEAR(*percentile_us(counts, 0.5), 75, 0.01);
  counts.counts[LatencyCounts::buckets - 1] = 100;
  EXPECT_NEAR(*percentile_us(counts, 0.99), 2'500'000, 1) << "longer than the last bound";
}

TEST(PageText, NothingOfATextIsMarkup) {
  EXPECT_EQ(escaped("a<b>&\"'"), "a&lt;b&gt;&amp;&quot;&#39;");
  EXPECT_EQ(escaped("Größe 日本 🙂"), "Größe 日本 🙂");
  const std::string bad = "\xEF\xBF\xBD";
  EXPECT_EQ(escaped(std::string("\x01\n\x7f\0", 4)), bad + bad + bad + bad);
  EXPECT_EQ(escaped("\xC3"), bad);
  EXPECT_EQ(escaped("\xC0\xBC"), bad + bad) << "\"<\", longer than need be";
  EXPECT_EQ(escaped("\xED\xA0\x80"), bad + bad + bad) << "half of a pair";
  EXPECT_EQ(escaped("\xF4\x90\x80\x80"), bad + bad + bad + bad);
  EXPECT_EQ(escaped("\xE2\x82<"), bad + bad + "&lt;");
}

TEST(PageText, FiguresHaveTheUnitThatReadsBest) {
  EXPECT_EQ(count_text(0), "0");
  EXPECT_EQ(count_text(0.4), "0.4");
  EXPECT_EQ(count_text(310.2), "310");
  EXPECT_EQ(count_text(41'230), "41.2k");
  EXPECT_EQ(count_text(999.7), "1.0k");
  EXPECT_EQ(bytes_text(0), "0");
  EXPECT_EQ(bytes_text(2199023255552.0), "2.0 TiB");
  EXPECT_EQ(bytes_text(1023.9), "1.0 KiB");
  EXPECT_EQ(latency_text(310), "310 µs");
  EXPECT_EQ(latency_text(4'200), "4.2 ms");
  EXPECT_EQ(latency_text(2'500'000), "2.5 s");
  EXPECT_EQ(age_text(1'051'200), "12d 4h");
  EXPECT_EQ(age_text(200), "3m 20s");
}

TEST(Chart, WhatWasNotMeasuredIsAGap) {
  const float none = std::nanf("");
  std::vector<Figures> figures(History::kept);
  for (std::size_t i = 0; i < figures.size(); ++i) figures[i].reads = i / 50 == 1 ? none : 10;
  const std::string svg = chart(figures, {{"read", &Figures::reads}}, 200, "a<b");
  EXPECT_THAT(svg, HasSubstr("aria-label=\"a&lt;b\""));
  const std::regex begins("M");
  EXPECT_EQ(
      std::distance(std::sregex_iterator(svg.begin(), svg.end(), begins), std::sregex_iterator()),
      2);
  EXPECT_THAT(svg, Not(HasSubstr("nan")));
  figures.resize(1);
  EXPECT_THAT(chart(figures, {{"read", &Figures::reads}}, 50, ""), HasSubstr("d=\"M49 1.5h.5\""))
      << "the newest is at the right";
  EXPECT_THAT(chart({}, {{"read", &Figures::reads}}, 50, ""), HasSubstr("d=\"\""));
}

TEST(StatusPage, SaysWhatIsWrongBeforeAllElse) {
  Status status = calm(3);
  status.volumes[2].state = "degraded";
  status.volumes[2].reason = "EIO of pool bulk, 14 retries";
  status.volumes[2].cache = "pmem0";
  status.volumes[2].dirty_bytes = 3ULL << 30;
  status.volumes[2].state_since_ms = 1'000'000;
  add(status.pools, [&](auto& one) {
    one.name = "bulk";
    one.open = true;
    one.filling = true;
  });
  const std::string page = StatusPage::content(status, {}, {.now_ms = 1'200'000});
  EXPECT_THAT(page, HasSubstr("DEGRADED"));
  EXPECT_THAT(page,
              HasSubstr("<b>volume v2</b> degraded: EIO of pool bulk, 14 retries; 3.0 GiB dirty "
                        "kept in cache pmem0 <span class=\"soft\">for 3m 20s</span>"));
  EXPECT_LT(page.find("volume v2"), page.find("pool bulk")) << "what may come stands behind";
  EXPECT_LT(page.find("data-volume=\"v2\""), page.find("data-volume=\"v0\""));
  status.volumes[2].state = "online";
  EXPECT_THAT(StatusPage::content(status, {}, {}), HasSubstr("HEALTHY, but"));
  status.pools.clear();
  EXPECT_THAT(StatusPage::content(status, {}, {}), HasSubstr(">HEALTHY<"));
}

TEST(StatusPage, SaysThatTheLastChangeWasNotMade) {
  Status status = calm(1);
  EXPECT_TRUE(troubles_of(status).empty());
  status.last_reload = {.time_ms = 7, .by = "alice", .result = "refused", .reason = "line 3"};
  const auto troubles = troubles_of(status);
  ASSERT_EQ(troubles.size(), 1U);
  EXPECT_FALSE(troubles[0].is_bad) << "what ran before runs on";
  EXPECT_EQ(troubles[0].text,
            "the last change, by alice, was not made (refused): nothing has changed: line 3");
}

TEST(StatusPage, TroublesAgreeWithHealth) {
  Status status = calm(1);
  const auto is_bad = [&status] {
    const auto troubles = troubles_of(status);
    return std::ranges::any_of(troubles, &Trouble::is_bad);
  };
  EXPECT_FALSE(is_bad());
  const std::vector<std::function<void(Status&)>> faults{
      [](Status& s) { s.config_is_copy = true; },
      [](Status& s) { add(s.listeners, [&](auto& one) { one.name = "l"; }); },
      [](Status& s) { add(s.pools, [&](auto& one) { one.name = "p"; }); },
      [](Status& s) {
        add(s.pools, [&](auto& one) {
          one.name = "p";
          one.open = true;
          one.reason = "hangs";
        });
      },
      [](Status& s) { add(s.caches, [&](auto& one) { one.name = "c"; }); },
      [](Status& s) {
        add(s.caches, [&](auto& one) {
          one.name = "c";
          one.open = true;
          one.reason = "could not be written";
        });
      },
      [](Status& s) { s.volumes.front().state = "late"; }};
  for (const auto& fault : faults) {
    status = calm(1);
    fault(status);
    EXPECT_FALSE(status.healthy());
    EXPECT_TRUE(is_bad());
  }
}

TEST(StatusPage, WorksWithNoVolumesAndWithAThousand) {
  const std::string none = StatusPage::whole(calm(0), {}, {});
  EXPECT_THAT(none, HasSubstr("the configuration has no volumes"));
  History history;
  for (int second : {0, 3}) {
    std::vector<Sample> samples;
    for (int i = 0; i < 1000; ++i) {
      samples.push_back(sample("v" + std::to_string(i), static_cast<std::uint64_t>(second * i)));
    }
    history.add(std::move(samples), at(second));
  }
  Status status = calm(1000);
  status.volumes[500].state = "failed";
  const std::string page = StatusPage::content(status, history, {});
  EXPECT_EQ(rows_of(page), StatusPage::most_volumes);
  EXPECT_LT(page.size(), 250'000U);
  const auto place = [&page](const char* name) {
    return page.find(std::string("data-volume=\"") + name + '"');
  };
  EXPECT_LT(place("v500"), place("v999")) << "what fails stands before what is busy";
  EXPECT_LT(place("v999"), place("v998"));
  EXPECT_EQ(place("v0"), std::string::npos);
  EXPECT_THAT(page, HasSubstr("940 more, all online, none with more than 940 commands/s"));
  EXPECT_EQ(rows_of(StatusPage::content(status, history, {.all_volumes = true})), 1000U);
  for (auto& volume : status.volumes) volume.state = "late";
  const std::string dark = StatusPage::content(status, history, {});
  EXPECT_THAT(dark, HasSubstr("<b>and 988 more</b>"));
  EXPECT_THAT(dark, HasSubstr("940 of them in trouble"));
}

TEST(StatusPage, NoNameIsObeyed) {
  const std::string evil = "\"><script>alert(1)</script><img src=x onerror='alert(2)'>";
  Status status = calm(1);
  status.node = status.version = status.config_hash = evil;
  status.config_is_copy = true;
  status.config_note = evil;
  VolumeStatus& volume = status.volumes.front();
  volume.name = volume.state = volume.reason = volume.cache_mode = volume.cache = evil;
  volume.detach_error = evil;
  volume.dirty_bytes = volume.lost_bytes = 1;
  add(status.pools, [&](auto& one) {
    one.name = evil;
    one.kind = evil;
    one.open = true;
    one.reason = evil;
  });
  add(status.pools.front().disks, [&](auto& one) {
    one.path = evil;
    one.troubles = {evil};
  });
  add(status.caches, [&](auto& one) {
    one.name = evil;
    one.reason = evil;
    one.media = evil;
  });
  add(status.listeners, [&](auto& one) {
    one.name = evil;
    one.protocol = evil;
    one.address = evil;
    one.reason = evil;
  });
  add(status.known_hosts, [&](auto& one) {
    one.name = evil;
    one.nqn = evil;
    one.iqn = evil;
  });
  add(status.hosts, [&](auto& one) {
    one.nqn = "x" + evil;
    one.security = evil;
    one.listener = evil;
  });
  add(status.sessions, [&](auto& one) {
    one.initiator = "x" + evil;
    one.listener = evil;
    one.target = evil;
    one.security = evil;
  });
  const std::string page = StatusPage::content(status, {}, {});
  EXPECT_THAT(page, Not(HasSubstr("<script")));
  EXPECT_THAT(page, Not(HasSubstr("<img")));
  EXPECT_THAT(page, Not(HasSubstr("onerror='")));
  EXPECT_THAT(page, HasSubstr("&lt;script&gt;"));
}

TEST(StatusPage, ABrowserMayRunNothingButThePageItself) {
  const std::string policy = StatusPage::content_security_policy();
  EXPECT_THAT(policy, HasSubstr("default-src 'none'"));
  EXPECT_THAT(policy, Not(HasSubstr("unsafe")));
  EXPECT_THAT(policy, testing::ContainsRegex("script-src 'sha256-[A-Za-z0-9+/]{43}='"));
  const std::string page = StatusPage::whole(calm(1), {}, {});
  EXPECT_THAT(page, Not(HasSubstr("style=\""))) << "the policy would not let it";
  EXPECT_THAT(page, Not(testing::ContainsRegex("(src|href)=\"(https?:)?//"))) << "from elsewhere";
}

}  // namespace
}  // namespace target::control
