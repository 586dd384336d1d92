#include "protocol/auth/dhchap_messages.h"

#include <cstring>
#include <string_view>

#include "engine/foundation/check.h"

namespace protocol::auth {
namespace {

using View = std::span<const std::byte>;
template <class T>
using Decoded = engine::Result<T, AuthFailure>;

constexpr std::uint8_t authentication_failure_reason = 0x01;

// The struct at the front of `bytes`, which becomes what follows it.
template <class Wire>
Decoded<Wire> take(View& bytes) {
  if (bytes.size() < sizeof(Wire)) return AuthFailure::incorrect_payload;
  Wire wire;
  std::memcpy(&wire, bytes.data(), sizeof(wire));
  bytes = bytes.subspan(sizeof(wire));
  return wire;
}

Decoded<View> take(View& bytes, std::size_t size) {
  if (bytes.size() < size) return AuthFailure::incorrect_payload;
  const View taken = bytes.first(size);
  bytes = bytes.subspan(size);
  return taken;
}

Decoded<HostMessage> decode_negotiate(View bytes) {
  TRY(const auto wire, take<NegotiateWire>(bytes));
  if (wire.descriptors == 0) return AuthFailure::incorrect_payload;
  Negotiate message{.transaction = wire.header.transaction, .concatenation = wire.concatenation};
  for (unsigned i = 0; i < wire.descriptors; ++i) {
    const View at = bytes;
    TRY(const auto descriptor, take<ProtocolDescriptorWire>(bytes));
    if (descriptor.protocol != dhchap_protocol || message.offers_dhchap) continue;
    if (descriptor.hashes > most_listed || descriptor.groups > most_listed) {
      return AuthFailure::incorrect_payload;
    }
    message.offers_dhchap = true;
    message.hashes = at.subspan(offsetof(ProtocolDescriptorWire, hash_list), descriptor.hashes);
    message.groups = at.subspan(offsetof(ProtocolDescriptorWire, group_list), descriptor.groups);
  }
  return HostMessage{message};
}

Decoded<HostMessage> decode_reply(View bytes) {
  TRY(const auto wire, take<ReplyWire>(bytes));
  const bool is_hash = wire.hash_bytes == 32 || wire.hash_bytes == 48 || wire.hash_bytes == 64;
  if (!is_hash || wire.challenge_valid > 1) return AuthFailure::incorrect_payload;
  if (wire.value_bytes > longest_dh_value_bytes) return AuthFailure::incorrect_payload;
  Reply message{.transaction = wire.header.transaction, .sequence = wire.sequence};
  TRY(message.response, take(bytes, wire.hash_bytes));
  TRY(const View challenge, take(bytes, wire.hash_bytes));
  if (wire.challenge_valid == 1) message.challenge = challenge;
  TRY(message.public_value, take(bytes, wire.value_bytes));
  return HostMessage{message};
}

Decoded<HostMessage> decode_success2(View bytes) {
  constexpr std::size_t success2_bytes = 16;
  TRY(const View whole, take(bytes, success2_bytes));
  return HostMessage{Success2{.transaction = transaction_of(whole)}};
}

Decoded<HostMessage> decode_failure2(View bytes) {
  TRY(const auto wire, take<FailureWire>(bytes));
  return HostMessage{
      Failure2{.transaction = wire.header.transaction, .explanation = wire.explanation}};
}

AuthHeaderWire header_of(AuthMessage message, std::uint16_t transaction) {
  AuthHeaderWire header{};
  header.type = static_cast<std::uint8_t>(static_cast<unsigned>(message) >> 8);
  header.id = static_cast<std::uint8_t>(static_cast<unsigned>(message) & 0xff);
  header.transaction = transaction;
  return header;
}

template <class Wire>
std::vector<std::byte> wire_bytes(const Wire& wire) {
  std::vector<std::byte> bytes(sizeof(wire));
  std::memcpy(bytes.data(), &wire, sizeof(wire));
  return bytes;
}

}  // namespace

std::string_view text_of(AuthFailure failure) {
  switch (failure) {
    case AuthFailure::authentication_failed:
      return "wrong key";
    case AuthFailure::protocol_not_usable:
      return "no protocol in common";
    case AuthFailure::concatenation_mismatch:
      return "secure channel concatenation mismatch";
    case AuthFailure::hash_not_usable:
      return "no hash in common";
    case AuthFailure::group_not_usable:
      return "no Diffie-Hellman group in common";
    case AuthFailure::incorrect_payload:
      return "malformed message";
    case AuthFailure::incorrect_message:
      return "message out of order";
  }
  return "unknown reason";
}

std::uint16_t transaction_of(std::span<const std::byte> bytes) {
  const auto header = take<AuthHeaderWire>(bytes);
  return header ? header.value().transaction.value() : std::uint16_t{0};
}

engine::Result<HostMessage, AuthFailure> decode_host_message(std::span<const std::byte> bytes) {
  View rest = bytes;
  TRY(const auto header, take<AuthHeaderWire>(rest));
  switch (static_cast<AuthMessage>(header.type << 8 | header.id)) {
    case AuthMessage::negotiate:
      return decode_negotiate(bytes);
    case AuthMessage::reply:
      return decode_reply(bytes);
    case AuthMessage::success2:
      return decode_success2(bytes);
    case AuthMessage::failure2:
      return decode_failure2(bytes);
    case AuthMessage::failure1:
    case AuthMessage::challenge:
    case AuthMessage::success1:
      break;  // ours
  }
  return AuthFailure::incorrect_message;
}

std::vector<std::byte> encode_challenge(const Challenge& challenge) {
  CHECK(challenge.challenge.size() == hash_bytes(challenge.hash));
  CHECK(challenge.public_value.size() == dh_value_bytes(challenge.group));
  ChallengeWire wire{};
  wire.header = header_of(AuthMessage::challenge, challenge.transaction);
  wire.hash_bytes = static_cast<std::uint8_t>(challenge.challenge.size());
  wire.hash = static_cast<std::uint8_t>(challenge.hash);
  wire.group = static_cast<std::uint8_t>(challenge.group);
  wire.value_bytes = static_cast<std::uint16_t>(challenge.public_value.size());
  wire.sequence = challenge.sequence;
  auto bytes = wire_bytes(wire);
  bytes.insert(bytes.end(), challenge.challenge.begin(), challenge.challenge.end());
  bytes.insert(bytes.end(), challenge.public_value.begin(), challenge.public_value.end());
  return bytes;
}

std::vector<std::byte> encode_success1(std::uint16_t transaction, DhchapHash hash,
                                       const HashValue* response) {
  Success1Wire wire{};
  wire.header = header_of(AuthMessage::success1, transaction);
  wire.hash_bytes = static_cast<std::uint8_t>(hash_bytes(hash));
  wire.response_valid = response != nullptr ? 1 : 0;
  auto bytes = wire_bytes(wire);
  const std::size_t fixed = bytes.size();
  bytes.resize(fixed + hash_bytes(hash));
  if (response != nullptr) {
    CHECK(response->size == hash_bytes(hash));
    std::memcpy(bytes.data() + fixed, response->space.data(), response->size);
  }
  return bytes;
}

std::vector<std::byte> encode_failure1(std::uint16_t transaction, AuthFailure failure) {
  FailureWire wire{};
  wire.header = header_of(AuthMessage::failure1, transaction);
  wire.reason = authentication_failure_reason;
  wire.explanation = static_cast<std::uint8_t>(failure);
  return wire_bytes(wire);
}

}  // namespace protocol::auth
