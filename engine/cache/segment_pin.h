// SegmentPin: keeps a data segment from being freed while somebody reads in it.
#pragma once

#include <utility>

#include "engine/cache/segment_table.h"

namespace engine {

// A duty; taken under the lock of the index stripe that names the segment, and let go of by
// destroying it, on any thread. The segment table outlives it.
class [[nodiscard]] SegmentPin {
 public:
  SegmentPin() = default;
  explicit SegmentPin(SegmentCounters& segment) : segment_(&segment) {
    segment.pins.fetch_add(1, std::memory_order_acquire);
  }
  SegmentPin(SegmentPin&& other) noexcept : segment_(std::exchange(other.segment_, nullptr)) {}
  SegmentPin& operator=(SegmentPin&& other) noexcept {
    if (this != &other) {
      release();
      segment_ = std::exchange(other.segment_, nullptr);
    }
    return *this;
  }
  ~SegmentPin() { release(); }

  void release() {
    if (segment_ == nullptr) return;
    std::exchange(segment_, nullptr)->pins.fetch_sub(1, std::memory_order_release);
  }

 private:
  SegmentCounters* segment_ = nullptr;
};

}  // namespace engine
