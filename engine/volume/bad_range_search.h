// BadRangeSearch: reads of a range that fails as a whole, ever smaller, until it is known which of
// its parts are to blame.
#pragma once

#include <vector>

#include "engine/cache/extent.h"
#include "engine/media/backing_device.h"

namespace engine {

// Halves what failed, down to a block of 4096 bytes. One thread.
class BadRangeSearch {
 public:
  // Which is not empty; forgets what was before.
  void begin(SectorRange whole) {
    left_.assign(1, whole);
    bad_.clear();
  }
  // There is something to read next.
  [[nodiscard]] bool goes_on() const { return !left_.empty(); }
  // What; to be followed by read_well() or failed(). In address order.
  [[nodiscard]] SectorRange next() const { return left_.back(); }
  void read_well() { left_.pop_back(); }
  void failed();
  // The same by what the read has ended with; false: that says nothing about the medium.
  [[nodiscard]] bool take(IoStatus outcome);
  // In address order, neighbours joined.
  [[nodiscard]] const std::vector<SectorRange>& bad() const { return bad_; }
  [[nodiscard]] bool is_bad(SectorRange range) const;

 private:
  std::vector<SectorRange> left_;  // the last comes first
  std::vector<SectorRange> bad_;
};

}  // namespace engine
