// PERSISTENT RESERVE IN and OUT parameter data (SPC-4, "PERSISTENT RESERVE IN command", "PERSISTENT
// RESERVE OUT command").
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "protocol/scsi/answer.h"
#include "protocol/scsi/command.h"
#include "protocol/scsi/sense.h"
#include "protocol/scsi/transport_id.h"

namespace protocol::scsi {

inline constexpr std::size_t max_transport_ids = 16;  // of one SPEC_I_PT list

// The basic list, and that of REGISTER AND MOVE (`move` is there then).
struct ReserveOutParameters {
  std::uint64_t key = 0;                 // RESERVATION KEY
  std::uint64_t service_action_key = 0;  // SERVICE ACTION RESERVATION KEY
  bool persist = false;                  // APTPL; only of the registering actions
  bool all_target_ports = false;         // ALL_TG_PT; likewise

  // SPEC_I_PT: also for these initiator ports, or all of a device's. Only of REGISTER.
  bool specify_ports = false;
  std::array<TransportId, max_transport_ids> ports{};
  std::uint8_t port_count = 0;
  [[nodiscard]] std::span<const TransportId> port_span() const {
    return std::span(ports).first(port_count);
  }

  struct Move {
    bool unregister = false;                 // UNREG
    std::uint16_t relative_target_port = 0;  // of the nexus it goes to
    TransportId to{};
  };
  std::optional<Move> move{};
};

// `data` is `command.parameter_bytes` long, or shorter where the host sent less; what is returned
// views it.
// Errors: parameter_list_length_error (1A/00): not 24 bytes where it must be, or cut short;
// invalid_list (26/00) with the place: SPEC_I_PT where it may not be, a TransportID that is no
// iSCSI one, too many of them (insufficient_registration_resources).
[[nodiscard]] Parsed<ReserveOutParameters> parse_reserve_out_parameters(
    const PersistentReserveOut& command, std::span<const std::byte> data);

// As many TransportIDs as there may be, with the longest names and ISIDs.
inline constexpr std::uint32_t max_reserve_out_bytes = 4096;

void put_reservation_keys(Answer& answer, std::uint32_t generation,
                          std::span<const std::uint64_t> keys);

struct HeldReservation {
  std::uint64_t key = 0;  // 0 of the All Registrants types
  std::uint8_t type = 0;  // 1, 3, 5..8
};
void put_reservation(Answer& answer, std::uint32_t generation,
                     const std::optional<HeldReservation>& held);

// REPORT CAPABILITIES: all types; what of the options is served (CRH is 0: RESERVE and RELEASE do
// not look like persistent ones).
struct ReservationCapabilities {
  bool specify_initiator_ports = true;  // SIP_C
  bool all_target_ports = true;         // ATP_C
  bool persist_capable = true;          // PTPL_C
  bool persists = false;                // PTPL_A
};
void put_reservation_capabilities(Answer& answer, const ReservationCapabilities& capabilities);

// READ FULL STATUS: one descriptor after the other, then end().
class FullStatus {
 public:
  struct Registrant {
    std::uint64_t key = 0;
    bool holder = false;                     // R_HOLDER
    std::uint8_t type = 0;                   // of the reservation, if it holds it
    bool all_target_ports = false;           // ALL_TG_PT
    std::uint16_t relative_target_port = 0;  // unless ALL_TG_PT
    TransportId port{};                      // name: at most max_iscsi_name_bytes
  };
  FullStatus(Answer& answer, std::uint32_t generation);
  void put(const Registrant& registrant);
  void end();

 private:
  Answer& answer_;
  std::size_t start_;
};

}  // namespace protocol::scsi
