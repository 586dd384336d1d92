// VolumeCommit: makes queued records durable and visible, one volume's, in one order.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <span>

#include "engine/cache/commit_record.h"
#include "engine/cache/extent_index.h"
#include "engine/cache/hand_over.h"
#include "engine/cache/miss_table.h"
#include "engine/cache/publish_steps.h"
#include "engine/cache/volume_log.h"

namespace engine {

// Tells the zeros of one key from those of every other key that may still be in the index.
[[nodiscard]] constexpr Place zero_stamp(std::uint64_t sequence, std::size_t position) {
  return {((sequence & 0xffffffff) * format::most_keys) | position};
}

// Whoever gets the lock commits everything that is queued by then; nobody waits for it, and who
// does not get it comes again until what he has pushed is somebody's. So threads commit their own
// commands while they do not meet, and each other's in one kset when many do. A kset is settled
// before any of its keys is visible, and keys become visible in the order of the log, a write as a
// whole (PublishSteps); misses that they overtake are told then. A command of at most
// format::most_keys is in one kset. Nothing else may publish to the index, or erase from it,
// without the lock; marking extents clean needs none, for it only lets conditions of keys hold that
// did not.
//
// Invariants: at most one kset of the volume is not settled; a record is in exactly one list; a
// thread holds at most one volume's lock.
class VolumeCommit {
 public:
  static constexpr unsigned most_ksets = 8;           // in one hold
  static constexpr std::uint64_t most_stripes = 256;  // that one kset's zeros cover, about

  // All outlive it.
  VolumeCommit(CacheDevice& device, VolumeLog& log, ExtentIndex& index, MissTable& misses)
      : device_(device), log_(log), index_(index), misses_(misses) {}
  VolumeCommit(const VolumeCommit&) = delete;
  VolumeCommit& operator=(const VolumeCommit&) = delete;

  // A chain from the newest to the oldest, whose data its writer has settled. run() must follow.
  void push(CommitRecord& newest, CommitRecord& oldest) { queue_.push(newest, oldest); }
  // Commits what is queued, unless somebody else has the lock. True: something is left, and the
  // caller must come again in his next turn.
  [[nodiscard]] bool run(DurableWriter& writer);

  // The same in two steps, one kset at a time, for who settles several volumes at once.
  // begin_kset() writes a kset and keeps the lock, or answers:
  enum class Begun : std::uint8_t {
    kset,     // end_kset() must follow
    nothing,  // nothing was queued, or all of it was dropped and is completed
    busy,     // somebody else holds the lock: come again
    failed,   // the log cannot be written; what was queued is completed as failed
  };
  [[nodiscard]] Begun begin_kset(DurableWriter& writer);
  // Publishes the kset that was begun if it is `settled`, and completes; else the log has failed.
  // True: something is left.
  [[nodiscard]] bool end_kset(bool settled);

  // For whoever else changes the index or reads the log's position: reclaim, write-back. False:
  // busy, try again later.
  [[nodiscard]] bool try_lock() {
    return !held_.load(std::memory_order_relaxed) && !held_.exchange(true);
  }
  void unlock() { held_.exchange(false, std::memory_order_seq_cst); }

  // The log could not be written, or the device has failed; for good. Any thread.
  [[nodiscard]] bool failed() const {
    return failed_.load(std::memory_order_acquire) || device_.failed();
  }
  // The last that is settled and published. Any thread.
  [[nodiscard]] std::uint64_t published() const {
    return published_.load(std::memory_order_acquire);
  }
  // For readers: commands that become visible in several steps. Any thread.
  [[nodiscard]] const PublishSteps& steps() const { return steps_; }
  // Behind recovery; what it has found may all be the cache's alone.
  void start_at(std::uint64_t sequence) {
    last_dirty_.store(sequence, std::memory_order_relaxed);
    published_.store(sequence, std::memory_order_release);
  }

  // The backing has everything that was published: who writes there directly overtakes nobody. What
  // is not published yet is not answered either. Any thread.
  [[nodiscard]] bool is_backing_current() const {
    return last_dirty_.load(std::memory_order_acquire) <=
           dirty_tail_.load(std::memory_order_acquire);
  }
  // Write-back's: D is durable there.
  void note_dirty_tail(std::uint64_t sequence) {
    dirty_tail_.store(sequence, std::memory_order_release);
  }

  // Data that is published and not written back, newer over older counted twice. Any thread.
  [[nodiscard]] SectorCount backlog() const {
    const std::uint64_t written = written_back_.load(std::memory_order_relaxed);
    return {dirty_logged_.load(std::memory_order_relaxed) - written};
  }
  // Of all that ever was in it: in the order in which it came.
  [[nodiscard]] SectorCount written_back() const {
    return {written_back_.load(std::memory_order_relaxed)};
  }
  // What the backlog may need of a backing that has no space for it yet, at most: each key's whole
  // blocks. Any thread.
  [[nodiscard]] SectorCount owed() const {
    const std::uint64_t written = blocks_written_back_.load(std::memory_order_acquire);
    return {blocks_logged_.load(std::memory_order_acquire) - written};
  }
  // Recovery has found it; write-back is done with it. One thread at a time each. `blocks`: the
  // same, each key in whole blocks.
  void add_backlog(SectorCount count, SectorCount blocks) {
    raise(dirty_logged_, count);
    raise(blocks_logged_, blocks);
  }
  void lower_backlog(SectorCount count, SectorCount blocks) {
    raise(written_back_, count);
    raise(blocks_written_back_, blocks);
  }

 private:
  struct Source {
    CommitRecord* record;
    std::size_t key;
  };

  void gather();
  // One kset, and the records that it completes.
  void commit_kset(DurableWriter& writer);
  [[nodiscard]] bool write_kset(DurableWriter& writer);  // false: there is none to settle
  void publish_kset();
  [[nodiscard]] bool let_go();  // true: something is left
  void compose();
  [[nodiscard]] bool may_join(const CommitRecord& record, std::size_t limit) const;
  [[nodiscard]] bool overlaps_composed(SectorRange range) const;
  [[nodiscard]] bool holds(const PendingKey& key);
  void add(CommitRecord& record, std::size_t limit);
  void encode(const PendingKey& key);
  void drop(CommitRecord& record, PendingKey& key);
  void publish(const Source& source, std::uint64_t sequence, std::size_t position);
  void publish_all(std::uint64_t sequence);
  // The command that begins at sources_[first]; returns where it ends.
  [[nodiscard]] std::size_t publish_command(std::size_t first, std::uint64_t sequence);
  [[nodiscard]] SectorRange range_of(std::size_t source) const;
  [[nodiscard]] bool needs_steps(std::size_t first, std::size_t end) const;
  void finish_front();
  void fail();
  static void complete(CommitRecord* done);
  void lower_live(Place place, SectorCount count);
  static void raise(std::atomic<std::uint64_t>& sum, SectorCount count) {
    sum.store(sum.load(std::memory_order_relaxed) + count.value, std::memory_order_relaxed);
  }

  CacheDevice& device_;
  VolumeLog& log_;
  ExtentIndex& index_;
  MissTable& misses_;
  // Three lines of the CPU's cache: what everybody tries, what everybody looks at, and what the
  // holder works on, whom those that try would hold up.
  alignas(64) HandOver<CommitRecord> queue_;
  std::atomic<bool> held_{false};  // the commit lock; guards everything below but the atomics

  alignas(64) PublishSteps steps_;
  std::atomic<bool> failed_{false};
  std::atomic<std::uint64_t> published_{0};
  std::atomic<std::uint64_t> last_dirty_{0};  // the last published that changes the backing
  std::atomic<std::uint64_t> dirty_tail_{0};
  std::atomic<std::uint64_t> dirty_logged_{0};  // sectors
  std::atomic<std::uint64_t> written_back_{0};
  std::atomic<std::uint64_t> blocks_logged_{0};  // the same, each key in whole blocks
  std::atomic<std::uint64_t> blocks_written_back_{0};

  alignas(64) CommitRecord* waiting_ = nullptr;  // from the oldest to the newest
  CommitRecord* waiting_last_ = nullptr;
  CommitRecord* done_ = nullptr;
  CommitRecord* done_last_ = nullptr;
  // The kset that is being composed.
  std::size_t count_ = 0;
  std::uint64_t stripes_ = 0;
  std::uint64_t charged_ = 0;            // what its records were charged for it
  std::uint64_t promised_ = 0;           // slabs of the index, to the keys that are published
  SectorCount dirty_;                    // data that only the cache will have
  SectorCount dirty_blocks_;             // each of its keys in whole blocks
  bool is_dirty_ = false;                // that, or zeros
  VolumeLog::Appended appended_;         // once it is written
  CommitRecord* composed_to_ = nullptr;  // the first record that is not, or not wholly, in it
  std::array<format::Key, format::most_keys> keys_;
  std::array<Source, format::most_keys> sources_;
};

}  // namespace engine
