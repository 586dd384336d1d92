// Builds submission entries byte by byte, from the offsets in the specification and not from our
// structs.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "protocol/nvme/entries.h"

namespace protocol::nvme {

class RawEntry {
 public:
  explicit RawEntry(std::uint8_t opcode) { bytes_[0] = opcode; }

  RawEntry& put(std::size_t offset, std::uint64_t value, std::size_t size) {
    for (std::size_t i = 0; i < size; ++i)
      bytes_.at(offset + i) = static_cast<std::uint8_t>(value >> (8 * i));
    return *this;
  }
  RawEntry& flags(std::uint8_t value) { return put(1, value, 1); }
  RawEntry& command_id(std::uint16_t value) { return put(2, value, 2); }
  RawEntry& nsid(std::uint32_t value) { return put(4, value, 4); }
  RawEntry& dword(unsigned number, std::uint32_t value) { return put(number * 4, value, 4); }
  // PSDT 01b and one descriptor.
  RawEntry& sgl(std::uint8_t identifier, std::uint32_t length, std::uint64_t address = 0) {
    return flags(static_cast<std::uint8_t>(bytes_[1] | 0x40))
        .put(24, address, 8)
        .put(32, length, 4)
        .put(39, identifier, 1);
  }
  RawEntry& transport_sgl(std::uint32_t length) { return sgl(0x5a, length); }
  RawEntry& in_capsule_sgl(std::uint32_t length, std::uint64_t offset = 0) {
    return sgl(0x01, length, offset);
  }

  [[nodiscard]] SubmissionEntry entry() const {
    SubmissionEntry entry;
    std::memcpy(&entry, bytes_.data(), sizeof(entry));
    return entry;
  }

 private:
  std::array<std::uint8_t, 64> bytes_{};
};

}  // namespace protocol::nvme
