// IndexEntry: a fragment inside its stripe, in 16 bytes of DRAM.
#pragma once

#include <algorithm>
#include <cstdint>
#include <type_traits>

#include "engine/cache/extent.h"

namespace engine {

// Positions are sectors inside the stripe. The packing is of memory only, nothing stores it:
//   word 0: begin 13 | place 39 | origin 11 | dirty 1      (begin on top, so that words sort)
//   word 1: logged sectors 16 | kind 1 | heat 2 | length - 1 13 | crc 32
class IndexEntry {
 public:
  IndexEntry() = default;  // indeterminate: runs are raw memory
  IndexEntry(std::uint32_t begin, std::uint32_t length, const ExtentValue& value)
      : where_((std::uint64_t{begin} << 51) | (value.place.value << 12) |
               (std::uint64_t{value.origin} << 1) | (value.dirty ? 1U : 0U)),
        what_((std::uint64_t{value.logged_sectors} << 48) |
              (std::uint64_t{value.kind == ExtentKind::zero ? 1U : 0U} << 47) |
              (std::uint64_t{value.heat} << 45) | (std::uint64_t{length - 1} << 32) | value.crc) {}

  [[nodiscard]] std::uint32_t begin() const { return static_cast<std::uint32_t>(where_ >> 51); }
  [[nodiscard]] std::uint32_t length() const {
    return (static_cast<std::uint32_t>(what_ >> 32) & 0x1fff) + 1;
  }
  [[nodiscard]] std::uint32_t end() const { return begin() + length(); }
  [[nodiscard]] bool is_zero() const { return ((what_ >> 47) & 1) != 0; }
  [[nodiscard]] bool dirty() const { return (where_ & 1) != 0; }
  [[nodiscard]] std::uint8_t heat() const { return static_cast<std::uint8_t>((what_ >> 45) & 3); }
  [[nodiscard]] std::uint64_t place() const { return (where_ >> 12) & largest_place.value; }
  [[nodiscard]] std::uint16_t origin() const {
    return static_cast<std::uint16_t>((where_ >> 1) & 0x7ff);
  }

  [[nodiscard]] ExtentValue value() const {
    return {.place = Place{place()},
            .crc = static_cast<std::uint32_t>(what_),
            .origin = origin(),
            .logged_sectors = static_cast<std::uint16_t>(what_ >> 48),
            .kind = is_zero() ? ExtentKind::zero : ExtentKind::data,
            .dirty = dirty(),
            .heat = heat()};
  }
  // The part of it that lies in [from, to); there must be one.
  [[nodiscard]] IndexEntry clipped(std::uint32_t from, std::uint32_t to) const {
    const std::uint32_t first = std::max(from, begin());
    const std::uint32_t last = std::min(to, end());
    return {first, last - first, value().advanced(SectorCount{first - begin()})};
  }
  // True if `next` goes on where this ends, in the same extent (whatever their heat).
  [[nodiscard]] bool continues_in(const IndexEntry& next) const {
    ExtentValue expected = value().advanced(SectorCount{length()});
    expected.heat = next.heat();
    return next.begin() == end() && next.value() == expected;
  }

  void set_dirty(bool dirty) { where_ = (where_ & ~std::uint64_t{1}) | (dirty ? 1U : 0U); }
  void warm() {
    if (heat() < hottest) what_ += std::uint64_t{1} << 45;
  }

 private:
  std::uint64_t where_;
  std::uint64_t what_;
};
static_assert(sizeof(IndexEntry) == 16);
static_assert(std::is_trivially_copyable_v<IndexEntry> && std::is_trivial_v<IndexEntry>);

}  // namespace engine
