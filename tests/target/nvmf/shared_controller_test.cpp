// One controller, its queues on several threads, and a configuration that changes meanwhile.
// Chiefly for the thread sanitizer; what it checks besides is that every command is answered and
// everything ends.
#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <latch>
#include <thread>

#include "tests/target/nvmf/target_harness.h"

namespace target::nvmf {
namespace {

// A reactor with a thread of its own.
class ThreadedReactor {
 public:
  // The harness has 0.
  ThreadedReactor(const engine::Clock& clock, std::uint32_t number)
      : reactor_(
            {.number = number},
            [this]() -> engine::Result<std::unique_ptr<engine::IoLane>, std::string> {
              return std::unique_ptr<engine::IoLane>(std::make_unique<MemoryLane>(budget_));
            },
            clock) {
    CHECK(reactor_.start());
  }
  ~ThreadedReactor() { CHECK(reactor_.stop(std::chrono::seconds(60))); }
  // Runs `function` there and waits for it.
  template <class F>
  auto run(F function) {
    std::packaged_task<decltype(function())()> task(std::move(function));
    auto done = task.get_future();
    reactor_.post(std::move(task));
    return done.get();
  }
  [[nodiscard]] Reactor& get() { return reactor_; }

 private:
  engine::MemoryBudget budget_{engine::ByteCount{16U << 20}};
  Reactor reactor_;
};

nvme::SubmissionEntry flush_of(std::uint32_t nsid) {
  auto entry = entry_of(std::uint8_t{0x00});
  entry.nsid = nsid;
  return entry;
}

class SharedControllerTest : public TargetHarness {};

TEST_F(SharedControllerTest, QueuesOnOtherThreadsWhileTheConfigurationChanges) {
  constexpr int queue_count = 3;
  SettableVolume added("added", uuid_of(3), 4096, 64);
  block::BlockVolume block(added, most_reactors);  // outlives every controller
  std::vector<std::unique_ptr<ThreadedReactor>> reactors;
  for (std::uint32_t i = 0; i < queue_count; ++i) {
    reactors.push_back(std::make_unique<ThreadedReactor>(clock, i + 1));
  }

  auto made = admin({.keep_alive_ms = 0});
  made->must(set_feature(nvme::FeatureId::async_event_configuration, 0x900));
  std::vector<std::unique_ptr<Link>> queues(queue_count);
  for (std::size_t i = 0; i < queue_count; ++i) {
    reactors[i]->run([&, i] {
      queues[i] = std::make_unique<Link>(target, reactors[i]->get());
      EXPECT_EQ(
          queues[i]->connect({.qid = static_cast<std::uint16_t>(i + 1), .cntlid = cntlid}).status,
          status::success);
    });
  }

  std::atomic<bool> stop{false};
  std::latch all_at_work(queue_count);
  std::vector<std::thread> feeders;
  for (std::size_t i = 0; i < queue_count; ++i) {
    feeders.emplace_back([&, i] {
      const auto flush_all = [&] {
        for (const std::uint32_t nsid : {1U, 2U, 3U}) {
          EXPECT_NE(queues[i]->run(flush_of(nsid)), nullptr);
        }
        queues[i]->port.answers.clear();
      };
      reactors[i]->run(flush_all);
      all_at_work.count_down();
      while (!stop) reactors[i]->run(flush_all);
    });
  }
  all_at_work.wait();
  std::thread configuration([&] {
    for (int round = 0; round < 200; ++round) {
      EXPECT_TRUE(target.add_namespace(subsystem_a, {.nsid = 3, .volume = &block, .hosts = {}}));
      large.now_state = engine::VolumeState::late;
      target.refresh_volumes();
      EXPECT_EQ(target.status().controllers.size(), 1U);
      large.now_state = engine::VolumeState::online;
      target.refresh_volumes();
      EXPECT_TRUE(target.remove_namespace(subsystem_a, 3));
    }
  });
  for (int round = 0; round < 200; ++round) {
    made->run(entry_of(nvme::AdminOpcode::async_event_request));
    made->must(log_entry(0x0c, 256));
    made->must(log_entry(0x04, 4096));
    made->must(log_entry(0x02, 512));
    auto abort = entry_of(nvme::AdminOpcode::abort);
    abort.cdw10 = static_cast<std::uint32_t>(1 + round % queue_count);
    made->run(abort);
    reactor.run_until_idle();
  }
  configuration.join();
  stop = true;
  for (auto& feeder : feeders) feeder.join();

  made->close();
  for (std::size_t i = 0; i < queue_count; ++i) {
    reactors[i]->run([&, i] {
      EXPECT_EQ(queues[i]->port.ended, EndReason::connection_lost);
      queues[i].reset();
    });
  }
  reactor.run_until_idle();
  EXPECT_TRUE(target.status().controllers.empty());
}

// What a host knows in the end is what there is, however changes and its reads fall together: the
// page that clears an event must not be older than the event.
TEST_F(SharedControllerTest, NoChangeIsLostBetweenAPageAndItsEvent) {
  auto made = admin({.keep_alive_ms = 0});
  made->must(set_feature(nvme::FeatureId::async_event_configuration, 0x900));
  const auto ana_count = [](const FakePort::Answer& answer) {
    std::uint64_t count = 0;
    std::memcpy(&count, answer.data.data(), sizeof(count));
    return count;
  };
  for (int round = 0; round < 300; ++round) {
    std::thread configuration([&] {
      for (int change = 0; change < 6; ++change) {
        large.now_state = change % 2 == 0 ? engine::VolumeState::late : engine::VolumeState::online;
        small.set_blocks(small.size().value + 8);
        target.refresh_volumes();
      }
    });
    // The host: an event, its page, the next request.
    std::uint64_t seen_changes = 0;
    bool seen_growth = false;
    std::atomic<bool> done{false};
    std::thread waiter([&] {
      configuration.join();
      done = true;
    });
    bool last_look = false;
    while (true) {
      last_look = done;
      made->run(entry_of(nvme::AdminOpcode::async_event_request));
      const auto request = made->last_command();
      reactor.run_until_idle();
      const auto* answer = made->port.answer_to(request);
      if (answer == nullptr) {
        auto abort = entry_of(nvme::AdminOpcode::abort);
        abort.cdw10 = std::uint32_t{request} << 16;
        made->run(abort);
        if (last_look) break;
        continue;
      }
      const auto lid = static_cast<std::uint8_t>(answer->result >> 16);
      const auto page = made->must(log_entry(lid, lid == 0x0c ? 16 : 4096));
      if (lid == 0x0c) seen_changes = ana_count(page);
      if (lid == 0x04) seen_growth |= page.data.at(0) != std::byte{0};
      made->port.answers.clear();
    }
    waiter.join();
    const auto now = made->must(log_entry(0x0c, 16, 0, /*retain=*/true));
    ASSERT_EQ(seen_changes, ana_count(now)) << "round " << round;
    const auto left = made->must(log_entry(0x04, 4096, 0, /*retain=*/true));
    ASSERT_EQ(static_cast<int>(left.data.at(0)), 0)
        << "a change without its event, round " << round;
    EXPECT_TRUE(seen_growth);
    made->port.answers.clear();
  }
}

TEST_F(SharedControllerTest, QueuesComeAndGoWhileTheControllerIsReset) {
  ThreadedReactor other_reactor(clock, 1);
  auto made = admin({.keep_alive_ms = 0});
  std::atomic<bool> stop{false};
  std::thread host([&] {
    while (!stop) {
      other_reactor.run([&] {
        Link queue(target, other_reactor.get());
        const auto answer = queue.connect({.qid = 1, .cntlid = cntlid});
        if (answer.status.is_success()) (void)queue.run(flush_of(1));
        queue.ended();
      });
    }
  });
  for (int round = 0; round < 300; ++round) {
    EXPECT_EQ(made->must(property_set(nvme::property::cc, cc_disable)).status, status::success);
    EXPECT_EQ(made->must(property_set(nvme::property::cc, cc_enable)).status, status::success);
    reactor.run_until_idle();
  }
  stop = true;
  host.join();
  EXPECT_EQ(target.status().controllers.at(0).queues.size(), 1U);
}

}  // namespace
}  // namespace target::nvmf
