// CRC-32C (Castagnoli), as NVMe/TCP and iSCSI digests and the media format use it. By ISA-L, which
// picks the fastest implementation at run time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace engine {

// The CRC-32C of `bytes`: initial value all ones, final inversion; crc32c("123456789") ==
// 0xe3069283.
[[nodiscard]] std::uint32_t crc32c(std::span<const std::byte> bytes);

// The CRC-32C of the concatenation of what gave `crc` and `more`.
[[nodiscard]] std::uint32_t crc32c_extend(std::uint32_t crc, std::span<const std::byte> more);

// The same from `more`'s own CRC-32C and length: nothing is read. Quickest for 4096 bytes.
[[nodiscard]] std::uint32_t crc32c_join(std::uint32_t crc, std::uint32_t more,
                                        std::uint64_t more_bytes);

}  // namespace engine
