#include "target/nvmf/namespace_use.h"

#include <utility>

#include "target/reactor/reactor.h"

namespace target::nvmf {

NamespaceUse::NamespaceUse(Namespace& space, const block::PartyId& party, Queue& queue,
                           Reactor& reactor)
    : space_(space),
      kept_(space.weak_from_this().lock()),
      queue_(queue),
      reactor_(reactor),
      path_(space.volume->reservations(), party, *this) {
  eras_.emplace_back(*this);
}

void NamespaceUse::end(Command& command) {
  CommandEra& era = *std::exchange(command.era, nullptr);
  if (--era.commands != 0) return;
  std::list<CommandEra>& eras = era.use.eras_;
  if (&era == &eras.back()) return;
  // Whoever is told by a ticket may do anything: first it is out of the list.
  const auto tickets = std::move(era.tickets);
  eras.remove_if([&era](const CommandEra& each) { return &each == &era; });
}

void NamespaceUse::abort_commands(block::AbortTicket ticket) noexcept {
  // If its queue has gone by then, nothing is under way any more.
  reactor_.post([self = weak_from_this(), ticket = std::move(ticket)]() mutable {
    if (const auto alive = self.lock()) alive->abort_now(std::move(ticket));
  });
}

// What has begun cannot be taken back from the volume: its end is waited for. What waits for its
// data will be looked at again when that is there.
void NamespaceUse::abort_now(block::AbortTicket ticket) {
  queue_.preempted(*space_.volume);
  // Also those of an earlier preemption that are still under way.
  for (CommandEra& era : eras_) {
    if (era.commands != 0) era.tickets.push_back(ticket);
  }
  if (eras_.back().commands != 0) eras_.emplace_back(*this);
}

}  // namespace target::nvmf
