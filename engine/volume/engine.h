// Engine: every pool and volume of one daemon, opened from the configuration and kept open.
#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/foundation/clock.h"
#include "engine/foundation/result.h"
#include "engine/foundation/units.h"
#include "engine/foundation/uuid.h"
#include "engine/media/buffer_pool.h"
#include "engine/media/pmem_guarantee.h"
#include "engine/media/pmem_writer.h"
#include "engine/pool/adoption.h"
#include "engine/pool/extent_map.h"
#include "engine/pool/lost_ranges.h"
#include "engine/pool/member_state.h"
#include "engine/pool/pool_disk.h"
#include "engine/pool/provisioning.h"
#include "engine/volume/cache_mode.h"
#include "engine/volume/cache_traffic.h"
#include "engine/volume/finding.h"
#include "engine/volume/volume.h"

namespace engine {

struct PoolSpec {
  enum class Kind : std::uint8_t { file, memory, device };
  std::string name;
  Kind kind = Kind::file;
  std::string directory;               // file: the labelled directory
  std::optional<Uuid> uuid;            // refuse any other pool, where the configuration names it
  std::vector<std::string> members{};  // device: their paths; the order means nothing
  // How long a member that does not answer is waited for, when the pool is opened.
  Duration member_patience = std::chrono::seconds(10);
  // device: a pool that was made otherwise is refused.
  std::optional<format::MemberLayout> layout{};
  std::optional<ByteCount> chunk{};
  // file: of volumes that are made from now on; those that are there stay as they are.
  Provisioning provisioning = Provisioning::thick;
  // file: stays free, so that what has been answered can be written back whatever else takes the
  // file system's space.
  ByteCount reserve{};
  // Not memory: in percent; the operator is told when so much of it is used. nullopt: never.
  std::optional<std::uint32_t> warn_at{};
  // Not memory: operations that each member, or the directory, is given at once by all lanes; 0:
  // no more than each lane's caps (InFlightLimiter).
  std::uint32_t queue_depth = 0;
};

// A device or file that holds cached blocks of volumes.
struct CacheSpec {
  std::string name;
  std::string path;
  std::optional<Uuid> uuid{};  // refuse any other device, also a blank one
  // Refuse media that guarantees less than this; page: any media does.
  PmemGranularity required = PmemGranularity::page;
  // Refuse a device that was formatted otherwise; nullopt: as it was formatted.
  std::optional<bool> payload_crc{};
};

// How a volume's writes come to its pool.
enum class WriteBackOrder : std::uint8_t {
  batch,    // between batches the pool alone is the volume as it was at one moment
  journal,  // always, at twice the volume of writes: each batch goes to a journal beside it first
};

struct VolumeCacheSpec {
  std::string device;  // name of a CacheSpec
  CacheMode mode = CacheMode::write_back;
  ByteCount guaranteed{};  // kept for this volume whatever the others do
  ByteCount maximum{};     // 0: all of the device
  // Of what the volume may hold: writing back to the pool starts at high and goes on down to low.
  std::uint32_t dirty_low_percent = 40;
  std::uint32_t dirty_high_percent = 60;
  Duration max_dirty_age = std::chrono::seconds(30);  // written back then, however little it is
  WriteBackOrder ordered = WriteBackOrder::batch;
};

struct VolumeSpec {
  std::string name;
  std::string pool;
  ByteCount size;
  BlockSize block_size;
  // What its pool may call it yet: then that is told its name. Not empty: it is never made anew.
  std::string was{};
  std::optional<VolumeCacheSpec> cache{};
  // It is served only where writes are as whole as they are through a cache's log
  // (VolumePromise::is_atomic_anywhere): through a cache that survives power loss, which it does
  // not leave, in a mode that does not go around it.
  bool needs_atomic_writes = false;
};

struct EngineOptions {
  // Where identities and sizes of volumes that have been online once are remembered, so that a
  // volume whose pool is late at the next start still has its own, and is never made anew on
  // another pool in its place. Only a memory of what the pools say: may be lost, and is removed by
  // an operator who wants to begin anew. Empty: none.
  std::string known_volumes_file{};
  // How long open() waits for pools whose disks do not answer; they stay late and come later.
  Duration patience = Duration::max();
  // The devices that volumes name as their cache.
  std::vector<CacheSpec> caches{};
  // What the caches' own buffers are charged to; outlives the engine. Needed where there are any.
  MemoryBudget* memory = nullptr;
};

struct InspectOptions {
  Duration patience = std::chrono::seconds(5);
  // The devices that volumes name as their cache.
  std::vector<CacheSpec> caches{};
  // What they would be charged to; nullptr: not looked at.
  MemoryBudget* memory = nullptr;
};

// A volume that a pool has and the configuration does not name: nobody is served, nothing is
// deleted, and it is the same volume when it is named again.
struct RetainedVolume {
  std::string name;
  Uuid uuid;
  ByteCount size;
  BlockSize block_size;
  Uuid cache{};        // that its image belongs together with; nil: none
  bool dirty = false;  // the cache may have what the image lacks
  Provisioning provisioning = Provisioning::thick;
};

// One disk of a pool, and how it does.
struct DiskStatus {
  PoolDisk disk;
  DiskHealthCounts counts;  // since the daemon started
  // By DiskWork: of 100 operations 99 were faster, in the last minutes.
  std::array<std::chrono::nanoseconds, disk_works> p99{};
  std::string outlier{};  // how much slower than its peers, or it was; empty: it is not
  std::vector<std::string> troubles{};  // what is told of it, as in findings(); empty: it is well
};

// A device pool that has taken one more disk, or has had it before.
struct GrownPool {
  std::vector<std::string> members;  // all of them: what the configuration is to name
  bool was_member = false;
  bool is_configured = false;  // the disk, already
  ByteCount free;
};

// What a pool looks like to an operator, as it was last seen.
struct PoolStatus {
  std::string name;
  PoolSpec::Kind kind = PoolSpec::Kind::file;
  bool open = false;
  std::string reason;  // why it is not open, or does not answer, and what to do; else empty
  std::string
      note;        // what an open pool does not promise (a file system that forgets at power loss)
  Uuid uuid;       // nil while not open and for memory pools
  ByteCount size;  // of the file system; 0 while not open
  ByteCount free;
  // Of the free space: what has been answered and is not written to it yet, about.
  ByteCount promised{};
  Provisioning provisioning = Provisioning::thick;  // as its PoolSpec says, and what follows
  ByteCount reserve{};
  std::optional<std::uint32_t> warn_at{};
  std::uint32_t queue_depth = 0;
  bool filling = false;  // that much of the file system is used, or promised
  // While something of it is late or failed: attempts so far, and when the next one comes.
  unsigned tries = 0;
  Duration next_try_in{};
  std::vector<RetainedVolume> retained{};  // none while not open
  // Volumes that it calls as they were called before: see Engine::keep_names.
  std::vector<std::string> renaming{};
  std::vector<DiskStatus> disks{};  // as it was last open; of a pool in memory none
  // Of an open device pool: sentences about its members that the operator should act on some time.
  // Of a device pool, as they were last looked for; none while nobody knows them.
  std::vector<MemberState> members{};
  HealedReplicas healed{};  // since the start; of the texts, those of the last opening
  std::vector<std::string> advice{};
};

// The same for a cache device.
struct CacheStatus {
  std::string name;
  std::string path;
  bool open = false;
  std::string reason;     // why it is not open, and what to do; else empty
  std::string note;       // what an open one does not do for the operator
  Uuid uuid;              // nil while not open
  ByteCount size;         // what follows is 0 while not open
  ByteCount free;         // of data and logs
  ByteCount dirty;        // that waits for a backing; newer over older counted twice
  bool retiring = false;  // its volumes are being detached: see Engine::retire_cache
  bool retired = false;   // and that is over: it may be taken out
  // Since it was opened: parts of reads that it had badly, and their backings well; and those that
  // it alone had, and has lost.
  std::uint64_t healed_reads = 0;
  std::uint64_t lost_reads = 0;
  // And reads that were given out where they lie (Volume::read_in_place), with their bytes.
  std::uint64_t reads_in_place = 0;
  ByteCount bytes_in_place;
  PmemCounts stores{};  // all of them
  PmemGuarantee guarantee{};
  bool failed = false;  // it could not be written: writes are refused until a restart
  // As of about a second ago.
  struct Segments {
    std::uint64_t free = 0;
    std::uint64_t data = 0;
    std::uint64_t log = 0;
  };
  Segments segments{};
  // What reclaim has done since the device was opened, for volumes that are served.
  std::uint64_t reclaimed_segments = 0;
  ByteCount reclaim_dropped{};  // cold blocks
  ByteCount reclaim_kept{};     // hot ones, logged again or moved
  // From the beginning of the attempt that opened it until every volume whose pool was there was
  // served or refused; nullopt until then.
  std::optional<Duration> recovery{};
};

// And for what a device has of one volume that is served through it.
struct VolumeCacheStatus {
  std::string device;
  CacheMode mode = CacheMode::write_back;
  ByteCount dirty;             // that waits for the backing; newer over older counted twice
  bool draining = false;       // all of it is on its way there: see Engine::drain
  bool detaching = false;      // and then the volume is served without it: see Engine::detach_cache
  std::string detach_error{};  // why the last detachment was given up; empty: it was not
  // While it is drained, what of that is left; else all that is dirty.
  ByteCount drain_left{};
  // For that, as fast as it went of late; nullopt: unknown, or it does not get on.
  std::optional<Duration> time_left{};
  // The backing alone, or with its journal, is the volume as it was then (milliseconds since 1970),
  // unless it is mixed: a batch for it has begun and not ended.
  std::uint64_t consistent_time_ms = 0;
  bool backing_mixed = false;
  // Since it is served through the device.
  CacheTraffic::Counts traffic{};
  std::uint64_t healed_reads = 0;  // as of the device
  std::uint64_t lost_reads = 0;
  ByteCount written_back{};
  std::uint64_t write_back_failures = 0;  // batches that are tried again
  Duration dirty_age{};                   // of the oldest of what is dirty; zero: nothing is
  // Since the backing last had everything; zero: it has. nullopt: not since the device was opened.
  std::optional<Duration> lag_age = Duration{};
  // What the backing by itself writes whole or not at all: VolumePromise::atomic_write_bytes.
  std::uint32_t backing_atomic_bytes = 0;
  // What write-back cannot get past, because the cache alone has it, and has it badly: the oldest
  // such place. Found anew after a restart; nullopt: it has met none.
  std::optional<LostRange> stopped_by_loss{};

  // RPO: how old the moment is that the backing has the volume of. As long as it had everything,
  // every moment was that one: then the age begins anew with what is written next.
  [[nodiscard]] Duration consistent_point_age(std::chrono::milliseconds now_since_1970) const {
    const Duration since_last = now_since_1970 - std::chrono::milliseconds(consistent_time_ms);
    if (!lag_age) return consistent_time_ms == 0 ? dirty_age : std::max(Duration{}, since_last);
    if (consistent_time_ms == 0) return *lag_age;
    return std::clamp(since_last, Duration{}, *lag_age);
  }
};

// What of a volume nobody has any more: reads of it fail until something is written there.
struct LossStatus {
  LostRanges ranges;        // as its record in its pool lists them
  std::uint64_t reads = 0;  // that have failed since the start, also of what is not listed yet
};

// Of a volume that goes on without what a cache had of it.
struct WhatIsLeft {
  std::string text;  // for the operator: of which moment it is, and how much is lost
};

// Of a volume that has been destroyed.
struct DestroyedVolume {
  // For the operator: what its cache had that its image lacked; empty: it belonged to none.
  std::string cache_text;
  ByteCount cache_freed;  // of the cache device, and free again
};

// Told of each change of a volume's state or size. Called on the thread that changed it (a reactor
// when a flush failed, else the pool's), after the change is visible: hand it on, do not work in
// it.
class VolumeObserver {
 public:
  virtual void volume_changed(Volume& volume) noexcept = 0;

 protected:
  ~VolumeObserver() = default;
};

// Any thread. Nothing here waits for a disk but open(), settle() and stop(), and those no longer
// than they are told to; the destructor does, so it comes after a stop() that has succeeded, and
// after every lane that has carried its requests has nothing in flight.
class Engine {
 public:
  // The error is a sentence for the operator, and nothing has changed then.
  using Done = std::function<void(Result<void, std::string>)>;
  using AdoptDone = std::function<void(Result<RetainedVolume, std::string>)>;
  using AddMemberDone = std::function<void(Result<GrownPool, std::string>)>;
  using DestroyDone = std::function<void(Result<DestroyedVolume, std::string>)>;
  using GivenUp = std::function<void(Result<WhatIsLeft, std::string>)>;

  // Opens what can be opened; what cannot stays late with its reason and is tried again: pools that
  // are not there once a second, everything else ever more slowly. Never fails as a whole.
  static std::unique_ptr<Engine> open(std::vector<PoolSpec> pools, std::vector<VolumeSpec> volumes,
                                      EngineOptions options = {});
  // What open() would find amiss, by reading alone: nothing is written or locked, and who serves it
  // may go on meanwhile. Of volumes only what no waiting helps (size, block size, a cache that does
  // not belong to them, shares of it that do not fit). A pool or cache device whose disk does not
  // answer within `patience` is a finding, and a thread that waits for it is left behind.
  [[nodiscard]] static std::vector<Finding> inspect(const std::vector<PoolSpec>& pools,
                                                    const std::vector<VolumeSpec>& volumes,
                                                    const InspectOptions& options = {});
  virtual ~Engine() = default;

  // In the order of the specification, what was added later behind it; stable addresses for the
  // Engine's life, also of a volume that is removed: it is refused then, answers every request with
  // unavailable, and is not among these any more.
  [[nodiscard]] virtual std::vector<Volume*> volumes() const = 0;
  [[nodiscard]] virtual Volume* find(const std::string& name) const = 0;
  [[nodiscard]] virtual std::vector<PoolStatus> pools() const = 0;
  [[nodiscard]] virtual std::vector<CacheStatus> caches() const = 0;
  // Each trouble once: pools that are not open or do not answer, volumes that are late or refused
  // for another reason than their pool's or larger than specified, and what cannot be remembered.
  [[nodiscard]] virtual std::vector<Finding> findings() const = 0;
  // Lives until stop(). Null: nobody is told.
  virtual void observe(VolumeObserver* observer) = 0;

  // Whatever is late or failed is tried now, not when its time comes.
  virtual void retry_now() = 0;
  // Waits until all that has been asked for is done; false if a disk has not answered by then.
  [[nodiscard]] virtual bool settle(Duration patience) = 0;
  // Grows a volume that is online. `done` runs on a thread of the engine, or in here.
  virtual void grow(const std::string& name, ByteCount new_size, Done done) = 0;

  // Deletes the data of a volume that its pool retains: see pools(). For good. One that belongs
  // together with a cache only if that is `cache` (nil: none is named), and what that has of it
  // goes first: whatever cuts this off, it may be asked for again. A cache that is not open keeps
  // that until this is asked for once more, when no pool has the volume.
  virtual void destroy(const std::string& name, const Uuid& uuid, const Uuid& cache,
                       DestroyDone done) = 0;
  // Another name for a volume that its pool retains; it keeps its UUID and its data.
  virtual void rename(const std::string& name, const Uuid& uuid, const std::string& to,
                      Done done) = 0;
  // Makes an image that lies in a pool's directory a volume of that pool: retained, or served if
  // the configuration names it already.
  virtual void adopt(const std::string& pool, const Adoption& adoption, AdoptDone done) = 0;

  // Of what was asked of its pool: BackingDevice::errors(). 0 while that is late.
  [[nodiscard]] virtual std::uint64_t backing_errors_of(const std::string& name) const = 0;

  // Makes the disk, or file, one more member of a linear device pool; volumes are served meanwhile.
  // `permitted`: what on it may be destroyed, as `forebayctl pool init --overwrite`. A disk that is
  // a member already is none the worse for it. A member that the configuration does not name when
  // the daemon starts again is missing then.
  virtual void add_member(const std::string& pool, const std::string& disk,
                          const std::vector<std::string>& permitted, AddMemberDone done) = 0;

  // Nothing while its pool is late.
  [[nodiscard]] virtual LossStatus losses_of(const std::string& name) const = 0;

  // Of volumes with a cache; `done` as above.
  // nullopt: without one, or not served.
  [[nodiscard]] virtual std::optional<VolumeCacheStatus> cache_of(
      const std::string& name) const = 0;
  // Until the next start, which does as the specification says. Commands go on meanwhile; what goes
  // around the cache from now on goes through it until the backing has what it lacks.
  virtual void set_cache_mode(const std::string& name, CacheMode mode, Done done) = 0;
  // Everything that is answered by now goes to the backing as soon as it can, until it is there or
  // that is cancelled: see cache_of(). Commands go on as before. `done`: it has begun.
  virtual void drain(const std::string& name, Done done) = 0;
  virtual void cancel_drain(const std::string& name, Done done) = 0;
  // The volume is served without its cache as soon as its backing has all that is answered, and
  // what the cache has of it is given up; hosts stay connected. Until the next start, which does as
  // the specification says. `done`: it has begun; cache_of() tells how far it is, and nothing of a
  // volume that is detached. cancel_drain() ends it before that.
  virtual void detach_cache(const std::string& name, Done done) = 0;
  // A volume that is served without a cache, because it has been detached or has never had one, is
  // served through `device`, where it begins empty. `done`: it is.
  virtual void attach_cache(const std::string& name, const std::string& device, Done done) = 0;
  // Detaches every volume from the device and closes it: see caches(). `done`: it has begun.
  virtual void retire_cache(const std::string& device, Done done) = 0;
  // Of a volume that is late because its cache has what the image lacks, with a cache or without,
  // or what the image never knew of: goes on without what `cache` has, which is lost, also if it
  // comes back.
  virtual void abandon_cache(const std::string& name, const Uuid& cache, GivenUp done) = 0;
  // What stops the write-back because nobody has it any more is written down as lost, and stays an
  // error until it is written; write-back goes on without it.
  virtual void give_up_lost(const std::string& name, Done done) = 0;

  // ---- The specification changes while it runs
  //
  // One thread at a time asks for what follows, and not from inside a `done`; nothing waits for a
  // disk. `done`: on a thread of the engine, or in here; with an error, a sentence for the
  // operator, nothing has changed. Whoever is not named in a change sees nothing of it: no error,
  // no wait. Whether a whole new specification would do (shares that do not fit, other block sizes,
  // a pool that is not there), inspect() tells beforehand; what speaks against one change because
  // of what runs, its why_not. Nothing of this is written down: the next start does as its
  // specification says. There are at most `most_there` volumes, pools and devices, with those that
  // have been removed (and, of volumes, not forgotten).
  static constexpr std::size_t most_there = 16384;

  // Late at first, as in open(): settle() waits for what can be opened. Errors: one of that name is
  // there, or is being removed; for a device there is no memory cap (EngineOptions::memory).
  [[nodiscard]] virtual Result<void, std::string> add_pool(const PoolSpec& spec) = 0;
  [[nodiscard]] virtual Result<void, std::string> add_cache(const CacheSpec& spec) = 0;
  // The same; the observer is told as of any other. A volume that its pool retains is the same one
  // again, with all that has been answered, whether its pool has that or its cache. Errors also:
  // its pool or cache device is not there, or is leaving.
  [[nodiscard]] virtual Result<Volume*, std::string> add_volume(const VolumeSpec& spec) = 0;

  // Hosts have let it go. From now on requests end with unavailable; when those have ended that are
  // under way, its pool lets go of it and retains it. What its backing lacks stays in its cache as
  // it is, and keeps its space there; what is only cached is given up with the last of that.
  // `done`: its pool retains it, and nobody touches its data; what is in memory is gone. Until then
  // it can neither be added nor removed again, and a backing that hangs, or a pool that must write
  // its record and cannot answer, puts that off. Error: there is no such volume; it joins or leaves
  // a cache just now.
  // What is left of it then, which answers as it says, stays until forget().
  virtual void remove_volume(const std::string& name, Done done) = 0;
  // A volume that has been removed: nobody outside has it any more, nor is inside a call of it or
  // of its observer, on any lane. True: it is gone. False: something here still has it; ask later.
  [[nodiscard]] virtual bool forget(const Volume& removed) = 0;
  // Another name for a volume that is there; hosts see nothing of it, and go on meanwhile. Whoever
  // names it by one that it had before means it all the same, until the engine ends: nothing else
  // can be called so. `done`: it is called `to`. Errors: it is not there, joins or leaves a cache
  // or is being removed just now; another volume is called so, or was, or its pool retains one.
  virtual void rename_volume(const std::string& name, const std::string& to, Done done) = 0;
  // The specification that the next start reads has the volumes' names of now (VolumeSpec::was says
  // what they were): their pools write them down, and try again what they cannot.
  virtual void keep_names() = 0;
  // None of its volumes is specified any more. `done`: its lock is given back, its members are
  // closed, its thread has ended its work.
  virtual void remove_pool(const std::string& name, Done done) = 0;
  // No volume is specified to be on it; those that once were, and have been detached, do not count.
  // Refused while it has what the image of a retained volume lacks. `done`: it is closed.
  virtual void remove_cache(const std::string& name, Done done) = 0;

  // As large as that from now on: as grow(), and nobody is told any more that it is larger than
  // specified. One that is late is made so when it comes. Errors as grow().
  virtual void set_volume_size(const std::string& name, ByteCount size, Done done) = 0;
  // Shares, thresholds, age, order and mode as `spec` says, now; its commands go on. A smaller
  // maximum takes effect as its space is given back. Shares are checked one volume after the other:
  // first those that become smaller. From `batch` to `journal` every batch that begins from then on
  // goes to the journal first; back, the last that did is through. `done`: it is so; of the order,
  // it is begun. One that is late has it when it comes; one that is served without a cache, when it
  // is attached to the device. Errors: it has its cache on another device (detach it first),
  // shares that do not fit, a journal where its pool has none.
  virtual void set_volume_cache(const std::string& name, const VolumeCacheSpec& spec,
                                Done done) = 0;
  // Reserve, threshold and provisioning (of volumes that are made from now on) as `spec` says, and
  // of a linear device pool more members, which must be blank or members already; everything else
  // of `spec` is as before. `done`: it is so. Errors: what is not as before; a member that is
  // missing in `spec`, or cannot be taken: those before it in the list have been.
  virtual void set_pool_space(const std::string& name, const PoolSpec& spec, Done done) = 0;

  // What speaks against a change, as it is now, as a sentence; empty: nothing. `leaving`: volumes
  // that are removed before. Nothing is asked of a disk: what only that can tell is told by `done`.
  [[nodiscard]] virtual std::string why_not_remove_pool(
      const std::string& name, const std::vector<std::string>& leaving) const = 0;
  [[nodiscard]] virtual std::string why_not_remove_cache(
      const std::string& name, const std::vector<std::string>& leaving) const = 0;
  [[nodiscard]] virtual std::string why_not_set_volume_cache(const std::string& name,
                                                             const VolumeCacheSpec& spec) const = 0;
  [[nodiscard]] virtual std::string why_not_set_pool_space(const std::string& name,
                                                           const PoolSpec& spec) const = 0;

  // After the last request: writes down that all ended well, and ends the threads. False: a disk
  // still holds one of them, and the process must end without destructors.
  [[nodiscard]] virtual bool stop(Duration patience) = 0;
};

}  // namespace engine
