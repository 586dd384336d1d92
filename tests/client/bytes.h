// Numbers at a byte offset, little-endian (NVMe) or big-endian (iSCSI, SCSI). The client writes its
// own bytes, so that a mistake in the product's encoders cannot hide in the tests of them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/foundation/check.h"

namespace client {

using Bytes = std::vector<std::byte>;

// Writes `value` in sizeof(T) bytes, least significant first. The caller knows that it fits.
template <class T>
void put(std::span<std::byte> at, std::size_t offset, T value) {
  CHECK(offset + sizeof(T) <= at.size());
  for (std::size_t i = 0; i < sizeof(T); ++i) {
    at[offset + i] = static_cast<std::byte>((static_cast<std::uint64_t>(value) >> (8 * i)) & 0xff);
  }
}

// Reads sizeof(T) bytes, least significant first. The caller has compared the length.
template <class T>
[[nodiscard]] T get(std::span<const std::byte> from, std::size_t offset) {
  CHECK(offset + sizeof(T) <= from.size());
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < sizeof(T); ++i) {
    value |= static_cast<std::uint64_t>(from[offset + i]) << (8 * i);
  }
  return static_cast<T>(value);
}

// The same, most significant byte first; `bytes` of them, at most 8.
inline void put_big(std::span<std::byte> at, std::size_t offset, std::uint64_t value,
                    std::size_t bytes) {
  CHECK(offset + bytes <= at.size());
  for (std::size_t i = bytes; i-- > 0; value >>= 8) {
    at[offset + i] = static_cast<std::byte>(value & 0xff);
  }
}

[[nodiscard]] inline std::uint64_t get_big(std::span<const std::byte> from, std::size_t offset,
                                           std::size_t bytes) {
  CHECK(offset + bytes <= from.size());
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < bytes; ++i) {
    value = value << 8 | static_cast<std::uint64_t>(from[offset + i]);
  }
  return value;
}

// ASCII into a fixed field, cut at its end, the rest filled with `fill`.
void put_text(std::span<std::byte> field, std::string_view text, char fill = '\0');

// ASCII of a fixed field up to the first NUL, without trailing spaces.
[[nodiscard]] std::string get_text(std::span<const std::byte> field);

// Two hexadecimal digits a byte, blanks ignored: for golden vectors.
[[nodiscard]] Bytes from_hex(std::string_view digits);
[[nodiscard]] std::string to_hex(std::span<const std::byte> bytes);

}  // namespace client
