#include "engine/pool/pool_error.h"

#include <array>
#include <cmath>
#include <cstdio>

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

std::string rough_size_text(ByteCount size) {
  constexpr std::array<const char*, 6> units{"bytes", "KiB", "MiB", "GiB", "TiB", "PiB"};
  auto value = static_cast<double>(size.value);
  std::size_t unit = 0;
  while (value >= 1024 && unit + 1 < units.size()) {
    value /= 1024;
    ++unit;
  }
  std::array<char, 32> text{};
  const bool is_small = unit > 0 && value < 100;
  value = is_small ? std::ceil(value * 10) / 10 : std::ceil(value);
  (void)std::snprintf(text.data(), text.size(), "%.*f %s", is_small ? 1 : 0, value, units.at(unit));
  return text.data();
}

}  // namespace engine
