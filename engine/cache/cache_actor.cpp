#include "engine/cache/cache_actor.h"

#include <utility>

#include "engine/cache/page_committer.h"
#include "engine/cache/volume_cache.h"
#include "engine/foundation/check.h"
#include "engine/foundation/guard.h"

namespace engine {

Result<std::unique_ptr<CacheActor>, PmemError> CacheActor::make(CacheDevice& device) {
  TRY(auto writer, device.region().make_writer());
  return std::unique_ptr<CacheActor>(new CacheActor(device, std::move(writer)));
}

std::unique_ptr<CacheActor> CacheActor::make(PageCommitter& committer) {
  return std::unique_ptr<CacheActor>(new CacheActor(committer, DurableWriter::later()));
}

std::unique_ptr<CacheActor> CacheActor::make_for_committer(PageCommitter& committer) {
  auto writer = DurableWriter::make(committer.device().region());
  CHECK(writer);  // pages take any number of them
  return std::unique_ptr<CacheActor>(new CacheActor(committer, std::move(writer.value())));
}

CacheActor::CacheActor(PageCommitter& committer, DurableWriter writer)
    : device_(committer.device()), committer_(&committer), writer_(std::move(writer)) {
  volumes_.resize(device_.volumes().slots());
}

CacheActor::CacheActor(CacheDevice& device, std::unique_ptr<PmemWriter> writer)
    : device_(device), pmem_(std::move(writer)), writer_(*pmem_) {
  volumes_.resize(device.volumes().slots());
}

// Of a turn that never ended (a test's process has died in it) nobody else's memory stays promised.
CacheActor::~CacheActor() {
  for (const auto& of : volumes_) {
    if (of != nullptr && of->in_turn) of->rest();
  }
}

CacheActor::OfVolume& CacheActor::of(VolumeCache& volume) {
  auto& place = volumes_[volume.slot()];
  if (place == nullptr) place = std::make_unique<OfVolume>(device_, volume, volume.tag());
  return *place;
}

void CacheActor::leave(std::uint32_t slot) {
  auto& place = volumes_[slot];
  CHECK(place == nullptr || !place->in_turn);
  place.reset();
}

bool CacheActor::has_in_turn(std::uint32_t slot) const {
  const auto& place = volumes_[slot];
  return place != nullptr && place->in_turn;
}

void CacheActor::add(OfVolume& of, CommitRecord& record) {
  record.volume_ = &of.volume;
  if (!record.data_.empty() && !writes_later()) writes_.push_back(&record);
  record.next_ = of.newest;
  of.newest = &record;
  if (of.oldest == nullptr) of.oldest = &record;
  if (std::exchange(of.in_turn, true)) return;
  turn_.push_back(&of);
}

void CacheActor::OfVolume::rest() {
  in_turn = false;
  head.pause();
  volume.give_back(log_bytes.end(), slabs.end());
}

void CacheActor::note_refusal(OfVolume& of) {
  if (!of.in_turn) of.rest();
  if (committer_ != nullptr) committer_->wake();
}

void CacheActor::hand_over() {
  for (OfVolume* const of : turn_) {
    of->rest();
    committer_->push(*std::exchange(of->newest, nullptr), *std::exchange(of->oldest, nullptr));
  }
  turn_.clear();
  committer_->wake();
}

// All of them together, in the order they came: between two copies a lock, which waits until the
// stores before it have left the processor, would cost as much as a fence.
void CacheActor::store_writes() {
  bool all_good = true;
  for (CommitRecord* const record : writes_) {
    if (record->volume_->copy_data(store(), *record, std::exchange(record->data_, {}))) continue;
    all_good = false;
    of(*record->volume_).head.close();
    record->volume_->abandon(*record);
  }
  writes_.clear();
  if (all_good) return;
  for (OfVolume* const of : turn_) take_out_abandoned(*of);
}

void CacheActor::take_out_abandoned(OfVolume& of) {
  of.oldest = nullptr;
  for (CommitRecord** at = &of.newest; *at != nullptr;) {
    CommitRecord& record = **at;
    if (record.outcome_ == CommitOutcome::bad_place) {
      *at = record.next_;
      abandoned_.push_back(&record);
    } else {
      of.oldest = &record;
      at = &record.next_;
    }
  }
}

bool CacheActor::end_turn() {
  if (turn_.empty()) return false;
  if (committer_ != nullptr) {
    hand_over();
    return false;
  }
  store_writes();
  // A fence orders only this thread's stores, and whoever commits may be another one: first the
  // data, then the records.
  if (std::exchange(stored_, false) && GUARD("data fence")) pmem_->fence();
  ending_.swap(turn_);
  for (OfVolume* const of : ending_) {
    of->rest();
    if (of->newest == nullptr) continue;
    of->volume.commit().push(*std::exchange(of->newest, nullptr),
                             *std::exchange(of->oldest, nullptr));
  }
  for (OfVolume* const of : ending_) {
    if (of->volume.commit().run(writer_) && !std::exchange(of->in_turn, true)) turn_.push_back(of);
  }
  ending_.clear();
  // Who is told may take it again.
  for (CommitRecord* const record : std::exchange(abandoned_, {})) record->sink_->complete(*record);
  return !turn_.empty();
}

}  // namespace engine
