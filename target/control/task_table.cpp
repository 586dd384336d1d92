#include "target/control/task_table.h"

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <chrono>
#include <utility>

namespace target::control {
namespace {

boost::json::object object_of(const Task& task) {
  boost::json::array findings;
  for (const TaskFinding& one : task.findings) {
    findings.emplace_back(boost::json::object{
        {"kind", one.kind}, {"lba", one.lba}, {"blocks", one.blocks}, {"text", one.text}});
  }
  return {{"id", std::to_string(task.id)},
          {"kind", text(task.kind)},
          {"object", task.object},
          {"started_by", task.started_by},
          {"state", text(task.state)},
          {"done_bytes", task.done_bytes},
          {"total_bytes", task.total_bytes},
          {"bytes_per_second", task.bytes_per_second},
          {"seconds_left", task.seconds_left},
          {"created_ms", task.created_ms},
          {"started_ms", task.started_ms},
          {"ended_ms", task.ended_ms},
          {"result", task.result},
          {"findings_total", task.findings_total},
          {"findings", std::move(findings)}};
}

}  // namespace

const char* text(TaskKind kind) {
  switch (kind) {
    case TaskKind::drain:
      return "drain";
    case TaskKind::flush:
      return "flush";
    case TaskKind::detach:
      return "detach";
    case TaskKind::retire:
      return "retire";
    case TaskKind::scrub:
      return "scrub";
  }
  return "";
}

const char* text(TaskState state) {
  switch (state) {
    case TaskState::queued:
      return "queued";
    case TaskState::running:
      return "running";
    case TaskState::done:
      return "done";
    case TaskState::failed:
      return "failed";
    case TaskState::cancelled:
      return "cancelled";
  }
  return "";
}

Task& TaskTable::add(TaskKind kind, std::string object, std::string started_by) {
  Task& task = tasks_.emplace_back();
  task.id = ++last_id_;
  task.kind = kind;
  task.object = std::move(object);
  task.started_by = std::move(started_by);
  task.created_ms = now_ms();
  return task;
}

void TaskTable::start(Task& task, std::uint64_t total_bytes) {
  task.state = TaskState::running;
  task.total_bytes = total_bytes;
  task.started_ms = now_ms();
  task.began = clock_.now();
}

void TaskTable::note(Task& task, std::uint64_t done_bytes, std::uint64_t total_bytes) {
  task.done_bytes = std::min(done_bytes, total_bytes);
  task.total_bytes = total_bytes;
  const double seconds = std::chrono::duration<double>(clock_.now() - task.began).count();
  if (seconds <= 0) return;
  task.bytes_per_second =
      static_cast<std::uint64_t>(static_cast<double>(task.done_bytes) / seconds);
  const std::uint64_t left = total_bytes - task.done_bytes;
  task.seconds_left =
      task.bytes_per_second == 0
          ? -1
          : static_cast<std::int64_t>((left + task.bytes_per_second - 1) / task.bytes_per_second);
}

void TaskTable::end(Task& task, TaskState state, std::string result) {
  task.state = state;
  task.result = std::move(result);
  task.ended_ms = now_ms();
  task.seconds_left = state == TaskState::done ? 0 : -1;
  if (state == TaskState::done) task.done_bytes = task.total_bytes;
  const auto ended = std::ranges::count_if(tasks_, &Task::has_ended);
  if (static_cast<std::size_t>(ended) <= most_ended) return;
  // The oldest, but for the one that its caller still has.
  const auto oldest = std::ranges::find_if(
      tasks_, [&task](const Task& one) { return one.has_ended() && &one != &task; });
  tasks_.erase(oldest);
}

bool TaskTable::is_full() const {
  const auto under_way =
      std::ranges::count_if(tasks_, [](const Task& task) { return !task.has_ended(); });
  return static_cast<std::size_t>(under_way) >= most_under_way;
}

Task* TaskTable::find(std::uint64_t id) {
  const auto found = std::ranges::find(tasks_, id, &Task::id);
  return found == tasks_.end() ? nullptr : &*found;
}

Task* TaskTable::find(TaskKind kind, const std::string& object) {
  const auto found = std::ranges::find_if(tasks_, [&](const Task& task) {
    return !task.has_ended() && task.kind == kind && task.object == object;
  });
  return found == tasks_.end() ? nullptr : &*found;
}

std::string to_json(const Task& task) { return boost::json::serialize(object_of(task)); }

std::string to_json(const TaskTable& tasks) {
  boost::json::array all;
  for (const Task& task : tasks.all()) all.emplace_back(object_of(task));
  return boost::json::serialize(boost::json::object{{"tasks", std::move(all)}});
}

}  // namespace target::control
