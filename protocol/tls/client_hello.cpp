#include "protocol/tls/client_hello.h"

#include <algorithm>

#include "protocol/tls/record_cipher.h"

namespace protocol::tls {
namespace {

using Bytes = std::span<const std::byte>;

constexpr std::uint8_t client_hello_message = 1;
constexpr std::size_t message_header_bytes = 4;
constexpr std::size_t random_bytes = 32;

constexpr std::uint16_t pre_shared_key = 41;
constexpr std::uint16_t supported_versions = 43;
constexpr std::uint16_t psk_key_exchange_modes = 45;
constexpr std::uint16_t tls_1_3 = 0x0304;
constexpr std::uint8_t psk_dhe_ke = 1;

constexpr std::size_t most_extensions = 64;

std::size_t number_at(Bytes bytes, std::size_t at, std::size_t width) {
  std::size_t value = 0;
  for (std::size_t i = 0; i < width; ++i) {
    value = value << 8 | std::to_integer<std::size_t>(bytes[at + i]);
  }
  return value;
}

// Takes values from the front; when something is missing, everything from there on is empty.
class Cursor {
 public:
  explicit Cursor(Bytes bytes) : left_(bytes) {}

  [[nodiscard]] bool is_good() const { return good_; }
  [[nodiscard]] bool is_at_end() const { return left_.empty(); }
  [[nodiscard]] std::size_t left() const { return left_.size(); }

  Bytes take(std::size_t bytes) {
    if (bytes > left_.size()) {
      good_ = false;
      left_ = {};
      return {};
    }
    const Bytes taken = left_.first(bytes);
    left_ = left_.subspan(bytes);
    return taken;
  }
  std::size_t number(std::size_t width) {
    const Bytes taken = take(width);
    return taken.empty() ? 0 : number_at(taken, 0, width);
  }
  // A vector with its length in `width` bytes in front.
  Bytes vector(std::size_t width) { return take(number(width)); }

 private:
  Bytes left_;
  bool good_ = true;
};

bool read_identities(Bytes list, std::vector<OfferedPsk>& psks) {
  Cursor cursor(list);
  while (!cursor.is_at_end()) {
    const Bytes identity = cursor.vector(2);
    (void)cursor.number(4);  // obfuscated_ticket_age: of tickets, which there are none of
    if (!cursor.is_good() || identity.empty()) return false;
    if (psks.size() == most_offered_identities) return false;
    psks.push_back({.identity = {reinterpret_cast<const char*>(identity.data()), identity.size()},
                    .binder = {}});
  }
  return cursor.is_good() && !psks.empty();
}

bool read_binders(Bytes list, std::vector<OfferedPsk>& psks) {
  Cursor cursor(list);
  for (OfferedPsk& psk : psks) {
    psk.binder = cursor.vector(1);
    if (!cursor.is_good() || psk.binder.size() < bytes_of(Hash::sha256)) return false;
  }
  return cursor.is_at_end();
}

bool offers(Bytes list, std::size_t wanted, std::size_t width) {
  Cursor cursor(list);
  bool found = false;
  while (!cursor.is_at_end()) found |= cursor.number(width) == wanted;
  return found && cursor.is_good();
}

}  // namespace

engine::Result<bool, HelloFault> HelloGatherer::add(Bytes bytes) {
  const std::size_t room = largest_hello_bytes - raw_.size();
  if (bytes.size() > room) return HelloFault::too_large;
  raw_.insert(raw_.end(), bytes.begin(), bytes.end());
  for (;;) {
    const Bytes rest = Bytes(raw_).subspan(scanned_);
    if (rest.empty()) return false;
    if (rest[0] != static_cast<std::byte>(ContentType::handshake)) return HelloFault::no_tls;
    // 0301h to 0304h: hellos have had all of them (RFC 8446, 5.1, has it ignored).
    if (rest.size() > 1 && rest[1] != std::byte{3}) return HelloFault::no_tls;
    if (rest.size() < record_header_bytes) return false;
    const std::size_t length = number_at(rest, 3, 2);
    if (length == 0 || length > largest_content_bytes) return HelloFault::malformed;
    if (length > largest_hello_bytes) return HelloFault::too_large;
    if (rest.size() < record_header_bytes + length) {
      return scanned_ + record_header_bytes + length > largest_hello_bytes
                 ? engine::Result<bool, HelloFault>(HelloFault::too_large)
                 : false;
    }
    const Bytes fragment = rest.subspan(record_header_bytes, length);
    message_.insert(message_.end(), fragment.begin(), fragment.end());
    scanned_ += record_header_bytes + length;
    if (std::to_integer<std::uint8_t>(message_[0]) != client_hello_message) {
      return HelloFault::no_tls;
    }
    if (message_.size() < message_header_bytes) continue;
    const std::size_t whole = message_header_bytes + number_at(message_, 1, 3);
    if (whole > largest_hello_bytes) return HelloFault::too_large;
    // No other message follows before we have answered.
    if (message_.size() > whole) return HelloFault::malformed;
    if (message_.size() == whole) return true;
  }
}

engine::Result<ClientHello, HelloFault> parse_client_hello(Bytes message) {
  Cursor cursor(message);
  if (cursor.number(1) != client_hello_message) return HelloFault::malformed;
  if (cursor.number(3) != cursor.left()) return HelloFault::malformed;
  ClientHello hello;
  (void)cursor.number(2);  // legacy_version
  (void)cursor.take(random_bytes);
  if (cursor.vector(1).size() > 32) return HelloFault::malformed;  // legacy_session_id
  const Bytes suites = cursor.vector(2);
  const Bytes compressions = cursor.vector(1);
  if (!cursor.is_good() || suites.size() % 2 != 0 || suites.empty() || compressions.empty()) {
    return HelloFault::malformed;
  }
  for (std::size_t at = 0; at < suites.size(); at += 2) {
    hello.suites.push_back(static_cast<std::uint16_t>(number_at(suites, at, 2)));
  }
  if (cursor.is_at_end()) return HelloFault::old_version;  // no extensions at all
  Cursor extensions(cursor.vector(2));
  if (!cursor.is_good() || !cursor.is_at_end()) return HelloFault::malformed;

  bool is_tls_1_3 = false;
  bool has_dhe = false;
  std::vector<std::size_t> seen;
  while (!extensions.is_at_end()) {
    const std::size_t type = extensions.number(2);
    const Bytes data = extensions.vector(2);
    if (!extensions.is_good() || seen.size() == most_extensions ||
        std::find(seen.begin(), seen.end(), type) != seen.end()) {
      return HelloFault::malformed;
    }
    seen.push_back(type);
    Cursor extension(data);
    if (type == supported_versions) {
      is_tls_1_3 = offers(extension.vector(1), tls_1_3, 2);
    } else if (type == psk_key_exchange_modes) {
      has_dhe = offers(extension.vector(1), psk_dhe_ke, 1);
    } else if (type == pre_shared_key) {
      if (!extensions.is_at_end()) return HelloFault::malformed;  // 4.2.11: it must be the last
      if (!read_identities(extension.vector(2), hello.psks)) return HelloFault::malformed;
      hello.truncated = message.first(message.size() - extension.left());
      if (!read_binders(extension.vector(2), hello.psks)) return HelloFault::malformed;
    } else {
      continue;
    }
    if (!extension.is_good() || !extension.is_at_end()) return HelloFault::malformed;
  }
  if (!is_tls_1_3) return HelloFault::old_version;
  if (hello.psks.empty() || !has_dhe) return HelloFault::no_psk;
  return hello;
}

}  // namespace protocol::tls
