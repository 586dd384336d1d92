#include "target/nvmf/connection_registry.h"

#include <utility>

#include "engine/foundation/check.h"
#include "target/nvmf/connection.h"

namespace target::nvmf {

ConnectionRegistry::ConnectionRegistry(Reactor& reactor, engine::MemoryBudget& budget,
                                       ConnectionCounters& counters)
    : reactor_(reactor),
      budget_(budget),
      counters_(counters),
      reserve_budget_(reserve_bytes),
      reserve_(reserve_budget_),
      scratch_(scratch_bytes),
      log_limit_(/*burst=*/20, std::chrono::seconds(10)) {}

ConnectionRegistry::~ConnectionRegistry() { CHECK(first_ == nullptr); }

void ConnectionRegistry::open(std::unique_ptr<ByteStream> stream, const ConnectionOptions& options,
                              const ExecutorFactory& make_executor) {
  // Owned by the list until retire().
  auto* connection = new Connection(*this, std::move(stream), options);
  connection->next = first_;
  if (first_ != nullptr) first_->previous = connection;
  first_ = connection;
  ++size_;
  connection->start(make_executor(*connection));
}

void ConnectionRegistry::end(EndReason reason,
                             const std::function<bool(const Connection&)>& which) {
  for (Connection* connection = first_; connection != nullptr; connection = connection->next) {
    if (!which || which(*connection)) connection->end(reason);
  }
}

void ConnectionRegistry::retire(Connection& connection) {
  (connection.previous != nullptr ? connection.previous->next : first_) = connection.next;
  if (connection.next != nullptr) connection.next->previous = connection.previous;
  --size_;
  retired_.emplace_back(&connection);
  reactor_.at_turn_end(*this);
}

void ConnectionRegistry::end_of_turn() {
  retired_.clear();
  reserve_.wake_waiters();
}

}  // namespace target::nvmf
