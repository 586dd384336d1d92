// The names of a volume as a logical unit. All come from its UUID and never change
// (docs/decisions.md).
#pragma once

#include <array>
#include <cstddef>
#include <string>

#include "engine/foundation/uuid.h"

namespace protocol::scsi {

// NAA IEEE Registered Extended (SPC-4, "NAA IEEE Registered Extended designator format"): 6h, an
// identifier in the place of the OUI that is locally administered and so nobody's, 36 bits mixed of
// the whole UUID, and the UUID's first 64 bits.
using NaaDesignator = std::array<std::byte, 16>;
[[nodiscard]] NaaDesignator naa_of(const engine::Uuid& volume);

// SPC-5, "UUID designator": a locally assigned UUID (1h), and the volume's.
using UuidDesignator = std::array<std::byte, 18>;
[[nodiscard]] UuidDesignator uuid_designator_of(const engine::Uuid& volume);

inline constexpr std::size_t unit_serial_characters = 25;

// The hexadecimal digits of the NAA designator behind the OUI. The first eight are mixed of the
// whole UUID: some hosts tell volumes apart by them alone.
[[nodiscard]] std::string unit_serial_of(const engine::Uuid& volume);

}  // namespace protocol::scsi
