// ConnectionRegistry: the connections of one reactor, of every protocol, and what they share.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "engine/media/buffer_pool.h"
#include "target/block/stage_counters.h"
#include "target/net/connection_counters.h"
#include "target/net/end_reason.h"
#include "target/reactor/log.h"
#include "target/reactor/reactor.h"

namespace target {

class PduConnection;

// Reactor thread only, but for the constructor. Ends after its last connection: each of them is a
// resident of the reactor, so after a clean Reactor::stop() there is none.
class ConnectionRegistry final : private TurnTask {
 public:
  // All three must outlive it.
  ConnectionRegistry(Reactor& reactor, engine::MemoryBudget& budget, CountersByProtocol& counters);
  ConnectionRegistry(const ConnectionRegistry&) = delete;
  ConnectionRegistry& operator=(const ConnectionRegistry&) = delete;
  ~ConnectionRegistry();

  // Owns `connection`, which was made for this registry, until it has ended. Returns it.
  template <class Connection>
  Connection& add(std::unique_ptr<Connection> connection) {
    Connection& added = *connection;
    link(std::move(connection));
    return added;
  }
  // Ends every connection that `which` (nullptr: all) chooses.
  void end(EndReason reason, const std::function<bool(const PduConnection&)>& which = nullptr);

  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] Reactor& reactor() { return reactor_; }
  [[nodiscard]] ConnectionCounters& counters(WireProtocol protocol) {
    return counters_.of(protocol);
  }
  [[nodiscard]] LogLimit& log_limit() { return log_limit_; }
  [[nodiscard]] block::StageCounters& stages() { return stages_; }
  // To copy from. Any thread.
  [[nodiscard]] const block::StageCounters& stages() const { return stages_; }

 private:
  friend class PduConnection;
  friend class TransferBuffers;

  void end_of_turn() override;
  void link(std::unique_ptr<PduConnection> connection);
  // `connection` has ended and nobody holds anything of it: destroyed at the end of the turn.
  void retire(PduConnection& connection);
  // A buffer may have gone back to the reserve, which nobody else looks after.
  void tell_reserve_waiters() {
    if (reserve_.has_waiters()) reactor_.at_turn_end(*this);
  }

  static constexpr std::size_t scratch_bytes = 128U << 10;
  // For small commands without data blocks, and for data without which nobody's buffer would come
  // free.
  static constexpr engine::ByteCount reserve_bytes = engine::ByteCount{1U << 20};

  Reactor& reactor_;
  engine::MemoryBudget& budget_;
  CountersByProtocol& counters_;
  engine::MemoryBudget reserve_budget_;
  engine::BufferPool reserve_;
  // Received bytes between the socket and their commands; nothing stays in it from turn to turn.
  std::vector<std::byte> scratch_;
  PduConnection* first_ = nullptr;
  std::size_t size_ = 0;
  std::vector<std::unique_ptr<PduConnection>> retired_;
  LogLimit log_limit_;
  block::StageCounters stages_;
};

}  // namespace target
