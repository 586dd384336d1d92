// TaskTable: long work as something that can be asked for, watched and cancelled.
#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <string>
#include <vector>

#include "engine/foundation/clock.h"

namespace target::control {

enum class TaskKind : std::uint8_t {
  drain,   // what of a volume is only in its cache goes to its pool
  flush,   // the same, asked for under the other name
  detach,  // and then it is served without it
  retire,  // all volumes of a cache device are detached
  scrub,   // every copy of a volume's blocks is looked at
};
enum class TaskState : std::uint8_t { queued, running, done, failed, cancelled };

[[nodiscard]] const char* text(TaskKind kind);
[[nodiscard]] const char* text(TaskState state);

// What a scrub has found.
struct TaskFinding {
  std::string kind;  // "cache-healed" ...
  std::uint64_t lba = 0;
  std::uint64_t blocks = 0;
  std::string text;  // for the operator
};

struct Task {
  static constexpr std::size_t most_findings = 64;  // that are listed

  std::uint64_t id = 0;  // from 1 at each start of the daemon
  TaskKind kind = TaskKind::drain;
  std::string object;      // the volume, or the cache device
  std::string started_by;  // "root"
  TaskState state = TaskState::queued;
  std::uint64_t done_bytes = 0;
  std::uint64_t total_bytes = 0;
  std::uint64_t bytes_per_second = 0;  // on average since it began; 0: not known yet
  std::int64_t seconds_left = -1;      // -1: not known
  // Since 1970; 0: not yet.
  std::uint64_t created_ms = 0;
  std::uint64_t started_ms = 0;
  std::uint64_t ended_ms = 0;
  std::string result{};  // when it has ended: one sentence
  std::vector<TaskFinding> findings{};
  std::uint64_t findings_total = 0;  // also those that are not listed
  engine::Instant began{};

  [[nodiscard]] bool has_ended() const {
    return state != TaskState::queued && state != TaskState::running;
  }
};

// Control thread. Of those that have ended the oldest goes for one that is new.
class TaskTable {
 public:
  static constexpr std::size_t most_ended = 100;
  static constexpr std::size_t most_under_way = 256;

  // `clock` outlives it.
  explicit TaskTable(const engine::Clock& clock) : clock_(clock) {}
  TaskTable(const TaskTable&) = delete;
  TaskTable& operator=(const TaskTable&) = delete;

  // Queued. Stays where it is until it has ended and 100 more have.
  Task& add(TaskKind kind, std::string object, std::string started_by);
  void start(Task& task, std::uint64_t total_bytes);
  // Also what follows from it: rate, and time left.
  void note(Task& task, std::uint64_t done_bytes, std::uint64_t total_bytes);
  void end(Task& task, TaskState state, std::string result);

  [[nodiscard]] bool is_full() const;
  // nullptr: there is none.
  [[nodiscard]] Task* find(std::uint64_t id);
  // Of those under way; nullptr: there is none.
  [[nodiscard]] Task* find(TaskKind kind, const std::string& object);
  // In the order they came.
  [[nodiscard]] std::list<Task>& all() { return tasks_; }
  [[nodiscard]] const std::list<Task>& all() const { return tasks_; }

 private:
  [[nodiscard]] std::uint64_t now_ms() const {
    return static_cast<std::uint64_t>(clock_.wall().count());
  }

  const engine::Clock& clock_;
  std::uint64_t last_id_ = 0;
  std::list<Task> tasks_;
};

// One JSON object.
[[nodiscard]] std::string to_json(const Task& task);
// {"tasks":[...]}
[[nodiscard]] std::string to_json(const TaskTable& tasks);

}  // namespace target::control
