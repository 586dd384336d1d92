#include "engine/cache/segment_table.h"

#include <algorithm>
#include <bit>
#include <limits>
#include <set>
#include <string>

#include "engine/foundation/byte_cursor.h"
#include "engine/foundation/check.h"
#include "engine/foundation/guard.h"

namespace engine {
namespace {

constexpr auto relaxed = std::memory_order_relaxed;
// A segment that is free in it is used up: there is none to tell its next keys from older ones by.
constexpr std::uint64_t last_generation = std::numeric_limits<std::uint64_t>::max();

bool is_possible(const format::SegmentEntry& entry) {
  const auto use = static_cast<format::SegmentUse>(entry.use.value());
  if (use > format::SegmentUse::log) return false;
  const auto zero = [](std::byte byte) { return byte == std::byte{}; };
  if (!std::all_of(entry.reserved.begin(), entry.reserved.end(), zero)) return false;
  if (use != format::SegmentUse::free && entry.generation == last_generation) return false;
  return (use == format::SegmentUse::data) == (entry.volume_tag != 0) && entry.generation != 0;
}

CacheError not_written(PmemError error) {
  return {CacheError::Kind::io,
          {},
          std::string("entries of segments cannot be written: ") + text(error)};
}

std::uint64_t next_generation(std::uint64_t generation) {
  return GUARD("generation of the next use") ? generation + 1 : generation;
}

}  // namespace

SegmentTable::SegmentTable(const CacheLayout& layout, const DeviceSeal& seal)
    : layout_(layout), seal_(seal) {}

RawEntry SegmentTable::fresh_entry(const DeviceSeal& seal, std::uint32_t segment) {
  format::SegmentEntry entry{};
  entry.generation = 1;
  return next_entry(seal, entry, format::EntryType::segment, segment, 0);
}

ByteCount SegmentTable::memory_of(std::uint32_t segments) {
  const std::uint64_t blocks = (std::uint64_t{segments} + block_states - 1) / block_states;
  return {blocks * block_states * sizeof(State) + std::uint64_t{segments} * sizeof(std::uint32_t)};
}

SegmentTable::State& SegmentTable::state(std::uint32_t segment) const {
  CHECK(segment < count_);
  return blocks_[segment / block_states][segment % block_states];
}

void SegmentTable::make_states(std::uint32_t count) {
  CHECK(count >= count_);
  while (blocks_.size() * block_states < count) {
    blocks_.push_back(std::make_unique<State[]>(block_states));
  }
  count_ = count;
  free_.reserve(count);  // nothing is allocated under the lock
}

// `given_back_by`: the volume whose data it held; 0: none.
void SegmentTable::list(std::uint32_t segment, std::uint32_t given_back_by) {
  const std::lock_guard lock(free_mutex_);
  list_locked(segment, given_back_by);
}

void SegmentTable::list_locked(std::uint32_t segment, std::uint32_t given_back_by) {
  if (given_back_by != 0) shares_.give_back(given_back_by);
  if (state(segment).generation.load(relaxed) == last_generation) return;
  free_.push_back(segment);
  free_count_.store(static_cast<std::uint32_t>(free_.size()), relaxed);
}

void SegmentTable::add_waiting(std::uint32_t segment, const SegmentInfo& info,
                               std::uint32_t given_back_by) {
  waiting_.push_back({.segment = segment, .info = info, .given_back_by = given_back_by});
  any_waiting_.store(true, std::memory_order_seq_cst);
}

void SegmentTable::load(const ReplicatedTable& table, CacheFindings& findings) {
  CHECK(count_ == 0 && table.size() == layout_.segment_count);
  make_states(layout_.segment_count);
  shares_.set_capacity(count_);
  for (std::uint32_t segment = count_; segment-- > 0;) {
    State& to = state(segment);
    const auto& value = table[segment].value;
    if (!value) {
      to.lost.store(true, relaxed);
      continue;
    }
    const auto entry = std::bit_cast<format::SegmentEntry>(*value);
    to.sequence = entry.header.sequence;
    if (!is_possible(entry)) {
      to.lost.store(true, relaxed);
      findings.push_back({.kind = CacheFinding::Kind::impossible_entry,
                          .subject = CacheFinding::Subject::segment_entry,
                          .place = table.places(segment)[0],
                          .index = segment});
      continue;
    }
    to.use.store(static_cast<format::SegmentUse>(entry.use.value()), relaxed);
    to.volume_tag.store(entry.volume_tag, relaxed);
    to.generation.store(entry.generation, relaxed);
    if (to.use.load(relaxed) == format::SegmentUse::free) list(segment);
    if (to.use.load(relaxed) == format::SegmentUse::data) shares_.count_in(entry.volume_tag);
    if (to.use.load(relaxed) == format::SegmentUse::log) shares_.log_took();
  }
}

void SegmentTable::grow() {
  const std::uint32_t before = count_;
  make_states(layout_.segment_count);
  shares_.set_capacity(count_);
  for (std::uint32_t segment = count_; segment-- > before;) {
    const auto entry = std::bit_cast<format::SegmentEntry>(fresh_entry(seal_, segment));
    State& to = state(segment);
    to.sequence = entry.header.sequence;
    to.generation.store(entry.generation, relaxed);
    list(segment);
  }
}

RawEntry SegmentTable::next_entry_of(std::uint32_t segment, const SegmentInfo& info) const {
  format::SegmentEntry entry{};
  entry.use = static_cast<std::uint32_t>(info.use);
  entry.volume_tag = info.volume_tag;
  entry.generation = info.generation;
  CHECK(is_possible(entry));
  return next_entry(seal_, entry, format::EntryType::segment, segment, state(segment).sequence);
}

SegmentTable::Uses SegmentTable::count_uses() const {
  Uses uses;
  for (std::uint32_t segment = 0; segment < count_; ++segment) {
    switch (state(segment).use.load(relaxed)) {
      case format::SegmentUse::free:
        ++uses.free;
        break;
      case format::SegmentUse::data:
        ++uses.data;
        break;
      case format::SegmentUse::log:
        ++uses.log;
        break;
    }
  }
  return uses;
}

void SegmentTable::set_info(std::uint32_t segment, const SegmentInfo& info) {
  State& to = state(segment);
  to.volume_tag.store(info.volume_tag, relaxed);
  to.use.store(info.use, relaxed);
  to.generation.store(info.generation, std::memory_order_release);
}

// Those of a round's entries are on their way until it ends, and a page that is written may lose
// what was in it: never both replicas at a time.
Result<void, PmemError> SegmentTable::settle_second_replicas(DurableWriter& writer) {
  if (settling_.empty() || !GUARD("second replicas settled first")) {
    return boost::outcome_v2::success();
  }
  return writer.settle();
}

Result<void, CacheError> SegmentTable::persist(DurableWriter& writer, std::uint32_t segment,
                                               const SegmentInfo& info) {
  State& to = state(segment);
  const auto places = layout_.segment_entry(segment);
  const RawEntry next = next_entry_of(segment, info);
  auto written = settle_second_replicas(writer);
  if (written) written = update_entry(writer, places, next);
  if (!written) {
    // Nobody knows which of the two it is now: the next open will.
    to.lost.store(true, relaxed);
    return CacheError{CacheError::Kind::io, places[0],
                      "the entry of segment " + std::to_string(segment) +
                          " cannot be written: " + text(written.error())};
  }
  to.sequence = next.header.sequence;
  set_info(segment, info);
  return success();
}

Result<std::uint32_t, CacheError> SegmentTable::allocate(DurableWriter& writer,
                                                         format::SegmentUse use,
                                                         std::uint32_t volume_tag) {
  CHECK(use != format::SegmentUse::free);
  std::uint32_t segment = 0;
  SegmentInfo info{.use = use, .volume_tag = volume_tag};
  {
    const std::lock_guard lock(free_mutex_);
    if (free_.empty()) {
      return CacheError{CacheError::Kind::no_free_segment, {}, "no segment of the cache is free"};
    }
    if (use == format::SegmentUse::data &&
        !shares_.take(volume_tag, static_cast<std::uint32_t>(free_.size()))) {
      return CacheError{CacheError::Kind::no_free_segment,
                        {},
                        "what is free of the cache is kept for other volumes, or for the logs"};
    }
    segment = free_.back();
    free_.pop_back();
    free_count_.store(static_cast<std::uint32_t>(free_.size()), relaxed);
    info.generation = state(segment).generation.load(relaxed);
    // Before its entry says whose it is: empty as it is, it must not be freed under the caller.
    if (use == format::SegmentUse::data) CHECK(claim(segment));
    if (use == format::SegmentUse::log) shares_.log_took();
    if (writer.is_later()) {
      set_info(segment, info);
      add_waiting(segment, info);
      return segment;
    }
  }
  TRY(persist(writer, segment, info));
  return segment;
}

Result<void, CacheError> SegmentTable::free(DurableWriter& writer, std::uint32_t segment) {
  State& of = state(segment);
  CHECK(of.use.load(relaxed) != format::SegmentUse::free && !of.lost.load(relaxed));
  CHECK(of.counters.live_sectors.load(relaxed) == 0);
  CHECK(of.counters.pins.load(std::memory_order_acquire) == 0);
  if (of.use.load(relaxed) == format::SegmentUse::log) shares_.log_gave_back();
  if (writer.is_later()) {
    free_later(segment);
    return success();
  }
  const std::uint32_t volume_tag = of.volume_tag.load(relaxed);
  TRY(persist(writer, segment, {.generation = next_generation(of.generation.load(relaxed))}));
  of.counters.highest_sequence.store(0, relaxed);
  end_use(segment);
  list(segment, volume_tag);
  return success();
}

// What nobody has written down yet was never used: it is free again as it was.
void SegmentTable::free_later(std::uint32_t segment) {
  const SegmentInfo before = info(segment);
  SegmentInfo after{.generation = before.generation};
  const std::lock_guard lock(free_mutex_);
  const auto allocated = std::ranges::find(waiting_, segment, &Waiting::segment);
  const bool was_never_used = allocated != waiting_.end();
  if (!was_never_used) after.generation = next_generation(before.generation);
  set_info(segment, after);
  if (!was_never_used) return add_waiting(segment, after, before.volume_tag);
  waiting_.erase(allocated);
  end_use(segment);
  list_locked(segment, before.volume_tag);
}

Result<void, CacheError> SegmentTable::free_all(DurableWriter& writer,
                                                std::span<const std::uint32_t> segments) {
  if (segments.empty()) return success();
  std::vector<Waiting> changes;
  for (const std::uint32_t segment : segments) {
    const SegmentInfo before = info(segment);
    CHECK(before.use == format::SegmentUse::data && !before.lost);
    CHECK(counters(segment).live_sectors.load(relaxed) == 0);
    CHECK(counters(segment).pins.load(std::memory_order_acquire) == 0);
    changes.push_back(
        {segment, {.generation = next_generation(before.generation)}, before.volume_tag});
  }
  auto written = write_entries(writer, changes);
  if (written) written = writer.settle();
  if (!written) {
    for (const Waiting& change : changes) state(change.segment).lost.store(true, relaxed);
    return not_written(written.error());
  }
  for (const Waiting& change : changes) set_info(change.segment, change.info);
  finish(changes);
  return success();
}

// Replica 0 of all of them, settled, then replica 1.
Result<void, PmemError> SegmentTable::write_entries(DurableWriter& writer,
                                                    std::span<const Waiting> changes) {
  std::vector<RawEntry> entries;
  for (const Waiting& change : changes) {
    entries.push_back(next_entry_of(change.segment, change.info));
    state(change.segment).sequence = entries.back().header.sequence;
  }
  const auto write_replica = [&](std::size_t replica) -> Result<void, PmemError> {
    for (std::size_t at = 0; at < changes.size(); ++at) {
      const MediaOffset place = layout_.segment_entry(changes[at].segment)[replica];
      TRY(writer.write(place, bytes_of(entries[at])));
    }
    return success();
  };
  TRY(settle_second_replicas(writer));
  TRY(write_replica(0));
  if (GUARD("one replica at a time")) {
    TRY(writer.settle());
  }
  return write_replica(1);
}

Result<bool, CacheError> SegmentTable::write_waiting(DurableWriter& writer) {
  if (!any_waiting()) return false;  // always, where entries never wait and any thread asks
  taken_.clear();
  {
    const std::lock_guard lock(free_mutex_);
    taken_.swap(waiting_);
    any_waiting_.store(false, std::memory_order_seq_cst);
  }
  if (taken_.empty()) return false;
  const auto written = write_entries(writer, taken_);
  if (!written) return not_written(written.error());
  settling_.insert(settling_.end(), taken_.begin(), taken_.end());
  return true;
}

void SegmentTable::finish_waiting() {
  finish(settling_);
  settling_.clear();
}

// They are durable.
void SegmentTable::finish(std::span<const Waiting> changes) {
  for (const auto& [segment, info, given_back_by] : changes) {
    if (info.use != format::SegmentUse::free) continue;
    state(segment).counters.highest_sequence.store(0, relaxed);
    end_use(segment);
    list(segment, given_back_by);
  }
}

Result<void, CacheError> SegmentTable::restore(DurableWriter& writer, std::uint32_t segment,
                                               const SegmentInfo& info, std::uint64_t sequence) {
  CHECK(state(segment).lost.load(relaxed));
  state(segment).sequence = sequence;
  return persist(writer, segment, info);
}

SegmentInfo SegmentTable::info(std::uint32_t segment) const {
  const State& of = state(segment);
  const std::uint64_t generation = of.generation.load(std::memory_order_acquire);
  return {.use = of.use.load(relaxed),
          .volume_tag = of.volume_tag.load(relaxed),
          .generation = generation,
          .lost = of.lost.load(relaxed)};
}

bool SegmentTable::is_current(std::uint32_t segment, std::uint32_t volume_tag,
                              std::uint32_t generation) const {
  const SegmentInfo now = info(segment);
  return !now.lost && now.use == format::SegmentUse::data && now.volume_tag == volume_tag &&
         static_cast<std::uint32_t>(now.generation) == generation;
}

SegmentCounters& SegmentTable::counters(std::uint32_t segment) { return state(segment).counters; }

void SegmentTable::check_invariants() const {
  const std::lock_guard lock(free_mutex_);
  const std::set<std::uint32_t> listed(free_.begin(), free_.end());
  CHECK(listed.size() == free_.size());
  CHECK(free_count_.load(relaxed) == free_.size());
  std::set<std::uint32_t> waiting;
  for (const Waiting& change : waiting_) CHECK(waiting.insert(change.segment).second);
  for (const Waiting& change : settling_) CHECK(waiting.insert(change.segment).second);
  for (std::uint32_t segment = 0; segment < count_; ++segment) {
    const SegmentInfo now = info(segment);
    CHECK(listed.contains(segment) ==
          (now.use == format::SegmentUse::free && now.generation != last_generation && !now.lost &&
           !waiting.contains(segment)));
    CHECK((now.use == format::SegmentUse::data) == (now.volume_tag != 0));
  }
}

}  // namespace engine
