// iSCSI PDUs as the client builds and takes them apart; any field of an outgoing PDU can be made
// wrong. RFC 7143, section 11.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "tests/client/bytes.h"
#include "tests/client/error.h"

namespace client::iscsi {

// Section 11.2.1.2.
enum class Opcode : std::uint8_t {
  nop_out = 0x00,
  scsi_command = 0x01,
  task_management = 0x02,
  login = 0x03,
  text = 0x04,
  data_out = 0x05,
  logout = 0x06,
  snack = 0x10,
  nop_in = 0x20,
  scsi_response = 0x21,
  task_management_response = 0x22,
  login_response = 0x23,
  text_response = 0x24,
  data_in = 0x25,
  logout_response = 0x26,
  r2t = 0x31,
  async_message = 0x32,
  reject = 0x3f,
};

constexpr std::size_t header_bytes = 48;
constexpr std::uint8_t immediate_bit = 0x40;  // of byte 0
constexpr std::uint8_t final_bit = 0x80;      // of byte 1
constexpr std::uint32_t no_tag = 0xffffffff;

// Where the fields are that most PDUs have.
namespace at {
constexpr std::size_t lun = 8;
constexpr std::size_t task_tag = 16;
constexpr std::size_t transfer_tag = 20;  // to the target; ExpectedDataTransferLength of a command
constexpr std::size_t command_sn = 24;    // StatSN in a target's
constexpr std::size_t stat_sn = 24;
constexpr std::size_t expected_stat_sn = 28;  // ExpCmdSN in a target's
constexpr std::size_t expected_command_sn = 28;
constexpr std::size_t max_command_sn = 32;
constexpr std::size_t data_sn = 36;  // and R2TSN
constexpr std::size_t buffer_offset = 40;
constexpr std::size_t residual = 44;  // and a R2T's desired length
}  // namespace at

// What was negotiated for a connection; login is without.
struct Framing {
  bool header_digest = false;
  bool data_digest = false;
};

// A PDU to send. encode() computes lengths, padding and digests; every field below the line
// replaces what would have been right.
struct Pdu {
  std::array<std::byte, header_bytes> header{};
  Bytes additional_header = {};
  Bytes data = {};

  std::optional<std::uint8_t> additional_header_words = {};
  std::optional<std::uint32_t> data_segment_bytes = {};  // 24 bits of it
  std::uint32_t header_digest_flip = 0;                  // xored into the digest
  std::uint32_t data_digest_flip = 0;

  Pdu() = default;
  explicit Pdu(Opcode opcode, std::uint8_t flags = final_bit) {
    byte(0, static_cast<std::uint8_t>(opcode)).byte(1, flags);
  }
  Pdu& byte(std::size_t offset, std::uint8_t value) {
    header[offset] = static_cast<std::byte>(value);
    return *this;
  }
  Pdu& u16(std::size_t offset, std::uint16_t value) { return big(offset, value, 2); }
  Pdu& u32(std::size_t offset, std::uint32_t value) { return big(offset, value, 4); }
  Pdu& u64(std::size_t offset, std::uint64_t value) { return big(offset, value, 8); }
  // Adds the I bit.
  Pdu& immediate() { return byte(0, static_cast<std::uint8_t>(header[0]) | immediate_bit); }
  [[nodiscard]] std::uint32_t u32(std::size_t offset) const {
    return static_cast<std::uint32_t>(get_big(header, offset, 4));
  }

 private:
  Pdu& big(std::size_t offset, std::uint64_t value, std::size_t bytes) {
    put_big(header, offset, value, bytes);
    return *this;
  }
};

[[nodiscard]] Bytes encode(const Pdu& pdu, const Framing& framing);

// A PDU as it arrived.
struct ReceivedPdu {
  std::array<std::byte, header_bytes> header{};
  Bytes additional_header = {};
  Bytes data = {};               // without its padding
  bool header_digest_ok = true;  // true as well when there is none
  bool data_digest_ok = true;
  bool padding_is_zero = true;

  [[nodiscard]] std::uint8_t byte(std::size_t offset) const {
    return static_cast<std::uint8_t>(header[offset]);
  }
  [[nodiscard]] std::uint16_t u16(std::size_t offset) const {
    return static_cast<std::uint16_t>(get_big(header, offset, 2));
  }
  [[nodiscard]] std::uint32_t u32(std::size_t offset) const {
    return static_cast<std::uint32_t>(get_big(header, offset, 4));
  }
  [[nodiscard]] std::uint64_t u64(std::size_t offset) const { return get_big(header, offset, 8); }
  [[nodiscard]] Opcode opcode() const { return static_cast<Opcode>(byte(0) & 0x3f); }
  [[nodiscard]] bool is(Opcode wanted) const { return opcode() == wanted; }
  [[nodiscard]] bool final() const { return (byte(1) & final_bit) != 0; }
  // One line for messages.
  [[nodiscard]] std::string describe() const;
};

// How `pdu` breaks the protocol, with its header.
[[nodiscard]] Error violation(const std::string& what, const ReceivedPdu& pdu);

// Takes the first PDU off `buffer`; nullopt while it is not complete. Digests are computed, their
// verdict is in the result. Violation: a header digest that is wrong, as the end is then not known.
[[nodiscard]] Result<std::optional<ReceivedPdu>> take_pdu(Bytes& buffer, const Framing& framing);

}  // namespace client::iscsi
