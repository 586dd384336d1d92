// LbaFormats: the block sizes that a volume's hosts may format it with, as NVMe numbers them.
#pragma once

#include <array>
#include <cstddef>
#include <optional>

#include "engine/foundation/units.h"
#include "target/block/block_volume.h"

namespace target::block {

struct LbaFormats {
  std::array<engine::BlockSize, 2> sizes{};  // ascending
  std::size_t count = 1;
  std::size_t current = 0;  // the volume's own

  // nullopt: there is no format of that number.
  [[nodiscard]] std::optional<engine::BlockSize> at(std::size_t number) const {
    return number < count ? std::optional(sizes[number]) : std::nullopt;
  }
  friend bool operator==(const LbaFormats&, const LbaFormats&) = default;
};

// Where nobody may format it, and where nothing else is possible, its own alone. Any thread.
[[nodiscard]] inline LbaFormats lba_formats_of(const BlockVolume& volume, bool may_format) {
  constexpr engine::BlockSize small{512};
  constexpr engine::BlockSize large{4096};
  const engine::BlockSize own = volume.volume().identity().block_size;
  const engine::BlockSize other = own == small ? large : small;
  if (!may_format || !volume.volume().can_have_blocks(other)) return {.sizes = {own, {}}};
  return {.sizes = {small, large}, .count = 2, .current = own == small ? 0U : 1U};
}
[[nodiscard]] inline LbaFormats lba_formats_of(const BlockVolume& volume) {
  return lba_formats_of(volume, volume.may_format());
}

}  // namespace target::block
