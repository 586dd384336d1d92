// Tasks: the long work of the daemon's volumes and caches, as the API shows it.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "config/config.h"
#include "engine/volume/engine.h"
#include "target/assembly.h"
#include "target/control/audit.h"
#include "target/control/event_log.h"
#include "target/control/http.h"
#include "target/control/task_table.h"
#include "target/metrics/snapshot.h"
#include "target/scrub_run.h"

namespace target {

// What the last whole scrub of a volume has found, and whether there is one now.
struct LastScrub {
  bool is_running = false;
  std::uint64_t ended_ms = 0;  // since 1970; 0: none has, since the daemon started
  std::uint64_t bad_blocks = 0;
  std::string result{};
  // What only the cache had, and has badly, of the last one that got there, and what stops its
  // write-back for that now; without what its pool lists as lost by now. Until written.
  std::vector<engine::ScrubFinding> lost{};
};

// Control thread, all of it. The work is the engine's, and goes on with or without somebody who
// watches; here it has a name and an end. One volume is scrubbed at a time, the others are queued.
class Tasks {
 public:
  struct Uses {
    const engine::Clock& clock;
    engine::Engine& engine;
    BlockVolumes& volumes;
    control::EventLog& events;
    // Of those that serve hosts, whose turn it is.
    std::function<Reactor&()> reactor;
    // Any thread: runs it on the control thread.
    std::function<void(std::function<void()>)> post;
    // A drain has begun, whoever has asked for it by whatever route; and the same is cancelled.
    std::function<void(const std::string& volume, const std::string& by)> drain_begun;
    std::function<void(const std::string& volume, const std::string& by)> drain_cancelled;
  };
  struct Wish {
    control::TaskKind kind = control::TaskKind::flush;
    std::string object;
    std::string by;
    std::optional<std::uint64_t> scrub_rate{};  // bytes a second; nullopt: as configured
  };
  // The task's number; or why it has not begun, as a sentence. On the control thread.
  using Begun = std::function<void(engine::Result<std::uint64_t, std::string>)>;
  using Done = std::function<void(engine::Result<void, std::string>)>;

  // All of it outlives this.
  explicit Tasks(Uses uses) : uses_(std::move(uses)), table_(uses_.clock) {}
  Tasks(const Tasks&) = delete;
  Tasks& operator=(const Tasks&) = delete;

  // A flush, or drain, of a volume that has one already makes that one longer.
  void begin(const Wish& wish, Begun done);
  // `done`: on any thread. A retirement cannot be cancelled. `by`: who wants that.
  void cancel(std::uint64_t id, const std::string& by, Done done);
  // Of whatever drains, flushes or detaches the volume.
  void cancel_drain(const std::string& volume, const std::string& by, Done done);
  // Every now and then: what goes on, and what has ended.
  void look();
  // Of scrubs for which nobody has asked for another rate; also of the one that goes on.
  void set_scrub_rate(std::uint64_t bytes_per_second);
  // Nothing is begun before open(), nor after stop(), which also ends the scrub that goes on.
  void open() { is_open_ = true; }
  void stop();

  // GET and POST /v1/tasks, GET /v1/tasks/{name}, POST /v1/tasks/{name}/cancel.
  // `tasks`: who answers; null where nobody asks.
  [[nodiscard]] static std::vector<control::Route> routes(Tasks* tasks,
                                                          const control::Audit& audit);
  [[nodiscard]] LastScrub last_scrub(const std::string& volume) const;
  [[nodiscard]] metrics::ScrubFigures scrub_figures() const;

 private:
  struct Queued {
    std::uint64_t id = 0;
    std::optional<std::uint64_t> rate{};
  };

  void begin_drain(const Wish& wish, Begun done);
  void begin_scrub(const Wish& wish, const Begun& done);
  void start_next_scrub();
  void scrub_ended(std::uint64_t id, const ScrubResult& result);
  control::Task& add(const Wish& wish);
  void start(control::Task& task, std::uint64_t total_bytes);
  void end(control::Task& task, control::TaskState state, std::string result);
  void look_at(control::Task& task);
  void look_at_drain(control::Task& task);
  void look_at_detachment(control::Task& task);
  void look_at_retirement(control::Task& task);
  [[nodiscard]] std::uint64_t left_of(const Wish& wish) const;
  void answer(const engine::Result<std::uint64_t, std::string>& begun, const control::Reply& reply);
  [[nodiscard]] bool ask(const control::Request& request, const control::Reply& reply);

  const Uses uses_;
  control::TaskTable table_;
  std::deque<Queued> queue_;       // of scrubs
  std::uint64_t scrubbed_ = 0;     // the task; 0: none
  std::shared_ptr<ScrubRun> run_;  // of that
  bool run_is_at_usual_rate_ = false;
  std::uint64_t usual_rate_ = config::Scrub{}.rate.value.value;
  std::map<std::string, LastScrub> last_scrubs_;
  // Volumes whose draining is being cancelled: that it has ended does not mean that it is done.
  std::set<std::string> cancelling_;
  metrics::ScrubFigures figures_;  // but for what is told of the moment
  bool is_open_ = false;
};

}  // namespace target
