#include "engine/volume/cached_write.h"

#include <algorithm>

#include "engine/volume/cache_front.h"
#include "engine/volume/cache_lane.h"

namespace engine {

void CachedWrite::start(CacheFront& front, VolumeIo& io) {
  front_ = &front;
  io_ = &io;
  left_ = front.range_of(io);
  tries_ = 0;
  waits_for_ = WaitsFor::commit;
  gave_up_ = false;
  // Who waits has come before.
  settle(front.space().empty() ? take() : CacheRefusal::no_space);
}

void CachedWrite::go_on() noexcept {
  switch (waits_for_) {
    case WaitsFor::commit:
      return committed();
    case WaitsFor::space:
      return look_for_space();
    case WaitsFor::backing:
      return finish(gave_up_ ? IoStatus::unavailable : IoStatus::ok);
  }
}

Result<void, CacheRefusal> CachedWrite::take() {
  VolumeCache& volume = front_->volume();
  for (;;) {
    Result<void, CacheRefusal> taken = success();
    if (io_->kind == VolumeIo::Kind::write) {
      part_ = left_.count;
      taken = volume.write(lane().actor(), *this, left_, io_->data);
    } else {
      part_ = std::min(left_.count, VolumeCache::most_zeroed);
      const SectorRange part{left_.begin, part_};
      const bool gives_back = io_->kind == VolumeIo::Kind::deallocate || io_->may_deallocate;
      taken = volume.write_zeroes(
          lane().actor(), *this, {&part, 1},
          gives_back ? VolumeCache::ZeroedSpace::given_back : VolumeCache::ZeroedSpace::kept);
    }
    if (taken) {
      lane().commit_soon();
      return taken;
    }
    if (taken.error() != CacheRefusal::media_error || ++tries_ == most_tries) return taken;
  }
}

void CachedWrite::settle(const Result<void, CacheRefusal>& taken) {
  if (taken) return;
  switch (taken.error()) {
    case CacheRefusal::no_space:
    case CacheRefusal::no_memory:
      waits_for_ = WaitsFor::space;
      since_ = front_->clock().now();
      front_->space().add(*this);
      front_->cache().wake();
      return;
    case CacheRefusal::media_error:
      return finish(IoStatus::media_error);
    case CacheRefusal::read_only:
      return finish(IoStatus::read_only);
    case CacheRefusal::failed:
      return finish(IoStatus::sync_failed);
  }
}

void CachedWrite::look_for_space() {
  const auto taken = take();
  const bool is_short = !taken && (taken.error() == CacheRefusal::no_space ||
                                   taken.error() == CacheRefusal::no_memory);
  const bool patient =
      front_->gets_on() || front_->clock().now() - since_ < CacheFront::space_patience;
  if (is_short && patient) return front_->space().stay(*this);
  waits_for_ = WaitsFor::commit;
  front_->space().leave(*this);
  if (is_short) return finish(IoStatus::unavailable);
  settle(taken);
}

void CachedWrite::committed() {
  switch (outcome()) {
    case CommitOutcome::committed:
      break;
    case CommitOutcome::bad_place:
      return ++tries_ == most_tries ? finish(IoStatus::media_error) : settle(take());
    case CommitOutcome::failed:
      return finish(IoStatus::sync_failed);
  }
  left_ = {left_.begin + part_, left_.count - part_};
  if (!left_.empty()) return settle(take());
  if (!front_->is_write_through()) return finish(IoStatus::ok);
  waits_for_ = WaitsFor::backing;
  front_->written_through().push(*this);
  front_->cache().wake();
}

void CachedWrite::finish(IoStatus status) {
  VolumeIo& io = *io_;
  lane().give_back(*this);
  io.done(io, status);
}

}  // namespace engine
