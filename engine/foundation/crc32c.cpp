#include "engine/foundation/crc32c.h"

#include <isa-l/crc.h>

#include <algorithm>
#include <array>

namespace engine {
namespace {

// A checksum is a polynomial over GF(2) modulo Castagnoli's, the lowest power in the highest bit.
// Bytes behind what it is of multiply it by x^8 each.
constexpr std::uint32_t polynomial = 0x82f63b78;
constexpr std::uint32_t one = 0x80000000;

constexpr std::uint32_t times_x(std::uint32_t a) {
  return (a >> 1) ^ ((a & 1) != 0 ? polynomial : 0);
}

constexpr std::uint32_t product(std::uint32_t a, std::uint32_t b) {
  std::uint32_t sum = 0;
  for (; a != 0; a <<= 1) {
    if ((a & one) != 0) sum ^= b;
    b = times_x(b);
  }
  return sum;
}

// x^(8 * bytes).
constexpr std::uint32_t power_of(std::uint64_t bytes) {
  std::uint32_t square = one;
  for (int bit = 0; bit < 8; ++bit) square = times_x(square);
  std::uint32_t power = one;
  for (; bytes != 0; bytes >>= 1) {
    if ((bytes & 1) != 0) power = product(power, square);
    square = product(square, square);
  }
  return power;
}

// The product with the power of a page, by the bytes of what is multiplied.
constexpr std::uint64_t page_bytes = 4096;
using PageTable = std::array<std::array<std::uint32_t, 256>, 4>;

constexpr PageTable make_page_table() {
  PageTable table{};
  const std::uint32_t power = power_of(page_bytes);
  for (std::uint32_t byte = 0; byte < 4; ++byte) {
    for (std::uint32_t value = 0; value < 256; ++value) {
      table[byte][value] = product(value << (8 * byte), power);
    }
  }
  return table;
}

constexpr PageTable page_table = make_page_table();

std::uint32_t times_page(std::uint32_t crc) {
  return page_table[0][crc & 0xff] ^ page_table[1][(crc >> 8) & 0xff] ^
         page_table[2][(crc >> 16) & 0xff] ^ page_table[3][crc >> 24];
}

}  // namespace

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

std::uint32_t crc32c_join(std::uint32_t crc, std::uint32_t more, std::uint64_t more_bytes) {
  return (more_bytes == page_bytes ? times_page(crc) : product(crc, power_of(more_bytes))) ^ more;
}

std::uint32_t crc32c(std::span<const std::byte> bytes) { return crc32c_extend(0, bytes); }

}  // namespace engine
