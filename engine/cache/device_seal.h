// DeviceSeal: the checksums that tie everything on a cache device to that device and to its place.
#pragma once

#include <boost/endian/arithmetic.hpp>
#include <cstdint>

#include "engine/format/cache_format.h"
#include "engine/foundation/byte_cursor.h"
#include "engine/foundation/crc32c.h"
#include "engine/foundation/uuid.h"

namespace engine {

// A value; cheap to copy. CRC-32C, seeded with the device's UUID (docs/media-format.md,
// "Checksums").
class DeviceSeal {
 public:
  explicit DeviceSeal(const Uuid& device) : seed_(crc32c(device.bytes)) {}

  // The CRC-32C of the device's UUID: what the CRC of a kset goes on from.
  [[nodiscard]] std::uint32_t seed() const { return seed_; }

  // The checksum of `entry` at `position`; its own crc field counts as zero.
  template <class Entry>
  [[nodiscard]] std::uint32_t crc_of(Entry entry, std::uint64_t position) const {
    static_assert(sizeof(Entry) == format::entry_bytes);
    entry.header.crc = 0;
    const boost::endian::little_uint64_t place = position;
    return crc32c_extend(crc32c_extend(seed_, bytes_of(place)), bytes_of(entry));
  }

  // Makes `entry` valid at `position`.
  template <class Entry>
  void seal(Entry& entry, format::EntryType type, std::uint64_t position) const {
    entry.header.type = static_cast<std::uint16_t>(type);
    entry.header.flags = 0;
    entry.header.crc = crc_of(entry, position);
  }

  // Whether `entry` is a whole entry of this device, kind and position.
  template <class Entry>
  [[nodiscard]] bool is_sealed(const Entry& entry, format::EntryType type,
                               std::uint64_t position) const {
    return entry.header.type == static_cast<std::uint16_t>(type) &&
           entry.header.crc == crc_of(entry, position);
  }

 private:
  std::uint32_t seed_;
};

}  // namespace engine
