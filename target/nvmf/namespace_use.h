// NamespaceUse: what one I/O queue has to do with one namespace: what its host may do there, and
// which of its commands are under way.
#pragma once

#include <cstdint>
#include <list>
#include <memory>
#include <vector>

#include "target/block/reservations.h"
#include "target/nvmf/command.h"
#include "target/nvmf/namespace.h"

namespace target::nvmf {

class NamespaceUse;

// Commands that had begun when somebody last asked for their end, or now. When the last of them has
// ended, whoever waits for that is told by its ticket.
struct CommandEra {
  explicit CommandEra(NamespaceUse& whose) : use(whose) {}
  NamespaceUse& use;
  std::uint32_t commands = 0;
  std::vector<block::AbortTicket> tickets;
};

// Its queue's, which lets go of it when the namespace has been removed and it is idle; reactor
// thread only, but for what Reservations tell it. Keeps the namespace.
class NamespaceUse final : public std::enable_shared_from_this<NamespaceUse>,
                           private block::ReservationListener {
 public:
  class Queue {
   public:
    // Ends what has not started for this volume, since its host has been preempted.
    virtual void preempted(block::BlockVolume& volume) = 0;

   protected:
    ~Queue() = default;
  };

  // The others outlive it.
  NamespaceUse(Namespace& space, const block::PartyId& party, Queue& queue, Reactor& reactor);
  NamespaceUse(const NamespaceUse&) = delete;
  NamespaceUse& operator=(const NamespaceUse&) = delete;

  [[nodiscard]] const Namespace& space() const { return space_; }
  [[nodiscard]] block::ReservationPath& path() { return path_; }

  // From when the command is handed to the volume, or waits for its place there, until that is
  // over.
  void begin(Command& command) {
    command.era = &eras_.back();
    ++command.era->commands;
  }
  static void end(Command& command);
  // Nothing that has begun is under way.
  [[nodiscard]] bool is_idle() const { return eras_.size() == 1 && eras_.back().commands == 0; }

 private:
  // The notices are for the controller, once.
  void reservation_notice(block::ReservationNotice /*notice*/) noexcept override {}
  void abort_commands(block::AbortTicket ticket) noexcept override;
  void abort_now(block::AbortTicket ticket);

  Namespace& space_;
  const std::shared_ptr<Namespace> kept_;  // null: it is not its table's
  Queue& queue_;
  Reactor& reactor_;
  std::list<CommandEra> eras_;  // the last is now; those before it have commands, and tickets
  block::ReservationPath path_;
};

}  // namespace target::nvmf
