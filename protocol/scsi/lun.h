// The eight bytes that address a logical unit (SAM-5, "LUN structures").
#pragma once

#include <compare>
#include <cstdint>
#include <optional>

namespace protocol::scsi {

// How the first two bytes are to be read: their highest two bits.
enum class LunAddressing : std::uint8_t {
  peripheral = 0,
  flat_space = 1,
  logical_unit = 2,
  extended = 3
};

struct Lun {
  // All eight bytes, the first one on top: LUN 5 is 0005'0000'0000'0000h.
  std::uint64_t field = 0;

  // NOLINTNEXTLINE(modernize-use-nullptr): clang-tidy 14 means the default's own zero.
  friend constexpr auto operator<=>(Lun, Lun) = default;

  [[nodiscard]] constexpr LunAddressing addressing() const {
    return static_cast<LunAddressing>(field >> 62);
  }
  // The number of a unit of one level, given by peripheral addressing (bus 0) or flat space: both
  // name the same unit. nullopt: more levels, another method, or a well-known unit.
  [[nodiscard]] constexpr std::optional<std::uint16_t> unit_number() const {
    if ((field & 0x0000'ffff'ffff'ffffu) != 0) return std::nullopt;
    const auto first_level = static_cast<std::uint16_t>(field >> 48);
    switch (addressing()) {
      case LunAddressing::peripheral:
        if ((first_level & 0x3f00u) != 0) return std::nullopt;  // a bus behind the device
        return first_level;
      case LunAddressing::flat_space:
        return static_cast<std::uint16_t>(first_level & 0x3fffu);
      case LunAddressing::logical_unit:
      case LunAddressing::extended:
        return std::nullopt;
    }
    return std::nullopt;
  }
  // As hosts expect it in REPORT LUNS: peripheral addressing up to 255, flat space behind.
  // `number`: 0..max_unit_number.
  static constexpr Lun of_unit(std::uint16_t number) {
    const std::uint64_t first_level = number < 256 ? number : 0x4000u | (number & 0x3fffu);
    return {first_level << 48};
  }
};

inline constexpr std::uint16_t max_unit_number = 0x3fff;

// The REPORT LUNS well-known logical unit (SPC-4, "REPORT LUNS well known logical unit"): it knows
// INQUIRY, REPORT LUNS, REQUEST SENSE and TEST UNIT READY.
inline constexpr Lun report_luns_unit{0xc101'0000'0000'0000u};

}  // namespace protocol::scsi
