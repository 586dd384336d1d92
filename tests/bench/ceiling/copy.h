// The copy ceiling: 4 KiB blocks from DRAM into a mapped file with non-temporal stores and a fence
// each. What any engine that keeps blocks in mapped memory must at least pay for a write.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "tests/bench/ceiling/pace.h"

namespace bench {

enum class CopyPattern { sequential, sequential_with_crc, random };

// A mapped file, faulted in, removed from its directory at once.
class CopyCeiling {
 public:
  // `path` is made with `bytes` bytes. Null and `error` when it cannot be mapped.
  [[nodiscard]] static std::unique_ptr<CopyCeiling> open(const std::string& path,
                                                         std::uint64_t bytes, std::string& error);
  CopyCeiling(const CopyCeiling&) = delete;
  CopyCeiling& operator=(const CopyCeiling&) = delete;
  ~CopyCeiling();

  // What one thread does. Whether `source`, whole blocks taken in turn, fits the CPU's cache is the
  // caller's choice. Several threads may copy at once, each into its own `part` of `parts`.
  struct Plan {
    CopyPattern pattern = CopyPattern::sequential;
    std::span<const std::byte> source;
    std::uint64_t blocks = 0;
    unsigned part = 0;
    unsigned parts = 1;
  };
  // Nanoseconds for each block: the median of `chunk` blocks, timed together. Of single ones,
  // reading the clock is a part of it.
  [[nodiscard]] double copy(const Plan& plan, std::uint64_t chunk = Pace::usual_chunk);

 private:
  CopyCeiling(std::byte* media, std::uint64_t bytes) : media_(media), bytes_(bytes) {}

  std::byte* const media_;
  const std::uint64_t bytes_;
};

}  // namespace bench
