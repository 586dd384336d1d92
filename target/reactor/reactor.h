// Reactor: one pinned thread that serves its connections and disks in turns, and sleeps in the
// kernel when nothing happens.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <boost/intrusive/list.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include "engine/foundation/clock.h"
#include "engine/foundation/result.h"
#include "engine/media/io_lane.h"
#include "target/reactor/command_run.h"
#include "target/reactor/latency_counters.h"
#include "target/reactor/poll_policy.h"
#include "target/reactor/timer_queue.h"

namespace boost::asio {
class io_context;
}

namespace target {

// Something to be run on a reactor's thread; see Reactor::post.
class Posted : public boost::intrusive::list_base_hook<> {
 public:
  Posted() = default;
  Posted(const Posted&) = delete;
  Posted& operator=(const Posted&) = delete;
  // Not queued any more when called: may be posted again, or destroyed, from inside.
  virtual void run() = 0;
  // Called instead when the reactor goes away first.
  virtual void abandon() {}

 protected:
  virtual ~Posted() = default;
};

// Something to be done once at the end of the running turn, after what it wrote was committed and
// what it started was submitted: sending what the turn produced. It may start disk operations: they
// are submitted behind the last task. Leaves the queue by itself when destroyed.
class TurnTask : public boost::intrusive::list_base_hook<
                     boost::intrusive::link_mode<boost::intrusive::auto_unlink>> {
 public:
  virtual void end_of_turn() = 0;

 protected:
  ~TurnTask() = default;
};

// Somebody who counts what ended in the running turn once it has: how long that took is known then.
// Leaves the list by itself when destroyed, on the thread of its reactor.
class TurnCounting {
 public:
  TurnCounting(const TurnCounting&) = delete;
  TurnCounting& operator=(const TurnCounting&) = delete;
  // Nobody may be added or destroyed from inside.
  virtual void count_turn(engine::Instant ended) = 0;

 protected:
  TurnCounting() = default;
  ~TurnCounting() {
    if (is_listed_) leave_list();
  }

 private:
  friend class Reactor;
  void leave_list();

  // A list of one direction, as most of what is in it stays until all of it goes.
  TurnCounting* next_ = nullptr;
  bool is_listed_ = false;
};

// Somebody who had work a moment ago and is asked directly for more instead of waiting for the
// kernel's notice. Leaves the list by itself when destroyed.
class Poller : public boost::intrusive::list_base_hook<
                   boost::intrusive::link_mode<boost::intrusive::auto_unlink>> {
 public:
  // Tries without waiting; true if there was something.
  virtual bool poll() = 0;
  // Not polled any more, because nothing came for a while: ask to be told (when_readable()).
  virtual void polling_ended() = 0;

 protected:
  ~Poller() = default;

 private:
  friend class Reactor;
  engine::Instant last_hit_{};
};

struct ReactorOptions {
  std::string name = "reactor";  // of the thread; the kernel shows 15 characters
  std::uint32_t number = 0;      // among the daemon's, from 0
  int cpu = -1;                  // the thread runs only there; -1: anywhere
  // Polls for at most so long after the last activity; 0 never.
  engine::Duration longest_poll = std::chrono::microseconds(100);
};

// Where the thread's time went since it started, and what it had at the end of a turn: of the last
// one before it slept, or of one that is not long ago.
struct ReactorUsage {
  std::uint64_t busy_ns = 0;     // turns that found work
  std::uint64_t polling_ns = 0;  // turns that did not
  std::uint64_t asleep_ns = 0;   // a sleep counts when it has ended
  std::uint64_t turns = 0;
  std::uint64_t sleeps = 0;
  std::uint64_t residents = 0;
  std::uint64_t timers = 0;           // armed
  std::uint64_t disk_operations = 0;  // under way
};

class Reactor {
 public:
  // Makes the lane; called on the reactor's thread. The error is one line that says what to change.
  using LaneFactory = std::function<engine::Result<std::unique_ptr<engine::IoLane>, std::string>()>;

  // `clock` must outlive the reactor.
  Reactor(ReactorOptions options, LaneFactory make_lane, const engine::Clock& clock);
  Reactor(const Reactor&) = delete;
  Reactor& operator=(const Reactor&) = delete;
  // Stopped, or never started.
  ~Reactor();

  // Starts the thread; returns when it serves, or why it cannot.
  [[nodiscard]] engine::Result<void, std::string> start();
  // Any thread but its own. Runs on until nothing is left to do (no resident, no disk operation, no
  // posted function), then ends the thread. False if that did not come within `patience`: the
  // thread has ended nevertheless, and the only safe way on is to end the process without
  // destructors (the kernel may still write to the buffers of disk operations).
  [[nodiscard]] bool stop(engine::Duration patience);

  // Without a thread of its own, for tests: the calling thread is the reactor's from attach() until
  // detach(), and turns are run by run_turn().
  [[nodiscard]] engine::Result<void, std::string> attach();
  void detach();
  // One turn without waiting; true if there was something to do.
  bool run_turn();

  // The reactor whose thread this is; nullptr elsewhere.
  [[nodiscard]] static Reactor* current();

  // Any thread. Runs `function` on the reactor's thread in a later turn; functions posted by one
  // thread run in order. What is still posted when the reactor is destroyed is destroyed unrun.
  template <class F>
  requires std::is_invocable_v<F&>
  void post(F&& function) {
    struct Owned final : Posted {
      explicit Owned(F&& f) : call(std::forward<F>(f)) {}
      void run() override {
        const std::unique_ptr<Owned> end_of_life(this);
        call();
      }
      void abandon() override { delete this; }
      std::decay_t<F> call;
    };
    enqueue(*new Owned(std::forward<F>(function)));  // owns itself until run or abandoned
  }
  // The same without an allocation: `posted` is borrowed until it is run, and not queued already.
  void post(Posted& posted) { enqueue(posted); }

  [[nodiscard]] const ReactorOptions& options() const { return options_; }
  [[nodiscard]] const engine::Clock& clock() const { return clock_; }
  // Any thread.
  [[nodiscard]] ReactorUsage usage() const;

  // The rest: reactor thread only.

  [[nodiscard]] engine::IoLane& lane() { return *lane_; }
  [[nodiscard]] TimerQueue& timers() { return timers_; }
  // Arms `timer` to expire after `delay` from now.
  void expire_after(Timer& timer, engine::Duration delay) {
    timers_.arm(timer, clock_.now() + delay);
  }
  // When this turn began, or what woke the reactor up for it. Cheap.
  [[nodiscard]] engine::Instant now() {
    if (woken_) refresh_now();
    return now_;
  }
  [[nodiscard]] boost::asio::io_context& context() { return *context_; }

  // Counts how long things took that end with this turn: what is answered is sent then. No clock is
  // read for it. `of` is this thread's to add to, and lives until the turn has ended.
  void count_at_turn_end(LatencyCounters& of, engine::Instant began, std::uint64_t times = 1) {
    if (endings_.size() == most_endings) count_endings(clock_.now());
    endings_.push_back({&of, began, times});
  }
  // Calls counting.count_turn() then; nothing if it is to be called already.
  void count_at_turn_end(TurnCounting& counting) {
    if (counting.is_listed_) return;
    counting.is_listed_ = true;
    counting.next_ = std::exchange(turn_counting_, &counting);
  }

  // Of the commands that began last.
  [[nodiscard]] const CommandRun& command_run() const { return command_run_; }
  // Those that begin from now on are counted there; `counter` lives until the turn has ended.
  void begin_run(const void* whose, BegunCounter& counter) {
    command_run_ = {.whose = whose,
                    .counter = &counter,
                    .began = std::max(now(), command_run_.began + engine::Duration(1))};
  }

  // Runs task.end_of_turn() once at the end of this turn; nothing if it is queued already.
  void at_turn_end(TurnTask& task);
  // Polls `poller` from now on, or tells it at once to wait if there are too many.
  void keep_polling(Poller& poller);
  void stop_polling(Poller& poller);

  // A resident keeps stop() waiting: each connection is one.
  void add_resident() { ++residents_; }
  void remove_resident() { --residents_; }

 private:
  friend class TurnCounting;
  struct Waits;  // what is asked of the io_context

  void enqueue(Posted& posted);
  [[nodiscard]] engine::Result<void, std::string> open();
  void close();
  void run();
  [[nodiscard]] bool turn();
  [[nodiscard]] bool run_posted();
  [[nodiscard]] bool run_pollers();
  [[nodiscard]] bool poll_context();
  void finish_turn();
  [[nodiscard]] bool must_turn_again() const { return !turn_tasks_.empty() || lane_->has_tasks(); }
  [[nodiscard]] bool may_poll_on();
  void sleep_until_work();
  void end_polling();
  void refresh_now();
  void count_endings(engine::Instant now);
  void count_turn(engine::Instant ended);
  void publish_usage();
  [[nodiscard]] bool drained();

  static constexpr std::size_t most_pollers = 16;
  static constexpr std::size_t most_handlers = 64;  // of the io_context in one turn
  static constexpr std::size_t most_endings = 256;  // that are counted together
  // usage() is told of so many turns at once, and before each sleep. A power of two.
  static constexpr std::uint64_t turns_told_together = 16;
  // The kernel's notices are looked at so often while pollers are polled.
  static constexpr engine::Duration context_interval = std::chrono::microseconds(20);
  // The core is offered to others so often while polling in vain ...
  static constexpr engine::Duration yield_interval = std::chrono::microseconds(10);
  // ... and if it comes back later than this, somebody wants it.
  static constexpr engine::Duration crowded_after = std::chrono::microseconds(15);

  const ReactorOptions options_;
  const LaneFactory make_lane_;
  const engine::Clock& clock_;
  std::unique_ptr<boost::asio::io_context> context_;
  std::unique_ptr<engine::IoLane> lane_;
  std::unique_ptr<Waits> waits_;
  std::thread thread_;

  TimerQueue timers_;
  boost::intrusive::list<TurnTask, boost::intrusive::constant_time_size<false>> turn_tasks_;
  boost::intrusive::list<Poller, boost::intrusive::constant_time_size<false>> pollers_;
  std::size_t residents_ = 0;
  bool activity_ = false;        // somebody had work in this turn
  bool polled_in_vain_ = false;  // since the last activity or sleep
  bool woken_ = false;  // by a handler that runs before the turn: now_ is of before the sleep
  engine::Instant now_{};
  engine::Instant last_activity_{};
  engine::Instant last_context_poll_{};
  engine::Instant last_yield_{};
  PollPolicy policy_;
  struct Ending {
    LatencyCounters* of;
    engine::Instant began;
    std::uint64_t times;
  };
  std::vector<Ending> endings_;            // of this turn
  TurnCounting* turn_counting_ = nullptr;  // the last one that was added
  CommandRun command_run_;
  // What has not been told yet of usage().
  std::uint64_t turns_run_ = 0;
  std::array<engine::Duration, 2> spent_{};  // polling, busy

  // Guards posted_ and sleeping_. Leaf.
  std::mutex posted_mutex_;
  boost::intrusive::list<Posted> posted_;
  bool sleeping_ = false;
  std::atomic<bool> has_posted_{false};
  std::atomic<bool> stopping_{false};
  engine::Instant stop_deadline_{};  // written before stopping_
  bool stopped_clean_ = false;

  // As usage() was told last.
  std::atomic<std::uint64_t> busy_ns_{0};
  std::atomic<std::uint64_t> polling_ns_{0};
  std::atomic<std::uint64_t> asleep_ns_{0};
  std::atomic<std::uint64_t> turns_{0};
  std::atomic<std::uint64_t> sleeps_{0};
  std::atomic<std::uint64_t> shown_residents_{0};
  std::atomic<std::uint64_t> shown_timers_{0};
  std::atomic<std::uint64_t> shown_disk_operations_{0};
};

}  // namespace target
