// The marker of a volume at a fixed place of a member's label area. docs/pool-format.md, "Device
// pool".
#pragma once

#include <optional>

#include "engine/pool/marker_file.h"
#include "engine/pool/pool_member.h"

namespace engine {

// nullopt: none has been made there since the place was cleared, or not completely. Errors: those
// of decode_marker(), io.
[[nodiscard]] Result<std::optional<StoredMark>, PoolError> read_marker(PoolMember& disk,
                                                                       MediaOffset place,
                                                                       const Uuid& volume);
// One slot, then the other: at each moment one of them is whole, or none ever was. Errors: io.
[[nodiscard]] Result<void, PoolError> write_marker(PoolMember& disk, MediaOffset place,
                                                   const StoredMark& stored);
// As before any marker; durable after the next sync of the member. Errors: io.
[[nodiscard]] Result<void, PoolError> clear_marker(PoolMember& disk, MediaOffset place);

}  // namespace engine
