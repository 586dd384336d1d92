// The walker over a ClientHello (RFC 8446, 4.1.2), however it is cut into records: what a server
// must know before it gives the hello to OpenSSL, which checks it once more.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "engine/foundation/result.h"
#include "protocol/tls/hash.h"

namespace protocol::tls {

// Bounds on what is kept and looked at for a peer that has shown nothing yet.
inline constexpr std::size_t largest_hello_bytes = 8192;  // as it comes, with the record headers
inline constexpr std::size_t most_offered_identities = 16;

enum class HelloFault : std::uint8_t {
  no_tls,       // the first record is no handshake, or no TLS at all
  malformed,    // lengths that do not fit, an extension twice, a PSK that is not the last one
  too_large,    // more than largest_hello_bytes
  old_version,  // TLS 1.2 or older alone
  no_psk,       // no PSK is offered, or only without (EC)DHE
};

struct OfferedPsk {
  std::string_view identity;  // any bytes
  std::span<const std::byte> binder;
};

// Views what it was parsed from.
struct ClientHello {
  std::vector<OfferedPsk> psks;
  std::vector<std::uint16_t> suites;
  // The handshake message up to its binders: what they are over.
  std::span<const std::byte> truncated;
};

// Takes bytes as they come and finds where the hello ends.
class HelloGatherer {
 public:
  // True when the hello is complete. What is taken lies in raw(); bytes behind the record that
  // ends the hello are kept there too.
  [[nodiscard]] engine::Result<bool, HelloFault> add(std::span<const std::byte> bytes);

  [[nodiscard]] const std::vector<std::byte>& raw() const { return raw_; }
  // The handshake message, its header included. Once add() has said so.
  [[nodiscard]] std::span<const std::byte> message() const { return message_; }

 private:
  std::vector<std::byte> raw_;
  std::vector<std::byte> message_;
  std::size_t scanned_ = 0;  // of raw_: whole records
};

// `message`: of a complete hello.
[[nodiscard]] engine::Result<ClientHello, HelloFault> parse_client_hello(
    std::span<const std::byte> message);

}  // namespace protocol::tls
