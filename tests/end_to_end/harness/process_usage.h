// What a process uses of the machine, as /proc tells it.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>

namespace end_to_end {

// A sanitizer keeps freed memory to notice its use, and takes its time: bounds of memory and of
// time are the product's in other builds only.
#ifdef FOREBAY_SANITIZED
constexpr std::uint64_t sanitizer_bytes = std::uint64_t{1} << 30;
constexpr int sanitizer_slowness = 10;
#else
constexpr std::uint64_t sanitizer_bytes = 0;
constexpr int sanitizer_slowness = 1;
#endif

struct Usage {
  std::uint64_t resident_bytes = 0;
  std::uint64_t descriptors = 0;
  std::chrono::milliseconds cpu{0};  // of all its threads, since its start
};

[[nodiscard]] Usage usage_of(pid_t pid);

}  // namespace end_to_end
