#include "engine/foundation/crc32c.h"

#include <isa-l/crc.h>

#include <algorithm>

namespace engine {

std::uint32_t crc32c_extend(std::uint32_t crc, std::span<const std::byte> more) {
  // ISA-L takes an int length and a pointer that it does not write through.
  constexpr std::size_t largest_piece = std::size_t{1} << 30;
  crc = ~crc;
  while (!more.empty()) {
    const auto piece = more.first(std::min(more.size(), largest_piece));
    auto* bytes = reinterpret_cast<unsigned char*>(const_cast<std::byte*>(piece.data()));
    crc = crc32_iscsi(bytes, static_cast<int>(piece.size()), crc);
    more = more.subspan(piece.size());
  }
  return ~crc;
}

std::uint32_t crc32c(std::span<const std::byte> bytes) { return crc32c_extend(0, bytes); }

}  // namespace engine
