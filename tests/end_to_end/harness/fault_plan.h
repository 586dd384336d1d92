// FaultPlan: which system call of a daemon fails, or ends it; shared with fault_preload.cpp by a
// file that both have mapped.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>

namespace end_to_end {

struct FaultPlan {
  enum class Act : std::int32_t {
    count,  // nothing but that
    fail,   // it returns `error`
    kill,   // SIGKILL before it
  };
  // Calls until the one that it is about; negative: it is over, or nothing is to happen.
  alignas(64) std::atomic<std::int64_t> left{-1};
  std::atomic<Act> act{Act::count};
  std::atomic<std::int32_t> error{0};
  std::atomic<std::int64_t> calls{0};  // counted since it was armed
  std::atomic<bool> has_happened{false};
  std::array<char, 96> where{};  // "fsync", of the one that it was about
};

}  // namespace end_to_end
