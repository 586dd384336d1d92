// CachedWrite: one write, zeroing, deallocation or loss of blocks of a volume with a cache.
#pragma once

#include <cstdint>

#include "engine/cache/volume_cache.h"
#include "engine/foundation/clock.h"
#include "engine/media/volume_space.h"
#include "engine/volume/cache_command.h"
#include "engine/volume/space_queue.h"
#include "engine/volume/volume.h"
#include "engine/volume/written_through.h"

namespace engine {

class CacheFront;

// On its way into the cache, or around it: then what the cache has of the range is forgotten
// durably before the backing is touched, and no miss that overlaps it fills meanwhile. What is to
// be lost goes around it too, whatever the mode, and before that the backing has all that the cache
// has of the range: a crash in between leaves what was there, and no write-back comes after it.
// Where the backing has no space for everything, it is promised that first, or known to need none.
// What is larger than one command of the cache may be goes into it in parts, in address order:
// zeroings of more than most_zeroed, and writes of more than whole_write while there is no room for
// the whole. Given back to its lane when `io` ends.
class CachedWrite final : public CacheCommand, public SpaceWaiter, private TakeBack {
 public:
  explicit CachedWrite(CacheLane& lane) : CacheCommand(lane), backing_wait_(*this) {}

  void start(CacheFront& front, VolumeIo& io);
  void go_on() noexcept override;

  // Write-through, on the keeper's thread.
  [[nodiscard]] BackingWait& backing_wait() { return backing_wait_; }
  void give_up_on_backing() { gave_up_ = true; }
  // That it waits for the backing to have.
  [[nodiscard]] std::uint64_t awaited() const { return awaited_; }

 private:
  enum class WaitsFor : std::uint8_t {
    commit,   // of a part in the cache
    space,    // there, or the way around it
    backing,  // to have what the cache has
    forgotten,
    direct_write,
  };

  static constexpr unsigned most_tries = 3;  // places that turn out bad, for one command

  // What it may need on the backing is promised to it. False: set_out() when that is settled.
  [[nodiscard]] bool has_space();
  void ask_for_space();
  void told_of_space(SpaceQuestion::Answer answer);
  // All that it may need has been promised, or need not be.
  void set_out();
  // Whichever way it goes now.
  [[nodiscard]] Result<void, CacheRefusal> begin();
  [[nodiscard]] bool is_dirty() const;
  void wait_for_backing(std::uint64_t sequence);
  void backing_has_it();
  [[nodiscard]] Result<void, CacheRefusal> take();
  [[nodiscard]] Result<void, CacheRefusal> take(SectorCount part);
  [[nodiscard]] Result<void, CacheRefusal> write(SectorRange part);
  [[nodiscard]] Result<void, CacheRefusal> zero(SectorRange part);
  [[nodiscard]] Result<void, CacheRefusal> forget();
  void settle(const Result<void, CacheRefusal>& taken);
  [[nodiscard]] bool is_admitted();
  void wait_for_space();
  void look_again();
  [[nodiscard]] bool has_waited_enough() const;
  // TakeBack
  void take_back() override;
  void committed();
  void write_directly();
  void directly_written(IoStatus status);
  void finish(IoStatus status);

  CacheFront* front_ = nullptr;
  VolumeIo* io_ = nullptr;
  SectorRange left_;
  SectorCount part_;  // of it that is on its way
  WaitsFor waits_for_ = WaitsFor::commit;
  bool has_waited_ = false;  // for space
  bool is_admitted_ = false;
  bool is_taken_back_ = false;  // while it waits for space
  Instant since_;               // it has waited for space
  Instant asked_;               // for a commit or of the backing, by IoLane::now()
  BackingWait backing_wait_;
  std::uint64_t awaited_ = 0;
  DirectWrite direct_;
  SectorRange unasked_;  // the rest, while it is asked for space
  SpaceQuestion question_;
  ByteCount promised_;  // space on the backing, until it ends
  bool gave_up_ = false;
  unsigned tries_ = 0;
};

}  // namespace engine
