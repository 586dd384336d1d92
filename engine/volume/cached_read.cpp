#include "engine/volume/cached_read.h"

#include "engine/volume/cache_front.h"
#include "engine/volume/cache_lane.h"
#include "engine/volume/miss_read.h"

namespace engine {

void CachedRead::start(CacheFront& front, VolumeIo& io, const Gaps& gaps) {
  front_ = &front;
  io_ = &io;
  status_ = IoStatus::ok;
  parts_ = 1;  // until all have begun
  for (const CacheGap& gap : gaps) {
    const bool fills = gap.kind == CacheGap::Kind::hole && io.is_use &&
                       front.mode() != CacheMode::pass_through &&
                       front.admission().admits(gap.range);
    for (SectorRange left = gap.range; !left.empty();) {
      ++parts_;
      const SectorCount begun = lane_.take_miss(ticket).start(*this, left, fills);
      left = {left.begin + begun, left.count - begun};
    }
  }
  part_done(IoStatus::ok);
}

void CachedRead::part_done(IoStatus status) {
  if (status_ == IoStatus::ok) status_ = status;
  if (--parts_ > 0) return;
  VolumeIo& io = *io_;
  lane_.give_back(*this);
  io.done(io, status_);
}

std::span<std::byte> CachedRead::bytes_of(SectorRange range) const {
  const SectorCount before = range.begin - front_->range_of(*io_).begin;
  return io_->data.subspan(before.value * format::place_bytes,
                           range.count.value * format::place_bytes);
}

}  // namespace engine
