#include "target/reactor/reactor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <future>
#include <memory>
#include <thread>
#include <vector>

#include "engine/foundation/check.h"
#include "tests/sim/sim_clock.h"
#include "tests/target/nvmf/memory_lane.h"

namespace target {
namespace {

using nvmf::MemoryLane;
using testing::ElementsAre;
using namespace std::chrono_literals;

class ReactorTest : public testing::Test {
 protected:
  Reactor::LaneFactory lane() {
    return [this]() -> engine::Result<std::unique_ptr<engine::IoLane>, std::string> {
      return std::unique_ptr<engine::IoLane>(std::make_unique<MemoryLane>(budget));
    };
  }
  engine::MemoryBudget budget{engine::ByteCount{1U << 20}};
  engine::SystemClock clock;
};

TEST_F(ReactorTest, RunsPostedFunctionsInOrderOnItsOwnThread) {
  Reactor reactor({.name = "reactor 7"}, lane(), clock);
  ASSERT_TRUE(reactor.start());
  std::vector<int> order;
  std::promise<std::string> done;
  for (int i = 0; i < 100; ++i) reactor.post([&order, i] { order.push_back(i); });
  reactor.post([&] {
    EXPECT_EQ(Reactor::current(), &reactor);
    char name[16];
    pthread_getname_np(pthread_self(), name, sizeof(name));
    done.set_value(name);
  });
  EXPECT_EQ(done.get_future().get(), "reactor 7");
  EXPECT_EQ(order.size(), 100U);
  EXPECT_TRUE(std::ranges::is_sorted(order));
  EXPECT_EQ(Reactor::current(), nullptr);
  EXPECT_TRUE(reactor.stop(10s));
}

TEST_F(ReactorTest, WakesUpFromSleepForEveryPost) {
  Reactor reactor({}, lane(), clock);
  ASSERT_TRUE(reactor.start());
  for (int i = 0; i < 200; ++i) {
    std::promise<void> done;
    reactor.post([&] { done.set_value(); });
    ASSERT_EQ(done.get_future().wait_for(30s), std::future_status::ready);
    if (i % 10 == 0) {
      while (reactor.usage().sleeps <= static_cast<std::uint64_t>(i / 10))
        std::this_thread::yield();
    }
  }
  EXPECT_TRUE(reactor.stop(10s));
}

TEST_F(ReactorTest, PostsOfManyThreadsAllArrive) {
  Reactor reactor({}, lane(), clock);
  ASSERT_TRUE(reactor.start());
  int sum = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 2000; ++i) reactor.post([&sum] { ++sum; });
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_TRUE(reactor.stop(30s));  // runs what was posted first
  EXPECT_EQ(sum, 8000);
}

TEST_F(ReactorTest, IdleReactorSleepsInTheKernel) {
  Reactor reactor({}, lane(), clock);
  ASSERT_TRUE(reactor.start());
  while (reactor.usage().sleeps == 0) std::this_thread::yield();
  const ReactorUsage before = reactor.usage();
  // A second's worth of nothing, told by a timer of its own.
  std::promise<void> over;
  Timer second([&] { over.set_value(); });
  reactor.post([&] { reactor.expire_after(second, 1s); });
  over.get_future().wait();
  EXPECT_TRUE(reactor.stop(10s));
  const ReactorUsage after = reactor.usage();
  EXPECT_GE(after.asleep_ns - before.asleep_ns, 900'000'000U);
  EXPECT_LE(after.turns - before.turns, 10'000U);
  EXPECT_LE(after.sleeps - before.sleeps, 50U);
}

TEST_F(ReactorTest, TimersExpireInASleepingReactor) {
  Reactor reactor({}, lane(), clock);
  ASSERT_TRUE(reactor.start());
  std::vector<int> order;
  std::promise<void> over;
  Timer late([&] {
    order.push_back(2);
    over.set_value();
  });
  Timer early([&] { order.push_back(1); });
  reactor.post([&] {
    reactor.expire_after(late, 40ms);
    reactor.expire_after(early, 20ms);
  });
  over.get_future().wait();
  EXPECT_THAT(order, ElementsAre(1, 2));
  EXPECT_TRUE(reactor.stop(10s));
}

TEST_F(ReactorTest, ShowsWhatItHasExactly) {
  Reactor reactor({}, lane(), clock);
  ASSERT_TRUE(reactor.attach());
  Timer timer([] {});
  Timer other([] {});
  reactor.expire_after(timer, 1h);
  reactor.expire_after(other, 1h);
  reactor.add_resident();
  reactor.run_turn();
  EXPECT_EQ(reactor.usage().timers, 2U);
  EXPECT_EQ(reactor.usage().residents, 1U);
  other.disarm();
  reactor.remove_resident();
  reactor.run_turn();
  EXPECT_EQ(reactor.usage().timers, 1U);
  EXPECT_EQ(reactor.usage().residents, 0U);
  timer.disarm();
  reactor.detach();
}

TEST_F(ReactorTest, StopWaitsForResidentsAndGivesUpInTime) {
  Reactor patient({}, lane(), clock);
  ASSERT_TRUE(patient.start());
  Timer leaves([&] { patient.remove_resident(); });
  patient.post([&] {
    patient.add_resident();
    patient.expire_after(leaves, 50ms);
  });
  EXPECT_TRUE(patient.stop(60s));

  Reactor stuck({}, lane(), clock);
  ASSERT_TRUE(stuck.start());
  stuck.post([&] { stuck.add_resident(); });
  EXPECT_FALSE(stuck.stop(50ms));
}

// Something of the engine that goes on behind answered requests.
class BusyGuest final : public engine::LaneGuest {
 public:
  explicit BusyGuest(const std::atomic<bool>& busy) : busy_(busy) {}
  [[nodiscard]] bool is_quiet() const override { return !busy_; }

 private:
  const std::atomic<bool>& busy_;
};

TEST_F(ReactorTest, StopWaitsForTheLanesGuests) {
  std::atomic<bool> busy{true};
  Reactor reactor({}, lane(), clock);
  ASSERT_TRUE(reactor.start());
  reactor.post([&] { reactor.lane().keep_guest(this, std::make_unique<BusyGuest>(busy)); });
  std::jthread ends([&] {
    std::this_thread::sleep_for(50ms);
    busy = false;
    reactor.post([] {});
  });
  EXPECT_TRUE(reactor.stop(60s));
  EXPECT_FALSE(busy);

  busy = true;
  Reactor stuck({}, lane(), clock);
  ASSERT_TRUE(stuck.start());
  stuck.post([&] { stuck.lane().keep_guest(this, std::make_unique<BusyGuest>(busy)); });
  EXPECT_FALSE(stuck.stop(50ms));
}

TEST_F(ReactorTest, LaneThatCannotBeMadeIsAnErrorOfStart) {
  Reactor reactor(
      {},
      []() -> engine::Result<std::unique_ptr<engine::IoLane>, std::string> {
        return std::string("io_uring is forbidden");
      },
      clock);
  const auto started = reactor.start();
  ASSERT_FALSE(started);
  EXPECT_EQ(started.error(), "io_uring is forbidden");
}

TEST_F(ReactorTest, CpuThatDoesNotExistIsAnErrorOfStart) {
  Reactor reactor({.cpu = 1023}, lane(), clock);
  const auto started = reactor.start();
  ASSERT_FALSE(started);
  EXPECT_THAT(started.error(), testing::HasSubstr("cpu 1023"));
}

// A lane whose completions come from another thread while the reactor sleeps.
class WakingLane final : public engine::IoLane {
 public:
  explicit WakingLane(engine::MemoryBudget& budget)
      : event_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)), buffers_(budget) {}
  ~WakingLane() override { ::close(event_); }
  void start(engine::FileOperation& operation) override {
    waiting_ = &operation;
    in_flight_ = 1;
  }
  void submit() override {}
  std::size_t reap() override {
    if (!complete.exchange(false)) return 0;
    in_flight_ = 0;
    waiting_->done(*waiting_, 512);
    return 1;
  }
  void post(engine::FileOperation&) override {}
  [[nodiscard]] std::size_t in_flight() const override { return in_flight_; }
  [[nodiscard]] int wake_descriptor() const override { return event_; }
  void clear_wake() override {
    std::uint64_t count = 0;
    (void)!::read(event_, &count, sizeof(count));
  }
  [[nodiscard]] engine::BufferPool& buffers() override { return buffers_; }

  void finish_from_elsewhere() {
    complete = true;
    const std::uint64_t one = 1;
    CHECK(::write(event_, &one, sizeof(one)) == sizeof(one));
  }

 private:
  std::atomic<bool> complete{false};
  const int event_;
  engine::BufferPool buffers_;
  engine::FileOperation* waiting_ = nullptr;
  std::size_t in_flight_ = 0;
};

TEST_F(ReactorTest, DiskCompletionWakesASleepingReactor) {
  WakingLane* made = nullptr;
  Reactor reactor(
      {},
      [&]() -> engine::Result<std::unique_ptr<engine::IoLane>, std::string> {
        auto result = std::make_unique<WakingLane>(budget);
        made = result.get();
        return std::unique_ptr<engine::IoLane>(std::move(result));
      },
      clock);
  ASSERT_TRUE(reactor.start());
  for (int i = 0; i < 20; ++i) {
    engine::FileOperation operation;
    std::promise<int> done;
    operation.context = &done;
    operation.done = [](engine::FileOperation& ended, int result) noexcept {
      static_cast<std::promise<int>*>(ended.context)->set_value(result);
    };
    std::promise<void> started;
    const std::uint64_t sleeps = reactor.usage().sleeps;
    reactor.post([&] {
      made->start(operation);
      started.set_value();
    });
    started.get_future().wait();
    while (reactor.usage().sleeps == sleeps && i % 2 == 0 && sleeps == 0) std::this_thread::yield();
    made->finish_from_elsewhere();
    ASSERT_EQ(done.get_future().get(), 512);
  }
  EXPECT_TRUE(reactor.stop(10s));
}

// A reactor whose turns the test runs.
class ReactorTurns : public ReactorTest {
 protected:
  ReactorTurns() : reactor({}, lane(), sim_clock) { CHECK(reactor.attach()); }
  ~ReactorTurns() override { reactor.detach(); }
  SimClock sim_clock;
  Reactor reactor;
};

struct CountingPoller : Poller {
  bool poll() override {
    ++polls;
    return work;
  }
  void polling_ended() override { ++ended; }
  bool work = false;
  int polls = 0;
  int ended = 0;
};

TEST_F(ReactorTurns, PollerIsPolledWhileItHasWorkAndThenToldToWait) {
  CountingPoller poller;
  reactor.keep_polling(poller);
  poller.work = true;
  for (int i = 0; i < 10; ++i) {
    sim_clock.advance(1ms);
    if (poller.work) reactor.keep_polling(poller);
    EXPECT_TRUE(reactor.run_turn());
  }
  EXPECT_EQ(poller.ended, 0);
  poller.work = false;
  sim_clock.advance(1ms);
  EXPECT_FALSE(reactor.run_turn());
  EXPECT_EQ(poller.ended, 1);
  const int polls = poller.polls;
  reactor.run_turn();
  EXPECT_EQ(poller.polls, polls);
}

TEST_F(ReactorTurns, ManyPollersDoNotSlowEachOtherDown) {
  std::vector<CountingPoller> pollers(40);
  for (auto& poller : pollers) reactor.keep_polling(poller);
  int waiting = 0;
  for (auto& poller : pollers) waiting += poller.ended;
  EXPECT_EQ(waiting, 24);
  reactor.run_turn();
}

struct Task : TurnTask {
  void end_of_turn() override {
    ++runs;
    if (again != nullptr) again->at_turn_end(*this);
  }
  int runs = 0;
  Reactor* again = nullptr;
};

TEST_F(ReactorTurns, TaskRunsOnceInTheTurnItIsScheduledFor) {
  Task task;
  reactor.at_turn_end(task);
  reactor.at_turn_end(task);
  reactor.run_turn();
  reactor.run_turn();
  EXPECT_EQ(task.runs, 1);
  task.again = &reactor;
  reactor.at_turn_end(task);
  EXPECT_TRUE(reactor.run_turn());  // queued again: the reactor must not sleep
  EXPECT_EQ(task.runs, 2);
}

// A lane that tells what it was handed over, and when.
class RecordingLane final : public engine::IoLane {
 public:
  RecordingLane(engine::MemoryBudget& budget, std::vector<std::string>& events)
      : events_(events), buffers_(budget) {}
  void start(engine::FileOperation&) override { ++queued; }
  void submit() override {
    if (queued != 0) events_.push_back("submit " + std::to_string(std::exchange(queued, 0)));
  }
  std::size_t reap() override { return 0; }
  void post(engine::FileOperation&) override {}
  [[nodiscard]] std::size_t in_flight() const override { return 0; }
  [[nodiscard]] int wake_descriptor() const override { return -1; }
  void clear_wake() override {}
  [[nodiscard]] engine::BufferPool& buffers() override { return buffers_; }

  int queued = 0;

 private:
  std::vector<std::string>& events_;
  engine::BufferPool buffers_;
};

struct Doing : TurnTask {
  explicit Doing(std::function<void()> what) : call(std::move(what)) {}
  void end_of_turn() override { call(); }
  std::function<void()> call;
};

struct Committing : engine::LaneTask {
  explicit Committing(std::function<void()> what) : call(std::move(what)) {}
  void end_of_turn() override { call(); }
  std::function<void()> call;
};

class ReactorTurnEnd : public ReactorTest {
 protected:
  ReactorTurnEnd() : reactor({}, recording_lane(), sim_clock) { CHECK(reactor.attach()); }
  ~ReactorTurnEnd() override { reactor.detach(); }
  Reactor::LaneFactory recording_lane() {
    return [this]() -> engine::Result<std::unique_ptr<engine::IoLane>, std::string> {
      return std::unique_ptr<engine::IoLane>(std::make_unique<RecordingLane>(budget, events));
    };
  }
  std::vector<std::string> events;
  engine::FileOperation operation;
  SimClock sim_clock;
  Reactor reactor;
};

// It might lie in the lane for as long as the reactor sleeps.
TEST_F(ReactorTurnEnd, OperationStartedByATaskIsSubmittedInTheSameTurn) {
  Doing task([&] { reactor.lane().start(operation); });
  reactor.at_turn_end(task);
  EXPECT_FALSE(reactor.run_turn());
  EXPECT_THAT(events, ElementsAre("submit 1"));
}

TEST_F(ReactorTurnEnd, CommitsThenSubmitsThenRunsTasksThenCommitsAndSubmitsTheirs) {
  Committing commit([&] {
    events.push_back("commit");
    reactor.lane().start(operation);
  });
  Doing send([&] {
    events.push_back("send");
    reactor.lane().at_turn_end(commit);
    reactor.lane().start(operation);
  });
  reactor.lane().at_turn_end(commit);
  reactor.lane().at_turn_end(commit);  // once
  reactor.at_turn_end(send);
  reactor.run_turn();
  EXPECT_THAT(events, ElementsAre("commit", "submit 1", "send", "commit", "submit 2"));
}

TEST_F(ReactorTurnEnd, CommitThatQueuesItselfKeepsTheReactorAwake) {
  int left = 5;
  Committing commit([&] {});
  commit.call = [&] {
    if (--left != 0) reactor.lane().at_turn_end(commit);
  };
  reactor.lane().at_turn_end(commit);
  EXPECT_TRUE(reactor.run_turn());
  EXPECT_EQ(left, 3) << "not for ever in one turn";
  EXPECT_TRUE(reactor.run_turn());
  EXPECT_FALSE(reactor.run_turn());
  EXPECT_EQ(left, 0);
}

TEST_F(ReactorTurns, UnrunPostsAreDestroyedWithTheReactor) {
  auto alive = std::make_shared<int>(0);
  {
    SimClock own_clock;
    Reactor never({}, lane(), own_clock);
    never.post([alive] {});
    EXPECT_EQ(alive.use_count(), 2);
  }
  EXPECT_EQ(alive.use_count(), 1);
}

TEST_F(ReactorTurns, BorrowedPostMayBePostedAgainFromInside) {
  struct Again : Posted {
    void run() override {
      if (++runs < 3) home->post(*this);
    }
    int runs = 0;
    Reactor* home = nullptr;
  } again;
  again.home = &reactor;
  reactor.post(again);
  while (reactor.run_turn()) {
  }
  EXPECT_EQ(again.runs, 3);
}

}  // namespace
}  // namespace target
