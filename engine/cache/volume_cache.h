// VolumeCache: the face of one cached volume.
#pragma once

#include <boost/container/small_vector.hpp>
#include <cstdint>
#include <optional>
#include <span>

#include "engine/cache/cache_actor.h"
#include "engine/cache/cache_device.h"
#include "engine/cache/extent_index.h"
#include "engine/cache/segment_pin.h"
#include "engine/cache/volume_commit.h"
#include "engine/cache/volume_log.h"

namespace engine {

// Why a command was not taken. Nothing of it is held.
enum class CacheRefusal : std::uint8_t {
  no_space,     // no room for its data or its keys: wait until some is given up
  no_memory,    // the index has no memory for it: the same
  media_error,  // its place cannot be written; the next try goes elsewhere
  read_only,    // the volume's log is damaged, or not open
  failed,       // the log cannot be written any more, for good
};

// A part of a read that the cache cannot give.
struct CacheGap {
  enum class Kind : std::uint8_t {
    hole,       // the backing has it
    bad_clean,  // unreadable or rotted here, and the backing has it
    bad_dirty,  // unreadable or rotted, and nobody else has it: an error for exactly these sectors
  };
  SectorRange range;
  Kind kind = Kind::hole;
  ExtentValue value{};  // bad ones: what the index says of the range
};

// Commands are taken by any thread with its own actor, and complete through their record's sink
// when somebody has committed them: that actor's end_turn() or a later one of it, another actor's,
// or, in page granularity, the commit thread. Ranges lie
// inside the volume and are not empty; the caller has checked that. A taken command cannot fail but
// by the log, or by a write's place (CommitOutcome). Order between commands in flight is the order
// of the log; the caller who needs another one waits for completions.
//
// Invariants: what is in the index is durable in the log; every sector in the index that a segment
// holds is counted in its live_sectors, and so is data on its way into the log.
class VolumeCache {
 public:
  static constexpr SectorCount most_zeroed{(std::uint64_t{1} << 30) / 512};  // in one command

  // All outlive it. Read-only until open_log(); recovery fills the index.
  VolumeCache(CacheDevice& device, std::uint32_t slot, IndexMemory& memory, const Clock& clock);
  VolumeCache(const VolumeCache&) = delete;
  VolumeCache& operator=(const VolumeCache&) = delete;

  // Behind an accepted and durable end: see VolumeLog::open().
  [[nodiscard]] Result<void, CacheError> open_log(DurableWriter& writer, std::uint64_t last,
                                                  std::uint64_t last_time_ms);
  // It is whole, but there is no room to open it: until there is, commands are refused as no_space,
  // and reclaim works.
  void wait_for_room() { waits_for_room_.store(true, std::memory_order_release); }

  // A host's write; `data` is the range's bytes, and stays as it is until the record completes: it
  // is copied at the end of the turn. What `sums` knows of it goes to the media as it is.
  [[nodiscard]] Result<void, CacheRefusal> write(CacheActor& actor, CommitRecord& record,
                                                 SectorRange range, std::span<const std::byte> data,
                                                 const PieceSums& sums = {});
  // Reads as zeros from then on: Write Zeroes, and Deallocate, whose space the backing gives back.
  // At most most_zeroed in all.
  enum class ZeroedSpace : std::uint8_t { kept, given_back };
  [[nodiscard]] Result<void, CacheRefusal> write_zeroes(CacheActor& actor, CommitRecord& record,
                                                        std::span<const SectorRange> ranges,
                                                        ZeroedSpace space = ZeroedSpace::kept);
  // What the backing has; `data` is copied here, but in page granularity. Taken only if nothing of
  // the range is in the cache when its turn comes, and the miss has not been overtaken by then
  // (MissPart::overtaken(), which outlives the record; null: nothing can overtake it).
  [[nodiscard]] Result<void, CacheRefusal> fill(CacheActor& actor, CommitRecord& record,
                                                SectorRange range, std::span<const std::byte> data,
                                                const std::atomic<bool>* overtaken = nullptr);
  // What was bad where it lies, and clean, lies anew somewhere else: `data` is what the backing
  // has. Taken only if the index still says of all of it what it said, when its turn comes, and the
  // miss has not been overtaken by then, as for fill().
  [[nodiscard]] Result<void, CacheRefusal> heal(CacheActor& actor, CommitRecord& record,
                                                const Fragment& bad,
                                                std::span<const std::byte> data,
                                                const std::atomic<bool>* overtaken);
  // The backing counts from then on, whatever the cache holds.
  [[nodiscard]] Result<void, CacheRefusal> invalidate(CacheActor& actor, CommitRecord& record,
                                                      SectorRange range);

  // For reclaim: clean fragments are logged again where they lie, with half their heat; each only
  // if it still belongs to its place, whole, when its turn comes. can_relog() holds for each, the
  // index holds them, and their segments are not freed meanwhile. Refused: no_space, when only the
  // log's spare chunk is left; no_memory.
  [[nodiscard]] Result<void, CacheRefusal> relog(CacheActor& actor, CommitRecord& record,
                                                 std::span<const Fragment> fragments);
  // Checksums are of extents as they were logged: a part of one cannot be logged without its data.
  [[nodiscard]] bool can_relog(const Fragment& fragment) const;
  // The same into another place; `data` is what the fragment holds.
  [[nodiscard]] Result<void, CacheRefusal> move(CacheActor& actor, CommitRecord& record,
                                                const Fragment& fragment,
                                                std::span<const std::byte> data);

  // Gives out what the cache has, as it is published at one moment (of a write all or nothing),
  // checked where the device carries checksums; tells the rest in address order. Bytes of gaps are
  // left as they are, or garbage. `sums` hears what bytes were checked against. Any thread.
  void read(SectorRange range, std::span<std::byte> bytes, ExtentIndex::Heat heat,
            FunctionRef<void(const CacheGap&)> on_gap, const PieceSums& sums = {});
  // The same once more, for who has read parts of it elsewhere: pieces of which he says that what
  // he has is as good are left alone.
  void read_again(SectorRange range, std::span<std::byte> bytes,
                  FunctionRef<bool(const Piece&)> has, FunctionRef<void(const CacheGap&)> on_gap,
                  const PieceSums& sums);
  // The hits at the front of the range, up to a gap or zeros, in address order and as many as there
  // is room for, all of one moment; each lies in one piece, and its segment is pinned: for replies
  // straight from the cache. Not checked, and no use of what is found. Any thread.
  struct Hit {
    ExtentValue value;
    SectorCount count;
    SegmentPin pin;
  };
  [[nodiscard]] std::size_t pin_front(SectorRange range, std::span<Hit> hits);

  [[nodiscard]] std::uint32_t slot() const { return slot_; }
  [[nodiscard]] std::uint32_t tag() const { return tag_; }
  [[nodiscard]] CacheDevice& device() { return device_; }
  [[nodiscard]] ExtentIndex& index() { return index_; }
  [[nodiscard]] MissTable& misses() { return misses_; }
  [[nodiscard]] VolumeLog& log() { return log_; }
  [[nodiscard]] VolumeCommit& commit() { return commit_; }
  [[nodiscard]] bool is_writable() const {
    return writable_.load(std::memory_order_acquire) && !commit_.failed();
  }
  [[nodiscard]] bool waits_for_room() const {
    return waits_for_room_.load(std::memory_order_acquire) && !commit_.failed();
  }

  // A lower bound of the log's end, persisted: from then on a shorter log is damage. The thread
  // that changes this volume's entries.
  [[nodiscard]] Result<void, CacheError> note_durable(DurableWriter& writer);
  // The exact end, after the last command has completed; nothing is taken any more, and what the
  // log kept in reserve is given up. As above.
  [[nodiscard]] Result<void, CacheError> stop_clean(DurableWriter& writer);

 private:
  friend class CacheActor;
  using Data = std::span<const std::byte>;
  // Of the keys of data: `owner` as seen from the range's first sector.
  struct Terms {
    format::KeyKind kind = format::KeyKind::data;
    KeyCondition condition = KeyCondition::none;
    VolumeLog::Purpose purpose = VolumeLog::Purpose::command;
    Owner owner = {};
    std::uint8_t heat = 0;
    const std::atomic<bool>* overtaken = nullptr;
    bool is_copied_later = false;  // at the end of the turn
    PieceSums sums = {};
  };
  [[nodiscard]] Result<void, CacheRefusal> take_data(CacheActor& actor, CommitRecord& record,
                                                     SectorRange range, Data data,
                                                     const Terms& terms);
  [[nodiscard]] Result<void, CacheRefusal> take_marks(CacheActor& actor, CommitRecord& record,
                                                      std::span<const SectorRange> ranges,
                                                      format::KeyKind kind, ZeroedSpace space);
  [[nodiscard]] std::optional<CacheRefusal> refusal() const;
  [[nodiscard]] bool promise_log(CacheActor& actor, CommitRecord& record, std::size_t keys,
                                 VolumeLog::Purpose purpose);
  [[nodiscard]] bool may_grow_log(VolumeLog::Purpose purpose);
  // What a turn had asked for ahead.
  void give_back(std::uint64_t log_bytes, std::uint64_t slabs);
  [[nodiscard]] bool copy_data(PmemWriter& writer, CommitRecord& record, Data data);
  // A record whose data could not be copied at the end of its turn.
  void abandon(CommitRecord& record);

  [[nodiscard]] SegmentPin pin_of(const ExtentValue& data);
  struct PinnedPiece;
  using PinnedPieces = boost::container::small_vector<PinnedPiece, 8>;
  void pin_pieces(SectorRange range, ExtentIndex::Heat heat, PinnedPieces& pieces);
  struct Output;
  void give_out(const PinnedPiece& pinned, const Output& to);

  CacheDevice& device_;
  const std::uint32_t slot_;
  const std::uint32_t tag_;
  const bool payload_crc_;
  ExtentIndex index_;
  MissTable misses_;
  VolumeLog log_;
  VolumeCommit commit_;
  std::atomic<bool> writable_{false};
  std::atomic<bool> waits_for_room_{false};
};

}  // namespace engine
