// MemoryLane: a lane without disks, for tests whose volumes are in memory. Only its buffers are
// real.
#pragma once

#include <memory>

#include "engine/foundation/check.h"
#include "engine/media/io_lane.h"
#include "target/reactor/reactor.h"

namespace target::nvmf {

class MemoryLane final : public engine::IoLane {
 public:
  explicit MemoryLane(engine::MemoryBudget& budget) : buffers_(budget) {}
  void start(engine::FileOperation&) override { CHECK(!"no file operations here"); }
  void submit() override {}
  std::size_t reap() override {
    buffers_.wake_waiters();
    return 0;
  }
  void post(engine::FileOperation&) override { CHECK(!"no file operations here"); }
  [[nodiscard]] std::size_t in_flight() const override { return 0; }
  [[nodiscard]] int wake_descriptor() const override { return -1; }
  void clear_wake() override {}
  [[nodiscard]] engine::BufferPool& buffers() override { return buffers_; }

 private:
  engine::BufferPool buffers_;
};

// The calling thread as a reactor whose turns the test runs.
class TestReactor {
 public:
  // `clock`: nullptr is the machine's.
  explicit TestReactor(engine::ByteCount memory = engine::ByteCount{64U << 20},
                       const engine::Clock* clock = nullptr)
      : budget_(memory),
        reactor_(
            {}, [this] { return lane(); }, clock != nullptr ? *clock : clock_) {
    CHECK(reactor_.attach());
  }
  ~TestReactor() { reactor_.detach(); }
  [[nodiscard]] Reactor& get() { return reactor_; }
  void run_until_idle() {
    while (reactor_.run_turn()) {
    }
  }

 private:
  engine::Result<std::unique_ptr<engine::IoLane>, std::string> lane() {
    return std::unique_ptr<engine::IoLane>(std::make_unique<MemoryLane>(budget_));
  }
  engine::SystemClock clock_;
  engine::MemoryBudget budget_;
  Reactor reactor_;
};

}  // namespace target::nvmf
