// Reclaim: gives up the oldest keys of one volume, and the space that is empty then.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "engine/cache/chunk_reader.h"
#include "engine/cache/reclaim_trigger.h"
#include "engine/cache/volume_cache.h"

namespace engine {

// Walks the ksets behind K, the key tail, in the order of the log. A key lives as far as the index
// still points at its place. What lives and is cold leaves the index; what is hot (looked up since
// it was logged) is logged again, so the log is a FIFO with a second chance. Where a segment is
// less than half live, what is kept moves out of it. K passes a kset when everything kept of it is
// durable further on; then chunks below K are freed, and segments that hold nothing.
//
// K never passes D, the dirty tail. Where there is no write-back (the volume is only read), reclaim
// takes D along over ksets with nothing to write back.
//
// Driven by one thread, the volume's home lane, with its actor and in turns with write-back: both
// change the volume's tails. A step is bounded and waits for nothing: the commit lock is tried, and
// what is logged again is committed at the actor's end_turn(). It allocates only for what is kept,
// and gives it up where there is no room: reclaim gets on in a full cache.
//
// Invariants: K <= D; K is persisted before a chunk below it is free; a segment is freed only with
// nothing live or pinned in it, no head, and its last key at or below the persisted D; and not
// while something that is logged again is on its way.
class Reclaim final : private CompletionSink {
 public:
  static constexpr unsigned ksets_a_step = 4;
  static constexpr std::uint64_t most_moved = 1U << 20;  // bytes a step, or one extent
  static constexpr std::uint32_t segments_a_step = 256;  // looked at

  // Who moves D over ksets with nothing to write back. Never both: a batch that is being prepared
  // reads the log behind D before it persists a target.
  enum class DirtyTail : std::uint8_t { write_backs, ours };

  // The volume outlives it; when it is destroyed it is at rest, or nothing is committed any more.
  explicit Reclaim(VolumeCache& volume, DirtyTail dirty_tail = DirtyTail::write_backs);
  Reclaim(const Reclaim&) = delete;
  Reclaim& operator=(const Reclaim&) = delete;

  enum class Step : std::uint8_t {
    idle,     // nothing can be given up now: everything is, or waits for write-back
    worked,   // come again
    waits,    // for what is logged again: end the actor's turn, come again
    busy,     // somebody commits: come again
    stopped,  // for good: see damage(), error() and VolumeCache::is_writable()
  };
  // Whether somebody waits for what is given up: then nothing moves, which takes space first, and
  // what is hot is kept once and not for ever.
  enum class Need : std::uint8_t { ahead, now };
  // Works whether it is wanted or not.
  [[nodiscard]] Step step(CacheActor& actor, Need need = Need::ahead);
  // Whether space is getting scarce for this volume: before anybody has to wait. A few loads.
  [[nodiscard]] bool is_wanted();

  // What is left to give up lies behind D: write-back is to move it.
  [[nodiscard]] bool waits_for_dirty_tail() const { return blocked_.has_value(); }
  [[nodiscard]] bool is_at_rest() const { return in_flight_.load(std::memory_order_acquire) == 0; }
  // A kset below D that cannot be read any more: what it named cannot be given up in order.
  [[nodiscard]] const std::optional<LogDamage>& damage() const { return damage_; }
  [[nodiscard]] const std::optional<CacheError>& error() const { return error_; }

  struct Figures {
    std::uint64_t ksets = 0;     // that K has passed
    std::uint64_t dropped = 0;   // sectors, cold
    std::uint64_t relogged = 0;  // sectors, in place
    std::uint64_t moved = 0;     // sectors
    std::uint64_t refused = 0;   // sectors, hot, and dropped for want of room
    std::uint64_t segments = 0;  // freed
  };
  [[nodiscard]] const Figures& figures() const { return figures_; }

 private:
  static constexpr std::size_t most_records = 8;
  static constexpr std::size_t keys_a_record = 64;

  // CompletionSink; any thread.
  void complete(CommitRecord& record) override;

  void note_need(Need need);
  [[nodiscard]] Step walk();
  [[nodiscard]] Step keep(CacheActor& actor);
  [[nodiscard]] Step pass(CacheActor& actor);
  [[nodiscard]] bool leaves_chunks();
  [[nodiscard]] Step stop(const CacheError& error);

  enum class Reading : std::uint8_t { done, busy, damaged };
  [[nodiscard]] Reading read_next();
  [[nodiscard]] Reading reload();
  [[nodiscard]] bool is_forgettable() const;
  // With the commit lock held.
  [[nodiscard]] LogChunk chunk_of(std::uint64_t sequence) const;
  void forget();
  void forget_key(const format::Key& key, std::size_t position);
  void forget_part(const Fragment& fragment);
  void drop(const Fragment& fragment);

  void look_again();
  template <class Visit>
  void for_living(SectorRange range, const Owner& owner, Visit visit);
  [[nodiscard]] bool is_sparse(const Fragment& fragment);
  [[nodiscard]] bool move(CacheActor& actor, const Fragment& fragment, std::span<std::byte> data);
  [[nodiscard]] bool relog(CacheActor& actor);
  [[nodiscard]] CommitRecord& next_record();

  [[nodiscard]] Result<void, CacheError> free_chunks(CacheActor& actor, std::uint64_t below);
  [[nodiscard]] Result<void, CacheError> free_if_empty(DurableWriter& writer,
                                                       std::uint32_t segment);
  [[nodiscard]] Result<void, CacheError> sweep(DurableWriter& writer);

  [[nodiscard]] const LogTails& tails() const { return device_.volumes()[volume_.slot()].tails; }
  [[nodiscard]] std::uint32_t segment_of(Place place) const {
    return *device_.layout().segment_of({place.value * format::place_bytes});
  }

  VolumeCache& volume_;
  CacheDevice& device_;
  const DirtyTail dirty_tail_;
  ReclaimTrigger trigger_;

  ChunkReader reader_;
  bool reading_ = false;  // reader_ stands behind kset walked_
  ReadKset kset_;         // read last; its keys lie in reader_
  std::uint64_t walked_;  // the last kset whose keys were looked at; K, or beyond
  std::uint64_t walked_time_ms_ = 0;
  std::optional<std::uint64_t> second_chances_to_;  // while somebody waits: up to this kset
  std::uint64_t segments_then_ = 0;                 // had been given up
  std::optional<LogTails> blocked_;  // kset walked_ + 1 cannot be forgotten while these are so

  std::vector<Fragment> kept_;           // hot, and not on its way yet
  std::vector<Fragment> in_place_;       // about to be
  std::vector<Fragment> refused_;        // hot, and no room for it
  std::vector<std::uint32_t> segments_;  // named by keys that were looked at since K moved
  std::vector<std::byte> data_;          // that is moved in a step; most_moved once there was any
  std::array<std::unique_ptr<CommitRecord>, most_records> records_;
  std::size_t used_records_ = 0;
  std::atomic<std::size_t> in_flight_{0};

  // Over the device's segments, round and round.
  std::uint32_t sweep_at_ = 0;
  std::uint32_t sweep_dirty_ = 0;
  std::uint64_t sweep_begun_ = 0;

  std::optional<LogDamage> damage_;
  std::optional<CacheError> error_;
  Figures figures_;
};

}  // namespace engine
