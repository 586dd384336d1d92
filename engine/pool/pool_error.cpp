#include "engine/pool/pool_error.h"

#include <array>

namespace engine {

std::string size_text(ByteCount size) {
  constexpr std::array<const char*, 5> units{"KiB", "MiB", "GiB", "TiB", "PiB"};
  std::uint64_t value = size.value;
  std::size_t unit = 0;
  while (value != 0 && value % 1024 == 0 && unit < units.size()) {
    value /= 1024;
    ++unit;
  }
  return std::to_string(value) + (unit == 0 ? " bytes" : units[unit - 1]);
}

}  // namespace engine
