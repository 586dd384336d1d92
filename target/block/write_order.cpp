#include "target/block/write_order.h"

#include <algorithm>

#include "engine/foundation/check.h"

namespace target::block {
namespace {

bool overlap(const OrderedWrite& a, const OrderedWrite& b) {
  return a.begin < b.end && b.begin < a.end;
}

}  // namespace

bool WriteOrder::overlaps_in_flight(const OrderedWrite& write) const {
  // Those in flight are disjoint, so of all that begin before our end the last one ends last.
  auto next = in_flight_.lower_bound(write.end.value);
  return next != in_flight_.begin() && overlap(*--next, write);
}

bool WriteOrder::overlaps_waiting(const OrderedWrite& write, Waiting::const_iterator end) const {
  return std::any_of(waiting_.begin(), end,
                     [&](const OrderedWrite& earlier) { return overlap(earlier, write); });
}

bool WriteOrder::enter(OrderedWrite& write) {
  DCHECK(write.begin < write.end);
  const std::lock_guard lock(mutex_);
  CHECK(write.place == OrderedWrite::Place::outside);
  if (overlaps_in_flight(write) || overlaps_waiting(write, waiting_.end())) {
    write.place = OrderedWrite::Place::waiting;
    waiting_.push_back(write);
    return false;
  }
  write.place = OrderedWrite::Place::in_flight;
  in_flight_.insert(write);
  return true;
}

void WriteOrder::admit_unblocked(Waiting& admitted) {
  for (auto it = waiting_.begin(); it != waiting_.end();) {
    OrderedWrite& write = *it;
    if (overlaps_in_flight(write) || overlaps_waiting(write, it)) {
      ++it;
      continue;
    }
    it = waiting_.erase(it);
    write.place = OrderedWrite::Place::in_flight;
    in_flight_.insert(write);
    admitted.push_back(write);
  }
}

void WriteOrder::leave(OrderedWrite& write) {
  Waiting admitted;
  {
    const std::lock_guard lock(mutex_);
    CHECK(write.place == OrderedWrite::Place::in_flight);
    write.place = OrderedWrite::Place::outside;
    in_flight_.erase(in_flight_.iterator_to(write));
    if (!waiting_.empty()) admit_unblocked(admitted);
  }
  while (!admitted.empty()) {
    OrderedWrite& next = admitted.front();
    admitted.pop_front();  // before the call: its owner may end it, and enter it again, from there
    next.admitted(next);
  }
}

bool WriteOrder::cancel(OrderedWrite& write) {
  Waiting admitted;
  {
    const std::lock_guard lock(mutex_);
    if (write.place != OrderedWrite::Place::waiting) return false;
    write.place = OrderedWrite::Place::outside;
    waiting_.erase(waiting_.iterator_to(write));
    admit_unblocked(admitted);
  }
  while (!admitted.empty()) {
    OrderedWrite& next = admitted.front();
    admitted.pop_front();
    next.admitted(next);
  }
  return true;
}

bool WriteOrder::idle() const {
  const std::lock_guard lock(mutex_);
  return in_flight_.empty() && waiting_.empty();
}

}  // namespace target::block
