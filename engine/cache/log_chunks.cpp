#include "engine/cache/log_chunks.h"

#include <algorithm>
#include <optional>
#include <string>

#include "engine/foundation/byte_cursor.h"
#include "engine/foundation/check.h"
#include "engine/foundation/guard.h"

namespace engine {

LogChunks::LogChunks(const CacheLayout& layout, const DeviceSeal& seal, SegmentTable& segments)
    : layout_(layout), seal_(seal), table_(segments) {}

void LogChunks::add(std::uint32_t segment) {
  const auto [at, added] = segments_.try_emplace(segment);
  CHECK(added);
  at->second.taken.resize(layout_.chunks_in_segment());
  with_room_.insert(segment);
}

void LogChunks::take(std::uint32_t segment, std::uint32_t place) {
  LogSegment& of = segments_.at(segment);
  CHECK(!of.taken[place]);
  of.taken[place] = true;
  if (++of.count == of.taken.size()) with_room_.erase(segment);
}

MediaOffset LogChunks::take_any(std::uint32_t segment) {
  const auto& taken = segments_.at(segment).taken;
  const auto place =
      static_cast<std::uint32_t>(std::find(taken.begin(), taken.end(), false) - taken.begin());
  take(segment, place);
  return layout_.segment_place(segment) + ByteCount{std::uint64_t{place} * layout_.chunk_bytes};
}

bool LogChunks::give_back(MediaOffset place, std::uint32_t& segment) {
  CHECK(layout_.is_chunk_place(place));
  segment = *layout_.segment_of(place);
  LogSegment& of = segments_.at(segment);
  const auto index = (place - layout_.segment_place(segment)).value / layout_.chunk_bytes;
  CHECK(of.taken[index]);
  of.taken[index] = false;
  with_room_.insert(segment);
  if (--of.count != 0) return false;
  with_room_.erase(segment);
  segments_.erase(segment);
  return true;
}

void LogChunks::take_segments() {
  const std::lock_guard lock(mutex_);
  for (std::uint32_t segment = 0; segment < table_.count(); ++segment) {
    const SegmentInfo info = table_.info(segment);
    if (info.use == format::SegmentUse::log && !info.lost) add(segment);
  }
}

void LogChunks::occupy(MediaOffset place) {
  CHECK(layout_.is_chunk_place(place));
  const std::uint32_t segment = *layout_.segment_of(place);
  const std::lock_guard lock(mutex_);
  // The place of a copy whose segment entry is lost is nobody's to give away.
  const auto of = segments_.find(segment);
  if (of == segments_.end()) return;
  const auto index = static_cast<std::uint32_t>((place - layout_.segment_place(segment)).value /
                                                layout_.chunk_bytes);
  if (!of->second.taken[index]) take(segment, index);
}

void LogChunks::occupy_all() {
  const std::lock_guard lock(mutex_);
  for (auto& [segment, of] : segments_) {
    of.taken.assign(of.taken.size(), true);
    of.count = static_cast<std::uint32_t>(of.taken.size());
    with_room_.erase(segment);
  }
}

Result<void, CacheError> LogChunks::free_empty_segments(DurableWriter& writer) {
  std::vector<std::uint32_t> empty;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [segment, of] : segments_) {
      if (of.count == 0) empty.push_back(segment);
    }
    for (const std::uint32_t segment : empty) {
      segments_.erase(segment);
      with_room_.erase(segment);
    }
  }
  for (const std::uint32_t segment : empty) {
    TRY(table_.free(writer, segment));
  }
  return success();
}

Result<ChunkPlaces, CacheError> LogChunks::reserve(DurableWriter& writer) {
  // A segment that is allocated here may be emptied by others' pairs before we come back: again.
  for (;;) {
    {
      const std::lock_guard lock(mutex_);
      if (with_room_.size() >= 2) {
        const std::uint32_t first = *with_room_.begin();
        const std::uint32_t second = *std::next(with_room_.begin());
        return ChunkPlaces{take_any(first), take_any(second)};
      }
    }
    auto segment = table_.allocate(writer, format::SegmentUse::log, 0);
    if (!segment) {
      // One without a second helps nobody here, and may help somebody else.
      TRY(free_empty_segments(writer));
      return segment.error();
    }
    const std::lock_guard lock(mutex_);
    add(segment.value());
  }
}

Result<LogChunk, CacheError> LogChunks::begin(DurableWriter& writer, const ChunkPlaces& places,
                                              std::uint32_t volume_tag, std::uint64_t ordinal,
                                              std::uint64_t first_sequence, std::uint64_t epoch) {
  // Who has reserved the pair may have left its segments' entries to us.
  TRY(const bool waited, table_.write_waiting(writer));
  LogChunk chunk{.volume_tag = volume_tag,
                 .ordinal = ordinal,
                 .first_sequence = first_sequence,
                 .epoch = epoch,
                 .places = places,
                 .generations = {}};
  for (std::size_t copy = 0; copy < 2; ++copy) {
    CHECK(layout_.is_chunk_place(places[copy]));
    const SegmentInfo info = table_.info(*layout_.segment_of(places[copy]));
    CHECK(info.use == format::SegmentUse::log);
    chunk.generations[copy] = static_cast<std::uint32_t>(info.generation);
  }
  const auto failed = [&](PmemError error, MediaOffset place) {
    return CacheError{CacheError::Kind::io, place,
                      "the header of log chunk " + std::to_string(ordinal) + " of tag " +
                          std::to_string(volume_tag) + " cannot be written: " + text(error)};
  };
  if (waited) {
    const auto settled = writer.settle();
    if (!settled) return failed(settled.error(), places[0]);
    table_.finish_waiting();
  }
  for (std::size_t copy = 0; copy < 2; ++copy) {
    const auto header = encode_chunk_header(seal_, chunk, copy);
    const auto written = writer.write(places[copy], bytes_of(header));
    if (!written) return failed(written.error(), places[copy]);
  }
  if (GUARD("chunk header first")) {
    const auto settled = writer.settle();
    if (!settled) return failed(settled.error(), places[0]);
  }
  return chunk;
}

Result<void, CacheError> LogChunks::release(DurableWriter& writer, const ChunkPlaces& places) {
  std::vector<std::uint32_t> empty;
  {
    const std::lock_guard lock(mutex_);
    for (const MediaOffset place : places) {
      std::uint32_t segment = 0;
      // Not ours to give back: the entry of its segment is lost.
      if (!segments_.contains(*layout_.segment_of(place))) continue;
      if (give_back(place, segment)) empty.push_back(segment);
    }
  }
  for (const std::uint32_t segment : empty) {
    TRY(table_.free(writer, segment));
  }
  return success();
}

Result<void, CacheError> LogChunks::release_below(DurableWriter& writer,
                                                  std::deque<LogChunk>& chunks,
                                                  std::uint64_t ordinal) {
  while (!chunks.empty() && chunks.front().ordinal < ordinal) {
    const ChunkPlaces places = chunks.front().places;
    chunks.pop_front();
    TRY(release(writer, places));
  }
  return success();
}

std::size_t LogChunks::taken() const {
  const std::lock_guard lock(mutex_);
  std::size_t count = 0;
  for (const auto& [segment, of] : segments_) count += of.count;
  return count;
}

std::size_t LogChunks::segments() const {
  const std::lock_guard lock(mutex_);
  return segments_.size();
}

void LogChunks::check_invariants() const {
  const std::lock_guard lock(mutex_);
  for (const auto& [segment, of] : segments_) {
    CHECK(table_.info(segment).use == format::SegmentUse::log);
    CHECK(of.taken.size() == layout_.chunks_in_segment());
    CHECK(static_cast<std::size_t>(std::count(of.taken.begin(), of.taken.end(), true)) == of.count);
    CHECK(with_room_.contains(segment) == (of.count < of.taken.size()));
  }
}

}  // namespace engine
