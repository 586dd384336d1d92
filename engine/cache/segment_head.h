// SegmentHead: the data segment of one volume that one thread fills.
#pragma once

#include <boost/container/small_vector.hpp>
#include <cstdint>
#include <optional>

#include "engine/cache/cache_device.h"
#include "engine/cache/durable_writer.h"
#include "engine/cache/extent.h"

namespace engine {

// Where a part of a command's data goes.
struct DataPlace {
  Place place;        // of the data; the array of its checksums ends there
  SectorCount count;  // of data
  std::uint32_t segment = 0;
  std::uint32_t generation = 0;  // of the segment, the low half
};

// One thread. Space is handed out from the front of a segment to its end; what does not fit there
// goes on in the next one, in multiples of 4 KiB. Up to 4 KiB are never cut.
//
// In page granularity every part begins on a fresh page: a page that holds something acknowledged
// is never written again.
//
// Live sectors are counted from reservation on, so that a segment with data on its way into the
// log is never empty; it is open while the head may still hand out of it.
class SegmentHead {
 public:
  using Places = boost::container::small_vector<DataPlace, 2>;

  // The device outlives it.
  SegmentHead(CacheDevice& device, std::uint32_t volume_tag);
  SegmentHead(const SegmentHead&) = delete;
  SegmentHead& operator=(const SegmentHead&) = delete;
  // Closes.
  ~SegmentHead();

  // Space for the whole of `count`, or none. Segments are allocated durably as needed. keep() or
  // take_back() must follow. Errors: no_free_segment, io.
  [[nodiscard]] Result<void, CacheError> reserve(DurableWriter& writer, SectorCount count,
                                                 Places& places);
  // The last reservation will be used: segments that it has filled are not open any more.
  void keep();
  // Takes the last reservation back; new segments become free again. Error: io.
  [[nodiscard]] Result<void, CacheError> take_back(DurableWriter& writer, Places& places);
  // Hands out no more of this segment.
  void close();
  // Goes on with it at the next reservation, unless it was freed meanwhile because nothing was left
  // in it: nobody keeps space from others while he does not write.
  void pause();

  [[nodiscard]] std::optional<std::uint32_t> segment() const { return segment_; }

 private:
  [[nodiscard]] std::uint64_t part_that_fits(std::uint64_t left) const;
  [[nodiscard]] Result<void, CacheError> next_segment(DurableWriter& writer);
  void resume();
  void count_live(const Places& places, bool more);

  CacheDevice& device_;
  const std::uint32_t tag_;
  const bool payload_crc_;
  const std::uint64_t segment_sectors_;
  const std::uint64_t alignment_;  // sectors, a power of two
  std::optional<std::uint32_t> segment_;
  bool is_paused_ = false;
  std::uint32_t use_ = 0;  // paused: of the segment
  std::uint32_t generation_ = 0;
  std::uint64_t next_ = 0;  // sector in the segment
  // Before the last reservation.
  std::optional<std::uint32_t> segment_before_;
  std::uint64_t next_before_ = 0;
  boost::container::small_vector<std::uint32_t, 2> new_segments_;
};

}  // namespace engine
