#include "target/block/write_order.h"

#include <algorithm>

#include "engine/foundation/check.h"

namespace target::block {
namespace {

bool overlap(const Extent& a, const Extent& b) { return a.begin < b.end && b.begin < a.end; }

bool in_pieces(const OrderedWrite& write) { return write.pieces.size() > 1; }

Extent hull(const OrderedWrite& write) { return {write.begin, write.end}; }

bool covers_part_of(const OrderedWrite& write, const Extent& extent) {
  if (!overlap(hull(write), extent)) return false;
  if (!in_pieces(write)) return true;
  const auto next =
      std::upper_bound(write.pieces.begin(), write.pieces.end(), extent.begin,
                       [](engine::Lba begin, const Extent& piece) { return begin < piece.end; });
  return next != write.pieces.end() && next->begin < extent.end;
}

template <class F>
bool any_piece(const OrderedWrite& write, F&& holds) {
  if (!in_pieces(write)) return holds(hull(write));
  return std::any_of(write.pieces.begin(), write.pieces.end(), holds);
}

bool overlap(const OrderedWrite& a, const OrderedWrite& b) {
  return overlap(hull(a), hull(b)) &&
         any_piece(a, [&](const Extent& piece) { return covers_part_of(b, piece); });
}

}  // namespace

bool WriteOrder::overlaps_whole_in_flight(const Extent& extent) const {
  // They are disjoint, so of all that begin before our end the last one ends last.
  auto next = in_flight_.lower_bound(extent.end.value);
  return next != in_flight_.begin() && overlap(hull(*--next), extent);
}

bool WriteOrder::overlaps_in_flight(const OrderedWrite& write) const {
  return any_piece(write,
                   [this](const Extent& piece) { return overlaps_whole_in_flight(piece); }) ||
         std::any_of(in_flight_in_pieces_.begin(), in_flight_in_pieces_.end(),
                     [&](const OrderedWrite& other) { return overlap(other, write); });
}

bool WriteOrder::overlaps_waiting(const OrderedWrite& write, Waiting::const_iterator end) const {
  return std::any_of(waiting_.begin(), end,
                     [&](const OrderedWrite& earlier) { return overlap(earlier, write); });
}

void WriteOrder::start(OrderedWrite& write) {
  write.place = OrderedWrite::Place::in_flight;
  if (in_pieces(write)) {
    in_flight_in_pieces_.push_back(write);
  } else {
    in_flight_.insert(write);
  }
}

bool WriteOrder::enter(OrderedWrite& write) {
  DCHECK(write.begin < write.end);
  DCHECK(write.pieces.empty() ||
         (write.pieces.front().begin == write.begin && write.pieces.back().end == write.end));
  const std::lock_guard lock(mutex_);
  CHECK(write.place == OrderedWrite::Place::outside);
  if (overlaps_in_flight(write) || overlaps_waiting(write, waiting_.end())) {
    write.place = OrderedWrite::Place::waiting;
    waiting_.push_back(write);
    return false;
  }
  start(write);
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
    start(write);
    admitted.push_back(write);
  }
}

void WriteOrder::leave(OrderedWrite& write) {
  Waiting admitted;
  {
    const std::lock_guard lock(mutex_);
    CHECK(write.place == OrderedWrite::Place::in_flight);
    write.place = OrderedWrite::Place::outside;
    if (in_pieces(write)) {
      in_flight_in_pieces_.erase(in_flight_in_pieces_.iterator_to(write));
    } else {
      in_flight_.erase(in_flight_.iterator_to(write));
    }
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
  return in_flight_.empty() && in_flight_in_pieces_.empty() && waiting_.empty();
}

}  // namespace target::block
