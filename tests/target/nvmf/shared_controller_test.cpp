// One controller, its queues on several threads, and a configuration that changes meanwhile.
// Chiefly for the thread sanitizer; what it checks besides is that every command is answered and
// everything ends.
#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <thread>

#include "tests/target/nvmf/target_harness.h"

namespace target::nvmf {
namespace {

// A reactor with a thread of its own.
class ThreadedReactor {
 public:
  explicit ThreadedReactor(const engine::Clock& clock)
      : reactor_(
            {},
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
  std::vector<std::unique_ptr<ThreadedReactor>> reactors;
  for (int i = 0; i < queue_count; ++i)
    reactors.push_back(std::make_unique<ThreadedReactor>(clock));

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
  std::atomic<std::uint64_t> flushed{0};
  std::vector<std::thread> feeders;
  for (std::size_t i = 0; i < queue_count; ++i) {
    feeders.emplace_back([&, i] {
      while (!stop) {
        reactors[i]->run([&] {
          for (const std::uint32_t nsid : {1U, 2U, 3U}) {
            EXPECT_NE(queues[i]->run(flush_of(nsid)), nullptr);
            ++flushed;
          }
          queues[i]->port.answers.clear();
        });
      }
    });
  }
  SettableVolume added("added", uuid_of(3), 4096, 64);
  block::BlockVolume block(added);
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
  EXPECT_GT(flushed, 0U);

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

TEST_F(SharedControllerTest, QueuesComeAndGoWhileTheControllerIsReset) {
  ThreadedReactor other_reactor(clock);
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
