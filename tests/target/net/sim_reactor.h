// SimReactor: a reactor, its clock and memory, and the connections that live on it, in simulated
// time.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "engine/foundation/check.h"
#include "target/net/connection_registry.h"
#include "target/reactor/log.h"
#include "tests/sim/sim_clock.h"
#include "tests/sim/sim_stream.h"
#include "tests/target/nvmf/memory_lane.h"

namespace target {

// Many hosts may share one. At its end all connections must have ended, and be idle.
struct SimReactor {
  explicit SimReactor(engine::ByteCount memory = engine::ByteCount{64U << 20})
      : budget(memory),
        reactor(
            {}, [this] { return lane(); }, clock),
        registry(std::make_unique<ConnectionRegistry>(reactor, budget, all_counters)) {
    capture_log([this](LogLevel, std::string_view line) { log.emplace_back(line); });
    CHECK(reactor.attach());
  }
  ~SimReactor() {
    end_connections();
    EXPECT_EQ(registry->size(), 0U);
    registry.reset();
    reactor.detach();
    capture_log(nullptr);
  }

  engine::Result<std::unique_ptr<engine::IoLane>, std::string> lane() {
    return std::unique_ptr<engine::IoLane>(std::make_unique<nvmf::MemoryLane>(budget));
  }
  // For whoever has volumes that go before this does: commands are counted with theirs to the end.
  void end_connections() {
    registry->end(EndReason::stopping);
    for (int i = 0; i < 4; ++i) {
      reactor.run_turn();
      clock.advance(std::chrono::minutes(1));
    }
  }
  // Turns until nothing moves any more; time stands still.
  void run(SimWire& wire) {
    for (;;) {
      const bool notified = notify(wire);
      if (!reactor.run_turn() && !notified) return;
    }
  }

  SimClock clock;
  engine::MemoryBudget budget;
  CountersByProtocol all_counters;
  ConnectionCounters& counters = all_counters.nvme_tcp;
  std::vector<std::string> log;
  Reactor reactor;
  std::unique_ptr<ConnectionRegistry> registry;
};

}  // namespace target
