// TaskSet: the tasks that one nexus has at one logical unit, and in which order they may begin.
#pragma once

#include <boost/intrusive/list.hpp>
#include <cstddef>
#include <utility>

#include "target/scsi/task.h"

namespace target::scsi {

// The nexus's reactor thread only. A task set of its own for each nexus: the Control mode page says
// TST=001b.
//
// SAM-5, "Task attributes": a task with the head of queue attribute begins at once; an ordered one
// when all before it have ended; a simple one when no ordered one is before it and none with head
// of queue is left. Invariant: held_ counts the tasks with task.held; they are in order of arrival.
class TaskSet {
 public:
  TaskSet() = default;
  TaskSet(const TaskSet&) = delete;
  TaskSet& operator=(const TaskSet&) = delete;
  ~TaskSet();

  // True: it may begin at once. False: it is held, until begin_held() gives it out.
  [[nodiscard]] bool enter(Task& task);
  // It has ended, or will not begin.
  void leave(Task& task);
  // Calls begin(Task&) for each task that was held and may begin now; it may end there at once, and
  // others with it. Nothing if it is called from inside, or from for_each().
  template <class F>
  void begin_held(F&& begin) {
    if (busy_) return;
    busy_ = true;
    while (Task* task = next()) begin(*task);
    busy_ = false;
  }

  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] bool empty() const { return size_ == 0; }

  // Of all tasks, oldest first; `visit` may end the task that it is given, and no other.
  template <class F>
  void for_each(F&& visit) {
    const bool was_busy = std::exchange(busy_, true);
    for (auto it = tasks_.begin(); it != tasks_.end();) {
      Task& task = *it++;
      visit(task);
    }
    busy_ = was_busy;
  }

 private:
  using Tasks = boost::intrusive::list<
      Task,
      boost::intrusive::member_hook<Task, boost::intrusive::list_member_hook<>, &Task::set_hook>,
      boost::intrusive::constant_time_size<false>>;

  [[nodiscard]] Task* next();

  Tasks tasks_;
  bool busy_ = false;
  std::size_t size_ = 0;
  std::size_t held_ = 0;
  std::size_t ordered_ = 0;
  std::size_t head_of_queue_ = 0;
};

}  // namespace target::scsi
