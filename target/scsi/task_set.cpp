#include "target/scsi/task_set.h"

namespace target::scsi {

namespace {

bool is_ordered(const Task& task) { return task.attribute == TaskAttribute::ordered; }
bool is_head_of_queue(const Task& task) { return task.attribute == TaskAttribute::head_of_queue; }

}  // namespace

TaskSet::~TaskSet() { CHECK(tasks_.empty()); }

bool TaskSet::enter(Task& task) {
  const bool blocked = is_ordered(task) ? !tasks_.empty() : ordered_ + head_of_queue_ != 0;
  task.held = blocked && !is_head_of_queue(task);
  tasks_.push_back(task);
  ++size_;
  if (task.held) ++held_;
  if (is_ordered(task)) ++ordered_;
  if (is_head_of_queue(task)) ++head_of_queue_;
  return !task.held;
}

void TaskSet::leave(Task& task) {
  tasks_.erase(tasks_.iterator_to(task));
  --size_;
  if (task.held) --held_;
  task.held = false;
  if (is_ordered(task)) --ordered_;
  if (is_head_of_queue(task)) --head_of_queue_;
}

Task* TaskSet::next() {
  if (held_ == 0 || head_of_queue_ != 0) return nullptr;
  for (Task& task : tasks_) {
    const bool first = &task == &tasks_.front();
    if (task.held && (first || !is_ordered(task))) {
      task.held = false;
      --held_;
      return &task;
    }
    if (is_ordered(task)) return nullptr;
  }
  return nullptr;
}

}  // namespace target::scsi
