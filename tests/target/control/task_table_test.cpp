#include "target/control/task_table.h"

#include <gtest/gtest.h>

#include <boost/json/parse.hpp>
#include <chrono>
#include <string>

#include "tests/sim/sim_clock.h"

namespace target::control {
namespace {

using std::chrono::seconds;

TEST(TaskTable, TellsHowFastItGoesAndHowLongItTakes) {
  SimClock clock;
  TaskTable table(clock);
  Task& task = table.add(TaskKind::scrub, "db01", "root");
  EXPECT_EQ(task.state, TaskState::queued);
  table.start(task, 1000);
  EXPECT_EQ(task.seconds_left, -1);
  clock.advance(seconds(10));
  table.note(task, 250, 1000);
  EXPECT_EQ(task.bytes_per_second, 25U);
  EXPECT_EQ(task.seconds_left, 30);
  EXPECT_EQ(table.find(TaskKind::scrub, "db01"), &task);
  table.end(task, TaskState::done, "all is well");
  EXPECT_EQ(task.done_bytes, 1000U);
  EXPECT_EQ(table.find(TaskKind::scrub, "db01"), nullptr) << "it has ended";
  EXPECT_EQ(table.find(1), &task);
}

TEST(TaskTable, KeepsTheLastThatHaveEndedAndAllThatHaveNot) {
  SimClock clock;
  TaskTable table(clock);
  table.start(table.add(TaskKind::flush, "first", "root"), 0);
  for (std::size_t i = 0; i < TaskTable::most_ended + 5; ++i) {
    Task& task = table.add(TaskKind::flush, "other", "root");
    table.start(task, 0);
    table.end(task, TaskState::done, "");
  }
  EXPECT_EQ(table.all().size(), TaskTable::most_ended + 1);
  EXPECT_NE(table.find(1), nullptr);
  EXPECT_EQ(table.find(2), nullptr);
  EXPECT_EQ(table.all().back().id, TaskTable::most_ended + 6);
}

TEST(TaskTable, IsFullWithWhatIsUnderWay) {
  SimClock clock;
  TaskTable table(clock);
  for (std::size_t i = 0; i < TaskTable::most_under_way; ++i) {
    EXPECT_FALSE(table.is_full());
    (void)table.add(TaskKind::scrub, std::to_string(i), "root");
  }
  EXPECT_TRUE(table.is_full());
  table.end(table.all().front(), TaskState::cancelled, "");
  EXPECT_FALSE(table.is_full());
}

TEST(TaskTable, IsWrittenForScripts) {
  SimClock clock;
  TaskTable table(clock);
  Task& task = table.add(TaskKind::scrub, "db01", "root");
  task.findings.push_back({.kind = "cache-healed", .lba = 7, .blocks = 2, .text = "blocks 7-8"});
  task.findings_total = 1;
  const auto one = boost::json::parse(to_json(task));
  EXPECT_EQ(one.at("id"), "1");
  EXPECT_EQ(one.at("state"), "queued");
  EXPECT_EQ(one.at("findings").at(0).at("lba"), 7);
  EXPECT_EQ(boost::json::parse(to_json(table)).at("tasks").at(0), one);
}

}  // namespace
}  // namespace target::control
