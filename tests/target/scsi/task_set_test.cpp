#include "target/scsi/task_set.h"

#include <gtest/gtest.h>

#include <deque>
#include <functional>
#include <vector>

namespace target::scsi {
namespace {

class TaskSetTest : public testing::Test {
 protected:
  ~TaskSetTest() override {
    set_.for_each([&](Task& task) { set_.leave(task); });
  }
  // True if it began.
  bool enter(std::uint32_t tag, TaskAttribute attribute) {
    Task& task = tasks_.emplace_back();
    task.tag = tag;
    task.attribute = attribute;
    const bool began = set_.enter(task);
    if (began) began_.push_back(tag);
    return began;
  }
  void end(std::uint32_t tag) {
    for (Task& task : tasks_) {
      if (task.tag == tag) set_.leave(task);
    }
    set_.begin_held([&](Task& task) { began_.push_back(task.tag); });
  }
  using Tags = std::vector<std::uint32_t>;

  std::deque<Task> tasks_;
  TaskSet set_;
  Tags began_;
};

TEST_F(TaskSetTest, SimpleTasksBeginAtOnce) {
  EXPECT_TRUE(enter(1, TaskAttribute::simple));
  EXPECT_TRUE(enter(2, TaskAttribute::untagged));
  EXPECT_EQ(set_.size(), 2U);
}

TEST_F(TaskSetTest, AnOrderedTaskWaitsForAllBeforeItAndHoldsBackAllBehindIt) {
  enter(1, TaskAttribute::simple);
  enter(2, TaskAttribute::simple);
  EXPECT_FALSE(enter(3, TaskAttribute::ordered));
  EXPECT_FALSE(enter(4, TaskAttribute::simple));
  EXPECT_FALSE(enter(5, TaskAttribute::simple));
  EXPECT_FALSE(enter(6, TaskAttribute::ordered));
  end(2);
  EXPECT_EQ(began_, (Tags{1, 2}));
  end(1);
  EXPECT_EQ(began_, (Tags{1, 2, 3}));
  end(3);
  EXPECT_EQ(began_, (Tags{1, 2, 3, 4, 5}));
  end(5);
  end(4);
  EXPECT_EQ(began_, (Tags{1, 2, 3, 4, 5, 6}));
}

TEST_F(TaskSetTest, HeadOfQueuePassesAllAndHoldsBackTheRest) {
  enter(1, TaskAttribute::simple);
  EXPECT_FALSE(enter(2, TaskAttribute::ordered));
  EXPECT_TRUE(enter(3, TaskAttribute::head_of_queue));
  EXPECT_FALSE(enter(4, TaskAttribute::simple));
  end(1);
  EXPECT_EQ(began_, (Tags{1, 3}));
  end(3);
  EXPECT_EQ(began_, (Tags{1, 3, 2}));
  end(2);
  EXPECT_EQ(began_, (Tags{1, 3, 2, 4}));
}

TEST_F(TaskSetTest, AHeldTaskThatIsTakenOutFreesThoseBehindIt) {
  enter(1, TaskAttribute::simple);
  enter(2, TaskAttribute::ordered);
  enter(3, TaskAttribute::simple);
  end(2);
  EXPECT_EQ(began_, (Tags{1, 3}));
}

TEST_F(TaskSetTest, TasksThatEndAsTheyBeginFreeTheNextWithoutRecursion) {
  enter(1, TaskAttribute::ordered);
  for (std::uint32_t tag = 2; tag < 5000; ++tag) enter(tag, TaskAttribute::ordered);
  set_.leave(tasks_[0]);
  std::uint32_t ended = 1;
  int depth = 0;
  const std::function<void(Task&)> begin = [&](Task& task) {
    ASSERT_EQ(++depth, 1);
    ASSERT_EQ(task.tag, ++ended);
    set_.leave(task);
    set_.begin_held(begin);
    --depth;
  };
  set_.begin_held(begin);
  EXPECT_EQ(ended, 4999U);
  EXPECT_TRUE(set_.empty());
}

}  // namespace
}  // namespace target::scsi
