// PartyId: who holds registrations and reservations of a volume: an NVMe host, or an I_T nexus of
// SCSI.
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace target::block {

// A value, without memory of its own. Two are equal if they are the same party.
class PartyId {
 public:
  enum class Kind : std::uint8_t {
    nvme_host = 1,   // by its Host Identifier (NVMe Base, Host Identifier feature): 16 bytes
    scsi_nexus = 2,  // by initiator port (iSCSI name and ISID) and target port (SAM-5, I_T nexus)
  };
  static constexpr std::size_t host_id_bytes = 16;
  static constexpr std::size_t isid_bytes = 6;
  static constexpr std::size_t longest_name = 223;  // RFC 7143, 4.2.7.1
  static constexpr std::size_t longest_bytes = isid_bytes + longest_name;

  PartyId() = default;  // nobody: equal to no party
  [[nodiscard]] static PartyId nvme_host(std::span<const std::byte, host_id_bytes> host_id);
  // `name`: normalised (lower case), 1 to 223 bytes; `target_port`: the relative target port
  // identifier.
  [[nodiscard]] static PartyId scsi_nexus(std::string_view name,
                                          std::span<const std::byte, isid_bytes> isid,
                                          std::uint16_t target_port);
  // As bytes() has them; nobody if they cannot be a party's.
  [[nodiscard]] static PartyId from_bytes(Kind kind, std::uint16_t target_port,
                                          std::span<const std::byte> bytes);

  [[nodiscard]] bool is_nobody() const { return length_ == 0; }
  [[nodiscard]] Kind kind() const { return kind_; }
  [[nodiscard]] std::uint16_t target_port() const { return target_port_; }  // 0 with NVMe
  // The Host Identifier; or the ISID, then the name.
  [[nodiscard]] std::span<const std::byte> bytes() const {
    return std::span(bytes_).first(length_);
  }

  // What an NVMe host is shown as this party's Host Identifier: its own, or of a nexus 16 bytes
  // that are made of its name, ISID and port, and are always the same (docs/reservations.md).
  [[nodiscard]] std::array<std::byte, host_id_bytes> as_host_id() const;
  // What a SCSI host is shown as this party's iSCSI name and ISID: its own, or of an NVMe host
  // "iqn.2014-08.org.nvmexpress:hostid:" and the 32 hexadecimal digits of its Host Identifier, and
  // an ISID of zeros. The name is written to `room`.
  [[nodiscard]] std::string_view iscsi_name(std::array<char, longest_name + 1>& room) const;
  [[nodiscard]] std::array<std::byte, isid_bytes> isid() const;

  friend bool operator==(const PartyId& a, const PartyId& b) = default;
  friend std::strong_ordering operator<=>(const PartyId& a, const PartyId& b) = default;

 private:
  Kind kind_ = Kind::nvme_host;
  std::uint8_t length_ = 0;
  std::uint16_t target_port_ = 0;
  std::array<std::byte, longest_bytes> bytes_{};  // zeros behind `length_`
};

}  // namespace target::block
