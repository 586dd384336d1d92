#include "engine/cache/segment_table.h"

#include <algorithm>
#include <bit>
#include <set>
#include <string>

#include "engine/foundation/check.h"

namespace engine {
namespace {

constexpr auto relaxed = std::memory_order_relaxed;

bool is_possible(const format::SegmentEntry& entry) {
  const auto use = static_cast<format::SegmentUse>(entry.use.value());
  if (use > format::SegmentUse::log) return false;
  const auto zero = [](std::byte byte) { return byte == std::byte{}; };
  if (!std::all_of(entry.reserved.begin(), entry.reserved.end(), zero)) return false;
  return (use == format::SegmentUse::data) == (entry.volume_tag != 0) && entry.generation != 0;
}

}  // namespace

SegmentTable::SegmentTable(const CacheLayout& layout, const DeviceSeal& seal)
    : layout_(layout), seal_(seal) {}

RawEntry SegmentTable::fresh_entry(const DeviceSeal& seal, std::uint32_t segment) {
  format::SegmentEntry entry{};
  entry.generation = 1;
  return next_entry(seal, entry, format::EntryType::segment, segment, 0);
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
}

void SegmentTable::list(std::uint32_t segment) {
  const std::lock_guard lock(free_mutex_);
  free_.push_back(segment);
  free_count_.store(static_cast<std::uint32_t>(free_.size()), relaxed);
}

void SegmentTable::load(const ReplicatedTable& table, CacheFindings& findings) {
  CHECK(count_ == 0 && table.size() == layout_.segment_count);
  make_states(layout_.segment_count);
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
  }
}

void SegmentTable::grow() {
  const std::uint32_t before = count_;
  make_states(layout_.segment_count);
  for (std::uint32_t segment = count_; segment-- > before;) {
    const auto entry = std::bit_cast<format::SegmentEntry>(fresh_entry(seal_, segment));
    State& to = state(segment);
    to.sequence = entry.header.sequence;
    to.generation.store(entry.generation, relaxed);
    list(segment);
  }
}

Result<void, CacheError> SegmentTable::persist(DurableWriter& writer, std::uint32_t segment,
                                               const SegmentInfo& info) {
  format::SegmentEntry entry{};
  entry.use = static_cast<std::uint32_t>(info.use);
  entry.volume_tag = info.volume_tag;
  entry.generation = info.generation;
  CHECK(is_possible(entry));
  State& to = state(segment);
  const auto places = layout_.segment_entry(segment);
  const RawEntry next = next_entry(seal_, entry, format::EntryType::segment, segment, to.sequence);
  const auto written = update_entry(writer, places, next);
  if (!written) {
    // Nobody knows which of the two it is now: the next open will.
    to.lost.store(true, relaxed);
    return CacheError{CacheError::Kind::io, places[0],
                      "the entry of segment " + std::to_string(segment) +
                          " cannot be written: " + text(written.error())};
  }
  to.sequence = next.header.sequence;
  to.volume_tag.store(info.volume_tag, relaxed);
  to.use.store(info.use, relaxed);
  to.generation.store(info.generation, std::memory_order_release);
  return success();
}

Result<std::uint32_t, CacheError> SegmentTable::allocate(DurableWriter& writer,
                                                         format::SegmentUse use,
                                                         std::uint32_t volume_tag) {
  CHECK(use != format::SegmentUse::free);
  std::uint32_t segment = 0;
  {
    const std::lock_guard lock(free_mutex_);
    if (free_.empty()) {
      return CacheError{CacheError::Kind::no_free_segment, {}, "no segment of the cache is free"};
    }
    segment = free_.back();
    free_.pop_back();
    free_count_.store(static_cast<std::uint32_t>(free_.size()), relaxed);
  }
  TRY(persist(writer, segment,
              {.use = use,
               .volume_tag = volume_tag,
               .generation = state(segment).generation.load(relaxed)}));
  return segment;
}

Result<void, CacheError> SegmentTable::free(DurableWriter& writer, std::uint32_t segment) {
  State& of = state(segment);
  CHECK(of.use.load(relaxed) != format::SegmentUse::free && !of.lost.load(relaxed));
  CHECK(of.counters.live_sectors.load(relaxed) == 0);
  CHECK(of.counters.pins.load(std::memory_order_acquire) == 0);
  CHECK(!of.counters.open.load(relaxed));
  TRY(persist(writer, segment, {.generation = of.generation.load(relaxed) + 1}));
  of.counters.highest_sequence.store(0, relaxed);
  list(segment);
  return success();
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
  for (std::uint32_t segment = 0; segment < count_; ++segment) {
    const SegmentInfo now = info(segment);
    CHECK(listed.contains(segment) == (now.use == format::SegmentUse::free && !now.lost));
    CHECK((now.use == format::SegmentUse::data) == (now.volume_tag != 0));
  }
}

}  // namespace engine
