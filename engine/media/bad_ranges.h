// BadRanges: the bytes of a region that are known not to be readable.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <mutex>
#include <vector>

#include "engine/foundation/units.h"

namespace engine {

struct PmemRange {
  MediaOffset offset;
  ByteCount length;
  friend bool operator==(const PmemRange&, const PmemRange&) = default;
};

// Ranges never overlap and never touch. Any thread; one load when there are none.
class BadRanges {
 public:
  void add(PmemRange range);
  void remove(PmemRange range);
  [[nodiscard]] bool touches(PmemRange range) const {
    return count_.load(std::memory_order_acquire) != 0 && !within(range).empty();
  }
  // The bad parts of `range`, ascending.
  [[nodiscard]] std::vector<PmemRange> within(PmemRange range) const;
  [[nodiscard]] std::vector<PmemRange> list() const;

 private:
  mutable std::mutex mutex_;                       // guards ranges_; a leaf
  std::map<std::uint64_t, std::uint64_t> ranges_;  // begin -> end
  std::atomic<std::size_t> count_{0};              // ranges_.size()
};

}  // namespace engine
