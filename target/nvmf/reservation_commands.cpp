#include "target/nvmf/reservation_commands.h"

#include <algorithm>
#include <utility>
#include <variant>

#include "target/nvmf/io_queue.h"
#include "target/reactor/reactor.h"

namespace target::nvmf {

namespace nvme = protocol::nvme;

std::optional<block::ReservationAccess> reservation_access(const nvme::IoCommand& command) {
  using Access = block::ReservationAccess;
  using Answer = std::optional<Access>;
  struct Visitor {
    Answer operator()(const nvme::Read&) const { return Access::read; }
    Answer operator()(const nvme::Compare&) const { return Access::read; }
    Answer operator()(const nvme::Verify&) const { return Access::read; }
    Answer operator()(const nvme::Write&) const { return Access::write; }
    Answer operator()(const nvme::WriteZeroes&) const { return Access::write; }
    Answer operator()(const nvme::WriteUncorrectable&) const { return Access::write; }
    Answer operator()(const nvme::DatasetManagement&) const { return Access::write; }
    Answer operator()(const nvme::Copy&) const { return Access::write; }
    Answer operator()(const nvme::Flush&) const { return Access::write; }
    Answer operator()(const nvme::ReservationRegister&) const { return std::nullopt; }
    Answer operator()(const nvme::ReservationAcquire&) const { return std::nullopt; }
    Answer operator()(const nvme::ReservationRelease&) const { return std::nullopt; }
    Answer operator()(const nvme::ReservationReport&) const { return std::nullopt; }
  };
  return std::visit(Visitor{}, command);
}

block::ReservationChange change_of(const nvme::ReservationRegister& command,
                                   std::span<const std::byte> keys) {
  const std::uint64_t key = nvme::reservation_key(keys, 0);
  const std::uint64_t new_key = nvme::reservation_key(keys, 1);
  switch (command.action) {
    case nvme::RegisterAction::add:
      return block::change::AddKey{new_key};
    case nvme::RegisterAction::remove:
      return block::change::RemoveKey{key, command.ignore_key};
    case nvme::RegisterAction::replace:
      break;
  }
  return block::change::ReplaceKey{key, new_key, command.ignore_key};
}

block::ReservationChange change_of(const nvme::ReservationAcquire& command,
                                   std::span<const std::byte> keys) {
  const std::uint64_t key = nvme::reservation_key(keys, 0);
  const auto type = static_cast<block::ReservationType>(command.type);
  if (command.action == nvme::AcquireAction::acquire) return block::change::Reserve{key, type};
  return block::change::Preempt{key, nvme::reservation_key(keys, 1), type,
                                command.action == nvme::AcquireAction::preempt_and_abort};
}

block::ReservationChange change_of(const nvme::ReservationRelease& command,
                                   std::span<const std::byte> keys) {
  const std::uint64_t key = nvme::reservation_key(keys, 0);
  if (command.action == nvme::ReleaseAction::clear) return block::change::Clear{key};
  return block::change::Release{key, static_cast<block::ReservationType>(command.type)};
}

nvme::Status status_of(block::ReservationOutcome outcome) {
  switch (outcome) {
    case block::ReservationOutcome::done:
      return nvme::status::success;
    case block::ReservationOutcome::conflict:
      return nvme::status::reservation_conflict;
    case block::ReservationOutcome::bad_field:
    case block::ReservationOutcome::wrong_release:
      return nvme::status::invalid_field;
    case block::ReservationOutcome::no_room:  // Base has no status for it
      return nvme::status::internal_error.with_do_not_retry(true);
    case block::ReservationOutcome::not_saved:
      return nvme::status::internal_error;
    case block::ReservationOutcome::unavailable:
      return nvme::status::namespace_not_ready;
  }
  return nvme::status::internal_error;
}

std::vector<std::byte> reservation_report(const block::ReservationTable& table) {
  std::vector<nvme::ReportedRegistrant> registrants;
  for (const block::Registrant& each : table.registrants) {
    registrants.push_back(
        {.host_id = each.party.as_host_id(), .key = each.key, .holder = each.holder});
  }
  return nvme::build_reservation_report(
      {.generation = table.generation,
       .type = table.type ? static_cast<std::uint8_t>(*table.type) : std::uint8_t{0},
       .persists = table.persists,
       .registrants = registrants});
}

// ---- IoQueue: the commands

void IoQueue::run_register(CommandPermit permit, const nvme::ReservationRegister& command,
                           bool data_is_ready) {
  const auto keys = host_data(permit, command.data, {nvme::two_keys_bytes}, data_is_ready);
  if (keys) change_reservations(std::move(permit), change_of(command, *keys), command.persist);
}

void IoQueue::run_acquire(CommandPermit permit, const nvme::ReservationAcquire& command,
                          bool data_is_ready) {
  const auto keys = host_data(permit, command.data, {nvme::two_keys_bytes}, data_is_ready);
  if (keys) change_reservations(std::move(permit), change_of(command, *keys));
}

void IoQueue::run_release(CommandPermit permit, const nvme::ReservationRelease& command,
                          bool data_is_ready) {
  const auto keys = host_data(permit, command.data, {nvme::one_key_bytes}, data_is_ready);
  if (keys) change_reservations(std::move(permit), change_of(command, *keys));
}

// Answered when the change is durable if it has to be, and when all that it aborts has ended.
void IoQueue::change_reservations(CommandPermit permit, const block::ReservationChange& change,
                                  std::optional<bool> persist) {
  Command& command = permit.park();
  use_->path().reservations().change(
      use_->path(), change, persist,
      [this, &command, &reactor = port_.reactor()](block::ReservationOutcome outcome) {
        reactor.post([this, &command, outcome] {
          auto resumed = CommandPermit::resume(command);
          const auto status = status_of(outcome);
          if (outcome == block::ReservationOutcome::done) return resumed.respond(status);
          const bool passes = outcome == block::ReservationOutcome::unavailable;
          refuse(std::move(resumed), {passes ? later(status) : status});
        });
      });
}

void IoQueue::run_report(CommandPermit permit, const nvme::ReservationReport& command,
                         bool data_is_ready) {
  if (command.length > owner_.largest_transfer_bytes()) {
    return refuse(std::move(permit), {nvme::status::invalid_field, nvme::at_dword(10)});
  }
  const auto length = static_cast<std::uint32_t>(command.length);
  if (!data_is_ready) return permit.lease_for_host(length);
  const auto table = use_->path().reservations().report();
  if (!table) return refuse(std::move(permit), {later(nvme::status::namespace_not_ready)});
  const auto page = reservation_report(*table);
  const auto buffer = permit.command().buffer.bytes().first(length);
  const std::size_t copied = std::min<std::size_t>(page.size(), length);
  std::copy_n(page.begin(), copied, buffer.begin());
  std::fill(buffer.begin() + static_cast<std::ptrdiff_t>(copied), buffer.end(), std::byte{0});
  permit.respond_with_data(length);
}

}  // namespace target::nvmf
