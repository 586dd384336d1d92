// What a host may send, as bytes to start from before damaging them. Written against the
// specification's figures with offsets, not with the structs under test.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "engine/foundation/crc32c.h"
#include "protocol/nvme_tcp/pdu_decoder.h"
#include "tests/protocol/wire/hex.h"

namespace protocol::nvme_tcp {

using Bytes = std::vector<std::byte>;

inline void put(Bytes& bytes, std::size_t offset, std::uint64_t value, std::size_t width) {
  for (std::size_t i = 0; i < width; ++i) {
    bytes.at(offset + i) = static_cast<std::byte>(value >> (8 * i));
  }
}

inline void append_crc(Bytes& bytes, std::uint32_t crc) {
  bytes.resize(bytes.size() + 4);
  put(bytes, bytes.size() - 4, crc, 4);
}

// HDGST over the header, recomputed after a field was changed.
inline void refresh_header_digest(Bytes& bytes, std::size_t hlen) {
  put(bytes, hlen, engine::crc32c(std::span(bytes).first(hlen)), 4);
}

inline Bytes ic_req(std::uint16_t pfv = 0, std::uint8_t hpda = 0, std::uint8_t dgst = 0,
                    std::uint32_t maxr2t = 0) {
  Bytes bytes(128);
  put(bytes, 2, 128, 1);
  put(bytes, 4, 128, 4);
  put(bytes, 8, pfv, 2);
  put(bytes, 10, hpda, 1);
  put(bytes, 11, dgst, 1);
  put(bytes, 12, maxr2t, 4);
  return bytes;
}

// The records' bytes are 0.
inline Bytes kd_req(std::uint16_t records, std::uint16_t discovery_entries) {
  Bytes bytes(12U + 290U * records);
  put(bytes, 0, 0x0a, 1);
  put(bytes, 2, 12, 1);
  put(bytes, 3, 12, 1);
  put(bytes, 4, bytes.size(), 4);
  put(bytes, 8, records, 2);
  put(bytes, 10, discovery_entries, 2);
  return bytes;
}

// Header, header digest, padding up to the link's alignment (and `extra_pad` more), data, data
// digest.
inline Bytes with_data(Bytes header, const NegotiatedLink& link, std::span<const std::byte> data,
                       std::size_t extra_pad = 0) {
  const std::size_t hlen = header.size();
  std::size_t pdo = hlen + (link.hdgst ? 4 : 0);
  const std::size_t header_end = pdo;
  const std::size_t alignment = 4U * (link.cpda + 1U);
  if (!data.empty()) pdo = (pdo + alignment - 1) / alignment * alignment + extra_pad;
  const std::size_t plen = (data.empty() ? header_end : pdo + data.size() + (link.ddgst ? 4U : 0U));
  auto flags = static_cast<unsigned>(header.at(1));
  if (link.hdgst) flags |= 1U;
  if (link.ddgst && !data.empty()) flags |= 2U;
  put(header, 1, flags, 1);
  put(header, 3, data.empty() ? 0 : pdo, 1);
  put(header, 4, plen, 4);
  if (link.hdgst) append_crc(header, engine::crc32c(header));
  if (data.empty()) return header;
  header.resize(pdo, std::byte{0});
  header.insert(header.end(), data.begin(), data.end());
  if (link.ddgst) append_crc(header, engine::crc32c(data));
  return header;
}

// The SQE's bytes are 10h, 11h, ... 4fh.
inline Bytes capsule_cmd(const NegotiatedLink& link, std::span<const std::byte> data,
                         std::size_t extra_pad = 0) {
  Bytes header(72);
  put(header, 0, 0x04, 1);
  put(header, 2, 72, 1);
  for (std::size_t i = 0; i < 64; ++i) put(header, 8 + i, 0x10 + i, 1);
  return with_data(header, link, data, extra_pad);
}

struct H2cFields {
  std::uint16_t cccid = 0x1234;
  std::uint16_t ttag = 0x5678;
  std::uint32_t offset = 0x1000;
  bool last = false;
};

inline Bytes h2c_data(const NegotiatedLink& link, const H2cFields& fields,
                      std::span<const std::byte> data, std::size_t extra_pad = 0) {
  Bytes header(24);
  put(header, 0, 0x06, 1);
  put(header, 1, fields.last ? 4 : 0, 1);
  put(header, 2, 24, 1);
  put(header, 8, fields.cccid, 2);
  put(header, 10, fields.ttag, 2);
  put(header, 12, fields.offset, 4);
  put(header, 16, data.size(), 4);
  return with_data(header, link, data, extra_pad);
}

inline Bytes h2c_term_req(std::uint16_t fes, std::uint32_t fei, std::size_t data_bytes) {
  Bytes bytes(24 + data_bytes, std::byte{0x5a});
  for (std::size_t i = 0; i < 24; ++i) put(bytes, i, 0, 1);
  put(bytes, 0, 0x02, 1);
  put(bytes, 2, 24, 1);
  put(bytes, 4, bytes.size(), 4);
  put(bytes, 8, fes, 2);
  put(bytes, 10, fei, 4);
  return bytes;
}

[[nodiscard]] inline PduDecoder established_decoder(const NegotiatedLink& link) {
  PduDecoder decoder;
  decoder.establish(link);
  return decoder;
}

}  // namespace protocol::nvme_tcp
