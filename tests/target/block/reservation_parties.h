// Parties for tests of reservations.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "target/block/party_id.h"

namespace target::block {

inline PartyId test_host(std::uint64_t number) {
  std::array<std::byte, PartyId::host_id_bytes> id{std::byte{0xf0}};
  for (std::size_t at = 0; at < 8; ++at) id[15 - at] = static_cast<std::byte>(number >> (8 * at));
  return PartyId::nvme_host(id);
}

inline PartyId test_nexus(std::string_view name, std::uint8_t isid, std::uint16_t port = 1) {
  const std::array<std::byte, PartyId::isid_bytes> bytes{
      std::byte{0x80}, {}, {}, {}, {}, static_cast<std::byte>(isid)};
  return PartyId::scsi_nexus(name, bytes, port);
}

}  // namespace target::block
