// Writing bytes to a file, all of them, on the calling thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "engine/foundation/units.h"

namespace engine {

// False with errno; some of them may be written then.
[[nodiscard]] bool write_fully(int fd, MediaOffset offset, std::span<const std::byte> bytes);

// Whether the file is still at least `end` bytes long: a write beyond would give it a hole.
[[nodiscard]] bool reaches(int fd, std::uint64_t end);

}  // namespace engine
