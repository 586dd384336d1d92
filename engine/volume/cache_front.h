// CacheFront: the way of a volume's blocks through its cache.
#pragma once

#include <atomic>
#include <cstdint>

#include "engine/cache/admission_filter.h"
#include "engine/cache/volume_cache.h"
#include "engine/foundation/clock.h"
#include "engine/media/backing_device.h"
#include "engine/volume/admission_pace.h"
#include "engine/volume/cache_mode.h"
#include "engine/volume/cache_traffic.h"
#include "engine/volume/open_cache.h"
#include "engine/volume/pin_budget.h"
#include "engine/volume/scrub.h"
#include "engine/volume/space_queue.h"
#include "engine/volume/volume.h"
#include "engine/volume/written_through.h"

namespace engine {

class CacheLane;

// Any thread, each with its own lane; commands that overlap each other are the caller's to order.
class CacheFront {
 public:
  // How long a write waits for space while the backing does not get on, if nobody has said
  // otherwise (set_hold()); hosts give up at 30 s.
  static constexpr Duration space_patience = std::chrono::seconds(20);

  // The way of a write that comes now.
  enum class WriteWay : std::uint8_t {
    cache,    // and, but in write-back, from there to the backing before it is answered
    backing,  // straight there
    later,    // the same, once the last that came through the cache is there
    refused,
  };

  // All outlive it.
  CacheFront(OpenCache& cache, VolumeCache& volume, BackingDevice& backing, BlockSize block_size,
             const Clock& clock, CacheMode mode = CacheMode::write_back);
  CacheFront(const CacheFront&) = delete;
  CacheFront& operator=(const CacheFront&) = delete;

  // As Volume::submit(); the range lies inside the volume. Read, write, write_zeroes, deallocate,
  // lose.
  void submit(IoLane& lane, VolumeIo& io);
  // The same of a read, without asking the backing: what the cache lacks ends it with no_answer.
  void read_from_cache(IoLane& lane, VolumeIo& io);
  // As Volume::read_in_place(); the range lies inside the volume, and is not empty.
  [[nodiscard]] PinnedRead read_in_place(IoLane& lane, const ReadInPlace& read);

  // As Scrubbable::scrub(); the range lies inside the volume.
  void scrub(IoLane& lane, ScrubIo& io);

  [[nodiscard]] VolumeCache& volume() const { return volume_; }
  [[nodiscard]] BackingDevice& backing() const { return backing_; }
  // As BackingDevice::space().
  [[nodiscard]] VolumeSpace* backing_space() const { return backing_space_; }
  [[nodiscard]] OpenCache& cache() const { return cache_; }
  [[nodiscard]] AdmissionFilter& admission() { return admission_; }
  [[nodiscard]] SpaceQueue& space() { return space_; }
  [[nodiscard]] AdmissionPace& pace() { return pace_; }
  [[nodiscard]] PinBudget& pins() { return pins_; }
  [[nodiscard]] BlockSize block_size() const { return block_size_; }
  [[nodiscard]] CacheMode mode() const { return mode_.load(std::memory_order_relaxed); }
  [[nodiscard]] WriteWay write_way() const;
  // From now on; what is under way ends as either mode would have it. One thread, the keeper's.
  void set_mode(CacheMode mode);
  // No write goes through the cache any more until the next mode: what does ends by and by. Only in
  // a mode that goes around.
  void go_around_only() { around_only_.store(true, std::memory_order_release); }
  [[nodiscard]] bool goes_around_only() const {
    return around_only_.load(std::memory_order_acquire);
  }
  // Commands that begin from now on are of another era: who asks the lanes knows when those of the
  // one before have ended. One thread; not before that of the last time is known.
  unsigned next_era() { return era_.fetch_xor(1, std::memory_order_seq_cst); }
  [[nodiscard]] unsigned era() const { return era_.load(std::memory_order_seq_cst); }
  [[nodiscard]] WrittenThrough& written_through() { return written_through_; }
  [[nodiscard]] const Clock& clock() const { return clock_; }
  [[nodiscard]] SectorRange range_of(Lba lba, BlockCount blocks) const;
  [[nodiscard]] SectorRange range_of(const VolumeIo& io) const {
    return range_of(io.lba, io.blocks);
  }
  [[nodiscard]] MediaOffset position_of(Sector sector) const;

  // Whether write-back gets on: who waits for space waits longer then.
  [[nodiscard]] bool gets_on() const { return gets_on_.load(std::memory_order_relaxed); }
  void set_gets_on(bool gets_on) { gets_on_.store(gets_on, std::memory_order_relaxed); }

  // As Volume::set_hold().
  [[nodiscard]] Duration hold() const { return Duration(hold_.load(std::memory_order_relaxed)); }
  void set_hold(Duration hold) { hold_.store(hold.count(), std::memory_order_relaxed); }
  // As Volume::has_room().
  [[nodiscard]] bool has_room() const { return has_room_.load(std::memory_order_relaxed); }
  void set_has_room(bool has_room) { has_room_.store(has_room, std::memory_order_relaxed); }

  [[nodiscard]] CacheTraffic& traffic() { return traffic_; }

  // Parts of reads that could not be given out because the cache alone had them, and has lost them.
  // Any thread.
  [[nodiscard]] std::uint64_t lost_reads() const {
    return lost_reads_.load(std::memory_order_relaxed);
  }
  void count_lost_read();
  // Parts of reads that were bad in the cache, and are there again from the backing. Any thread.
  [[nodiscard]] std::uint64_t healed_reads() const {
    return healed_reads_.load(std::memory_order_relaxed);
  }
  void count_healed_read() { healed_reads_.fetch_add(1, std::memory_order_relaxed); }
  // Reads that were given out where they lie, and their bytes. Any thread.
  [[nodiscard]] std::uint64_t reads_in_place() const {
    return reads_in_place_.load(std::memory_order_relaxed);
  }
  [[nodiscard]] ByteCount bytes_in_place() const {
    return {bytes_in_place_.load(std::memory_order_relaxed)};
  }

 private:
  void read(CacheLane& lane, VolumeIo& io);

  OpenCache& cache_;
  VolumeCache& volume_;
  BackingDevice& backing_;
  VolumeSpace* const backing_space_;
  const BlockSize block_size_;
  const Clock& clock_;
  AdmissionFilter admission_;
  SpaceQueue space_;
  AdmissionPace pace_;
  PinBudget pins_;
  std::atomic<CacheMode> mode_;
  std::atomic<bool> around_only_{false};
  std::atomic<unsigned> era_{0};  // 0 or 1
  WrittenThrough written_through_;
  std::atomic<bool> gets_on_{true};
  std::atomic<bool> has_room_{true};
  std::atomic<Duration::rep> hold_{0};
  CacheTraffic traffic_;
  std::atomic<std::uint64_t> lost_reads_{0};
  std::atomic<std::uint64_t> healed_reads_{0};
  std::atomic<std::uint64_t> reads_in_place_{0};
  std::atomic<std::uint64_t> bytes_in_place_{0};
};

}  // namespace engine
