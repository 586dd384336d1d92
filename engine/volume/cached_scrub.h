// CachedScrub: a piece of a volume with a cache, looked at in both places.
#pragma once

#include <vector>

#include "engine/cache/volume_cache.h"
#include "engine/volume/bad_range_search.h"
#include "engine/volume/cache_command.h"
#include "engine/volume/scrub.h"
#include "engine/volume/volume.h"

namespace engine {

class CacheFront;
class CacheLane;

// First what the cache has is copied out, checked as reads check it, and noted which of it is
// clean; then the backing is read; then what is still there, in the same place, clean, and has not
// been changed since, is compared: nobody has written to the backing there meanwhile, whoever does
// takes the cache's copy away first, or is watched. What differs is looked at again before it is
// told. What is bad and clean is read once more as a host would, which heals it.
//
// On its lane's thread; given back to it when `io` ends.
class CachedScrub final : private BufferWaiter {
 public:
  explicit CachedScrub(CacheLane& lane) : lane_(lane) {}
  CommandTicket ticket;  // the lane's
  CachedScrub(const CachedScrub&) = delete;
  CachedScrub& operator=(const CachedScrub&) = delete;

  void start(CacheFront& front, ScrubIo& io);

 private:
  // What the cache has badly.
  struct Rot {
    SectorRange range;
    bool dirty = false;
  };

  void buffer_available() override { begin(); }
  void begin();
  void look();
  void look_closely(SectorRange gap);
  [[nodiscard]] bool is_rotten(SectorRange range) const;
  void read_backing();
  void read_part();
  // False: that has ended it.
  [[nodiscard]] bool judge();
  void compare();
  [[nodiscard]] std::vector<SectorRange> still_the_same();
  void add_differences(SectorRange range);
  void tell();
  void heal();
  void read_to_heal(SectorRange range);
  void unwatch();
  void finish(IoStatus status);
  void add(ScrubFinding::Kind kind, SectorRange range);
  [[nodiscard]] std::span<std::byte> bytes_of(SectorRange range, std::span<std::byte> whole) const;

  static constexpr int most_looks = 3;

  CacheLane& lane_;
  CacheFront* front_ = nullptr;
  ScrubIo* io_ = nullptr;
  SectorRange range_;
  BufferLease buffer_;
  std::span<std::byte> cached_;  // each of the whole range
  std::span<std::byte> backed_;
  int looks_ = 0;
  ReadWatch watch_;
  bool is_watched_ = false;
  std::vector<Fragment> clean_;
  std::vector<Rot> rot_;
  std::size_t healed_ = 0;  // of rot_ that has been dealt with
  ByteCount in_cache_;
  ByteCount compared_;
  std::vector<SectorRange> differences_;
  BadRangeSearch search_;
  // What it asks may end inside its submission; then the one who submits goes on.
  bool submitting_ = false;
  bool is_asking_ = false;
  IoStatus status_ = IoStatus::ok;
  BackingIo backing_io_;
  struct HostRead : VolumeIo {
    CachedScrub* owner = nullptr;
  } read_;
};

}  // namespace engine
