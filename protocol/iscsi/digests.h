// Header and data digests (RFC 7143, 13.1): which of them a connection uses, and the data digest
// while data comes or goes in pieces.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "protocol/iscsi/pdu.h"

namespace protocol::iscsi {

// Of a connection. None until the login has ended.
struct Digests {
  bool header = false;
  bool data = false;

  [[nodiscard]] constexpr std::uint32_t header_digest_bytes() const {
    return header ? digest_bytes : 0U;
  }
  // A PDU without data has no data digest (11.2.4).
  [[nodiscard]] constexpr std::uint32_t data_digest_bytes(std::uint32_t length) const {
    return data && length != 0 ? digest_bytes : 0U;
  }
  friend bool operator==(const Digests&, const Digests&) = default;
};

// Data segments end at a multiple of four bytes (11.2.3).
[[nodiscard]] constexpr std::uint32_t pad_bytes_of(std::uint32_t data_bytes) {
  return (4 - data_bytes % 4) % 4;
}

// CRC-32C over the data and its padding, on the wire with the lowest byte first.
class DataDigest {
 public:
  DataDigest() = default;
  // Of data whose CRC-32C is known.
  explicit DataDigest(std::uint32_t crc) : crc_(crc) {}

  // `piece` continues the data seen so far; received padding is data here.
  void update(std::span<const std::byte> piece);
  // What we send: zeros.
  void pad(std::uint32_t pad_bytes);

  [[nodiscard]] std::uint32_t value() const { return crc_; }
  [[nodiscard]] bool matches(std::span<const std::byte, digest_bytes> received) const;
  void write(std::span<std::byte, digest_bytes> space) const;

 private:
  std::uint32_t crc_ = 0;
};

}  // namespace protocol::iscsi
