// What a process uses of the machine, as /proc tells it.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>

namespace end_to_end {

struct Usage {
  std::uint64_t resident_bytes = 0;
  std::uint64_t descriptors = 0;
  std::chrono::milliseconds cpu{0};  // of all its threads, since its start
};

[[nodiscard]] Usage usage_of(pid_t pid);

}  // namespace end_to_end
