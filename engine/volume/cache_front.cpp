#include "engine/volume/cache_front.h"

#include <algorithm>

#include "engine/foundation/check.h"
#include "engine/volume/cache_lane.h"
#include "engine/volume/cached_read.h"
#include "engine/volume/cached_write.h"

namespace engine {
namespace {

// Misses that are remembered: a quarter of the 4 KiB blocks that the device holds.
std::uint64_t remembered_misses(CacheDevice& device) {
  const std::uint64_t bytes =
      std::uint64_t{device.segments().count()} * device.layout().segment_bytes;
  return std::max<std::uint64_t>(1024, bytes / 4096 / 4);
}

}  // namespace

CacheFront::CacheFront(OpenCache& cache, VolumeCache& volume, BackingDevice& backing,
                       BlockSize block_size, const Clock& clock, Answer answer)
    : cache_(cache),
      volume_(volume),
      backing_(backing),
      block_sectors_(block_size.bytes / format::place_bytes),
      clock_(clock),
      admission_(remembered_misses(*cache.device)),
      answer_(answer) {}

SectorRange CacheFront::range_of(const VolumeIo& io) const {
  return {{io.lba.value * block_sectors_}, {io.blocks.value * block_sectors_}};
}

MediaOffset CacheFront::position_of(Sector sector) const {
  return {sector.value * format::place_bytes};
}

void CacheFront::submit(IoLane& lane, VolumeIo& io) {
  CacheLane* const here = CacheLane::of(cache_, lane);
  if (here == nullptr) return io.done(io, IoStatus::unavailable);
  if (io.kind == VolumeIo::Kind::read) return read(*here, io);
  CHECK(io.kind == VolumeIo::Kind::write || io.kind == VolumeIo::Kind::write_zeroes ||
        io.kind == VolumeIo::Kind::deallocate);
  here->take_write().start(*this, io);
}

// What the cache has whole is answered at once.
void CacheFront::read(CacheLane& lane, VolumeIo& io) {
  CachedRead::Gaps gaps;
  bool lost = false;
  const auto heat = io.is_use ? ExtentIndex::Heat::warm : ExtentIndex::Heat::keep;
  volume_.read(range_of(io), io.data, heat, [&](const CacheGap& gap) {
    lost = lost || gap.kind == CacheGap::Kind::bad_dirty;
    gaps.push_back(gap);
  });
  if (lost) {
    count_lost_read();
    return io.done(io, IoStatus::media_error);
  }
  if (gaps.empty()) return io.done(io, IoStatus::ok);
  lane.take_read().start(*this, io, gaps);
}

}  // namespace engine
