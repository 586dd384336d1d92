// PublishPermit: the right to publish a range, with all the memory it may need promised.
#pragma once

#include <cstdint>
#include <utility>

#include "engine/cache/extent.h"

namespace engine {

class ExtentIndex;

// A duty, got from ExtentIndex::prepare and spent by one publish or erase of exactly
// its range; on any thread. abandon() is the other way out, for a command that does not come to
// pass (destroying it does the same). The index must outlive it.
class [[nodiscard]] PublishPermit {
 public:
  PublishPermit(PublishPermit&& other) noexcept
      : index_(std::exchange(other.index_, nullptr)), range_(other.range_), slabs_(other.slabs_) {}
  PublishPermit& operator=(PublishPermit&& other) noexcept {
    if (this != &other) {
      abandon();
      index_ = std::exchange(other.index_, nullptr);
      range_ = other.range_;
      slabs_ = other.slabs_;
    }
    return *this;
  }
  ~PublishPermit() { abandon(); }

  [[nodiscard]] SectorRange range() const { return range_; }
  void abandon() noexcept;
  // Who spends many at once gives their slabs back together, once the last is spent:
  // ExtentIndex::give_back().
  [[nodiscard]] std::uint32_t take_promise() { return std::exchange(slabs_, 0); }

 private:
  friend class ExtentIndex;
  PublishPermit(ExtentIndex& index, SectorRange range, std::uint32_t slabs)
      : index_(&index), range_(range), slabs_(slabs) {}

  ExtentIndex* index_;  // null: spent
  SectorRange range_;
  std::uint32_t slabs_;
};

}  // namespace engine
