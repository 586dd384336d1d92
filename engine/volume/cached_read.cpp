#include "engine/volume/cached_read.h"

#include <utility>

#include "engine/foundation/guard.h"
#include "engine/volume/cache_front.h"
#include "engine/volume/cache_lane.h"
#include "engine/volume/miss_read.h"

namespace engine {

bool CachedRead::look(CacheFront& front, VolumeIo& io, Gaps& gaps) {
  bool lost = false;
  const auto heat = io.is_use ? ExtentIndex::Heat::warm : ExtentIndex::Heat::keep;
  const auto on_gap = [&](const CacheGap& gap) {
    lost = lost || gap.kind == CacheGap::Kind::bad_dirty;
    gaps.push_back(gap);
  };
  front.volume().read(front.range_of(io), io.data, heat, on_gap, io.sums);
  if (lost) front.count_lost_read();
  return !lost;
}

void CachedRead::start(CacheFront& front, VolumeIo& io, const Gaps& gaps) {
  front_ = &front;
  io_ = &io;
  gaps_ = gaps;
  begin();
}

void CachedRead::begin() {
  status_ = IoStatus::ok;
  is_watched_ = needs_watch();
  if (is_watched_) front_->volume().misses().watch(front_->range_of(*io_), watch_);
  asked_ = lane_.lane().now();
  parts_ = 1;  // until all have begun
  for (const CacheGap& gap : gaps_) {
    const bool fills = gap.kind == CacheGap::Kind::hole && io_->is_use && is_filled(gap);
    for (SectorRange left = gap.range; !left.empty();) {
      ++parts_;
      const SectorCount begun = lane_.take_miss(ticket).start(*this, left, fills);
      left = {left.begin + begun, left.count - begun};
    }
  }
  part_done(IoStatus::ok);
}

bool CachedRead::is_filled(const CacheGap& gap) {
  using Event = CacheTraffic::Event;
  const auto left_out = [this](Event why) {
    front_->traffic().count(lane_.number(), why);
    return false;
  };
  if (front_->mode() == CacheMode::pass_through) return left_out(Event::by_mode);
  switch (front_->admission().judge(gap.range)) {
    case AdmissionFilter::Verdict::fill:
      return true;
    case AdmissionFilter::Verdict::first_read:
      return left_out(Event::first_read);
    case AdmissionFilter::Verdict::sequential:
      return left_out(Event::sequential);
  }
  return false;
}

// Where writes go around the cache they are as whole as the backing makes them.
bool CachedRead::needs_watch() const {
  return io_->blocks.value > 1 && !goes_around(front_->mode()) &&
         front_->range_of(*io_).count.value <= ReadWatch::most_sectors &&
         GUARD("a read of several parts looks again");
}

void CachedRead::part_done(IoStatus status) {
  if (status_ == IoStatus::ok) status_ = status;
  if (--parts_ > 0) return;
  if (io_->is_timed) io_->times.add_backing(lane_.lane().now() - asked_);
  if (!std::exchange(is_watched_, false)) return finish(status_);
  const Found found = status_ == IoStatus::ok ? look_again() : Found::whole;
  front_->volume().misses().unwatch(watch_);
  switch (found) {
    case Found::whole:
      return finish(status_);
    case Found::lost:
      front_->count_lost_read();
      return finish(IoStatus::media_error);
    case Found::changed:
      return begin_once_more();
  }
}

void CachedRead::begin_once_more() {
  gaps_.clear();
  io_->sums.forget(0, io_->data.size());
  if (!look(*front_, *io_, gaps_)) return finish(IoStatus::media_error);
  if (gaps_.empty()) return finish(IoStatus::ok);
  begin();
}

// What the cache has now counts, all of one moment; of what it has not, what was read from the
// backing since this began, if nothing has changed there meanwhile. Else what was changed has been
// written back and evicted already, or evicted behind the first look: it begins again.
CachedRead::Found CachedRead::look_again() {
  Found found = Found::whole;
  const auto has = [this](const Piece& piece) { return CachedRead::has(piece); };
  const auto on_gap = [&found](const CacheGap& gap) {
    if (found == Found::lost) return;
    found = gap.kind == CacheGap::Kind::bad_dirty ? Found::lost : Found::changed;
  };
  front_->volume().read_again(front_->range_of(*io_), io_->data, has, on_gap, io_->sums);
  return found;
}

// Clean data is what the backing has.
bool CachedRead::has(const Piece& piece) const {
  const bool is_backings = !piece.value || !piece.value->dirty;
  return is_backings && was_read(piece.range) && !watch_.is_changed(piece.range);
}

bool CachedRead::was_read(SectorRange range) const {
  Sector at = range.begin;
  for (const CacheGap& gap : gaps_) {
    if (gap.range.begin <= at && at < gap.range.end()) at = gap.range.end();
  }
  return at >= range.end();
}

void CachedRead::finish(IoStatus status) {
  VolumeIo& io = *io_;
  lane_.give_back(*this);
  io.done(io, status);
}

std::span<std::byte> CachedRead::bytes_of(SectorRange range) const {
  const SectorCount before = range.begin - front_->range_of(*io_).begin;
  return io_->data.subspan(before.value * format::place_bytes,
                           range.count.value * format::place_bytes);
}

}  // namespace engine
