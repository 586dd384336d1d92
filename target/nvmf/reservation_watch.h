// What a controller's host is told of reservations: ReservationLog has what it has not read yet
// (log page 80h), ReservationWatch listens for it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "protocol/nvme/reservation.h"
#include "target/block/reservations.h"
#include "target/nvmf/namespace.h"

namespace target::nvmf {

class Controller;

// Guarded by its controller's lock.
class ReservationLog {
 public:
  void add(std::uint32_t nsid, protocol::nvme::ReservationNotification notification);
  // Log page 80h: the oldest, or none.
  [[nodiscard]] std::vector<std::byte> page() const;
  // The page has been read: the next one is the oldest.
  void take();
  [[nodiscard]] bool empty() const { return entries_.empty(); }
  void clear() { entries_.clear(); }

 private:
  // The host hears of the newest; how many it has missed is in the count of each.
  static constexpr std::size_t most = 64;
  struct Entry {
    std::uint64_t count = 0;
    std::uint32_t nsid = 0;
    protocol::nvme::ReservationNotification notification =
        protocol::nvme::ReservationNotification::none;
  };
  std::deque<Entry> entries_;
  std::uint64_t count_ = 0;
};

// Any thread. From when a queue of the controller has first used a namespace until that has been
// removed, or the controller is gone.
class ReservationWatch {
 public:
  explicit ReservationWatch(Controller& controller);
  ReservationWatch(const ReservationWatch&) = delete;
  ReservationWatch& operator=(const ReservationWatch&) = delete;
  ~ReservationWatch();

  void watch(Namespace& space, const block::PartyId& party);
  void forget_removed();

 private:
  struct Way;

  Controller& controller_;
  std::mutex mutex_;  // before that of the volume's reservations
  std::map<const Namespace*, std::unique_ptr<Way>> ways_;
};

}  // namespace target::nvmf
