#include "target/scsi/reservation_commands.h"

#include <algorithm>
#include <array>
#include <string>
#include <utility>
#include <vector>

#include "protocol/scsi/persistent_reservation.h"
#include "target/scsi/data_phase.h"
#include "target/scsi/target_device.h"

namespace target::scsi {

namespace change = block::change;
namespace command = protocol::scsi;
namespace sense = protocol::scsi::sense;
using block::ReservationOutcome;
using block::ReservationVerdict;
using protocol::scsi::Answer;
using protocol::scsi::Sense;
using Action = command::PersistentReserveOut::Action;

namespace {

bool registers(Action action) {
  return action == Action::register_key || action == Action::register_and_ignore_existing_key ||
         action == Action::register_and_move;
}

// iSCSI names are compared in lower case (RFC 7143, 4.2.7.2).
std::string lower_case(std::string_view name) {
  std::string lower(name);
  std::transform(lower.begin(), lower.end(), lower.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return lower;
}

// Who asks, and where.
struct Asker {
  const TargetDevice& device;
  const NexusIdentity& identity;
};

// The target port by which the command came, or with ALL_TG_PT every one that the target device
// has now.
std::vector<std::uint16_t> ports_meant(const Asker& asker, bool all_ports) {
  if (all_ports) return asker.device.target_ports();
  return {asker.identity.target_port};
}

// SPEC_I_PT. A TransportID without an ISID is every port of that initiator that is known here; if
// there is none, the list is wrong (SPC-4, "TransportID for initiator ports using SCSI over
// iSCSI"). More than there may be registrants are never gathered.
protocol::scsi::Parsed<std::vector<block::PartyId>> specified_parties(
    const Asker& asker, const command::ReserveOutParameters& list) {
  const auto target_ports = ports_meant(asker, list.all_target_ports);
  std::vector<block::PartyId> parties;
  const auto add = [&](std::string_view initiator, const std::array<std::byte, 6>& isid) {
    for (const std::uint16_t port : target_ports) {
      const auto party = block::PartyId::scsi_nexus(initiator, isid, port);
      if (std::find(parties.begin(), parties.end(), party) == parties.end()) {
        parties.push_back(party);
      }
      if (parties.size() > block::ReservationTable::max_registrants) return false;
    }
    return true;
  };
  for (const protocol::scsi::TransportId& id : list.port_span()) {
    const std::string name = lower_case(id.name);
    std::vector<std::array<std::byte, 6>> isids;
    if (id.isid) {
      isids.push_back(*id.isid);
    } else {
      isids = asker.device.ports_of(name);
      if (isids.empty()) return sense::invalid_field_in_list;
    }
    for (const auto& isid : isids) {
      if (!add(name, isid)) return sense::insufficient_registration_resources;
    }
  }
  return parties;
}

protocol::scsi::Parsed<block::ReservationChange> registration_of(
    const Asker& asker, const command::ReserveOutParameters& list, bool ignore_key) {
  change::Register wanted{
      .key = list.key, .new_key = list.service_action_key, .ignore_key = ignore_key};
  for (const std::uint16_t port : ports_meant(asker, list.all_target_ports)) {
    if (port == asker.identity.target_port) continue;
    wanted.other_paths.push_back(
        block::PartyId::scsi_nexus(asker.identity.initiator, asker.identity.isid, port));
  }
  if (list.specify_ports) {
    TRY(auto others, specified_parties(asker, list));
    wanted.others = std::move(others);
  }
  return block::ReservationChange(std::move(wanted));
}

// What a list asks for; sense data where it asks for what there is not.
protocol::scsi::Parsed<block::ReservationChange> change_of(
    const Asker& asker, const command::PersistentReserveOut& command,
    const command::ReserveOutParameters& list) {
  const auto type = block::type_of_scsi(command.type);
  const bool has_type = command.action == Action::reserve || command.action == Action::release ||
                        command.action == Action::preempt ||
                        command.action == Action::preempt_and_abort;
  if (has_type && !type) return sense::invalid_cdb(2, 3);
  switch (command.action) {
    case Action::register_key:
      return registration_of(asker, list, /*ignore_key=*/false);
    case Action::register_and_ignore_existing_key:
      return registration_of(asker, list, /*ignore_key=*/true);
    case Action::reserve:
      return block::ReservationChange(change::Reserve{.key = list.key, .type = *type});
    case Action::release:
      return block::ReservationChange(change::Release{.key = list.key, .type = *type});
    case Action::clear:
      return block::ReservationChange(change::Clear{.key = list.key});
    case Action::preempt:
    case Action::preempt_and_abort:
      return block::ReservationChange(
          change::Preempt{.key = list.key,
                          .victim_key = list.service_action_key,
                          .type = *type,
                          .abort = command.action == Action::preempt_and_abort});
    case Action::register_and_move: {
      // The one it goes to is named with its ISID: an initiator port (SPC-4, REGISTER AND MOVE).
      if (!list.move || !list.move->to.isid) return sense::invalid_field_in_list;
      const auto to = block::PartyId::scsi_nexus(
          lower_case(list.move->to.name), *list.move->to.isid, list.move->relative_target_port);
      return block::ReservationChange(change::Move{.key = list.key,
                                                   .new_key = list.service_action_key,
                                                   .to = to,
                                                   .unregister = list.move->unregister});
    }
  }
  return sense::invalid_cdb(1, 4);
}

void put_full_status(Answer& answer, const block::ReservationTable& table) {
  command::FullStatus status(answer, table.generation);
  for (const block::Registrant& registrant : table.registrants) {
    std::array<char, block::PartyId::longest_name + 1> room{};
    status.put(
        {.key = registrant.key,
         .holder = registrant.holder,
         .type = registrant.holder && table.type ? block::scsi_type(*table.type) : std::uint8_t{0},
         .all_target_ports = false,
         .relative_target_port = registrant.party.target_port(),
         .port = {.name = registrant.party.iscsi_name(room), .isid = registrant.party.isid()}});
  }
  status.end();
}

void put_reservation_of(Answer& answer, const block::ReservationTable& table) {
  std::optional<command::HeldReservation> held;
  if (table.type) {
    held.emplace();
    held->type = block::scsi_type(*table.type);
    const auto holder = std::find_if(table.registrants.begin(), table.registrants.end(),
                                     [](const auto& registrant) { return registrant.holder; });
    const bool one_holder = !block::is_all_registrants(*table.type);
    if (one_holder && holder != table.registrants.end()) held->key = holder->key;
  }
  put_reservation(answer, table.generation, held);
}

}  // namespace

void ReservationCommands::run(TaskPermit permit, const command::PersistentReserveIn& in,
                              bool ready) {
  block::Reservations& reservations = permit.task().itl->volume().reservations();
  if (reservations.is_unit_reserved())
    return answer(std::move(permit), ReservationOutcome::conflict);
  const auto table = reservations.report();
  if (!table) return answer(std::move(permit), ReservationOutcome::unavailable);
  answer_from_memory(sink_, std::move(permit), in.allocation_bytes, ready,
                     [&](Answer& answer) -> std::optional<Sense> {
                       switch (in.action) {
                         case command::PersistentReserveIn::Action::read_keys: {
                           std::vector<std::uint64_t> keys;
                           for (const auto& registrant : table->registrants)
                             keys.push_back(registrant.key);
                           put_reservation_keys(answer, table->generation, keys);
                           break;
                         }
                         case command::PersistentReserveIn::Action::read_reservation:
                           put_reservation_of(answer, *table);
                           break;
                         case command::PersistentReserveIn::Action::report_capabilities:
                           put_reservation_capabilities(answer, {.specify_initiator_ports = true,
                                                                 .all_target_ports = true,
                                                                 .persist_capable = true,
                                                                 .persists = table->persists});
                           break;
                         case command::PersistentReserveIn::Action::read_full_status:
                           put_full_status(answer, *table);
                           break;
                       }
                       return std::nullopt;
                     });
}

void ReservationCommands::run(TaskPermit permit, const command::PersistentReserveOut& out,
                              bool ready) {
  if (out.parameter_bytes == 0 || out.parameter_bytes > command::max_reserve_out_bytes) {
    return sink_.answer(std::move(permit), sense::parameter_list_length_error);
  }
  const auto data = host_data(sink_, permit, out.parameter_bytes, ready);
  if (!data) return;
  const auto list = parse_reserve_out_parameters(out, *data);
  if (!list) return sink_.answer(std::move(permit), list.error());
  const auto wanted = change_of({device_, identity_}, out, list.value());
  if (!wanted) return sink_.answer(std::move(permit), wanted.error());

  std::optional<bool> persist;
  if (registers(out.action)) persist = list.value().persist;
  Task& task = permit.park();
  task.unabortable = true;
  const block::ReservationPath& path = task.itl->reservations();
  // The task has not ended, so its nexus is there when this comes back from another thread.
  path.reservations().change(path, wanted.value(), persist,
                             [this, nexus = nexus_, &task](ReservationOutcome outcome) {
                               nexus->run([this, &task, outcome](Nexus*) {
                                 task.unabortable = false;
                                 answer(TaskPermit::resume(task), outcome);
                               });
                             });
}

void ReservationCommands::run(TaskPermit permit, const command::ReserveUnit&, bool /*ready*/) {
  block::ReservationPath& path = permit.task().itl->reservations();
  answer(std::move(permit), path.reservations().reserve_unit(path));
}

void ReservationCommands::run(TaskPermit permit, const command::ReleaseUnit&, bool /*ready*/) {
  block::ReservationPath& path = permit.task().itl->reservations();
  answer(std::move(permit), path.reservations().release_unit(path));
}

void ReservationCommands::answer(TaskPermit permit, ReservationVerdict verdict) {
  switch (verdict) {
    case ReservationVerdict::allowed:
      return answer(std::move(permit), ReservationOutcome::done);
    case ReservationVerdict::conflict:
      return answer(std::move(permit), ReservationOutcome::conflict);
    case ReservationVerdict::not_known:
      return answer(std::move(permit), ReservationOutcome::unavailable);
  }
}

void ReservationCommands::answer(TaskPermit permit, ReservationOutcome outcome) {
  switch (outcome) {
    case ReservationOutcome::done:
      return sink_.good(std::move(permit));
    case ReservationOutcome::conflict:
      return sink_.answer(std::move(permit), protocol::scsi::Status::reservation_conflict);
    case ReservationOutcome::bad_field:
      return sink_.answer(std::move(permit), sense::invalid_field_in_list);
    case ReservationOutcome::wrong_release:
      return sink_.answer(std::move(permit), sense::invalid_release);
    case ReservationOutcome::no_room:
      return sink_.answer(std::move(permit), sense::insufficient_registration_resources);
    case ReservationOutcome::not_saved:
      return sink_.answer(std::move(permit), sense::internal_target_failure);
    case ReservationOutcome::unavailable:
      return sink_.answer(std::move(permit), sense::not_ready_becoming_ready);
  }
}

}  // namespace target::scsi
