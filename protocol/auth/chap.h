// CHAP (RFC 1994) as iSCSI uses it (RFC 7143, 12.1.3): algorithms, responses, secrets.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace protocol::auth {

// Numbers of IANA's registry "PPP Authentication Algorithms", which CHAP_A has.
enum class ChapAlgorithm : std::uint8_t {
  md5 = 5,
  sha1 = 6,
  sha256 = 7,
  sha3_256 = 8,
};

// Bytes; below 12 a secret can be found by trying (RFC 7143, 9.2.1).
inline constexpr std::size_t shortest_secret_bytes = 12;
inline constexpr std::size_t longest_secret_bytes = 256;
[[nodiscard]] constexpr bool is_secret_length(std::size_t bytes) {
  return bytes >= shortest_secret_bytes && bytes <= longest_secret_bytes;
}

inline constexpr std::size_t longest_challenge_bytes = 1024;  // 12.1.3
inline constexpr std::size_t longest_name_bytes = 255;

struct ChapDigest {
  std::array<std::byte, 32> space{};
  std::size_t size = 0;
  [[nodiscard]] std::span<const std::byte> bytes() const { return std::span(space).first(size); }
};

// Of a response: 16, 20 or 32 bytes.
[[nodiscard]] std::size_t response_bytes(ChapAlgorithm algorithm);
// Whether the cryptography of this machine has it: MD5 is switched off where only FIPS counts.
[[nodiscard]] bool is_available(ChapAlgorithm algorithm);

// H(identifier, secret, challenge); nullopt if the algorithm is not available.
[[nodiscard]] std::optional<ChapDigest> chap_response(ChapAlgorithm algorithm,
                                                      std::uint8_t identifier,
                                                      std::string_view secret,
                                                      std::span<const std::byte> challenge);

// Compares in a time that says nothing of where they differ.
[[nodiscard]] bool equal_in_constant_time(std::span<const std::byte> a,
                                          std::span<const std::byte> b);

struct ChapAccount {
  std::string name;
  std::string secret;
};

// What one login is held against.
struct ChapCredentials {
  ChapAccount initiator;              // which it has to prove
  std::optional<ChapAccount> target;  // which we prove if it asks
  // Those that may be chosen; the initiator's order decides.
  std::vector<ChapAlgorithm> algorithms{ChapAlgorithm::sha3_256, ChapAlgorithm::sha256,
                                        ChapAlgorithm::sha1, ChapAlgorithm::md5};
};

}  // namespace protocol::auth
