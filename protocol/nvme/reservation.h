// Reservations as NVMe has them on the wire: the keys of a command, the report, and what is told of
// changes (NVMe Base 2.1, "Reservations" and the four commands).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <variant>
#include <vector>

#include "protocol/nvme/entries.h"
#include "protocol/nvme/features.h"
#include "protocol/nvme/identifiers.h"
#include "protocol/nvme/refusal.h"
#include "protocol/nvme/sgl.h"

namespace protocol::nvme {

enum class RegisterAction : std::uint8_t { add = 0, remove = 1, replace = 2 };  // RREGA
enum class AcquireAction : std::uint8_t { acquire = 0, preempt = 1, preempt_and_abort = 2 };
enum class ReleaseAction : std::uint8_t { release = 0, clear = 1 };  // RRELA

// Data: CRKEY, NRKEY.
struct ReservationRegister {
  NamespaceId nsid{};
  RegisterAction action = RegisterAction::add;
  bool ignore_key = false;        // IEKEY
  std::optional<bool> persist{};  // CPTPL; nullopt: no change
  DataPointer data{};
};
// Data: CRKEY, PRKEY.
struct ReservationAcquire {
  NamespaceId nsid{};
  AcquireAction action = AcquireAction::acquire;
  std::uint8_t type = 0;  // RTYPE: 1 to 6
  DataPointer data{};
};
// Data: CRKEY.
struct ReservationRelease {
  NamespaceId nsid{};
  ReleaseAction action = ReleaseAction::release;
  std::uint8_t type = 0;  // RTYPE: 1 to 6, or what it is for clear
  DataPointer data{};
};
struct ReservationReport {
  NamespaceId nsid{};
  std::uint64_t length = 0;  // from NUMD: honest, a multiple of 4, at least 4
  DataPointer data{};        // at least `length` bytes
};

// What follows parses the entries of opcodes 0Dh, 11h, 15h and 0Eh. Refusals: invalid_field
// (reserved actions and types, IEKEY of Acquire and Release), host_identifier_inconsistent (a
// report without EDS: all identifiers over Fabrics have 16 bytes), sgl_*, data_sgl_length_invalid.
[[nodiscard]] Parsed<ReservationRegister> parse_reservation_register(const SubmissionEntry& entry);
[[nodiscard]] Parsed<ReservationAcquire> parse_reservation_acquire(const SubmissionEntry& entry);
[[nodiscard]] Parsed<ReservationRelease> parse_reservation_release(const SubmissionEntry& entry);
[[nodiscard]] Parsed<ReservationReport> parse_reservation_report(const SubmissionEntry& entry);

inline constexpr std::uint32_t two_keys_bytes = 16;
inline constexpr std::uint32_t one_key_bytes = 8;
// The key at place 0 or 1 of a command's data.
[[nodiscard]] std::uint64_t reservation_key(std::span<const std::byte> data, std::size_t place);

// RESCAP of Identify Namespace: persistence, all six types, and IEKEY as Base 1.3 and later have
// it.
inline constexpr std::uint8_t every_reservation = 0xff;

// The report's extended form (EDS).
struct ReservationReportHeader {
  wire_types::U32 generation;
  std::uint8_t type;  // RTYPE, 0: no reservation
  wire_types::U16 registrants;
  std::uint8_t reserved7[2];
  std::uint8_t persists;  // PTPLS
  std::uint8_t reserved10[54];
};
static_assert(sizeof(ReservationReportHeader) == 64 && alignof(ReservationReportHeader) == 1);
static_assert(offsetof(ReservationReportHeader, registrants) == 5);
static_assert(offsetof(ReservationReportHeader, persists) == 9);
struct ReservationReportEntry {
  wire_types::U16 controller;  // CNTLID
  std::uint8_t status;         // RCSTS bit 0: holds the reservation
  std::uint8_t reserved3[5];
  wire_types::U64 key;
  std::uint8_t host_id[16];
  std::uint8_t reserved32[32];
};
static_assert(sizeof(ReservationReportEntry) == 64 && alignof(ReservationReportEntry) == 1);
static_assert(offsetof(ReservationReportEntry, key) == 8);
static_assert(offsetof(ReservationReportEntry, host_id) == 16);

// A host that is registered, whichever controllers it has or has not.
struct ReportedRegistrant {
  HostId host_id{};
  std::uint64_t key = 0;
  bool holder = false;
};
struct ReportedReservation {
  std::uint32_t generation = 0;
  std::uint8_t type = 0;  // 0: none
  bool persists = false;
  std::span<const ReportedRegistrant> registrants;
};
[[nodiscard]] std::vector<std::byte> build_reservation_report(const ReportedReservation& report);

// Log page 80h: the oldest of the notifications.
enum class ReservationNotification : std::uint8_t {
  none = 0,
  registration_preempted = 1,
  reservation_released = 2,
  reservation_preempted = 3,
};
struct ReservationNotificationPage {
  wire_types::U64 count;   // of this one; 0: there is none
  std::uint8_t type;       // ReservationNotification
  std::uint8_t available;  // how many more there are
  std::uint8_t reserved10[2];
  wire_types::U32 nsid;
  std::uint8_t reserved16[48];
};
static_assert(sizeof(ReservationNotificationPage) == 64 &&
              alignof(ReservationNotificationPage) == 1);
static_assert(offsetof(ReservationNotificationPage, available) == 9);
static_assert(offsetof(ReservationNotificationPage, nsid) == 12);

// Feature 82h, dword 11: a set bit is a notification that the host does not want.
[[nodiscard]] constexpr std::uint32_t mask_bit(ReservationNotification notification) {
  return 1U << static_cast<unsigned>(notification);
}
inline constexpr std::uint32_t reservation_mask_bits = 0b1110;
// Feature 83h, dword 11.
inline constexpr std::uint32_t persist_through_power_loss = 1;

}  // namespace protocol::nvme
