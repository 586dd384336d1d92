#include "protocol/nvme/reservation.h"

#include <algorithm>
#include <cstring>

#include "engine/foundation/byte_cursor.h"

namespace protocol::nvme {
namespace {

constexpr std::uint32_t action_bits = 7;
constexpr std::uint32_t ignore_key_bit = 1U << 3;
constexpr std::uint8_t most_types = 6;
constexpr std::uint32_t extended_data_structure = 1;

std::uint8_t action_of(const SubmissionEntry& entry) {
  return static_cast<std::uint8_t>(entry.cdw10 & action_bits);
}
std::uint8_t type_of(const SubmissionEntry& entry) {
  return static_cast<std::uint8_t>(entry.cdw10 >> 8);
}
Parsed<void> require_type(std::uint8_t type) {
  if (type >= 1 && type <= most_types) return engine::success();
  return Refusal{status::invalid_field, at_dword(10, 8)};
}
// Base 1.3 and later: to be refused.
Parsed<void> refuse_ignored_key(const SubmissionEntry& entry) {
  if ((entry.cdw10 & ignore_key_bit) == 0) return engine::success();
  return Refusal{status::invalid_field, at_dword(10, 3)};
}
Refusal unknown_action() { return {status::invalid_field, at_dword(10)}; }

Parsed<DataPointer> keys_of(const SubmissionEntry& entry, std::uint32_t bytes) {
  TRY(auto data, parse_data_pointer(entry, TransferDirection::host_to_controller));
  TRY(check_data_length(data, {bytes}));
  return data;
}

}  // namespace

Parsed<ReservationRegister> parse_reservation_register(const SubmissionEntry& entry) {
  const std::uint8_t action = action_of(entry);
  if (action > static_cast<std::uint8_t>(RegisterAction::replace)) return unknown_action();
  ReservationRegister parsed{.nsid = {entry.nsid},
                             .action = static_cast<RegisterAction>(action),
                             .ignore_key = (entry.cdw10 & ignore_key_bit) != 0};
  switch (entry.cdw10 >> 30) {  // CPTPL
    case 0:
      break;
    case 2:
      parsed.persist = false;
      break;
    case 3:
      parsed.persist = true;
      break;
    default:
      return Refusal{status::invalid_field, at_dword(10, 30)};
  }
  TRY(parsed.data, keys_of(entry, two_keys_bytes));
  return parsed;
}

Parsed<ReservationAcquire> parse_reservation_acquire(const SubmissionEntry& entry) {
  const std::uint8_t action = action_of(entry);
  if (action > static_cast<std::uint8_t>(AcquireAction::preempt_and_abort)) {
    return unknown_action();
  }
  TRY(refuse_ignored_key(entry));
  TRY(require_type(type_of(entry)));
  ReservationAcquire parsed{
      .nsid = {entry.nsid}, .action = static_cast<AcquireAction>(action), .type = type_of(entry)};
  TRY(parsed.data, keys_of(entry, two_keys_bytes));
  return parsed;
}

Parsed<ReservationRelease> parse_reservation_release(const SubmissionEntry& entry) {
  const std::uint8_t action = action_of(entry);
  if (action > static_cast<std::uint8_t>(ReleaseAction::clear)) return unknown_action();
  TRY(refuse_ignored_key(entry));
  ReservationRelease parsed{
      .nsid = {entry.nsid}, .action = static_cast<ReleaseAction>(action), .type = type_of(entry)};
  if (parsed.action == ReleaseAction::release) {
    TRY(require_type(parsed.type));
  }
  TRY(parsed.data, keys_of(entry, one_key_bytes));
  return parsed;
}

Parsed<ReservationReport> parse_reservation_report(const SubmissionEntry& entry) {
  if ((entry.cdw11 & extended_data_structure) == 0) {
    return Refusal{status::host_identifier_inconsistent, at_dword(11)};
  }
  ReservationReport parsed{.nsid = {entry.nsid},
                           .length = (std::uint64_t{entry.cdw10.value()} + 1) * 4};
  TRY(parsed.data, parse_data_pointer(entry, TransferDirection::controller_to_host));
  TRY(check_data_length(parsed.data, {parsed.length}));
  return parsed;
}

std::uint64_t reservation_key(std::span<const std::byte> data, std::size_t place) {
  wire_types::U64 key;
  std::memcpy(&key, data.subspan(place * sizeof(key)).data(), sizeof(key));
  return key;
}

std::vector<std::byte> build_reservation_report(const ReportedReservation& report) {
  constexpr std::uint16_t no_controller = 0xffff;  // as of a host that has none now
  std::vector<std::byte> page;
  const auto append = [&page](const auto& part) {
    const auto bytes = engine::bytes_of(part);
    page.insert(page.end(), bytes.begin(), bytes.end());
  };
  ReservationReportHeader header{};
  header.generation = report.generation;
  header.type = report.type;
  header.registrants = static_cast<std::uint16_t>(report.registrants.size());
  header.persists = report.persists ? 1 : 0;
  append(header);
  for (const ReportedRegistrant& each : report.registrants) {
    ReservationReportEntry entry{};
    entry.controller = no_controller;
    entry.status = each.holder ? 1 : 0;
    entry.key = each.key;
    std::memcpy(entry.host_id, each.host_id.data(), sizeof(entry.host_id));
    append(entry);
  }
  return page;
}

}  // namespace protocol::nvme
