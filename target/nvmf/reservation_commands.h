// What NVMe's reservation commands ask of a volume's reservations, and how those answer.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <vector>

#include "protocol/nvme/io_command.h"
#include "protocol/nvme/reservation.h"
#include "target/block/reservations.h"

namespace target::nvmf {

// NVMe Base 2.1, "Command Behavior in the Presence of a Reservation": the group that the command is
// in; nullopt: whoever has a reservation, it is carried out, or decides by itself.
[[nodiscard]] std::optional<block::ReservationAccess> reservation_access(
    const protocol::nvme::IoCommand& command);

// `keys`: the command's data, as long as it has to be.
[[nodiscard]] block::ReservationChange change_of(const protocol::nvme::ReservationRegister& command,
                                                 std::span<const std::byte> keys);
[[nodiscard]] block::ReservationChange change_of(const protocol::nvme::ReservationAcquire& command,
                                                 std::span<const std::byte> keys);
[[nodiscard]] block::ReservationChange change_of(const protocol::nvme::ReservationRelease& command,
                                                 std::span<const std::byte> keys);

[[nodiscard]] protocol::nvme::Status status_of(block::ReservationOutcome outcome);
[[nodiscard]] std::vector<std::byte> reservation_report(const block::ReservationTable& table);

}  // namespace target::nvmf
