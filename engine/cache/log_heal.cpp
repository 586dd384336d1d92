#include "engine/cache/log_heal.h"

#include <algorithm>
#include <vector>

#include "engine/foundation/byte_cursor.h"
#include "engine/foundation/check.h"

namespace engine {
namespace {

// Gives `length` bytes at `offset` of one copy what the other has there; the header is its own.
Result<void, PmemError> copy_over(DurableWriter& writer, const PmemRegion& region,
                                  const DeviceSeal& seal, const LogChunk& chunk, std::size_t copy,
                                  std::uint64_t offset, std::uint64_t length) {
  std::vector<std::byte> bytes(length);
  TRY(region.read(chunk.places[1 - copy] + ByteCount{offset}, bytes));
  if (offset == 0) {
    const auto header = encode_chunk_header(seal, chunk, copy);
    std::ranges::copy(bytes_of(header), bytes.begin());
  }
  return writer.write(chunk.places[copy] + ByteCount{offset}, bytes);
}

// Whole pages where a part of one cannot be written: nothing smaller heals.
Result<void, PmemError> heal_range(DurableWriter& writer, const PmemRegion& region,
                                   const CacheLayout& layout, const DeviceSeal& seal,
                                   const LogChunk& chunk, std::size_t copy, std::uint64_t offset,
                                   std::uint64_t length) {
  CHECK(offset + length <= layout.chunk_bytes);
  const auto written = copy_over(writer, region, seal, chunk, copy, offset, length);
  if (written || written.error() != PmemError::media_error) return written;
  constexpr std::uint64_t page = PmemRegion::page_bytes;
  const std::uint64_t end = (offset + length + page - 1) / page * page;
  for (std::uint64_t at = offset / page * page; at < end; at += page) {
    TRY(copy_over(writer, region, seal, chunk, copy, at, page));
  }
  return success();
}

}  // namespace

Result<void, PmemError> settle_log_end(DurableWriter& writer, const CacheLayout& layout,
                                       const std::deque<LogChunk>& chunks, const LogEnd& end) {
  for (const LogChunk& chunk : chunks) {
    if (chunk.ordinal < end.chunk) continue;
    for (const MediaOffset place : chunk.places) {
      TRY(writer.flush(place, ByteCount{layout.chunk_bytes}));
    }
  }
  return writer.settle();
}

Result<void, PmemError> heal_header(DurableWriter& writer, const PmemRegion& region,
                                    const CacheLayout& layout, const DeviceSeal& seal,
                                    const MissingHeader& missing) {
  return heal_range(writer, region, layout, seal, missing.chunk, missing.copy, 0,
                    sizeof(format::ChunkHeader));
}

Result<void, PmemError> heal_kset(DurableWriter& writer, const PmemRegion& region,
                                  const CacheLayout& layout, const DeviceSeal& seal,
                                  const LogChunk& chunk, const LogNote& note) {
  CHECK(note.kind == LogNote::Kind::healed && note.chunk == chunk.ordinal);
  return heal_range(writer, region, layout, seal, chunk, note.copy, note.offset, note.length);
}

Result<void, PmemError> heal_ksets(DurableWriter& writer, const PmemRegion& region,
                                   const CacheLayout& layout, const DeviceSeal& seal,
                                   const std::deque<LogChunk>& chunks,
                                   const std::vector<LogNote>& notes) {
  bool any = false;
  for (const LogNote& note : notes) {
    if (note.kind != LogNote::Kind::healed) continue;
    const auto chunk = std::ranges::find(chunks, note.chunk, &LogChunk::ordinal);
    if (chunk == chunks.end()) continue;
    const auto healed = heal_kset(writer, region, layout, seal, *chunk, note);
    if (!healed && healed.error() != PmemError::media_error) return healed.error();
    any = true;
  }
  return any ? writer.settle() : success();
}

}  // namespace engine
