#include "target/event_keeper.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "target/event_file.h"
#include "tests/engine/test_directory.h"
#include "tests/sim/sim_clock.h"

namespace target {
namespace {

const std::string some_nqn = "nqn.2026-11.com.example:store1.a";
const std::string other_nqn = "nqn.2026-11.com.example:store1.b";
constexpr std::chrono::seconds generous{60};

class EventKeeperTest : public testing::Test {
 protected:
  EventKeeperTest() {
    capture_log([this](LogLevel, std::string_view line) { said_.emplace_back(line); });
  }
  ~EventKeeperTest() override { capture_log({}); }

  [[nodiscard]] std::string path(const std::string& nqn = some_nqn) const {
    return directory_.path() + "/nvme-events." + nvmf::make_serial(nqn);
  }
  [[nodiscard]] static std::string content_of(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  static void put(const std::string& path, const std::string& content) {
    std::ofstream(path, std::ios::binary | std::ios::trunc) << content;
  }
  // One life of the daemon, in which hosts come.
  nvmf::EventReport live(int hosts, bool ends_well = true) {
    EventKeeper keeper(directory_.path(), clock_);
    const auto log = keeper.log_of(some_nqn);
    log->begin("1");
    keeper.start();
    for (int i = 0; i < hosts; ++i) log->host_connected({}, "nqn.host", "192.0.2.1:1");
    const auto report = log->report();
    EXPECT_TRUE(keeper.finish(generous));
    if (ends_well) return report;
    // As if it had been killed: without its last record.
    const std::string all = content_of(path());
    const std::string end = event_file_end({});
    put(path(), all.substr(0, all.size() - end.size()));
    return report;
  }

  const engine::TestDirectory directory_{"event-keeper"};
  SimClock clock_;
  std::vector<std::string> said_;
};

TEST_F(EventKeeperTest, EventsOutliveTheDaemon) {
  EXPECT_EQ(live(2).newest_first.size(), 3U);
  clock_.advance(std::chrono::hours(1));
  const auto second = live(1);
  EXPECT_EQ(second.newest_first.size(), 5U);
  EXPECT_EQ(second.power_cycles, 2U);
  EXPECT_EQ(live(0).newest_first.size(), 6U);
  EXPECT_TRUE(said_.empty()) << said_.front();
}

TEST_F(EventKeeperTest, HoursAndUnsafeEndsAreCountedOverAllLives) {
  for (int i = 0; i < 3; ++i) {
    EventKeeper keeper(directory_.path(), clock_);
    const auto log = keeper.log_of(some_nqn);
    log->begin("1");
    keeper.start();
    clock_.advance(std::chrono::hours(10));
    ASSERT_TRUE(keeper.finish(generous));
  }
  (void)live(0, /*ends_well=*/false);
  EventKeeper keeper(directory_.path(), clock_);
  const auto log = keeper.log_of(some_nqn);
  EXPECT_EQ(log->power_on_hours(), 30U);
  log->begin("1");
  EXPECT_EQ(log->after(0).lives.power_cycles, 5U);
  EXPECT_EQ(log->after(0).lives.unsafe_shutdowns, 1U);
}

TEST_F(EventKeeperTest, ATornEndCostsWhatIsTornAndNothingElse) {
  (void)live(3);
  const std::string whole = content_of(path());
  const std::size_t all = parse_event_file(whole, some_nqn).events.size();
  ASSERT_EQ(all, 4U);
  std::size_t before = all;
  for (std::size_t length = whole.size(); length-- > 0;) {
    const auto file = parse_event_file(std::string_view(whole).substr(0, length), some_nqn);
    EXPECT_LE(file.events.size(), before) << length;
    EXPECT_GE(file.events.size() + 1, before) << length;
    EXPECT_TRUE(!file.ended_well || file.events.empty()) << length;
    before = file.events.size();
  }
  EXPECT_EQ(before, 0U);
}

TEST_F(EventKeeperTest, ARottenByteCostsOneRecordAndNothingElse) {
  (void)live(3);
  const std::string whole = content_of(path());
  for (std::size_t at = 0; at < whole.size(); ++at) {
    std::string rotten = whole;
    rotten[at] = static_cast<char>(rotten[at] ^ 0x10);
    const auto file = parse_event_file(rotten, some_nqn);
    EXPECT_GE(file.events.size(), 3U) << at;
    EXPECT_FALSE(file.is_whole) << at;
  }
}

TEST_F(EventKeeperTest, ADamagedFileIsToldAndWrittenAnew) {
  (void)live(3);
  std::string rotten = content_of(path());
  rotten[rotten.size() / 2] = static_cast<char>(rotten[rotten.size() / 2] ^ 0x01);
  put(path(), rotten + "torn");
  const auto next = live(0);
  EXPECT_GE(next.newest_first.size(), 4U);
  ASSERT_EQ(said_.size(), 1U);
  EXPECT_NE(said_[0].find("is damaged: what is left of it are 3 events of " + some_nqn),
            std::string::npos)
      << said_[0];
  EXPECT_TRUE(parse_event_file(content_of(path()), some_nqn).is_whole);
}

TEST_F(EventKeeperTest, AnotherSubsystemsFileIsNotTaken) {
  (void)live(3);
  std::filesystem::copy_file(path(), path(other_nqn));
  EventKeeper keeper(directory_.path(), clock_);
  EXPECT_TRUE(keeper.log_of(other_nqn)->report().newest_first.empty());
}

TEST_F(EventKeeperTest, ASubsystemThatComesLaterHasItsEventsToo) {
  (void)live(2);
  EventKeeper keeper(directory_.path(), clock_);
  keeper.start();
  const auto log = keeper.log_of(some_nqn);  // the thread reads it
  log->begin("1");
  EXPECT_EQ(keeper.log_of(some_nqn), log) << "the same";
  ASSERT_TRUE(keeper.finish(generous));
  EXPECT_EQ(log->report().newest_first.size(), 4U);
  EXPECT_EQ(parse_event_file(content_of(path()), some_nqn).events.size(), 4U);
}

TEST_F(EventKeeperTest, TheFileIsBounded) {
  for (int i = 0; i < 12; ++i) {
    EventKeeper keeper(directory_.path(), clock_);
    const auto log = keeper.log_of(some_nqn);
    log->begin("1");
    for (int burst = 0; burst < 10; ++burst) {
      for (int k = 0; k < 60; ++k) log->host_connected({}, std::string(200, 'h'), "192.0.2.1:1");
      clock_.advance(std::chrono::minutes(2));
    }
    keeper.start();
    ASSERT_TRUE(keeper.finish(generous));
    EXPECT_LE(std::filesystem::file_size(path()), 5 * nvmf::PersistentLog::most_page_bytes);
  }
  EXPECT_TRUE(said_.empty()) << said_.front();
}

TEST_F(EventKeeperTest, ADirectoryThatRefusesIsToldOnceAndEventsStay) {
  EventKeeper keeper(directory_.path() + "/not/there", clock_);
  const auto log = keeper.log_of(some_nqn);
  log->begin("1");
  keeper.start();
  log->host_connected({}, "nqn.host", "192.0.2.1:1");
  ASSERT_TRUE(keeper.finish(generous));
  EXPECT_EQ(log->report().newest_first.size(), 2U);
  ASSERT_EQ(said_.size(), 1U);
  EXPECT_NE(said_[0].find("cannot be written: No such file or directory"), std::string::npos);
}

TEST_F(EventKeeperTest, WithoutADirectoryNothingIsKept) {
  EventKeeper keeper("", clock_);
  const auto log = keeper.log_of(some_nqn);
  log->begin("1");
  keeper.start();
  EXPECT_EQ(keeper.log_of(some_nqn), log);
  EXPECT_TRUE(keeper.finish(generous));
  EXPECT_EQ(log->report().newest_first.size(), 1U);
}

}  // namespace
}  // namespace target
