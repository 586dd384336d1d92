// Volume: the one face of the engine towards the protocols. Blocks in, blocks out, durable when
// answered.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "engine/foundation/clock.h"
#include "engine/foundation/piece_sums.h"
#include "engine/foundation/result.h"
#include "engine/foundation/units.h"
#include "engine/foundation/uuid.h"
#include "engine/media/backing_device.h"
#include "engine/pool/kept_reservations.h"
#include "engine/volume/finding.h"
#include "engine/volume/pinned_read.h"

namespace engine {

// Of a request that waits for room: how it is taken back.
class TakeBack {
 public:
  // The lane's thread. The request ends with `cancelled`, soon and not in here; what had been
  // written of it stays.
  virtual void take_back() = 0;

 protected:
  ~TakeBack() = default;
};

// Where the time of a request has gone, by IoLane::now(); what is neither was the cache's own.
struct IoTimes {
  Duration commit{};   // until what it brought to the cache was durable
  Duration backing{};  // until the disks had done their part
  bool committed = false;
  bool reached_backing = false;

  void add_commit(Duration took) {
    commit += took;
    committed = true;
  }
  void add_backing(Duration took) {
    backing += took;
    reached_backing = true;
  }
};

// One request to a volume; owned by the caller (it lives in the command's slot: nothing is
// allocated for a request), untouched by it until `done` runs.
struct VolumeIo {
  enum class Kind : std::uint8_t {
    read,
    write,
    write_zeroes,  // reads return zeros; space stays allocated unless may_deallocate
    deallocate,    // reads return zeros; space is given back where the pool can
    flush,   // no-op for durability (every write is durable when answered), ordered after nothing
    verify,  // reads and checks the media, returns nothing
    lose,    // reads end with media_error until something is written there
  };
  Kind kind = Kind::read;
  bool may_deallocate = false;  // write_zeroes only (NVM command set: DEAC)
  // If it would have to ask a backing that is silent (Volume::look_at_backing), it ends with
  // no_answer instead, and can be submitted again: what a disk has been given nobody gets back.
  bool gives_way = false;
  // Of the formatting of the volume itself: what nobody else may do meanwhile (begin_format()).
  bool formats = false;
  bool is_use = true;  // read: whoever asks is likely to ask again; the cache keeps such blocks
  Lba lba{};
  BlockCount blocks{};
  // read: destination; write: source; exactly blocks * block size long. Stays valid until `done`.
  std::span<std::byte> data{};
  // What is known of `data`'s checksums, so that nobody need compute them again. write: the
  // caller's; read: those the media has that `data` was checked against. Empty: not wanted.
  PieceSums sums{};
  // On the lane's thread; may run inside submit(). The request may be reused or destroyed from
  // here.
  void (*done)(VolumeIo& io, IoStatus status) noexcept = nullptr;
  // It waits for room in the cache, maybe for long; told once, before `done`, until when
  // `take_back` may be used. On the lane's thread; may run inside submit(). May be null.
  void (*waits)(VolumeIo& io, TakeBack& take_back) noexcept = nullptr;

  // If `is_timed`, the engine adds to `times`; whoever wants to know sets them to nothing before.
  // Of kind verify: nothing.
  bool is_timed = false;
  IoTimes times{};

  // The engine's own state while the request is under way.
  BackingIo backing{};
  void* engine_state = nullptr;
  IoLane* lane = nullptr;
  Instant asked_backing{};
};

[[nodiscard]] constexpr bool writes(VolumeIo::Kind kind) {
  return kind == VolumeIo::Kind::write || kind == VolumeIo::Kind::write_zeroes ||
         kind == VolumeIo::Kind::deallocate || kind == VolumeIo::Kind::lose;
}

struct LostBlocks {
  Lba lba;
  BlockCount blocks;
  friend bool operator==(const LostBlocks&, const LostBlocks&) = default;
};

enum class VolumeState : std::uint8_t {
  late,  // configured, but its pool or file is not there yet; identity and size are known where
         // possible
  online,
  degraded,  // served as if online, but its backing fails: what is dirty is kept until it works
  failed,    // a flush failed or the backing is gone; reads may work, writes do not
  refused,   // it is there, but asked to shrink or to have other blocks: not served until a restart
};
[[nodiscard]] constexpr const char* text(VolumeState state) {
  switch (state) {
    case VolumeState::late:
      return "late";
    case VolumeState::online:
      return "online";
    case VolumeState::degraded:
      return "degraded";
    case VolumeState::failed:
      return "failed";
    case VolumeState::refused:
      return "refused";
  }
  return "";
}

// Whether hosts may write a volume, as one of them has said, or the operator. While they may not,
// their writes end with read_only; what a cache owes its pool is written back all the same.
enum class WriteProtection : std::uint8_t {
  none,
  kept,           // by its pool, until it is taken back
  until_restart,  // of the daemon; cannot be taken back
};

// What an online volume promises of what it has answered.
struct VolumePromise {
  bool durable = true;  // false: gone at a power loss (tmpfs) or when the daemon ends (memory)
  std::string note;     // what the operator should know; one sentence or two, mostly empty
  // A write of up to so many bytes lands whole or not at all, also when power fails, as long as it
  // crosses no multiple of them; 0: nothing beyond one block is known to.
  std::uint32_t atomic_write_bytes = 0;
  // The same wherever it begins; and nobody reads half of it, or comes between its halves.
  bool is_atomic_anywhere = false;
  bool writable = true;  // false: its mode, or WriteProtection, has made it read-only

  // Until its formatting has ended.
  void note_formatting() {
    if (!note.empty()) note += "; ";
    note += "it is being formatted: hosts are refused until all of it is zeros";
  }
  // While hosts may not write it.
  void restrict_by(WriteProtection protection) {
    if (protection == WriteProtection::none) return;
    writable = false;
    if (!note.empty()) note += "; ";
    note += protection == WriteProtection::kept
                ? "it is write-protected: writes are refused until a host takes that back, or "
                  "forebayctl write-protection"
                : "a host has write-protected it: writes are refused until the daemon restarts";
  }
};

// How a volume is, and why: all of one moment, so that no reason stands beside another state.
struct VolumeCondition {
  VolumeState state = VolumeState::late;
  BlockCount size;
  // One sentence for the operator: why the state is what it is and what to do; empty when online.
  std::string reason;
  // What the reason speaks of; the pool's directory as long as only that is waited for.
  Finding::About reason_about = Finding::About::pool_directory;
  // It is late because its cache has what the image lacks, and is not there: Engine::abandon_cache.
  bool lacks_cache = false;
  VolumePromise promise;
};

// What a host is shown; never changes for a UUID, but that the volume may grow, and may be
// formatted with other blocks (begin_format()), and that its blocks may turn out to be others than
// configured as long as it is late.
struct VolumeIdentity {
  std::string name;
  Uuid uuid;
  BlockSize block_size;
};

// Thread-safe: submit() from any reactor, each with its own lane. Lives as long as the Engine that
// made it.
class Volume {
 public:
  Volume() = default;
  Volume(const Volume&) = delete;
  Volume& operator=(const Volume&) = delete;
  virtual ~Volume() = default;

  [[nodiscard]] virtual const VolumeIdentity& identity() const = 0;
  [[nodiscard]] virtual BlockCount size() const = 0;  // may grow, never shrinks
  [[nodiscard]] virtual VolumeState state() const = 0;
  // Any thread; takes a lock: size() and state() are for those in a hurry.
  [[nodiscard]] virtual VolumeCondition condition() const = 0;
  // Counts changes of state and size; any thread. Who remembers the last value sees that something
  // changed even if it was changed back. (To be told instead of asking: Engine::observe.)
  [[nodiscard]] virtual std::uint64_t changes() const = 0;

  // Any thread, each with its own lane. Answers writes only when they are durable. Requests that
  // overlap each other are the caller's to order. Ends with out_of_range for blocks beyond size(),
  // unavailable while late or refused, capacity_exceeded if no more can be lost.
  virtual void submit(IoLane& lane, VolumeIo& io) = 0;

  // Any thread, each with its own lane. A read that the cache has whole is given out where it lies,
  // checked as any other: what was last answered, or is newer. Empty: it is to be submitted, which
  // says why if it fails too; without a cache, and while writes wait for space in it, always.
  [[nodiscard]] virtual PinnedRead read_in_place(IoLane& /*lane*/, const ReadInPlace& /*read*/) {
    return {};
  }

  // How long a write waits for room in the cache, whatever the reason, before it ends with no_room;
  // zero (at first): as long as the backing gets on, and a while longer if it does not, and then it
  // ends with `unavailable`. Holds for those that wait already, in the order in which they wait.
  // Any thread.
  virtual void set_hold(Duration /*hold*/) {}
  // Commands would be served for long: the backing answers and gets on, and much of the cache may
  // be written again. Any thread.
  [[nodiscard]] virtual bool has_room() const { return true; }

  // Looks whether the disks beneath answer (BackingDevice::silent_since), and remembers that for
  // those that give way. To be called about once a second. Any thread; takes a lock.
  virtual std::optional<Instant> look_at_backing(Instant /*now*/) { return std::nullopt; }
  // Of the last look. Any thread.
  [[nodiscard]] virtual bool is_backing_silent() const { return false; }

  // What its pool has of reservations, as it was last kept; nullopt while that is not known. Known
  // before the first request is served. Any thread; takes a lock.
  [[nodiscard]] virtual std::optional<KeptReservations> kept_reservations() const {
    return KeptReservations{};
  }
  // In the place of what was kept before. `done` runs when that is durable, or cannot be (a
  // sentence for the operator; then either may be there until the next one is kept); on a thread of
  // the engine, or in here. One at a time.
  using KeepDone = std::function<void(Result<void, std::string>)>;
  virtual void keep_reservations(const KeptReservations& /*reservations*/, KeepDone done) {
    done(std::string("this volume has no pool that keeps reservations"));
  }

  // What is known to be an error to read, because nobody has it; ascending, and not touching each
  // other. Not what nobody has tried to read yet. Any thread; takes a lock.
  [[nodiscard]] virtual std::vector<LostBlocks> lost_blocks() const { return {}; }

  // `none` as long as the volume is late. Any thread.
  [[nodiscard]] virtual WriteProtection write_protection() const { return WriteProtection::none; }
  // `done` as of keep_reservations(). When it tells of success, no write that is submitted from
  // then on is carried out, or every one is; those that were under way may be.
  virtual void protect(WriteProtection /*protection*/, KeepDone done) {
    done(std::string("this volume has no pool that keeps its write protection"));
  }

  // All of it is to be zeros, and not all of it is yet: whoever submits anything but a flush or
  // what formats it is told `formatting`. Known before the first request is served, also after a
  // crash. Any thread.
  [[nodiscard]] virtual bool is_formatting() const { return false; }
  // Whether it can be formatted with blocks of this size: its own always can. Any thread.
  [[nodiscard]] virtual bool can_have_blocks(BlockSize blocks) const {
    return blocks == identity().block_size;
  }
  // A host's format has set its blocks: what the configuration says of them means nothing any more.
  [[nodiscard]] virtual bool has_blocks_of_host() const { return false; }
  // From now on it is being formatted; requests that were under way may still be carried out.
  // False: it is already. Then whoever formats it has to see to it, in this order: that it is kept,
  // that every block is zeroed (VolumeIo::formats), that it is not kept any more. With blocks of
  // another size (which it can_have_blocks()) that is not all: this volume has its blocks for good,
  // and nobody is served by it any more; it is to be removed from its engine and added again, where
  // it comes back with the others. Any thread.
  [[nodiscard]] virtual bool begin_format(BlockSize /*blocks*/) { return false; }
  // What begin_format() was told; the volume's own if it was not. Any thread; takes a lock.
  [[nodiscard]] virtual BlockSize formatted_blocks() const { return identity().block_size; }
  // Whether it is being formatted, as its pool remembers it across crashes, and with which blocks;
  // a success with `false` ends the formatting, but of one that is to come back with other blocks.
  // `done` as of keep_reservations().
  virtual void keep_formatting(bool /*formatting*/, KeepDone done) {
    done(std::string("this volume has no pool that keeps its formatting"));
  }
};

}  // namespace engine
