#include "engine/cache/segment_head.h"

#include <algorithm>
#include <utility>

#include "engine/cache/payload_crc.h"
#include "engine/foundation/check.h"

namespace engine {

SegmentHead::SegmentHead(CacheDevice& device, std::uint32_t volume_tag)
    : device_(device),
      tag_(volume_tag),
      payload_crc_(device.payload_crc()),
      segment_sectors_(device.layout().segment_bytes / format::place_bytes),
      alignment_(device.region().guarantee().granularity == PmemGranularity::page
                     ? PmemRegion::page_bytes / format::place_bytes
                     : 1) {}

SegmentHead::~SegmentHead() { close(); }

void SegmentHead::close() {
  pause();
  segment_.reset();
}

void SegmentHead::pause() {
  if (!segment_ || std::exchange(is_paused_, true)) return;
  use_ = device_.segments().use_of(*segment_);
  device_.segments().unclaim(*segment_);
}

void SegmentHead::resume() {
  if (!segment_ || !std::exchange(is_paused_, false)) return;
  if (!device_.segments().claim_again(*segment_, use_)) segment_.reset();
}

// How much of `left` the rest of this segment takes; 0: nothing worth it.
std::uint64_t SegmentHead::part_that_fits(std::uint64_t left) const {
  if (!segment_) return 0;
  const std::uint64_t room = segment_sectors_ - next_;
  const auto needs = [this](std::uint64_t count) {
    return count + (payload_crc_ ? array_sectors({count}).value : 0);
  };
  std::uint64_t part = std::min({left, room, largest_extent_sectors});
  if (part == left && needs(part) <= room) return part;
  part = part / piece_sectors * piece_sectors;
  while (part > 0 && needs(part) > room) part -= piece_sectors;
  return part;
}

Result<void, CacheError> SegmentHead::next_segment(DurableWriter& writer) {
  SegmentTable& segments = device_.segments();
  TRY(auto segment, segments.allocate(writer, format::SegmentUse::data, tag_));
  segment_ = segment;
  is_paused_ = false;
  generation_ = static_cast<std::uint32_t>(segments.info(segment).generation);
  next_ = 0;
  new_segments_.push_back(segment);
  return success();
}

void SegmentHead::count_live(const Places& places, bool more) {
  for (const DataPlace& part : places) {
    auto& live = device_.segments().counters(part.segment).live_sectors;
    const auto sectors = static_cast<std::uint32_t>(part.count.value);
    if (more) {
      live.fetch_add(sectors, std::memory_order_relaxed);
    } else {
      live.fetch_sub(sectors, std::memory_order_release);
    }
  }
}

Result<void, CacheError> SegmentHead::reserve(DurableWriter& writer, SectorCount count,
                                              Places& places) {
  CHECK(places.empty() && count.value > 0);
  resume();
  segment_before_ = segment_;
  next_before_ = next_;
  new_segments_.clear();
  for (std::uint64_t left = count.value; left > 0;) {
    const std::uint64_t part = part_that_fits(left);
    if (part == 0) {
      const auto next = next_segment(writer);
      if (!next) {
        places.clear();  // not counted yet
        (void)take_back(writer, places);
        return next.error();
      }
      continue;
    }
    const std::uint64_t array = payload_crc_ ? array_sectors({part}).value : 0;
    const std::uint64_t begin =
        device_.layout().segment_place(*segment_).value / format::place_bytes;
    places.push_back({.place = Place{begin + next_ + array},
                      .count = SectorCount{part},
                      .segment = *segment_,
                      .generation = generation_});
    next_ += array + part;
    next_ = (next_ + alignment_ - 1) & ~(alignment_ - 1);
    left -= part;
  }
  count_live(places, true);
  return success();
}

void SegmentHead::keep() {
  SegmentTable& segments = device_.segments();
  if (segment_before_ && segment_before_ != segment_) {
    segments.unclaim(*segment_before_);
  }
  for (const std::uint32_t segment : new_segments_) {
    if (segment != segment_) segments.unclaim(segment);
  }
  new_segments_.clear();
}

Result<void, CacheError> SegmentHead::take_back(DurableWriter& writer, Places& places) {
  SegmentTable& segments = device_.segments();
  segment_ = segment_before_;
  next_ = next_before_;
  if (segment_) generation_ = static_cast<std::uint32_t>(segments.info(*segment_).generation);
  count_live(places, false);
  places.clear();
  Result<void, CacheError> result = success();
  for (const std::uint32_t segment : new_segments_) {
    const auto freed = segments.free(writer, segment);
    if (!freed) result = freed.error();
  }
  new_segments_.clear();
  return result;
}

}  // namespace engine
