#include "target/block/party_id.h"

#include <algorithm>

#include "engine/foundation/check.h"

namespace target::block {
namespace {

constexpr std::string_view nvme_host_prefix = "iqn.2014-08.org.nvmexpress:hostid:";
constexpr std::string_view hex_digits = "0123456789abcdef";

// FNV-1a. Nobody's secret hangs on it: it only has to be the same each time, and different for
// parties that differ by chance.
std::uint64_t hash(std::uint64_t seed, std::uint16_t port, std::span<const std::byte> bytes) {
  constexpr std::uint64_t prime = 0x100000001b3;
  std::uint64_t value = (seed ^ port) * prime;
  for (const std::byte byte : bytes) {
    value = (value ^ std::to_integer<std::uint64_t>(byte)) * prime;
  }
  return value;
}

}  // namespace

PartyId PartyId::nvme_host(std::span<const std::byte, host_id_bytes> host_id) {
  return from_bytes(Kind::nvme_host, 0, host_id);
}

PartyId PartyId::scsi_nexus(std::string_view name, std::span<const std::byte, isid_bytes> isid,
                            std::uint16_t target_port) {
  CHECK(!name.empty() && name.size() <= longest_name);
  PartyId party;
  party.kind_ = Kind::scsi_nexus;
  party.length_ = static_cast<std::uint8_t>(isid_bytes + name.size());
  party.target_port_ = target_port;
  std::ranges::copy(isid, party.bytes_.begin());
  std::ranges::copy(std::as_bytes(std::span(name)), party.bytes_.begin() + isid_bytes);
  return party;
}

PartyId PartyId::from_bytes(Kind kind, std::uint16_t target_port,
                            std::span<const std::byte> bytes) {
  const bool is_host = kind == Kind::nvme_host && bytes.size() == host_id_bytes && target_port == 0;
  const bool is_nexus =
      kind == Kind::scsi_nexus && bytes.size() > isid_bytes && bytes.size() <= longest_bytes;
  if (!is_host && !is_nexus) return {};
  PartyId party;
  party.kind_ = kind;
  party.length_ = static_cast<std::uint8_t>(bytes.size());
  party.target_port_ = target_port;
  std::ranges::copy(bytes, party.bytes_.begin());
  return party;
}

std::array<std::byte, PartyId::host_id_bytes> PartyId::as_host_id() const {
  std::array<std::byte, host_id_bytes> id{};
  if (kind_ == Kind::nvme_host) {
    std::copy_n(bytes_.begin(), host_id_bytes, id.begin());
    return id;
  }
  constexpr std::array<std::uint64_t, 2> seeds{0xcbf29ce484222325, 0x6c62272e07bb0142};
  for (std::size_t half = 0; half < seeds.size(); ++half) {
    const std::uint64_t part = hash(seeds[half], target_port_, bytes());
    for (std::size_t byte = 0; byte < 8; ++byte) {
      id[half * 8 + byte] = static_cast<std::byte>(part >> (8 * (7 - byte)));
    }
  }
  return id;
}

std::string_view PartyId::iscsi_name(std::array<char, longest_name + 1>& room) const {
  std::size_t length = 0;
  if (kind_ == Kind::scsi_nexus) {
    for (const std::byte byte : bytes().subspan(isid_bytes)) {
      room[length++] = static_cast<char>(byte);
    }
  } else {
    std::ranges::copy(nvme_host_prefix, room.begin());
    length = nvme_host_prefix.size();
    for (const std::byte byte : bytes()) {
      room[length++] = hex_digits[std::to_integer<std::size_t>(byte >> 4)];
      room[length++] = hex_digits[std::to_integer<std::size_t>(byte & std::byte{0xf})];
    }
  }
  room[length] = '\0';
  return {room.data(), length};
}

std::array<std::byte, PartyId::isid_bytes> PartyId::isid() const {
  std::array<std::byte, isid_bytes> isid{};
  if (kind_ == Kind::scsi_nexus) std::copy_n(bytes_.begin(), isid_bytes, isid.begin());
  return isid;
}

}  // namespace target::block
