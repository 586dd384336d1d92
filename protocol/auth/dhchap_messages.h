// The messages of DH-HMAC-CHAP, as Authentication Send and Receive carry them (NVMe Base 2.0,
// sections 8.13.3 and 8.13.5): the host's decoded, the controller's encoded.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <variant>
#include <vector>

#include "engine/foundation/result.h"
#include "protocol/auth/dhchap.h"
#include "protocol/wire/endian.h"
#include "protocol/wire/layout.h"

namespace protocol::auth {

// SECP, SPSP1 and SPSP0 of the commands.
inline constexpr std::uint8_t nvme_security_protocol = 0xe9;
inline constexpr std::uint16_t nvme_security_specific = 0x0101;

// The longest that there is: a Reply with ffdhe8192 and SHA-512 has 1168; a Negotiate that offers
// more protocols than there are.
inline constexpr std::size_t longest_auth_message_bytes = 4096;

// AUTH_TYPE and AUTH_ID, as one.
enum class AuthMessage : std::uint16_t {
  negotiate = 0x0000,
  failure2 = 0x00f0,  // the host's
  failure1 = 0x00f1,  // the controller's
  challenge = 0x0101,
  reply = 0x0102,
  success1 = 0x0103,
  success2 = 0x0104,
};

// The explanation of the one reason code there is (01h, Authentication failure).
enum class AuthFailure : std::uint8_t {
  authentication_failed = 0x01,
  protocol_not_usable = 0x02,
  concatenation_mismatch = 0x03,
  hash_not_usable = 0x04,
  group_not_usable = 0x05,
  incorrect_payload = 0x06,  // a field that is not so, or a message that is too short
  incorrect_message = 0x07,  // not the next one, or none at all
};
// "hash not usable"; of a number that is none of these: "unknown reason".
[[nodiscard]] std::string_view text_of(AuthFailure failure);

struct AuthHeaderWire {
  wire::u8 type;
  wire::u8 id;
  wire::Reserved<2> reserved2;
  wire::le16 transaction;  // T_ID
};
static_assert(wire::is_wire_struct<AuthHeaderWire, 6>);

struct NegotiateWire {
  AuthHeaderWire header;
  wire::u8 concatenation;  // SC_C
  wire::u8 descriptors;    // NAPD
};
static_assert(wire::is_wire_struct<NegotiateWire, 8>);

// SC_C: whether the transaction shall make a PSK for TLS (NVMe Base 2.1, 8.3.4.5.2).
enum class Concatenation : std::uint8_t {
  none = 0,
  new_psk = 2,      // asked for on a plain connection
  replace_psk = 3,  // inside TLS, by a PSK that was made so
};

inline constexpr std::uint8_t dhchap_protocol = 0x01;  // AUTHID
inline constexpr std::size_t most_listed = 30;         // hashes, and groups
struct ProtocolDescriptorWire {
  wire::u8 protocol;
  wire::u8 reserved1;
  wire::u8 hashes;  // HALEN
  wire::u8 groups;  // DHLEN
  std::uint8_t hash_list[most_listed];
  std::uint8_t group_list[most_listed];
};
static_assert(wire::is_wire_struct<ProtocolDescriptorWire, 64>);

struct ChallengeWire {
  AuthHeaderWire header;
  wire::u8 hash_bytes;  // HL: of the challenge, which follows
  wire::u8 reserved7;
  wire::u8 hash;
  wire::u8 group;
  wire::le16 value_bytes;  // DHVLEN: of the public value, which follows that
  wire::le32 sequence;     // S1
};
static_assert(wire::is_wire_struct<ChallengeWire, 16>);

struct ReplyWire {
  AuthHeaderWire header;
  wire::u8 hash_bytes;  // HL: of the response and of the challenge, which follow
  wire::u8 reserved7;
  wire::u8 challenge_valid;  // CVALID
  wire::u8 reserved9;
  wire::le16 value_bytes;  // DHVLEN
  wire::le32 sequence;     // S2
};
static_assert(wire::is_wire_struct<ReplyWire, 16>);

struct Success1Wire {
  AuthHeaderWire header;
  wire::u8 hash_bytes;  // HL: of the response, which follows
  wire::u8 reserved7;
  wire::u8 response_valid;  // RVALID
  wire::Reserved<7> reserved9;
};
static_assert(wire::is_wire_struct<Success1Wire, 16>);

struct FailureWire {
  AuthHeaderWire header;
  wire::u8 reason;
  wire::u8 explanation;
};
static_assert(wire::is_wire_struct<FailureWire, 8>);

// What the host sends. Views the bytes it was decoded from.
struct Negotiate {
  std::uint16_t transaction = 0;
  std::uint8_t concatenation = 0;
  // Of the first descriptor of DH-HMAC-CHAP; it is not usable if there is none.
  bool offers_dhchap = false;
  std::span<const std::byte> hashes{};
  std::span<const std::byte> groups{};
};
struct Reply {
  std::uint16_t transaction = 0;
  std::span<const std::byte> response{};
  std::span<const std::byte> challenge{};  // C2; empty: the controller need not prove itself
  std::uint32_t sequence = 0;              // S2
  std::span<const std::byte> public_value{};
};
struct Success2 {
  std::uint16_t transaction = 0;
};
struct Failure2 {
  std::uint16_t transaction = 0;
  std::uint8_t explanation = 0;  // mostly one of AuthFailure
};
using HostMessage = std::variant<Negotiate, Reply, Success2, Failure2>;

// Bytes behind the message are not looked at: a host may send a whole buffer. Errors:
// incorrect_payload (too short, a length that is not so), incorrect_message (unknown).
[[nodiscard]] engine::Result<HostMessage, AuthFailure> decode_host_message(
    std::span<const std::byte> bytes);
// T_ID of what may not be decodable; 0 if it is too short even for that.
[[nodiscard]] std::uint16_t transaction_of(std::span<const std::byte> bytes);

struct Challenge {
  std::uint16_t transaction = 0;
  DhchapHash hash = DhchapHash::sha256;
  DhGroup group = DhGroup::null;
  std::uint32_t sequence = 0;
  std::span<const std::byte> challenge;  // as long as a hash
  std::span<const std::byte> public_value{};
};
[[nodiscard]] std::vector<std::byte> encode_challenge(const Challenge& challenge);
// `response`: the controller's; nullptr if it was not asked for.
[[nodiscard]] std::vector<std::byte> encode_success1(std::uint16_t transaction, DhchapHash hash,
                                                     const HashValue* response);
[[nodiscard]] std::vector<std::byte> encode_failure1(std::uint16_t transaction,
                                                     AuthFailure failure);

}  // namespace protocol::auth
