// CacheActor: what one thread needs to write to a cache device.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "engine/cache/commit_record.h"
#include "engine/cache/durable_writer.h"
#include "engine/cache/segment_head.h"
#include "engine/cache/turn_stock.h"

namespace engine {

class PageCommitter;
class VolumeCache;

// One for each thread and cache device; never shared. Commands of a turn are collected here. In
// byte and cache-line granularity end_turn() copies the data of writes, makes all data durable with
// one fence, hands the records to their volumes and commits what it may; in page granularity it
// hands them to the device's commit thread, which does the rest.
class CacheActor {
 public:
  // The device outlives it. Error: not_supported in page granularity.
  [[nodiscard]] static Result<std::unique_ptr<CacheActor>, PmemError> make(CacheDevice& device);
  // Page granularity. The committer outlives it.
  [[nodiscard]] static std::unique_ptr<CacheActor> make(PageCommitter& committer);
  // The same for the commit thread itself, which may change tables at once: for reclaim.
  [[nodiscard]] static std::unique_ptr<CacheActor> make_for_committer(PageCommitter& committer);
  CacheActor(const CacheActor&) = delete;
  CacheActor& operator=(const CacheActor&) = delete;
  // No turn may be open.
  ~CacheActor();

  // True: something is left to commit, more than one turn may, or behind another who is at it; end
  // the next turn soon, with or without new commands.
  bool end_turn();
  // Closes the head of the volume in `slot`; idle, or about to be detached. Nothing of it may be in
  // this turn.
  void leave(std::uint32_t slot);
  // Something of it is still to be committed, perhaps others' commands.
  [[nodiscard]] bool has_in_turn(std::uint32_t slot) const;

  // In page granularity one for later.
  [[nodiscard]] DurableWriter& writer() { return writer_; }

 private:
  friend class VolumeCache;
  struct OfVolume {
    OfVolume(CacheDevice& device, VolumeCache& cache, std::uint32_t tag)
        : volume(cache), head(device, tag) {}
    VolumeCache& volume;
    SegmentHead head;
    TurnStock log_bytes;
    TurnStock slabs;             // of the index
    SegmentHead::Places places;  // of the command that is being taken
    CommitRecord* newest = nullptr;
    CommitRecord* oldest = nullptr;
    bool in_turn = false;

    // Until its next turn it keeps nothing from others.
    void rest();
  };

  CacheActor(CacheDevice& device, std::unique_ptr<PmemWriter> writer);
  CacheActor(PageCommitter& committer, DurableWriter writer);
  [[nodiscard]] OfVolume& of(VolumeCache& volume);
  // Data is not copied but left to the commit thread.
  [[nodiscard]] bool writes_later() const { return committer_ != nullptr; }
  // Copies; durable at the end of the turn.
  [[nodiscard]] PmemWriter& store() {
    stored_ = true;
    return *pmem_;
  }
  void add(OfVolume& of, CommitRecord& record);
  // A command was refused: what it has given back may wait for the commit thread, and what it has
  // not taken is not kept from others.
  void note_refusal(OfVolume& of);
  void hand_over();
  // Copies the data of the turn's writes; what could not be copied is not among the turn's records
  // any more.
  void store_writes();
  void take_out_abandoned(OfVolume& of);

  CacheDevice& device_;
  PageCommitter* const committer_ = nullptr;  // page granularity: this
  const std::unique_ptr<PmemWriter> pmem_;    // else: that
  DurableWriter writer_;
  std::vector<std::unique_ptr<OfVolume>> volumes_;  // by slot
  std::vector<OfVolume*> turn_;
  std::vector<CommitRecord*> writes_;     // of the turn, with data to copy
  std::vector<CommitRecord*> abandoned_;  // to be told
  std::vector<OfVolume*> ending_;
  bool stored_ = false;
};

}  // namespace engine
