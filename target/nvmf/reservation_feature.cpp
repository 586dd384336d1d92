// AdminQueue: feature 83h, Reservation Persistence. It is neither the controller's nor the host's,
// but the volume's, and is durable before it is answered.
#include <memory>
#include <utility>

#include "protocol/nvme/reservation.h"
#include "target/nvmf/admin_queue.h"
#include "target/nvmf/reservation_commands.h"
#include "target/nvmf/session_handle.h"
#include "target/nvmf/subsystem.h"

namespace target::nvmf {

namespace nvme = protocol::nvme;
using nvme::Parsed;
using nvme::Refusal;

namespace {

// nullptr: none that the host may see has it.
block::Reservations* reservations_of(const Controller& controller, nvme::NamespaceId nsid) {
  const auto view = controller.subsystem().view_for(controller.association().host_nqn);
  const Namespace* const found = view->find(nsid.value);
  return found == nullptr ? nullptr : &found->volume->reservations();
}

Refusal no_such_namespace() { return {nvme::status::invalid_namespace, nvme::at_byte(4)}; }

}  // namespace

void AdminQueue::set_reservation_persistence(CommandPermit permit,
                                             const nvme::SetFeatures& command) {
  if (command.save) {
    return refuse(std::move(permit), {nvme::status::feature_not_saveable, nvme::at_dword(10, 31)});
  }
  const bool persist = (command.dword11 & nvme::persist_through_power_loss) != 0;
  std::vector<block::Reservations*> all;
  if (command.nsid == nvme::every_namespace) {
    const Controller& controller = *controller_;
    for (const auto nsid :
         controller.subsystem().namespaces_of(controller.association().host_nqn)) {
      if (auto* const one = reservations_of(controller, {nsid})) all.push_back(one);
    }
  } else if (auto* const one = reservations_of(*controller_, command.nsid)) {
    all.push_back(one);
  }
  if (all.empty()) return refuse(std::move(permit), no_such_namespace());

  // The first that does not succeed is the answer; it comes when all have been tried.
  struct Answer {
    std::mutex mutex;
    block::ReservationOutcome outcome = block::ReservationOutcome::done;
    std::size_t open = 0;
  };
  auto answer = std::make_shared<Answer>();
  answer->open = all.size();
  Command& parked = permit.park();
  for (block::Reservations* const one : all) {
    one->set_persists(persist,
                      [answer, &parked, session = session_](block::ReservationOutcome outcome) {
                        {
                          const std::lock_guard lock(answer->mutex);
                          if (answer->outcome == block::ReservationOutcome::done)
                            answer->outcome = outcome;
                          if (--answer->open != 0) return;
                        }
                        session->post([&parked, answer](Session*) {
                          CommandPermit::resume(parked).respond(status_of(answer->outcome));
                        });
                      });
  }
}

Parsed<std::uint32_t> AdminQueue::reservation_persistence(const nvme::GetFeatures& command) const {
  const block::Reservations* const reservations = reservations_of(*controller_, command.nsid);
  if (reservations == nullptr) return no_such_namespace();
  const auto table = reservations->report();
  if (!table) return Refusal{nvme::status::namespace_not_ready};
  return table->persists ? nvme::persist_through_power_loss : 0U;
}

}  // namespace target::nvmf
