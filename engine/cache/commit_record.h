// CommitRecord: the keys of one command on their way into the log.
#pragma once

#include <atomic>
#include <boost/container/small_vector.hpp>
#include <cstdint>
#include <span>
#include <utility>

#include "engine/cache/extent.h"
#include "engine/cache/publish_permit.h"
#include "engine/format/cache_format.h"
#include "engine/foundation/piece_sums.h"

namespace engine {

class CommitRecord;
class VolumeCache;
template <class Item>
class HandOver;

// Whoever wants to know that a command is durable and visible. Called by whichever thread has
// committed it, with no lock held: hand it to the thread that owns the command, and no more.
// From then on the record is the owner's again.
class CompletionSink {
 public:
  virtual void complete(CommitRecord& record) = 0;

 protected:
  ~CompletionSink() = default;
};

// What the index must say, once everything logged before is published, for a key to be logged.
enum class KeyCondition : std::uint8_t {
  none,
  hole,   // nothing in the whole range, and nothing has been since its miss began: a read fill
  owned,  // the whole range still belongs to `owner`, and is clean: re-log, move, heal
};

struct PendingKey {
  PendingKey(PublishPermit right, format::KeyKind what) : permit(std::move(right)), kind(what) {}

  PublishPermit permit;  // of the key's range
  format::KeyKind kind;
  KeyCondition condition = KeyCondition::none;
  bool dropped = false;     // the condition did not hold: neither logged nor published
  bool gives_back = false;  // zero: the backing's space, too
  ExtentValue value;        // data, clean: where it lies
  std::uint32_t segment = 0;
  std::uint32_t generation = 0;                  // of the segment, the low half
  Owner owner;                                   // condition owned
  const std::atomic<bool>* overtaken = nullptr;  // true, and no condition holds

  [[nodiscard]] SectorRange range() const { return permit.range(); }
};

enum class CommitOutcome : std::uint8_t {
  committed,  // durable and visible; a conditional key may have been dropped
  bad_place,  // a write's data cannot be written where it was to lie, and nothing of it is there;
              // the next try goes elsewhere. Not in page granularity
  failed,     // the log cannot be written: never acknowledge
};

// Lives in the command, which outlives its completion; used again and again without allocating
// as long as a command has at most two keys. Of its owner until VolumeCache takes it, then of the
// commit until it is completed.
class CommitRecord {
 public:
  explicit CommitRecord(CompletionSink& sink) : sink_(&sink) {}
  CommitRecord(const CommitRecord&) = delete;
  CommitRecord& operator=(const CommitRecord&) = delete;

  [[nodiscard]] CommitOutcome outcome() const { return outcome_; }
  // Of the kset that its last key is in; 0 if all were dropped.
  [[nodiscard]] std::uint64_t sequence() const { return sequence_; }
  [[nodiscard]] bool any_dropped() const { return any_dropped_; }
  // The keys that were, to their owner after completion.
  template <class Visit>
  void visit_dropped(Visit visit) const {
    for (const PendingKey& key : keys_) {
      if (key.dropped) visit(key);
    }
  }

 private:
  friend class CacheActor;
  friend class HandOver<CommitRecord>;
  friend class PageBatch;
  friend class PageCommitter;
  friend class VolumeCache;
  friend class VolumeCommit;

  void reset() {
    next_ = nullptr;
    data_ = {};
    sums_ = {};
    keys_.clear();
    logged_ = 0;
    log_bytes_ = 0;
    sequence_ = 0;
    outcome_ = CommitOutcome::committed;
    any_dropped_ = false;
  }

  using Keys = boost::container::small_vector<PendingKey, 2>;

  CompletionSink* const sink_;
  CommitRecord* next_ = nullptr;  // in whichever list it is
  // On the way to the commit thread: of which volume, and what it has to write.
  VolumeCache* volume_ = nullptr;
  std::span<const std::byte> data_;
  PieceSums sums_;  // of data_
  Keys keys_;
  std::size_t logged_ = 0;       // keys that are durable or dropped
  std::uint64_t log_bytes_ = 0;  // promised by the log and not used yet
  std::uint64_t sequence_ = 0;
  CommitOutcome outcome_ = CommitOutcome::committed;
  bool any_dropped_ = false;
};

}  // namespace engine
