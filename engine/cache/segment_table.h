// SegmentTable: who owns each segment, durably; and what DRAM knows of it besides.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "engine/cache/cache_error.h"
#include "engine/cache/cache_finding.h"
#include "engine/cache/cache_layout.h"
#include "engine/cache/device_seal.h"
#include "engine/cache/durable_writer.h"
#include "engine/cache/replicated_table.h"
#include "engine/cache/segment_shares.h"
#include "engine/foundation/result.h"

namespace engine {

struct SegmentInfo {
  format::SegmentUse use = format::SegmentUse::free;
  std::uint32_t volume_tag = 0;  // of a data segment
  std::uint64_t generation = 0;
  bool lost = false;  // its entry is unreadable or impossible: neither used nor freed before repair
  friend bool operator==(const SegmentInfo&, const SegmentInfo&) = default;
};

// What the media does not say; gathered by recovery, kept up by whoever owns the segment.
// Any thread; the order of other memory is the user's business.
struct alignas(64) SegmentCounters {
  std::atomic<std::uint32_t> live_sectors{0};
  std::atomic<std::uint32_t> pins{0};
  std::atomic<std::uint64_t> highest_sequence{0};  // of the keys that name it
  // Odd: somebody has the right to fill it, or to free it; two more each time it becomes free. See
  // SegmentTable::claim().
  std::atomic<std::uint32_t> claims{0};

  [[nodiscard]] bool is_open() const { return claims.load(std::memory_order_acquire) % 2 != 0; }

  void raise_sequence(std::uint64_t sequence) {
    std::uint64_t now = highest_sequence.load(std::memory_order_relaxed);
    while (now < sequence &&
           !highest_sequence.compare_exchange_weak(now, sequence, std::memory_order_relaxed)) {
    }
  }
};

// Any thread may call anything, each with a writer of its own; load() and grow() come before
// threads do. One lock guards the free list and what waits; it is held for a push or a pop and the
// question whose share that is, never across a store or a fence. Only the lock of the shares is
// taken under it.
//
// With a DurableWriter::later() allocate() and free() change DRAM only, and what they did waits for
// the commit thread; no key may name a segment before that has written its entry.
//
// Invariants: a segment is in the free list iff its entry says free, in both replicas, and it is
// neither lost nor waiting; both replicas of an entry that is not being changed are equal; a
// segment waits at most once.
class SegmentTable {
 public:
  // Both outlive the table.
  SegmentTable(const CacheLayout& layout, const DeviceSeal& seal);
  SegmentTable(const SegmentTable&) = delete;
  SegmentTable& operator=(const SegmentTable&) = delete;

  // The first entry of a segment, as format and grow write it.
  [[nodiscard]] static RawEntry fresh_entry(const DeviceSeal& seal, std::uint32_t segment);
  // Takes over what opening has read. Reports what is impossible.
  void load(const ReplicatedTable& table, CacheFindings& findings);
  // Takes over new segments, free: from the count so far to the layout's.
  void grow();

  // A free segment for `use`; its entry is durable in both replicas, or waits. Data asks the
  // volume's share, and is the caller's: open. Errors: no_free_segment (or none for this volume),
  // io.
  [[nodiscard]] Result<std::uint32_t, CacheError> allocate(DurableWriter& writer,
                                                           format::SegmentUse use,
                                                           std::uint32_t volume_tag);
  // Persists it as free in the next generation, then lists it. Nothing may be live or pinned in it,
  // and no key that matters name it. The caller has claimed it, unless nobody else can. Error: io;
  // the segment is lost until the next open.
  [[nodiscard]] Result<void, CacheError> free(DurableWriter& writer, std::uint32_t segment);

  // The same of a volume's data segments, all at once: as many settlings as for one.
  [[nodiscard]] Result<void, CacheError> free_all(DurableWriter& writer,
                                                  std::span<const std::uint32_t> segments);

  // The right to fill a data segment, or to free it: one at a time has it. False: somebody has.
  [[nodiscard]] bool claim(std::uint32_t segment) { return claim_again(segment, use_of(segment)); }
  // Who has it gives it up; use_of() lets him have it again, unless the segment has been free
  // since.
  void unclaim(std::uint32_t segment) {
    counters(segment).claims.store(use_of(segment), std::memory_order_release);
  }
  [[nodiscard]] std::uint32_t use_of(std::uint32_t segment) {
    return counters(segment).claims.load(std::memory_order_relaxed) & ~1U;
  }
  [[nodiscard]] bool claim_again(std::uint32_t segment, std::uint32_t use) {
    return counters(segment).claims.compare_exchange_strong(use, use | 1U,
                                                            std::memory_order_acq_rel);
  }
  // The commit thread: replica 0 of everything that waits, settled, then replica 1. True: the
  // caller settles, then calls finish_waiting(), which lists what has become free. Error: io; the
  // device has failed.
  [[nodiscard]] Result<bool, CacheError> write_waiting(DurableWriter& writer);
  void finish_waiting();
  // Any thread.
  [[nodiscard]] bool any_waiting() const { return any_waiting_.load(std::memory_order_seq_cst); }
  // Gives a segment whose entry is lost another one; `sequence`: no replica has a higher one. For
  // repair, before anybody uses the device, which is opened anew afterwards. Error: io.
  [[nodiscard]] Result<void, CacheError> restore(DurableWriter& writer, std::uint32_t segment,
                                                 const SegmentInfo& info, std::uint64_t sequence);

  // Of a segment that another thread allocates or frees: something between before and after.
  [[nodiscard]] SegmentInfo info(std::uint32_t segment) const;
  // Whether a key of the volume that carries this generation (the low half) names live space.
  [[nodiscard]] bool is_current(std::uint32_t segment, std::uint32_t volume_tag,
                                std::uint32_t generation) const;
  [[nodiscard]] SegmentCounters& counters(std::uint32_t segment);
  [[nodiscard]] SegmentShares& shares() { return shares_; }
  // What it keeps of so many segments.
  [[nodiscard]] static ByteCount memory_of(std::uint32_t segments);
  [[nodiscard]] std::uint32_t count() const { return count_; }
  [[nodiscard]] std::uint32_t free_count() const {
    return free_count_.load(std::memory_order_relaxed);
  }
  // Looks at every segment; of those that others allocate or free meanwhile, something between.
  struct Uses {
    std::uint64_t free = 0;
    std::uint64_t data = 0;
    std::uint64_t log = 0;
  };
  [[nodiscard]] Uses count_uses() const;
  // For tests: the invariants above, as far as DRAM can tell.
  void check_invariants() const;

 private:
  // It becomes free: whoever had it does not have it again.
  void end_use(std::uint32_t segment) {
    counters(segment).claims.store(use_of(segment) + 2, std::memory_order_release);
  }
  struct State {
    std::atomic<format::SegmentUse> use{format::SegmentUse::free};
    std::atomic<std::uint32_t> volume_tag{0};
    std::atomic<std::uint64_t> generation{0};
    std::atomic<bool> lost{false};
    std::uint64_t sequence = 0;  // of its entry; only who allocates or frees it
    SegmentCounters counters;
  };
  struct Waiting {
    std::uint32_t segment;
    SegmentInfo info;
    std::uint32_t given_back_by;  // the volume whose data it held; 0: none
  };
  static constexpr std::uint32_t block_states = 1024;
  using Block = std::unique_ptr<State[]>;

  [[nodiscard]] State& state(std::uint32_t segment) const;
  void make_states(std::uint32_t count);
  void list(std::uint32_t segment, std::uint32_t given_back_by = 0);
  [[nodiscard]] Result<void, PmemError> settle_second_replicas(DurableWriter& writer);
  [[nodiscard]] Result<void, PmemError> write_entries(DurableWriter& writer,
                                                      std::span<const Waiting> changes);
  void finish(std::span<const Waiting> changes);
  [[nodiscard]] Result<void, CacheError> persist(DurableWriter& writer, std::uint32_t segment,
                                                 const SegmentInfo& info);
  [[nodiscard]] RawEntry next_entry_of(std::uint32_t segment, const SegmentInfo& info) const;
  void set_info(std::uint32_t segment, const SegmentInfo& info);
  void free_later(std::uint32_t segment);
  // With free_mutex_ held.
  void list_locked(std::uint32_t segment, std::uint32_t given_back_by);
  void add_waiting(std::uint32_t segment, const SegmentInfo& info, std::uint32_t given_back_by = 0);

  const CacheLayout& layout_;
  const DeviceSeal& seal_;
  std::vector<Block> blocks_;
  std::uint32_t count_ = 0;
  SegmentShares shares_;
  mutable std::mutex free_mutex_;    // guards the next two; their atomics are written under it
  std::vector<std::uint32_t> free_;  // the last goes first
  std::vector<Waiting> waiting_;     // grows to the most that a round has had
  std::atomic<std::uint32_t> free_count_{0};
  std::atomic<bool> any_waiting_{false};
  // The commit thread's: what it writes, whose memory and that of waiting_ take turns; and what is
  // written and not settled.
  std::vector<Waiting> taken_;
  std::vector<Waiting> settling_;
};

}  // namespace engine
