// Reading and writing bytes of a file, all of them, on the calling thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "engine/foundation/units.h"

namespace engine {

// How many have been read: less than asked for where the file ends. nullopt with errno.
[[nodiscard]] std::optional<std::size_t> read_fully(int fd, MediaOffset offset,
                                                    std::span<std::byte> bytes);

// False with errno; some of them may be written then.
[[nodiscard]] bool write_fully(int fd, MediaOffset offset, std::span<const std::byte> bytes);

// Zeros, for which the range keeps its space; by the kernel, or the disk, where they can. As above.
[[nodiscard]] bool zero_fully(int fd, MediaOffset offset, ByteCount length);

// Whether the file is still at least `end` bytes long: a write beyond would give it a hole.
[[nodiscard]] bool reaches(int fd, std::uint64_t end);

}  // namespace engine
