#include "protocol/scsi/identity.h"

#include <algorithm>
#include <boost/endian/conversion.hpp>
#include <string_view>

namespace protocol::scsi {

namespace {

// The same that stands in an NGUID (protocol/nvme/identity.h): the low nibble 2h of the first octet
// makes it a locally administered identifier (IEEE 802c), so it is nobody's OUI or CID.
constexpr std::uint32_t locally_administered_prefix = 0x02'4642;
constexpr std::uint64_t multiplier = 0x9e37'79b9'7f4a'7c15;

}  // namespace

NaaDesignator naa_of(const engine::Uuid& volume) {
  const auto* bytes = reinterpret_cast<const unsigned char*>(volume.bytes.data());
  const std::uint64_t head = boost::endian::load_big_u64(bytes);
  const std::uint64_t tail = boost::endian::load_big_u64(bytes + 8);
  // Of both halves: UUIDs that differ in one of them only differ in the 36 bits too.
  const std::uint64_t mixed = ((head * multiplier) ^ tail) * multiplier;
  NaaDesignator naa{};
  auto* out = reinterpret_cast<unsigned char*>(naa.data());
  boost::endian::store_big_u64(
      out, std::uint64_t{6} << 60 | std::uint64_t{locally_administered_prefix} << 36 | mixed >> 28);
  boost::endian::store_big_u64(out + 8, head);
  return naa;
}

UuidDesignator uuid_designator_of(const engine::Uuid& volume) {
  UuidDesignator made{std::byte{0x10}};
  std::copy(volume.bytes.begin(), volume.bytes.end(), made.begin() + 2);
  return made;
}

std::string unit_serial_of(const engine::Uuid& volume) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string text;
  for (const std::byte byte : naa_of(volume)) {
    text += digits[static_cast<std::size_t>(byte) >> 4];
    text += digits[static_cast<std::size_t>(byte) & 15];
  }
  return text.substr(text.size() - unit_serial_characters);
}

}  // namespace protocol::scsi
