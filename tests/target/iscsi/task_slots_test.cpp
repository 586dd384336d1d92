#include "target/iscsi/task_slots.h"

#include <gtest/gtest.h>

#include <vector>

namespace target::iscsi {
namespace {

TaskSlot& take(TaskSlots& slots, std::uint32_t tag, bool immediate = false) {
  TaskSlot& slot = slots.take(tag, immediate);
  slot.state = TaskSlot::State::executing;
  return slot;
}

TEST(TaskSlots, TasksAreFoundByTheirTags) {
  TaskSlots slots;
  slots.begin(300);
  std::vector<TaskSlot*> taken;
  for (std::uint32_t i = 0; i < 300; ++i) taken.push_back(&take(slots, i * 0x1'0001));
  EXPECT_TRUE(slots.full(false));
  for (std::uint32_t i = 0; i < 300; ++i) EXPECT_EQ(slots.find(i * 0x1'0001), taken[i]);
  EXPECT_EQ(slots.find(7), nullptr);
  for (std::uint32_t i = 0; i < 300; i += 2) slots.give_back(*taken[i]);
  for (std::uint32_t i = 0; i < 300; ++i) {
    EXPECT_EQ(slots.find(i * 0x1'0001), i % 2 == 0 ? nullptr : taken[i]);
  }
  for (std::uint32_t i = 1; i < 300; i += 2) slots.give_back(*taken[i]);
  EXPECT_EQ(slots.outstanding(), 0U);
}

TEST(TaskSlots, ImmediateOnesHavePlacesOfTheirOwn) {
  TaskSlots slots;
  slots.begin(1);
  TaskSlot& ordinary = take(slots, 1);
  EXPECT_TRUE(slots.full(false));
  std::vector<TaskSlot*> immediate;
  while (!slots.full(true)) {
    immediate.push_back(&take(slots, 100 + static_cast<std::uint32_t>(immediate.size()), true));
  }
  EXPECT_EQ(immediate.size(), TaskSlots::most_immediate);
  slots.give_back(ordinary);
  EXPECT_FALSE(slots.full(false));
  EXPECT_TRUE(slots.full(true));
  for (TaskSlot* slot : immediate) slots.give_back(*slot);
}

TEST(TaskSlots, ATransferTagIsNoneOfTheNextTask) {
  TaskSlots slots;
  slots.begin(4);
  TaskSlot& first = take(slots, 1);
  const std::uint32_t tag = first.transfer_tag(3);
  std::size_t window = 0;
  EXPECT_EQ(slots.by_transfer_tag(tag, window), &first);
  EXPECT_EQ(window, 3U);
  slots.give_back(first);
  EXPECT_EQ(slots.by_transfer_tag(tag, window), nullptr);
  TaskSlot& second = take(slots, 1);
  EXPECT_EQ(&second, &first);
  EXPECT_EQ(slots.by_transfer_tag(tag, window), nullptr);
  EXPECT_EQ(slots.by_transfer_tag(0xffff'fffe, window), nullptr);
  slots.give_back(second);
}

TEST(TaskSlots, NoTransferTagMeansNone) {
  TaskSlots slots;
  slots.begin(1);
  for (int i = 0; i < 0x1'0002; ++i) {
    TaskSlot& slot = take(slots, 1);
    ASSERT_NE(slot.generation, 0xffff);
    slots.give_back(slot);
  }
}

}  // namespace
}  // namespace target::iscsi
