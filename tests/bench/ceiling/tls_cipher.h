// What OpenSSL's AES-GCM takes by itself for as many bytes: TLS can cost no less.
#pragma once

#include <cstddef>
#include <cstdint>

namespace bench {

// Nanoseconds to seal `bytes` in records of the largest size, out of memory that is in the CPU's
// cache; `key_bytes` is 16 or 32.
[[nodiscard]] double aes_gcm_ns(std::size_t key_bytes, std::size_t bytes, std::uint64_t rounds);
// The same of the CRC-32C that digests are made of.
[[nodiscard]] double crc32c_ns(std::size_t bytes, std::uint64_t rounds);

}  // namespace bench
