#include "engine/volume/cache_front.h"

#include "engine/cache/cache_memory.h"
#include "engine/foundation/check.h"
#include "engine/foundation/guard.h"
#include "engine/media/loss_record.h"
#include "engine/volume/cache_lane.h"
#include "engine/volume/cached_pins.h"
#include "engine/volume/cached_read.h"
#include "engine/volume/cached_scrub.h"
#include "engine/volume/cached_write.h"

namespace engine {

CacheFront::CacheFront(OpenCache& cache, VolumeCache& volume, BackingDevice& backing,
                       BlockSize block_size, const Clock& clock, CacheMode mode)
    : cache_(cache),
      volume_(volume),
      backing_(backing),
      backing_space_(backing.space()),
      block_size_(block_size),
      clock_(clock),
      admission_(cache_memory(cache.device->layout(), cache.volumes).remembered_misses),
      mode_(mode) {}

SectorRange CacheFront::range_of(Lba lba, BlockCount blocks) const {
  const std::uint64_t sectors = block_size_.bytes / format::place_bytes;
  return {{lba.value * sectors}, {blocks.value * sectors}};
}

MediaOffset CacheFront::position_of(Sector sector) const {
  return {sector.value * format::place_bytes};
}

CacheFront::WriteWay CacheFront::write_way() const {
  switch (mode()) {
    case CacheMode::write_back:
    case CacheMode::write_through:
      break;
    case CacheMode::write_around:
    case CacheMode::pass_through:
      if (volume_.commit().is_backing_current() || !GUARD("direct only while nothing is dirty")) {
        return WriteWay::backing;
      }
      return goes_around_only() ? WriteWay::later : WriteWay::cache;
    case CacheMode::read_only:
      return WriteWay::refused;
  }
  return WriteWay::cache;
}

// The volume's count goes on without the cache.
void CacheFront::count_lost_read() {
  lost_reads_.fetch_add(1, std::memory_order_relaxed);
  if (LossRecord* const losses = backing_.losses()) losses->count_lost_read();
}

void CacheFront::set_mode(CacheMode mode) {
  around_only_.store(false, std::memory_order_release);
  mode_.store(mode, std::memory_order_release);
}

void CacheFront::submit(IoLane& lane, VolumeIo& io) {
  CacheLane* const here = CacheLane::of(cache_, lane);
  if (here == nullptr) return io.done(io, IoStatus::unavailable);
  if (io.kind == VolumeIo::Kind::read) return read(*here, io);
  CHECK(io.kind == VolumeIo::Kind::write || io.kind == VolumeIo::Kind::write_zeroes ||
        io.kind == VolumeIo::Kind::deallocate || io.kind == VolumeIo::Kind::lose);
  here->take_write(here->ticket_for(*this)).start(*this, io);
}

// What the cache has whole is answered at once.
void CacheFront::read(CacheLane& lane, VolumeIo& io) {
  CachedRead::Gaps gaps;
  if (!CachedRead::look(*this, io, gaps)) return io.done(io, IoStatus::media_error);
  if (io.is_use) {
    traffic_.count(lane.number(),
                   gaps.empty() ? CacheTraffic::Event::hit : CacheTraffic::Event::miss);
  }
  if (gaps.empty()) return io.done(io, IoStatus::ok);
  lane.take_read(lane.ticket_for(*this)).start(*this, io, gaps);
}

// It comes again, and is counted then, if it has to.
void CacheFront::read_from_cache(IoLane& lane, VolumeIo& io) {
  const CacheLane* const here = CacheLane::of(cache_, lane);
  if (here == nullptr) return io.done(io, IoStatus::unavailable);
  CachedRead::Gaps gaps;
  if (!CachedRead::look(*this, io, gaps)) return io.done(io, IoStatus::media_error);
  if (!gaps.empty()) {
    io.sums.forget(0, io.data.size());
    return io.done(io, IoStatus::no_answer);
  }
  if (io.is_use) traffic_.count(here->number(), CacheTraffic::Event::hit);
  io.done(io, IoStatus::ok);
}

void CacheFront::scrub(IoLane& lane, ScrubIo& io) {
  CacheLane* const here = CacheLane::of(cache_, lane);
  if (here == nullptr) return io.done(io, IoStatus::unavailable);
  here->take_scrub(here->ticket_for(*this)).start(*this, io);
}

PinnedRead CacheFront::read_in_place(IoLane& lane, const ReadInPlace& read) {
  // What is pinned cannot be given up for those who wait.
  if (!space_.empty() && GUARD("nothing is pinned while writes wait")) return {};
  CacheLane* const here = CacheLane::of(cache_, lane);
  if (here == nullptr) return {};
  const SectorRange range = range_of(read.lba, read.blocks);
  CachedPins& pins = here->take_pins(here->ticket_for(*this));
  if (!pins.pin(*this, range, read.needs_checksum)) {
    here->give_back(pins);
    return {};
  }
  // A use only now: else it would count once more when it is submitted.
  if (read.is_use) {
    traffic_.count(here->number(), CacheTraffic::Event::hit);
    volume_.index().look_up(range, ExtentIndex::Heat::warm, [](const Piece&) {});
  }
  reads_in_place_.fetch_add(1, std::memory_order_relaxed);
  bytes_in_place_.fetch_add(range.count.value * format::place_bytes, std::memory_order_relaxed);
  return PinnedRead(pins);
}

}  // namespace engine
