// The hashes of the two suites that NVMe/TCP uses (NVMe/TCP 1.1, "Mandatory and Recommended Cipher
// Suites"), and bytes of their size.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace protocol::tls {

// As the hash specifier in a PSK's identity has them.
enum class Hash : std::uint8_t {
  sha256 = 1,  // TLS_AES_128_GCM_SHA256
  sha384 = 2,  // TLS_AES_256_GCM_SHA384
};

inline constexpr std::size_t largest_hash_bytes = 48;
[[nodiscard]] constexpr std::size_t bytes_of(Hash hash) { return hash == Hash::sha256 ? 32 : 48; }
[[nodiscard]] constexpr const char* suite_of(Hash hash) {
  return hash == Hash::sha256 ? "TLS_AES_128_GCM_SHA256" : "TLS_AES_256_GCM_SHA384";
}

// A key, a digest or a secret: at most one hash long.
struct Secret {
  std::array<std::byte, largest_hash_bytes> space{};
  std::size_t size = 0;
  [[nodiscard]] std::span<const std::byte> bytes() const { return std::span(space).first(size); }
  [[nodiscard]] std::span<std::byte> bytes() { return std::span(space).first(size); }
  friend bool operator==(const Secret&, const Secret&) = default;
};

}  // namespace protocol::tls
