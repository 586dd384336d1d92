// ReservationTable: registrations and the reservation of one volume, and what each command of both
// protocols does to them. A value: no locks, no I/O, no hosts.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <variant>
#include <vector>

#include "target/block/party_id.h"

namespace target::block {

// NVMe Base, "Reservation Type"; SPC-5, "Persistent reservation type": one set under two numbers.
enum class ReservationType : std::uint8_t {
  write_exclusive = 1,                    // SCSI 1h
  exclusive_access = 2,                   // SCSI 3h
  write_exclusive_registrants_only = 3,   // SCSI 5h
  exclusive_access_registrants_only = 4,  // SCSI 6h
  write_exclusive_all_registrants = 5,    // SCSI 7h
  exclusive_access_all_registrants = 6,   // SCSI 8h
};
// nullopt: the standard has none of this number. NVMe's are the enumerators' own.
[[nodiscard]] std::optional<ReservationType> type_of_nvme(std::uint8_t rtype);
[[nodiscard]] std::optional<ReservationType> type_of_scsi(std::uint8_t type);
[[nodiscard]] std::uint8_t scsi_type(ReservationType type);
[[nodiscard]] bool is_all_registrants(ReservationType type);
// Registrants Only or All Registrants: who is registered has the holder's rights.
[[nodiscard]] bool is_for_registrants(ReservationType type);

// What a command does to the volume. Of NVMe: the Read and Write Command Groups (Base, "Command
// Behavior in the Presence of a Reservation"). Of SCSI: write is also whatever SPC-5 and SBC-4 list
// with WRITE (MODE SELECT, UNMAP, SYNCHRONIZE CACHE...). What is allowed whoever has a reservation
// is not asked about.
enum class ReservationAccess : std::uint8_t { read, write };

// Keys: 0 is no key. In each, `key` is what the party says it has registered.
namespace change {

// NVMe Reservation Register, RREGA 0: conflict if registered with another key.
struct AddKey {
  std::uint64_t new_key = 0;  // 0: bad_field
};
// RREGA 2. With `ignore_key` also for who is not registered.
struct ReplaceKey {
  std::uint64_t key = 0;
  std::uint64_t new_key = 0;  // 0: bad_field
  bool ignore_key = false;
};
// RREGA 1.
struct RemoveKey {
  std::uint64_t key = 0;
  bool ignore_key = false;
};
// SPC-5 REGISTER, and with `ignore_key` REGISTER AND IGNORE EXISTING KEY: adds, replaces, or with a
// new key of 0 removes. All that it names, or nothing.
struct Register {
  std::uint64_t key = 0;
  std::uint64_t new_key = 0;
  bool ignore_key = false;
  // ALL_TG_PT: the same initiator port by the target's other ports. Each is treated as if it had
  // sent the same.
  std::vector<PartyId> other_paths{};
  // SPEC_I_PT: who is registered with `new_key` as well; whoever is registered already stays as it
  // is. bad_field if the party itself is.
  std::optional<std::vector<PartyId>> others{};
};
// REGISTER AND MOVE (SPC-5, 5.14.8): conflict if the party does not hold the reservation by itself.
struct Move {
  std::uint64_t key = 0;
  std::uint64_t new_key = 0;  // of the one it goes to; 0: bad_field
  PartyId to{};               // the party itself: bad_field
  bool unregister = false;
};
// RESERVE; Reservation Acquire.
struct Reserve {
  std::uint64_t key = 0;
  ReservationType type = ReservationType::write_exclusive;
};
struct Release {
  std::uint64_t key = 0;
  ReservationType type = ReservationType::write_exclusive;
};
struct Clear {
  std::uint64_t key = 0;
};
// PREEMPT and PREEMPT AND ABORT.
struct Preempt {
  std::uint64_t key = 0;
  std::uint64_t victim_key = 0;
  ReservationType type = ReservationType::write_exclusive;
  bool abort = false;  // commands of those that lose their registration
};

}  // namespace change

using ReservationChange =
    std::variant<change::AddKey, change::ReplaceKey, change::RemoveKey, change::Register,
                 change::Move, change::Reserve, change::Release, change::Clear, change::Preempt>;

enum class ReservationOutcome : std::uint8_t {
  done,
  conflict,       // RESERVATION CONFLICT; Reservation Conflict (83h)
  bad_field,      // INVALID FIELD IN PARAMETER LIST; Invalid Field in Command
  wrong_release,  // INVALID RELEASE OF PERSISTENT RESERVATION (26/04); Invalid Field in Command
  no_room,        // INSUFFICIENT REGISTRATION RESOURCES (55/04); nothing has changed
  not_saved,      // the pool could not write it down, so nothing has changed
  unavailable,    // the volume is late: what is reserved is not known yet
};

// What others are to be told: an NVMe host by the Reservation Notification log page, a nexus by a
// unit attention.
enum class ReservationNotice : std::uint8_t {
  registration_preempted,  // log type 1; REGISTRATIONS PREEMPTED (2A/05)
  reservation_released,    // log type 2; RESERVATIONS RELEASED (2A/04)
  reservation_preempted,   // log type 3; RESERVATIONS PREEMPTED (2A/03)
};

struct Registrant {
  PartyId party;
  std::uint64_t key = 0;
  bool holder = false;  // of All Registrants everybody is

  friend bool operator==(const Registrant&, const Registrant&) = default;
};

// Invariants: at most max_registrants, each party once, no key 0; without a type nobody holds, with
// one of All Registrants everybody does and there is somebody, with another exactly one.
struct ReservationTable {
  static constexpr std::size_t max_registrants = 128;

  // PRGENERATION, GEN: counts changes of registrations; 0 when the daemon starts.
  std::uint32_t generation = 0;
  bool persists = false;  // APTPL, PTPL: through a power loss
  std::optional<ReservationType> type;
  std::vector<Registrant> registrants;  // in the order in which they came

  struct Told {
    PartyId party;
    ReservationNotice notice;
  };
  struct Effect {
    ReservationOutcome outcome = ReservationOutcome::done;
    std::vector<Told> told;        // never the party itself
    std::vector<PartyId> aborted;  // whose commands a Preempt with `abort` ends
  };

  // `persist`: APTPL of REGISTER, CPTPL of Reservation Register; nullopt: it stays. Unless the
  // outcome is done nothing has changed.
  [[nodiscard]] Effect apply(const PartyId& party, const ReservationChange& change,
                             std::optional<bool> persist = std::nullopt);

  [[nodiscard]] const Registrant* find(const PartyId& party) const;
  [[nodiscard]] bool may(const PartyId& party, ReservationAccess access) const;
  [[nodiscard]] bool is_sound() const;  // the invariants
};

}  // namespace target::block
