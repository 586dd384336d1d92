// ConnectionRegistry: the NVMe/TCP connections of one reactor, and what they share.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "engine/media/buffer_pool.h"
#include "target/net/byte_stream.h"
#include "target/nvmf/command.h"
#include "target/nvmf/connection_options.h"
#include "target/reactor/log.h"
#include "target/reactor/reactor.h"

namespace target::nvmf {

class Connection;

// Reactor thread only, but for the constructor. Ends after its last connection: each of them is a
// resident of the reactor, so after a clean Reactor::stop() there is none.
class ConnectionRegistry final : private TurnTask {
 public:
  using ExecutorFactory = std::function<std::unique_ptr<CommandExecutor>(CommandPort&)>;

  // All three must outlive it.
  ConnectionRegistry(Reactor& reactor, engine::MemoryBudget& budget, ConnectionCounters& counters);
  ConnectionRegistry(const ConnectionRegistry&) = delete;
  ConnectionRegistry& operator=(const ConnectionRegistry&) = delete;
  ~ConnectionRegistry();

  // Serves `stream` until it ends. The factory is called now; the executor dies with the
  // connection.
  void open(std::unique_ptr<ByteStream> stream, const ConnectionOptions& options,
            const ExecutorFactory& make_executor);
  // Ends every connection that `which` (nullptr: all) chooses.
  void end(EndReason reason, const std::function<bool(const Connection&)>& which = nullptr);

  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] Reactor& reactor() { return reactor_; }

 private:
  friend class Connection;

  void end_of_turn() override;
  // `connection` has ended and nobody holds anything of it: destroyed at the end of the turn.
  void retire(Connection& connection);

  static constexpr std::size_t scratch_bytes = 128U << 10;
  // For small commands of Admin queues, and for data without which nobody's buffer would come free.
  static constexpr engine::ByteCount reserve_bytes = engine::ByteCount{1U << 20};

  Reactor& reactor_;
  engine::MemoryBudget& budget_;
  ConnectionCounters& counters_;
  engine::MemoryBudget reserve_budget_;
  engine::BufferPool reserve_;
  // Received bytes between the socket and their commands; nothing stays in it from turn to turn.
  std::vector<std::byte> scratch_;
  Connection* first_ = nullptr;
  std::size_t size_ = 0;
  std::vector<std::unique_ptr<Connection>> retired_;
  LogLimit log_limit_;
};

}  // namespace target::nvmf
