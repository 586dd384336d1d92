// What a volume table says of reservations, as it lies on the media. docs/pool-format.md.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "engine/format/pool_format.h"
#include "engine/pool/kept_reservations.h"

namespace engine {

// The volume's own entry, but for its registrants.
void encode_reservations(const KeptReservations& reservations, format::VolumeEntry& entry);
[[nodiscard]] KeptReservations decode_reservations(const format::VolumeEntry& entry);

// Appends the registrants of the volume whose entry has this number.
void append_registrants(const KeptReservations& reservations, std::size_t volume,
                        std::vector<std::byte>& to);
// nullopt: rotten, or nothing that append_registrants() writes.
[[nodiscard]] std::optional<KeptRegistrant> decode_registrant(const format::RegistrantEntry& entry);

}  // namespace engine
