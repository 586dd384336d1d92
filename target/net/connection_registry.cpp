#include "target/net/connection_registry.h"

#include <utility>

#include "engine/foundation/check.h"
#include "target/net/pdu_connection.h"

namespace target {

ConnectionRegistry::ConnectionRegistry(Reactor& reactor, engine::MemoryBudget& budget,
                                       CountersByProtocol& counters)
    : reactor_(reactor),
      budget_(budget),
      counters_(counters),
      reserve_budget_(reserve_bytes),
      reserve_(reserve_budget_),
      scratch_(scratch_bytes),
      log_limit_(/*burst=*/20, std::chrono::seconds(10)) {}

ConnectionRegistry::~ConnectionRegistry() { CHECK(first_ == nullptr); }

void ConnectionRegistry::link(std::unique_ptr<PduConnection> connection) {
  // Owned by the list until retire().
  PduConnection* added = connection.release();
  added->next_ = first_;
  if (first_ != nullptr) first_->previous_ = added;
  first_ = added;
  ++size_;
}

void ConnectionRegistry::end(EndReason reason,
                             const std::function<bool(const PduConnection&)>& which) {
  for (PduConnection* connection = first_; connection != nullptr; connection = connection->next_) {
    if (!which || which(*connection)) connection->end(reason);
  }
}

void ConnectionRegistry::retire(PduConnection& connection) {
  (connection.previous_ != nullptr ? connection.previous_->next_ : first_) = connection.next_;
  if (connection.next_ != nullptr) connection.next_->previous_ = connection.previous_;
  --size_;
  retired_.emplace_back(&connection);
  reactor_.at_turn_end(*this);
}

void ConnectionRegistry::end_of_turn() {
  retired_.clear();
  reserve_.wake_waiters();
}

}  // namespace target
