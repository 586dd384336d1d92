// The data digest (DDGST): CRC-32C over a PDU's data, computed while the data arrives or leaves in
// pieces.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "protocol/nvme_tcp/pdu.h"

namespace protocol::nvme_tcp {

// A mismatch does not end the connection: the command ends with the status Transient Transport
// Error (22h) once the rest of its data was received, and the stream goes on behind the digest
// (NVMe/TCP 1.1, "Data Digest Error").
class DataDigest {
 public:
  DataDigest() = default;
  // Of data whose CRC-32C is known.
  explicit DataDigest(std::uint32_t crc) : crc_(crc) {}
  // `piece` continues the data seen so far.
  void update(std::span<const std::byte> piece);

  [[nodiscard]] std::uint32_t value() const { return crc_; }
  [[nodiscard]] bool matches(std::span<const std::byte, digest_bytes> received) const;
  void write(std::span<std::byte, digest_bytes> space) const;

 private:
  std::uint32_t crc_ = 0;
};

}  // namespace protocol::nvme_tcp
