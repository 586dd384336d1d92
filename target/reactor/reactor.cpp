#include "target/reactor/reactor.h"

#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <future>
#include <optional>

#include "engine/foundation/check.h"

namespace target {

namespace asio = boost::asio;
using engine::Duration;
using engine::Instant;

namespace {

thread_local Reactor* current_reactor = nullptr;

std::uint64_t nanoseconds(Duration duration) {
  return duration.count() > 0 ? static_cast<std::uint64_t>(duration.count()) : 0;
}

}  // namespace

// What the sleeping thread waits for beside its sockets: the lane and the next timer.
struct Reactor::Waits {
  explicit Waits(asio::io_context& context)
      : work(context.get_executor()), lane_wake(context), timer(context) {}

  void watch_lane(engine::IoLane& lane) {
    if (lane_watched || !lane_wake.is_open()) return;
    lane_watched = true;
    lane_wake.async_wait(asio::posix::stream_descriptor::wait_read,
                         [this, &lane](const boost::system::error_code& error) {
                           if (error == asio::error::operation_aborted) return;
                           lane_watched = false;
                           lane.clear_wake();
                         });
  }

  // Earlier than asked for is harmless, so a timer that is armed already often serves.
  void watch_deadline(Instant deadline, Instant now) {
    if (armed_deadline && *armed_deadline <= deadline && *armed_deadline > now) return;
    armed_deadline = deadline;
    timer.expires_after(std::max(deadline - now, Duration(1)));
    timer.async_wait([this](const boost::system::error_code& error) {
      if (error != asio::error::operation_aborted) armed_deadline.reset();
    });
  }

  asio::executor_work_guard<asio::io_context::executor_type> work;
  asio::posix::stream_descriptor lane_wake;
  bool lane_watched = false;
  asio::steady_timer timer;
  std::optional<Instant> armed_deadline;
};

Reactor::Reactor(ReactorOptions options, LaneFactory make_lane, const engine::Clock& clock)
    : options_(std::move(options)),
      make_lane_(std::move(make_lane)),
      clock_(clock),
      context_(std::make_unique<asio::io_context>(1)),
      policy_(options_.longest_poll) {
  endings_.reserve(most_endings);
}

Reactor::~Reactor() {
  CHECK(!thread_.joinable());
  posted_.clear_and_dispose([](Posted* posted) { posted->abandon(); });
}

Reactor* Reactor::current() { return current_reactor; }

void TurnCounting::leave_list() {
  if (current_reactor == nullptr) return;
  TurnCounting** link = &current_reactor->turn_counting_;
  while (*link != nullptr && *link != this) link = &(*link)->next_;
  if (*link != nullptr) *link = next_;
}

engine::Result<void, std::string> Reactor::open() {
  CHECK(current_reactor == nullptr);
  auto lane = make_lane_();
  if (!lane) return lane.error();
  lane_ = std::move(lane.value());
  lane_->follow(clock_);
  waits_ = std::make_unique<Waits>(*context_);
  if (const int descriptor = lane_->wake_descriptor(); descriptor >= 0) {
    const int duplicate = ::dup(descriptor);  // asio closes what it is given
    if (duplicate < 0) return std::string("cannot watch disk completions: out of file descriptors");
    waits_->lane_wake.assign(duplicate);
  }
  current_reactor = this;
  now_ = last_activity_ = last_context_poll_ = last_yield_ = clock_.now();
  return engine::success();
}

void Reactor::close() {
  waits_.reset();
  // Of what ended behind the last turn nothing is told.
  while (turn_counting_ != nullptr) {
    std::exchange(turn_counting_, turn_counting_->next_)->is_listed_ = false;
  }
  if (lane_->in_flight() == 0) {
    lane_.reset();
  } else {
    // The kernel still has operations of it: nothing of the lane may be freed any more.
    (void)lane_.release();
  }
  current_reactor = nullptr;
}

engine::Result<void, std::string> Reactor::start() {
  std::promise<engine::Result<void, std::string>> opened;
  auto answer = opened.get_future();
  thread_ = std::thread([this, &opened] {
    pthread_setname_np(pthread_self(), options_.name.substr(0, 15).c_str());
    if (options_.cpu >= 0) {
      cpu_set_t cpus;
      CPU_ZERO(&cpus);
      CPU_SET(static_cast<unsigned>(options_.cpu), &cpus);
      if (pthread_setaffinity_np(pthread_self(), sizeof(cpus), &cpus) != 0) {
        opened.set_value("cannot run a reactor on cpu " + std::to_string(options_.cpu) +
                         ": correct `reactors: cpus`");
        return;
      }
    }
    auto result = open();
    const bool serves = result.has_value();
    opened.set_value(std::move(result));
    if (!serves) return;
    run();
    close();
  });
  auto result = answer.get();
  if (!result) thread_.join();
  return result;
}

bool Reactor::stop(Duration patience) {
  if (!thread_.joinable()) return true;
  stop_deadline_ = clock_.now() + patience;
  stopping_.store(true, std::memory_order_release);
  post([] {});  // wakes it
  thread_.join();
  return stopped_clean_;
}

engine::Result<void, std::string> Reactor::attach() { return open(); }

void Reactor::detach() {
  end_polling();
  close();
}

void Reactor::enqueue(Posted& posted) {
  bool wake = false;
  {
    const std::lock_guard lock(posted_mutex_);
    posted_.push_back(posted);
    has_posted_.store(true, std::memory_order_release);
    wake = std::exchange(sleeping_, false);
  }
  if (wake) asio::post(*context_, [] {});
}

bool Reactor::run_posted() {
  if (!has_posted_.load(std::memory_order_acquire)) return false;
  boost::intrusive::list<Posted> batch;
  {
    const std::lock_guard lock(posted_mutex_);
    batch.swap(posted_);
    has_posted_.store(false, std::memory_order_relaxed);
  }
  while (!batch.empty()) {
    Posted& posted = batch.front();
    batch.pop_front();
    posted.run();
  }
  return true;
}

void Reactor::at_turn_end(TurnTask& task) {
  if (!task.is_linked()) turn_tasks_.push_back(task);
}

void Reactor::keep_polling(Poller& poller) {
  activity_ = true;
  poller.last_hit_ = now();
  if (poller.is_linked()) return;
  if (pollers_.size() >= most_pollers) {
    poller.polling_ended();
  } else {
    pollers_.push_back(poller);
  }
}

void Reactor::stop_polling(Poller& poller) {
  if (poller.is_linked()) poller.unlink();
}

bool Reactor::run_pollers() {
  bool found = false;
  // Every poller once: those that are added meanwhile come to the back, and a poller may leave.
  for (std::size_t rest = pollers_.size(); rest != 0 && !pollers_.empty(); --rest) {
    Poller& poller = pollers_.front();
    pollers_.splice(pollers_.end(), pollers_, pollers_.begin());
    if (poller.poll()) {
      found = true;
    } else if (poller.is_linked() && now_ - poller.last_hit_ > options_.longest_poll) {
      poller.unlink();
      poller.polling_ended();
    }
  }
  return found;
}

bool Reactor::poll_context() {
  if (!pollers_.empty() && now_ - last_context_poll_ < context_interval) return false;
  last_context_poll_ = now_;
  // Handlers may make others ready at once: without a bound the turn might never come to its end.
  std::size_t handled = 0;
  while (handled < most_handlers && context_->poll_one() != 0) ++handled;
  return handled != 0;
}

// In this order:
//  1. The lane: the engine's group commit of what the turn wrote, then one submission of what the
//     turn started. First, so that the disks begin early and committed writes are answered below.
//  2. The turn's tasks: what it produced is sent; who waited for room or for buffers goes on.
//  3. Waiters for the buffers that sending has given back.
//  4. The lane again, for whatever 2 and 3 have started: nothing stays behind while the thread
//     sleeps. Answers that its commit gives are sent in another turn, which follows at once.
void Reactor::finish_turn() {
  lane_->finish_turn();
  // Only those that are queued now: a task that queues itself again waits for the next turn.
  decltype(turn_tasks_) tasks;
  tasks.swap(turn_tasks_);
  while (!tasks.empty()) {
    TurnTask& task = tasks.front();
    tasks.pop_front();
    task.end_of_turn();
  }
  if (lane_->buffers().has_waiters()) lane_->buffers().wake_waiters();
  lane_->finish_turn();
}

bool Reactor::run_turn() {
  now_ = clock_.now();
  const bool active = turn();
  publish_usage();
  count_turn(clock_.now());
  return active;
}

// Began at now_.
bool Reactor::turn() {
  lane_->set_now(now_);
  activity_ = run_posted();
  timers_.expire(now_);
  if (run_pollers()) activity_ = true;
  (void)poll_context();  // whoever has work says so by keep_polling()
  if (lane_->reap() != 0) activity_ = true;
  finish_turn();
  return activity_ || must_turn_again();
}

void Reactor::count_endings(Instant now) {
  for (const Ending& each : endings_) each.of->add(now - each.began, each.times);
  endings_.clear();
}

// A handler that wakes the reactor up may begin commands before the next turn, which are of that.
void Reactor::count_turn(Instant ended) {
  command_run_.whose = nullptr;
  if (!endings_.empty()) count_endings(ended);
  while (TurnCounting* const counting = turn_counting_) {
    turn_counting_ = counting->next_;
    counting->is_listed_ = false;
    counting->count_turn(ended);
  }
}

void Reactor::publish_usage() {
  turns_.store(turns_run_, std::memory_order_relaxed);
  polling_ns_.store(nanoseconds(spent_[0]), std::memory_order_relaxed);
  busy_ns_.store(nanoseconds(spent_[1]), std::memory_order_relaxed);
  shown_residents_.store(residents_, std::memory_order_relaxed);
  shown_timers_.store(timers_.size(), std::memory_order_relaxed);
  shown_disk_operations_.store(lane_->in_flight(), std::memory_order_relaxed);
}

bool Reactor::drained() {
  if (residents_ != 0 || lane_->in_flight() != 0 || must_turn_again()) return false;
  if (!lane_->guests_are_quiet()) return false;
  return !has_posted_.load(std::memory_order_acquire);
}

void Reactor::run() {
  now_ = clock_.now();
  for (;;) {
    const bool active = turn();
    // The clock is read once a turn: where one ends the next begins, unless it sleeps.
    const Instant end = clock_.now();
    count_turn(end);
    spent_[active ? 1 : 0] += end - now_;
    now_ = end;
    if (++turns_run_ % turns_told_together == 0) publish_usage();
    if (stopping_.load(std::memory_order_acquire)) {
      stopped_clean_ = drained();
      if (stopped_clean_ || end >= stop_deadline_) break;
    }
    if (active) {
      if (std::exchange(polled_in_vain_, false)) policy_.found();
      last_activity_ = end;
    } else if (!may_poll_on()) {
      sleep_until_work();
    }
  }
  publish_usage();
  end_polling();
}

// After a turn without work, which ended at now_: true if another one should follow at once.
bool Reactor::may_poll_on() {
  polled_in_vain_ = true;
  if (now_ - last_activity_ >= policy_.budget()) {
    if (policy_.budget() != Duration{}) policy_.gave_up();
    return false;
  }
  if (now_ - std::max(last_activity_, last_yield_) < yield_interval) return true;
  const Instant before = clock_.now();
  sched_yield();
  now_ = last_yield_ = clock_.now();
  if (last_yield_ - before < crowded_after) return true;
  policy_.crowded();
  return false;
}

void Reactor::end_polling() {
  while (!pollers_.empty()) {
    Poller& poller = pollers_.front();
    pollers_.pop_front();
    poller.polling_ended();
  }
}

void Reactor::refresh_now() {
  woken_ = false;
  now_ = clock_.now();
  lane_->set_now(now_);
}

void Reactor::sleep_until_work() {
  polled_in_vain_ = false;
  end_polling();
  if (must_turn_again()) return;  // asking to be told may itself have found something
  waits_->watch_lane(*lane_);
  const Instant before = clock_.now();
  now_ = before;
  std::optional<Instant> deadline = timers_.next_deadline();
  if (stopping_.load(std::memory_order_acquire)) {
    deadline = deadline ? std::min(*deadline, stop_deadline_) : stop_deadline_;
  }
  if (deadline && *deadline <= before) return;
  if (deadline) waits_->watch_deadline(*deadline, before);
  {
    const std::lock_guard lock(posted_mutex_);
    if (!posted_.empty()) return;
    sleeping_ = true;
  }
  activity_ = false;
  publish_usage();
  add_owned(sleeps_, 1);
  woken_ = true;
  context_->run_one();
  woken_ = false;
  {
    const std::lock_guard lock(posted_mutex_);
    sleeping_ = false;
  }
  const Instant after = clock_.now();
  now_ = after;
  add_owned(asleep_ns_, nanoseconds(after - before));
  if (activity_) {
    policy_.slept(after - before);
    last_activity_ = after;
  }
}

ReactorUsage Reactor::usage() const {
  return {.busy_ns = busy_ns_.load(std::memory_order_relaxed),
          .polling_ns = polling_ns_.load(std::memory_order_relaxed),
          .asleep_ns = asleep_ns_.load(std::memory_order_relaxed),
          .turns = turns_.load(std::memory_order_relaxed),
          .sleeps = sleeps_.load(std::memory_order_relaxed),
          .residents = shown_residents_.load(std::memory_order_relaxed),
          .timers = shown_timers_.load(std::memory_order_relaxed),
          .disk_operations = shown_disk_operations_.load(std::memory_order_relaxed)};
}

}  // namespace target
