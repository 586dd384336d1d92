// AdminQueue: features 83h, Reservation Persistence, and 84h, Namespace Write Protection Config.
// They are neither the controller's nor the host's, but the volume's, and are durable before they
// are answered.
#include <functional>
#include <memory>
#include <mutex>
#include <utility>

#include "protocol/nvme/reservation.h"
#include "target/nvmf/admin_queue.h"
#include "target/nvmf/reservation_commands.h"
#include "target/nvmf/session_handle.h"
#include "target/nvmf/subsystem.h"

namespace target::nvmf {

namespace nvme = protocol::nvme;
using engine::WriteProtection;
using nvme::Parsed;
using nvme::Refusal;
using nvme::WriteProtectionState;

namespace {

// nullptr: none that the host may see has it.
block::BlockVolume* volume_of(const Controller& controller, nvme::NamespaceId nsid) {
  const auto view = controller.subsystem().view_for(controller.association().host_nqn);
  const Namespace* const found = view->find(nsid.value);
  return found == nullptr ? nullptr : found->volume;
}

// One, or all that the host sees.
std::vector<block::BlockVolume*> volumes_of(const Controller& controller, nvme::NamespaceId nsid) {
  std::vector<nvme::NamespaceId> wanted{nsid};
  if (nsid == nvme::every_namespace) {
    wanted.clear();
    for (const auto each :
         controller.subsystem().namespaces_of(controller.association().host_nqn)) {
      wanted.push_back({each});
    }
  }
  std::vector<block::BlockVolume*> volumes;
  for (const auto each : wanted) {
    if (auto* const volume = volume_of(controller, each)) volumes.push_back(volume);
  }
  return volumes;
}

// To be called for each volume, on any thread; the first that does not succeed is the answer, which
// comes when all have been tried. Success is remembered.
std::function<void(nvme::Status)> answer_of_all(std::shared_ptr<SessionHandle> session,
                                                std::shared_ptr<Controller> controller,
                                                Command& parked, std::size_t volumes) {
  struct Answer {
    std::mutex mutex;
    nvme::Status status = nvme::status::success;
    std::size_t open = 0;
  };
  auto answer = std::make_shared<Answer>();
  answer->open = volumes;
  return [answer, &parked, session = std::move(session),
          controller = std::move(controller)](nvme::Status status) {
    {
      const std::lock_guard lock(answer->mutex);
      if (answer->status.is_success()) answer->status = status;
      if (--answer->open != 0) return;
    }
    session->post([&parked, answer, controller](Session*) {
      CommandPermit permit = CommandPermit::resume(parked);
      const nvme::SubmissionEntry& entry = permit.command().entry;
      if (answer->status.is_success()) {
        controller->remember_feature(entry);
        return permit.respond(answer->status);
      }
      controller->command_failed({.qid = 0,
                                  .cid = entry.command_id,
                                  .status = answer->status,
                                  .lba = 0,
                                  .nsid = entry.nsid.value(),
                                  .parameter_location = nvme::ParameterLocation{}.value,
                                  .opcode = entry.opcode});
      permit.respond(answer->status.with_more());
    });
  };
}

WriteProtectionState state_of(WriteProtection protection) {
  switch (protection) {
    case WriteProtection::none:
      return WriteProtectionState::none;
    case WriteProtection::kept:
      return WriteProtectionState::write_protect;
    case WriteProtection::until_restart:
      return WriteProtectionState::until_power_cycle;
  }
  return WriteProtectionState::none;
}

// Until its pool is there, nobody knows.
bool is_known(const block::BlockVolume& volume) {
  return volume.volume().state() != engine::VolumeState::late;
}

}  // namespace

void AdminQueue::set_volume_feature(CommandPermit permit, const nvme::SetFeatures& command) {
  if (command.save) {
    return refuse(std::move(permit), {nvme::status::feature_not_saveable, nvme::at_dword(10, 31)});
  }
  const auto volumes = volumes_of(*controller_, command.nsid);
  if (volumes.empty()) {
    return refuse(std::move(permit), {nvme::status::invalid_namespace, nvme::at_byte(4)});
  }
  if (static_cast<nvme::FeatureId>(command.feature_id) ==
      nvme::FeatureId::reservation_persistence) {
    const bool persist = (command.dword11 & nvme::persist_through_power_loss) != 0;
    return set_reservation_persistence(std::move(permit), persist, volumes);
  }
  const auto wanted = nvme::write_protection_from_dword(command.dword11);
  if (!wanted) return refuse(std::move(permit), wanted.error());
  set_write_protection(std::move(permit), wanted.value(), volumes);
}

void AdminQueue::set_reservation_persistence(CommandPermit permit, bool persist,
                                             const std::vector<block::BlockVolume*>& volumes) {
  const auto answer = answer_of_all(session_, controller_, permit.park(), volumes.size());
  for (block::BlockVolume* const volume : volumes) {
    volume->reservations().set_persists(
        persist, [answer](block::ReservationOutcome outcome) { answer(status_of(outcome)); });
  }
}

// A volume is a file or some disks of a machine: what is written nowhere but in its pool is not
// permanent, so that is not offered.
void AdminQueue::set_write_protection(CommandPermit permit, WriteProtectionState wanted,
                                      const std::vector<block::BlockVolume*>& volumes) {
  if (wanted == WriteProtectionState::permanent) {
    return refuse(std::move(permit), {nvme::status::invalid_field, nvme::at_dword(11)});
  }
  for (block::BlockVolume* const volume : volumes) {
    if (!is_known(*volume)) {
      return refuse(std::move(permit), {nvme::status::namespace_not_ready, nvme::at_byte(4)});
    }
    if (volume->volume().is_formatting()) {
      return refuse(std::move(permit), {nvme::status::format_in_progress, nvme::at_byte(4)});
    }
    const WriteProtection now = volume->volume().write_protection();
    if (now == WriteProtection::until_restart && state_of(now) != wanted) {
      return refuse(std::move(permit), {nvme::status::feature_not_changeable, nvme::at_dword(11)});
    }
  }
  WriteProtection protection = WriteProtection::none;
  if (wanted == WriteProtectionState::write_protect) protection = WriteProtection::kept;
  if (wanted == WriteProtectionState::until_power_cycle) {
    protection = WriteProtection::until_restart;
  }
  const auto answer = answer_of_all(session_, controller_, permit.park(), volumes.size());
  for (block::BlockVolume* const volume : volumes) {
    volume->volume().protect(protection, [answer](const engine::Result<void, std::string>& kept) {
      answer(kept ? nvme::status::success : nvme::status::internal_error);
    });
  }
}

Parsed<std::uint32_t> AdminQueue::volume_feature(const nvme::GetFeatures& command) const {
  block::BlockVolume* const volume = volume_of(*controller_, command.nsid);
  if (volume == nullptr) return Refusal{nvme::status::invalid_namespace, nvme::at_byte(4)};
  if (static_cast<nvme::FeatureId>(command.feature_id) == nvme::FeatureId::write_protection) {
    if (!is_known(*volume)) return Refusal{nvme::status::namespace_not_ready};
    return static_cast<std::uint32_t>(state_of(volume->volume().write_protection()));
  }
  const auto table = volume->reservations().report();
  if (!table) return Refusal{nvme::status::namespace_not_ready};
  return table->persists ? nvme::persist_through_power_loss : 0U;
}

}  // namespace target::nvmf
