// NVMe/TCP PDUs as the client builds and takes them apart; any field of an outgoing PDU can be made
// wrong. NVMe/TCP Transport 1.1, section 3.6 (PDU format and types).
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "tests/client/bytes.h"
#include "tests/client/error.h"

namespace client {

enum class PduType : std::uint8_t {
  ic_request = 0x00,
  ic_response = 0x01,
  h2c_terminate = 0x02,
  c2h_terminate = 0x03,
  command = 0x04,
  response = 0x05,
  h2c_data = 0x06,
  c2h_data = 0x07,
  r2t = 0x09,
  kickstart_request = 0x0a,
  kickstart_response = 0x0b,
};

// The FLAGS byte of the common header.
namespace pdu_flag {
constexpr std::uint8_t header_digest = 0x01;
constexpr std::uint8_t data_digest = 0x02;
constexpr std::uint8_t last = 0x04;
constexpr std::uint8_t success = 0x08;
}  // namespace pdu_flag

constexpr std::size_t common_header_bytes = 8;

// What was negotiated for one direction of a connection.
struct Framing {
  bool header_digest = false;
  bool data_digest = false;
  std::uint32_t data_alignment = 4;  // bytes; PDO is a multiple of it: (HPDA or CPDA + 1) * 4
};

// A PDU to send. encode() computes the common header from `type`, `specific` and `data`; every
// field below the line replaces what would have been right.
struct Pdu {
  PduType type = PduType::command;
  std::uint8_t flags = 0;  // without the digest bits, which follow the framing
  Bytes specific = {};     // bytes 8 to HLEN-1
  Bytes data = {};

  std::optional<std::uint8_t> wire_type = {};
  std::optional<std::uint8_t> wire_flags = {};
  std::optional<std::uint8_t> hlen = {};
  std::optional<std::uint8_t> pdo = {};
  std::optional<std::uint32_t> plen = {};
  std::optional<bool> with_header_digest = {};
  std::optional<bool> with_data_digest = {};
  std::uint32_t header_digest_flip = 0;  // xored into the digest
  std::uint32_t data_digest_flip = 0;
};

[[nodiscard]] Bytes encode(const Pdu& pdu, const Framing& framing);

// A PDU as it arrived; `raw` is all of it with padding and digests.
struct ReceivedPdu {
  Bytes raw;
  std::size_t data_offset = 0;
  std::size_t data_bytes = 0;
  bool header_digest_ok = true;  // true as well when there is none
  bool data_digest_ok = true;

  [[nodiscard]] std::uint8_t type_byte() const { return get<std::uint8_t>(raw, 0); }
  [[nodiscard]] PduType type() const { return static_cast<PduType>(type_byte()); }
  [[nodiscard]] bool is(PduType wanted) const { return type() == wanted; }
  [[nodiscard]] std::uint8_t flags() const { return get<std::uint8_t>(raw, 1); }
  [[nodiscard]] std::uint8_t hlen() const { return get<std::uint8_t>(raw, 2); }
  [[nodiscard]] std::uint8_t pdo() const { return get<std::uint8_t>(raw, 3); }
  [[nodiscard]] std::uint32_t plen() const { return get<std::uint32_t>(raw, 4); }
  // All HLEN bytes; at least the common header.
  [[nodiscard]] std::span<const std::byte> header() const;
  [[nodiscard]] std::span<const std::byte> data() const {
    return std::span(raw).subspan(data_offset, data_bytes);
  }
  // A field of the header (offset from the PDU's first byte); 0 when HLEN is too short for it.
  template <class T>
  [[nodiscard]] T field(std::size_t offset) const {
    return offset + sizeof(T) <= header().size() ? get<T>(header(), offset) : T{0};
  }
  // One line for messages: type, flags, lengths.
  [[nodiscard]] std::string describe() const;
};

// How `pdu` breaks the protocol, with its header.
[[nodiscard]] Error violation(const char* what, const ReceivedPdu& pdu);

// Takes the first PDU off `buffer`; nullopt while it is not complete. Only what is needed to find
// its end is judged here (violation: PLEN under 8 or over 64 MiB, HLEN or PDO beyond PLEN); digests
// are computed, their verdict is in the result.
[[nodiscard]] Result<std::optional<ReceivedPdu>> take_pdu(Bytes& buffer, const Framing& framing);

// ICReq, section 3.6.2.2.
struct IcRequest {
  std::uint16_t pfv = 0;
  std::uint8_t hpda = 0;  // dwords, 0's based: 31 asks for 128-byte alignment of C2HData
  bool header_digest = false;
  bool data_digest = false;
  std::uint32_t maxr2t = 0;  // 0's based: outstanding R2Ts a command
};
[[nodiscard]] Pdu to_pdu(const IcRequest& request);

// ICResp, section 3.6.2.3.
struct IcResponse {
  std::uint16_t pfv = 0;
  std::uint8_t cpda = 0;
  bool header_digest = false;
  bool data_digest = false;
  std::uint32_t maxh2cdata = 0;  // bytes in one H2CData PDU
};
// Violations: wrong type, lengths, flags, reserved bits.
[[nodiscard]] Result<IcResponse> parse_ic_response(const ReceivedPdu& pdu);
[[nodiscard]] Pdu to_pdu(const IcResponse& response);

// Command capsule: the 64-byte entry and in-capsule data.
[[nodiscard]] Pdu command_capsule(std::span<const std::byte> entry, Bytes data = {});

// H2CData, section 3.6.2.7: `offset` counts from the command's first data byte.
[[nodiscard]] Pdu h2c_data(std::uint16_t cid, std::uint16_t ttag, std::uint32_t offset, Bytes data,
                           bool last);

// H2CTermReq; `offender` is the header of the PDU complained about (at most 128 bytes of it are
// legal).
[[nodiscard]] Pdu h2c_terminate(std::uint16_t fes, std::uint32_t fei, Bytes offender = {});

// C2HTermReq taken apart. Sections 3.6.2.5 and 3.7.
struct Termination {
  std::uint16_t fes = 0;  // fatal error status
  std::uint32_t fei = 0;  // offset of the wrong field, or 0
  Bytes offender = {};    // the header that was wrong
};
[[nodiscard]] Result<Termination> parse_termination(const ReceivedPdu& pdu);

// Fatal error status values of C2HTermReq and H2CTermReq.
namespace fatal {
constexpr std::uint16_t invalid_header_field = 1;
constexpr std::uint16_t sequence_error = 2;
constexpr std::uint16_t header_digest_error = 3;
constexpr std::uint16_t data_out_of_range = 4;
constexpr std::uint16_t limit_exceeded = 5;
constexpr std::uint16_t unsupported_parameter = 6;
}  // namespace fatal

}  // namespace client
