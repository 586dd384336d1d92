// What an initiator may send, as bytes to start from before damaging them. Written against the
// figures of RFC 7143, section 11, with offsets, not with the structs under test.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "protocol/iscsi/pdu_decoder.h"

namespace protocol::iscsi {

using Bytes = std::vector<std::byte>;

// Big-endian.
inline void put(Bytes& bytes, std::size_t offset, std::uint64_t value, std::size_t width) {
  for (std::size_t i = 0; i < width; ++i) {
    bytes.at(offset + i) = static_cast<std::byte>(value >> (8 * (width - 1 - i)));
  }
}

// CRC-32C bit by bit, apart from the implementation in use: reflected polynomial 82F63B78h.
inline std::uint32_t slow_crc32c(std::span<const std::byte> bytes) {
  std::uint32_t crc = 0xffff'ffff;
  for (const std::byte byte : bytes) {
    crc ^= std::to_integer<std::uint32_t>(byte);
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0x82f6'3b78U : 0U);
  }
  return ~crc;
}

// Lowest byte first.
inline void append_digest(Bytes& bytes, std::uint32_t crc) {
  for (unsigned i = 0; i < 4; ++i) bytes.push_back(static_cast<std::byte>(crc >> (8 * i)));
}

inline Bytes with_header_digest(Bytes header) {
  append_digest(header, slow_crc32c(header));
  return header;
}

inline Bytes bhs(std::uint8_t opcode, std::uint8_t flags, std::uint32_t data_bytes = 0) {
  Bytes bytes(48);
  put(bytes, 0, opcode, 1);
  put(bytes, 1, flags, 1);
  put(bytes, 5, data_bytes, 3);
  put(bytes, 8, 0x0001'0000'0000'0000, 8);  // LUN 1
  put(bytes, 16, 0x1122'3344, 4);           // Initiator task tag
  return bytes;
}

inline Bytes scsi_command(std::uint8_t flags, std::uint32_t expected_bytes,
                          std::uint32_t data_bytes = 0) {
  Bytes bytes = bhs(0x01, flags, data_bytes);
  put(bytes, 20, expected_bytes, 4);
  put(bytes, 24, 0x0a0b'0c0d, 4);  // CmdSN
  put(bytes, 28, 0x0e0f'1011, 4);  // ExpStatSN
  for (std::size_t i = 0; i < 16; ++i) put(bytes, 32 + i, 0x80 + i, 1);
  return bytes;
}

// With additional header segments, which must be whole words.
inline Bytes with_ahs(Bytes header, const Bytes& ahs) {
  put(header, 4, ahs.size() / 4, 1);
  header.insert(header.end(), ahs.begin(), ahs.end());
  return header;
}

inline std::span<const std::byte> text_bytes(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

inline PduDecoder established_decoder(Digests digests = {}, std::uint32_t data_bytes = 65536) {
  PduDecoder decoder;
  decoder.establish(digests, data_bytes);
  return decoder;
}

}  // namespace protocol::iscsi
