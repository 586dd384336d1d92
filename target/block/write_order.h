// WriteOrder: a write that overlaps one still in flight, from whichever host, path or protocol,
// waits for it. This is what keeps a write of a dead association from landing after a newer one
// (P4).
#pragma once

#include <boost/intrusive/list.hpp>
#include <boost/intrusive/set.hpp>
#include <cstdint>
#include <mutex>
#include <span>

#include "engine/foundation/units.h"
#include "target/block/extent.h"

namespace target::block {

// A write's place in the order; embedded in the command. Untouched by its owner between enter() and
// leave().
struct OrderedWrite {
  engine::Lba begin;
  engine::Lba end;  // first block behind it
  // A write in several pieces (the ranges of a deallocation) is one in the order: nobody comes
  // between its first piece and its last. Ascending, without overlap, none empty, the first begins
  // at `begin` and the last ends at `end`; the owner keeps them until leave(). Empty: all of it.
  std::span<const Extent> pieces{};
  // Called once when a waiting write may start, on the thread that ended the last write it waited
  // for: it must only hand the news to the owner's reactor.
  void (*admitted)(OrderedWrite& write) noexcept = nullptr;

  // WriteOrder's own, guarded by its lock.
  enum class Place : std::uint8_t { outside, waiting, in_flight };
  Place place = Place::outside;
  boost::intrusive::set_member_hook<> in_flight_hook;
  boost::intrusive::list_member_hook<> pieces_hook;  // in flight, if it has several pieces
  boost::intrusive::list_member_hook<> waiting_hook;
};

// Thread-safe. Invariants: writes in flight never overlap each other; a waiting write overlaps one
// in flight or one that waits before it, so nobody overtakes and nobody starves.
class WriteOrder {
 public:
  WriteOrder() = default;
  WriteOrder(const WriteOrder&) = delete;
  WriteOrder& operator=(const WriteOrder&) = delete;

  // True: the write may start at once. False: it waits, and `admitted` will be called, unless
  // cancel() wins.
  [[nodiscard]] bool enter(OrderedWrite& write);
  // The write has ended, whatever came of it.
  void leave(OrderedWrite& write);
  // Takes a waiting write out; false if it was admitted already (its `admitted` has been or is
  // being called). Writes that waited for it are admitted.
  [[nodiscard]] bool cancel(OrderedWrite& write);

  [[nodiscard]] bool idle() const;

 private:
  struct ByBegin {
    using type = std::uint64_t;
    std::uint64_t operator()(const OrderedWrite& write) const { return write.begin.value; }
  };
  using InFlight = boost::intrusive::set<
      OrderedWrite,
      boost::intrusive::member_hook<OrderedWrite, boost::intrusive::set_member_hook<>,
                                    &OrderedWrite::in_flight_hook>,
      boost::intrusive::key_of_value<ByBegin>, boost::intrusive::constant_time_size<false>>;
  template <auto hook>
  using List = boost::intrusive::list<
      OrderedWrite,
      boost::intrusive::member_hook<OrderedWrite, boost::intrusive::list_member_hook<>, hook>,
      boost::intrusive::constant_time_size<false>>;
  using InPieces = List<&OrderedWrite::pieces_hook>;
  using Waiting = List<&OrderedWrite::waiting_hook>;

  [[nodiscard]] bool overlaps_in_flight(const OrderedWrite& write) const;
  [[nodiscard]] bool overlaps_whole_in_flight(const Extent& extent) const;
  // True if `write` overlaps a waiting write that stands before `end` in the queue.
  [[nodiscard]] bool overlaps_waiting(const OrderedWrite& write, Waiting::const_iterator end) const;
  // Moves every waiting write that nothing blocks any more into `admitted`.
  void admit_unblocked(Waiting& admitted);

  void start(OrderedWrite& write);

  // Guards the containers. A leaf lock: `admitted` is called after it is released.
  mutable std::mutex mutex_;
  InFlight in_flight_;            // those of one piece
  InPieces in_flight_in_pieces_;  // the others: few
  Waiting waiting_;
};

}  // namespace target::block
