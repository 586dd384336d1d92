#include "engine/cache/log_reader.h"

#include <utility>

#include "engine/foundation/check.h"

namespace engine {

LogReader::LogReader(const PmemRegion& region, const CacheLayout& layout, const DeviceSeal& seal,
                     const LogView& log, const Start& start, ChunksAhead* ahead)
    : layout_(layout), log_(log), start_(start), ahead_(ahead), own_reader_(region, layout, seal) {}

const LogEnd& LogReader::end() const {
  CHECK(end_.has_value());
  return *end_;
}

LogDamage LogReader::fail(const LogDamage& damage) {
  damage_ = damage;
  return damage;
}

void LogReader::note(const LogNote& note) {
  if (note_count_++ < most_notes) notes_.push_back(note);
}

void LogReader::start_chunk() {
  if (ahead_ != nullptr) {
    reader_ = &ahead_->reader_of(index_);
  } else {
    own_reader_.start(log_.chunks()[index_], log_.limit_of(index_));
  }
}

// Finds the chunk to start with.
std::optional<LogDamage> LogReader::begin() {
  begun_ = true;
  const auto& chunks = log_.chunks();
  while (index_ < chunks.size() && chunks[index_].ordinal < start_.chunk) ++index_;
  if (index_ == chunks.size()) {
    auto verdict = judge_no_chunk(log_, start_.sequence);
    if (const auto* damage = std::get_if<LogDamage>(&verdict)) return *damage;
    end_ = std::get<LogEnd>(verdict);
    return std::nullopt;
  }
  const LogChunk& first = chunks[index_];
  if (first.ordinal > start_.chunk || first.first_sequence > start_.sequence + 1) {
    return LogDamage{.kind = LogDamage::Kind::missing_chunk,
                     .chunk = start_.chunk,
                     .place = first.places[0],
                     .other_place = first.places[1],
                     .sequence = start_.sequence + 1,
                     .evidence = first.first_sequence};
  }
  // What comes before it does not matter, so neither does how it follows that.
  const VolumeChunks alone{.chunks = {first}};
  if (const auto damage = LogView{log_.volume, alone}.misplaced(0, start_.sequence + 1)) {
    return damage;
  }
  start_chunk();
  return std::nullopt;
}

LogReader::Step LogReader::next() {
  if (damage_) return *damage_;
  if (!begun_) {
    if (const auto damage = begin()) return fail(*damage);
  }
  while (!end_) {
    auto step = reader_->next();
    if (!step) return fail(step.error());
    if (!step.value()) {
      auto passed = pass_stop();
      if (!passed) return fail(passed.error());
      continue;
    }
    if (const auto damage = accept(*step.value())) return fail(*damage);
    if (step.value()->view.stamp.sequence > start_.sequence) return step;
  }
  return std::optional<ReadKset>{};
}

std::optional<LogDamage> LogReader::accept(const ReadKset& kset) {
  const KsetStamp& stamp = kset.view.stamp;
  const LogChunk& chunk = reader_->chunk();
  for (std::uint8_t copy = 0; copy < 2; ++copy) {
    if (kset.copies[copy] == CopyState::good) continue;
    note({.kind = LogNote::Kind::healed,
          .chunk = kset.chunk,
          .offset = kset.offset,
          .length = kset_bytes(kset.view.keys.size(), layout_.kset_alignment),
          .sequence = stamp.sequence,
          .copy = copy,
          .state = kset.copies[copy]});
  }
  LogDamage damage{.chunk = kset.chunk,
                   .offset = kset.offset,
                   .place = chunk.places[0] + ByteCount{kset.offset},
                   .other_place = chunk.places[1] + ByteCount{kset.offset},
                   .sequence = stamp.sequence};
  if (log_.volume.epoch.clean_end != 0 && stamp.sequence > log_.volume.epoch.clean_end) {
    damage.kind = LogDamage::Kind::beyond_clean_end;
    damage.evidence = stamp.sequence;
    return damage;
  }
  if (stamp.time_ms < last_time_ms_) {
    damage.kind = LogDamage::Kind::time_went_back;
    return damage;
  }
  last_time_ms_ = stamp.time_ms;
  return std::nullopt;
}

Result<bool, LogDamage> LogReader::pass_stop() {
  auto verdict = judge_stop(log_, index_, *reader_);
  if (std::holds_alternative<FollowChunk>(verdict)) {
    ++index_;
    start_chunk();
    return true;
  }
  if (const auto* damage = std::get_if<LogDamage>(&verdict)) {
    if (damage->kind == LogDamage::Kind::lost_kset && skip_forgotten()) return true;
    return *damage;
  }
  end_ = std::get<LogEnd>(verdict);
  for (std::uint8_t copy = 0; copy < 2; ++copy) {
    if (end_->states[copy] != CopyState::unreadable) continue;
    note({.kind = LogNote::Kind::unreadable_at_end,
          .chunk = end_->chunk,
          .offset = end_->offset,
          .sequence = end_->sequence + 1,
          .copy = copy,
          .state = CopyState::unreadable});
  }
  return false;
}

// A kset that is bad in both copies and was forgotten already costs nothing, as long as the first
// one that matters can be found.
bool LogReader::skip_forgotten() {
  const std::uint64_t wanted = start_.sequence + 1;
  if (reader_->expected() >= wanted) return false;
  const LogNote forgotten{.kind = LogNote::Kind::forgotten_damage,
                          .chunk = reader_->chunk().ordinal,
                          .offset = reader_->offset(),
                          .sequence = reader_->expected()};
  if (const auto ahead = reader_->find_ahead(); ahead && ahead->sequence <= wanted) {
    reader_->skip_to(*ahead);
    note(forgotten);
    return true;
  }
  if (index_ + 1 < log_.chunks().size() && log_.chunks()[index_ + 1].first_sequence <= wanted) {
    ++index_;
    start_chunk();
    note(forgotten);
    return true;
  }
  return false;
}

}  // namespace engine
