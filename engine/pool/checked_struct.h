// Sealing and checking structs that carry a CRC-32C of themselves.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "engine/foundation/byte_cursor.h"
#include "engine/foundation/crc32c.h"

namespace engine {

// The CRC-32C of `value` with its `crc` field zero.
template <class T>
[[nodiscard]] std::uint32_t crc_of(T value) {
  value.crc = 0;
  return crc32c(bytes_of(value));
}

template <class T>
void seal(T& value) {
  value.crc = crc_of(value);
}

template <class T>
[[nodiscard]] bool is_sealed(const T& value) {
  return value.crc == crc_of(value);
}

template <class Range>
[[nodiscard]] bool all_zero(const Range& range) {
  using Item = typename Range::value_type;
  return std::all_of(range.begin(), range.end(), [](Item item) { return item == Item{}; });
}

template <class T>
void append(std::vector<std::byte>& to, const T& value) {
  const auto bytes = bytes_of(value);
  to.insert(to.end(), bytes.begin(), bytes.end());
}

}  // namespace engine
