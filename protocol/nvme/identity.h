// The NGUID of a namespace, from the UUID of its volume.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "engine/foundation/uuid.h"

namespace protocol::nvme {

using Nguid = std::array<std::byte, 16>;

// Stands where an NGUID has its IEEE OUI (bytes 8..10). The first octet's low nibble 2h makes it a
// locally administered identifier of the administratively assigned quadrant (IEEE 802c): it is
// nobody's OUI or CID.
inline constexpr std::array<std::byte, 3> locally_administered_prefix{
    std::byte{0x02}, std::byte{0x46}, std::byte{0x42}};

// Bytes 0..7 are the UUID's; 8..10 the prefix; 11..15 the upper 40 bits, big endian, of the UUID's
// last eight bytes (big endian) times 9E3779B97F4A7C15h modulo 2^64, so that every bit of the UUID
// counts in the 104 bits there are. Never changes: hosts name their devices after it. EUI64 is
// always 0.
[[nodiscard]] Nguid nguid_of(const engine::Uuid& volume);

}  // namespace protocol::nvme
