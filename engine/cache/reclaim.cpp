#include "engine/cache/reclaim.h"

#include <algorithm>
#include <boost/container/static_vector.hpp>
#include <mutex>

#include "engine/cache/payload_crc.h"
#include "engine/foundation/check.h"
#include "engine/foundation/guard.h"

namespace engine {

using Step = Reclaim::Step;

Reclaim::Reclaim(VolumeCache& volume, DirtyTail dirty_tail)
    : volume_(volume),
      device_(volume.device()),
      dirty_tail_(dirty_tail),
      reader_(device_.region(), device_.layout(), device_.seal()),
      walked_(tails().key_tail) {
  CompletionSink& sink = *this;
  for (auto& record : records_) record = std::make_unique<CommitRecord>(sink);
}

void Reclaim::complete(CommitRecord& /*record*/) {
  in_flight_.fetch_sub(1, std::memory_order_release);
}

Step Reclaim::stop(const CacheError& error) {
  error_ = error;
  return Step::stopped;
}

bool Reclaim::is_wanted() {
  SegmentTable& segments = device_.segments();
  const std::uint32_t free = segments.free_count();
  const std::uint32_t most =
      std::min(segments.shares().share(volume_.tag()).maximum, segments.count());
  return trigger_.update(segments.shares().room(volume_.tag(), free),
                         ReclaimTrigger::watermarks_of(most), free <= SegmentShares::device_reserve,
                         volume_.log().chunk_of_next() - tails().key_tail_chunk + 1);
}

Step Reclaim::step(CacheActor& actor, Need need) {
  note_need(need);
  if (damage_ || error_) return Step::stopped;
  if (!volume_.is_writable() && !volume_.waits_for_room()) return Step::stopped;
  if (!is_at_rest()) {
    if (!GUARD("kept before the key tail")) (void)pass(actor);
    return Step::waits;
  }
  look_again();
  if (!kept_.empty() || !refused_.empty()) return keep(actor);
  const auto swept = sweep(actor.writer());
  if (!swept) return stop(swept.error());
  if (walked_ > tails().key_tail) return pass(actor);
  const Step walked = walk();
  return walked == Step::idle && leaves_chunks() ? pass(actor) : walked;
}

// Whether there are chunks with nothing behind K in them: each opening begins a new one, also where
// nothing is written between two of them.
bool Reclaim::leaves_chunks() {
  const std::unique_lock lock(volume_.commit(), std::try_to_lock);
  if (!lock) return false;
  const bool has_none = device_.chunks_of(volume_.slot()).chunks.empty();  // it was never opened
  return !has_none && chunk_of(tails().key_tail + 1).ordinal > tails().key_tail_chunk;
}

// While somebody waits, a key gets one second chance, until that has given a segment up; then the
// next one. Nothing of this volume takes a segment meanwhile, so whoever waits gets what he needs.
void Reclaim::note_need(Need need) {
  if (need == Need::ahead) {
    second_chances_to_.reset();
  } else if (!second_chances_to_ || figures_.segments != segments_then_) {
    second_chances_to_ = volume_.commit().published();
    segments_then_ = figures_.segments;
  }
}

// ---- reading

LogChunk Reclaim::chunk_of(std::uint64_t sequence) const {
  const auto& chunks = device_.chunks_of(volume_.slot()).chunks;
  // Chunks that were begun and left empty share their first sequence with the next one.
  const auto behind = std::ranges::upper_bound(chunks, sequence, {}, &LogChunk::first_sequence);
  CHECK(behind != chunks.begin());
  return *std::prev(behind);
}

// Kset walked_ + 1, which is published.
Reclaim::Reading Reclaim::read_next() {
  for (bool fresh = false;; fresh = true) {
    if (reading_) {
      const auto next = reader_.next();
      if (next && next.value()) {
        kset_ = *next.value();
        return Reading::done;
      }
      if (fresh) {
        damage_ =
            next ? LogDamage{.kind = LogDamage::Kind::lost_kset,
                             .chunk = reader_.chunk().ordinal,
                             .offset = reader_.offset(),
                             .place = reader_.chunk().places[0] + ByteCount{reader_.offset()},
                             .other_place = reader_.chunk().places[1] + ByteCount{reader_.offset()},
                             .sequence = reader_.expected()}
                 : next.error();
        return Reading::damaged;
      }
    }
    // It has left its chunk behind, or read it before the kset was there.
    const Reading loaded = reload();
    if (loaded != Reading::done) return loaded;
  }
}

// Puts the reader behind kset walked_, as far as it gets.
Reclaim::Reading Reclaim::reload() {
  if (!volume_.commit().try_lock()) return Reading::busy;
  const LogChunk chunk = chunk_of(walked_ + 1);
  volume_.commit().unlock();
  reader_.start(chunk, std::nullopt);
  reading_ = true;
  while (reader_.expected() <= walked_) {
    const auto passed = reader_.next();
    if (!passed || !passed.value()) break;
  }
  return Reading::done;
}

// ---- forgetting

// At or below D; or next behind it, if D is ours, with nothing to write back.
bool Reclaim::is_forgettable() const {
  if (!GUARD("key tail at or below the dirty tail")) return true;
  if (kset_.view.stamp.sequence <= tails().dirty_tail) return true;
  if (dirty_tail_ != DirtyTail::ours || tails().writeback_target > tails().dirty_tail) return false;
  return std::ranges::none_of(kset_.view.keys, [](const format::Key& key) {
    const auto kind = static_cast<format::KeyKind>(key.kind);
    return kind == format::KeyKind::data || kind == format::KeyKind::zero;
  });
}

Step Reclaim::walk() {
  if (blocked_ && *blocked_ == tails()) return Step::idle;
  blocked_.reset();
  unsigned ksets = 0;
  while (ksets < ksets_a_step && walked_ < volume_.commit().published()) {
    const Reading read = read_next();
    if (read == Reading::damaged) return Step::stopped;
    if (read == Reading::busy) return Step::busy;
    const bool forgets = is_forgettable();
    if (!forgets) blocked_ = tails();
    if (!forgets || !volume_.commit().try_lock()) {
      reader_.skip_to({.sequence = walked_ + 1, .offset = kset_.offset});
      if (forgets) return Step::busy;
      break;
    }
    forget();
    volume_.commit().unlock();
    ++ksets;
  }
  return ksets > 0 ? Step::worked : Step::idle;
}

void Reclaim::forget() {
  for (std::size_t at = 0; at < kset_.view.keys.size(); ++at) forget_key(kset_.view.keys[at], at);
  walked_ = kset_.view.stamp.sequence;
  walked_time_ms_ = kset_.view.stamp.time_ms;
}

// The parts of the range that still belong to the owner; `visit` may change the index there.
template <class Visit>
void Reclaim::for_living(SectorRange range, const Owner& owner, Visit visit) {
  // Under the stripe's lock nothing may be allocated.
  boost::container::static_vector<Fragment, 64> parts;
  const auto gather = [&parts](const Fragment& part) {
    if (parts.size() < parts.capacity()) parts.push_back(part);
  };
  for (SectorRange left = range; !left.empty();) {
    parts.clear();
    Owner here = owner;
    here.place = owner.place + (left.begin - range.begin);
    volume_.index().still_points(left, here, gather);
    for (const Fragment& part : parts) visit(part);
    if (parts.size() < parts.capacity()) return;
    left = {parts.back().range.end(), range.end() - parts.back().range.end()};
  }
}

void Reclaim::forget_key(const format::Key& key, std::size_t position) {
  const SectorRange range{Sector{key.sector}, SectorCount{key.sectors}};
  const auto kind = static_cast<format::KeyKind>(key.kind);
  if (kind == format::KeyKind::zero) {
    // The backing reads as zeros there, and the stamp must not outlive its key.
    volume_.index().erase_if(
        range, {.kind = ExtentKind::zero, .place = zero_stamp(kset_.view.stamp.sequence, position)},
        [](const Fragment&) {});
  }
  if (!has_place(kind)) return;
  const std::uint32_t segment = segment_of(Place{key.place});
  if (!device_.segments().is_current(segment, volume_.tag(), key.generation)) return;
  if (segments_.empty() || segments_.back() != segment) segments_.push_back(segment);
  const Owner owner{.kind = ExtentKind::data, .place = Place{key.place}};
  // At or below D the backing has it, even if write-back has not come to say so in the index.
  (void)volume_.index().mark_clean(range, owner, CleanZeros::keep);
  for_living(range, owner, [this](const Fragment& part) { forget_part(part); });
}

void Reclaim::forget_part(const Fragment& fragment) {
  const bool had_its_chance = second_chances_to_ && kset_.view.stamp.sequence > *second_chances_to_;
  if (fragment.value.heat > 0 && !had_its_chance) {
    kept_.push_back(fragment);
    return;
  }
  figures_.dropped += fragment.range.count.value;
  drop(fragment);
}

void Reclaim::drop(const Fragment& fragment) {
  const auto on_displaced = [this](const Fragment& gone) {
    device_.segments()
        .counters(segment_of(gone.value.place))
        .live_sectors.fetch_sub(static_cast<std::uint32_t>(gone.range.count.value),
                                std::memory_order_release);
  };
  volume_.index().erase_if(fragment.range,
                           {.kind = ExtentKind::data, .place = fragment.value.place}, on_displaced);
}

// ---- keeping

CommitRecord& Reclaim::next_record() {
  in_flight_.fetch_add(1, std::memory_order_relaxed);
  return *records_[used_records_++];
}

// Sends what is hot into the log again, as much as a step may; the lock is not held. Hot and no
// room for it is the same as cold.
Step Reclaim::keep(CacheActor& actor) {
  std::uint64_t moved = 0;
  in_place_.clear();
  while (!kept_.empty() && used_records_ + 1 < most_records && in_place_.size() < keys_a_record) {
    const Fragment fragment = kept_.back();
    const bool moves = !second_chances_to_ && (!volume_.can_relog(fragment) || is_sparse(fragment));
    const std::uint64_t bytes = fragment.range.count.value * format::place_bytes;
    if (moves && moved > 0 && moved + bytes > most_moved) break;
    kept_.pop_back();
    if (moves && data_.empty()) data_.resize(most_moved);
    if (moves && move(actor, fragment, std::span(data_).subspan(moved, bytes))) {
      moved += bytes;
    } else {
      (volume_.can_relog(fragment) ? in_place_ : refused_).push_back(fragment);
    }
  }
  if (!in_place_.empty() && !relog(actor)) {
    refused_.insert(refused_.end(), in_place_.begin(), in_place_.end());
  }
  if (!refused_.empty()) {
    if (!volume_.commit().try_lock()) return Step::busy;
    for (const Fragment& fragment : refused_) {
      figures_.refused += fragment.range.count.value;
      drop(fragment);
    }
    refused_.clear();
    volume_.commit().unlock();
  }
  return is_at_rest() ? Step::worked : Step::waits;
}

bool Reclaim::is_sparse(const Fragment& fragment) {
  const SegmentCounters& counters = device_.segments().counters(segment_of(fragment.value.place));
  const std::uint64_t sectors = device_.layout().segment_bytes / format::place_bytes;
  return counters.live_sectors.load(std::memory_order_relaxed) < sectors / 2 &&
         counters.pins.load(std::memory_order_relaxed) == 0 && !counters.is_open();
}

// `data` stays as it is until what is logged again is through: in page granularity it is written
// then.
bool Reclaim::move(CacheActor& actor, const Fragment& fragment, std::span<std::byte> data) {
  // Rot must not get a new checksum.
  if (!read_payload(device_.region(), fragment.value, device_.payload_crc(), data)) return false;
  if (!volume_.move(actor, next_record(), fragment, data)) {
    --used_records_;
    in_flight_.fetch_sub(1, std::memory_order_relaxed);
    return false;
  }
  figures_.moved += fragment.range.count.value;
  return true;
}

bool Reclaim::relog(CacheActor& actor) {
  if (!volume_.relog(actor, next_record(), in_place_)) {
    --used_records_;
    in_flight_.fetch_sub(1, std::memory_order_relaxed);
    return false;
  }
  for (const Fragment& fragment : in_place_) figures_.relogged += fragment.range.count.value;
  return true;
}

// What was dropped on its way has lost a part to a newer command; the rest is still to be kept.
void Reclaim::look_again() {
  for (; used_records_ > 0; --used_records_) {
    records_[used_records_ - 1]->visit_dropped([this](const PendingKey& key) {
      for_living(key.range(), key.owner, [this](const Fragment& part) { kept_.push_back(part); });
    });
  }
}

// ---- giving up

// K moves to what was walked; then nobody asks for what lies below.
Step Reclaim::pass(CacheActor& actor) {
  LogTails next = tails();
  if (walked_ > next.dirty_tail) {
    next.dirty_tail = walked_;
    next.writeback_target = 0;
    next.consistent_time_ms = std::max(next.consistent_time_ms, walked_time_ms_);
  }
  if (!volume_.commit().try_lock()) return Step::busy;
  next.key_tail_chunk = std::max(next.key_tail_chunk, chunk_of(walked_ + 1).ordinal);
  volume_.commit().unlock();
  figures_.ksets += walked_ - next.key_tail;
  next.key_tail = walked_;
  next.dirty_tail_chunk = std::max(next.dirty_tail_chunk, next.key_tail_chunk);
  DurableWriter& writer = actor.writer();
  Result<void, CacheError> done = success();
  if (!GUARD("key tail before its chunks")) done = free_chunks(actor, next.key_tail_chunk);
  if (done) done = device_.volumes().set_tails(writer, volume_.slot(), next);
  if (done) done = free_chunks(actor, next.key_tail_chunk);
  std::ranges::sort(segments_);
  segments_.erase(std::unique(segments_.begin(), segments_.end()), segments_.end());
  for (const std::uint32_t segment : segments_) {
    if (done) done = free_if_empty(writer, segment);
  }
  segments_.clear();
  return done ? Step::worked : stop(done.error());
}

// Those below an ordinal; if somebody commits, the next time.
Result<void, CacheError> Reclaim::free_chunks(CacheActor& actor, std::uint64_t below) {
  auto& chunks = device_.chunks_of(volume_.slot()).chunks;
  for (;;) {
    std::unique_lock lock(volume_.commit(), std::try_to_lock);
    if (!lock || chunks.front().ordinal >= below) return success();
    const ChunkPlaces places = chunks.front().places;
    chunks.pop_front();
    volume_.log().drop_chunk();
    lock.unlock();
    TRY(device_.chunks().release(actor.writer(), places));
  }
}

Result<void, CacheError> Reclaim::free_if_empty(DurableWriter& writer, std::uint32_t segment) {
  SegmentTable& segments = device_.segments();
  const SegmentInfo info = segments.info(segment);
  if (info.lost || info.use != format::SegmentUse::data || info.volume_tag != volume_.tag()) {
    return success();
  }
  SegmentCounters& counters = segments.counters(segment);
  if (counters.live_sectors.load(std::memory_order_acquire) != 0) return success();
  if (!segments.claim(segment)) return success();
  // Nothing comes in any more. Pins are taken under the locks of stripes that name it, so with
  // nothing live there are no new ones.
  const bool lives = counters.live_sectors.load(std::memory_order_acquire) != 0;
  const bool pinned = GUARD("pinned segment") && counters.pins.load(std::memory_order_acquire) != 0;
  const bool needed =
      GUARD("free at or below the dirty tail") &&
      counters.highest_sequence.load(std::memory_order_relaxed) > tails().dirty_tail;
  if (lives || pinned || needed) {
    segments.unclaim(segment);
    return success();
  }
  TRY(segments.free(writer, segment));
  ++figures_.segments;
  return success();
}

// Segments that emptied when nobody looked; and how many this volume cannot give up yet.
Result<void, CacheError> Reclaim::sweep(DurableWriter& writer) {
  SegmentTable& segments = device_.segments();
  for (std::uint32_t left = std::min(segments_a_step, segments.count()); left > 0; --left) {
    if (sweep_at_ == 0) {
      sweep_begun_ = segments.shares().begin_count(volume_.tag());
      sweep_dirty_ = 0;
    }
    TRY(free_if_empty(writer, sweep_at_));
    const SegmentInfo info = segments.info(sweep_at_);
    if (info.use == format::SegmentUse::data && info.volume_tag == volume_.tag() &&
        segments.counters(sweep_at_).highest_sequence.load(std::memory_order_relaxed) >
            tails().dirty_tail) {
      ++sweep_dirty_;
    }
    if (++sweep_at_ < segments.count()) continue;
    segments.shares().end_count(volume_.tag(), sweep_begun_, sweep_dirty_);
    sweep_at_ = 0;
  }
  return success();
}

}  // namespace engine
