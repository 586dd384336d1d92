#include "target/nvmf/reservation_watch.h"

#include <algorithm>

#include "engine/foundation/byte_cursor.h"
#include "target/nvmf/controller.h"

namespace target::nvmf {

namespace nvme = protocol::nvme;

void ReservationLog::add(std::uint32_t nsid, nvme::ReservationNotification notification) {
  if (entries_.size() == most) entries_.pop_front();
  entries_.push_back({.count = ++count_, .nsid = nsid, .notification = notification});
}

std::vector<std::byte> ReservationLog::page() const {
  nvme::ReservationNotificationPage page{};
  if (!entries_.empty()) {
    const Entry& oldest = entries_.front();
    page.count = oldest.count;
    page.type = static_cast<std::uint8_t>(oldest.notification);
    page.available = static_cast<std::uint8_t>(entries_.size() - 1);
    page.nsid = oldest.nsid;
  }
  const auto bytes = engine::bytes_of(page);
  return {bytes.begin(), bytes.end()};
}

void ReservationLog::take() {
  if (!entries_.empty()) entries_.pop_front();
}

struct ReservationWatch::Way final : private block::ReservationListener {
  Way(Controller& whose, Namespace& space, const block::PartyId& party)
      : kept(space.weak_from_this().lock()),
        controller(whose),
        nsid(space.nsid),
        path(space.volume->reservations(), party, *this) {}

  void reservation_notice(block::ReservationNotice notice) noexcept override {
    using Notification = nvme::ReservationNotification;
    Notification notification = Notification::none;
    switch (notice) {
      case block::ReservationNotice::registration_preempted:
        notification = Notification::registration_preempted;
        break;
      case block::ReservationNotice::reservation_released:
        notification = Notification::reservation_released;
        break;
      case block::ReservationNotice::reservation_preempted:
        notification = Notification::reservation_preempted;
        break;
    }
    controller.reservation_changed(nsid, notification);
  }
  // Commands are those of the queues, each of which has a path of its own.
  void abort_commands(block::AbortTicket /*ticket*/) noexcept override {}

  const std::shared_ptr<Namespace> kept;  // null: it is not its table's
  Controller& controller;
  const std::uint32_t nsid;
  block::ReservationPath path;
};

ReservationWatch::ReservationWatch(Controller& controller) : controller_(controller) {}

ReservationWatch::~ReservationWatch() = default;

void ReservationWatch::watch(Namespace& space, const block::PartyId& party) {
  const std::lock_guard lock(mutex_);
  auto& way = ways_[&space];
  if (way == nullptr) way = std::make_unique<Way>(controller_, space, party);
}

// A queue that has begun to use one before it was removed may come later: then this is called
// again, as long as the queue keeps it.
void ReservationWatch::forget_removed() {
  const std::lock_guard lock(mutex_);
  std::erase_if(
      ways_, [](const auto& each) { return each.first->removed.load(std::memory_order_acquire); });
}

}  // namespace target::nvmf
