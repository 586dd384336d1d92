// The copy ceiling: 4 KiB blocks from DRAM into a mapped file with non-temporal stores and a fence,
// with and without CRC-32C. What any engine that keeps blocks in mapped memory must at least pay
// for a write.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace bench {

enum class CopyPattern { sequential, sequential_with_crc, random };

// Nanoseconds for each 4 KiB block. `path` is made with `bytes` bytes and removed afterwards;
// nullopt and `error` when it cannot be mapped.
[[nodiscard]] std::optional<double> measure_copy(const std::string& path, std::uint64_t bytes,
                                                 CopyPattern pattern, std::uint64_t blocks,
                                                 std::string& error);

}  // namespace bench
