#include "engine/cache/log_chunk.h"

#include <algorithm>

#include "engine/foundation/check.h"
#include "engine/foundation/guard.h"

namespace engine {

format::ChunkHeader encode_chunk_header(const DeviceSeal& seal, const LogChunk& chunk,
                                        std::size_t copy) {
  CHECK(copy < 2 && chunk.volume_tag != 0);
  CHECK(chunk.ordinal != 0 && chunk.first_sequence != 0 && chunk.epoch != 0);
  format::ChunkHeader header{};
  header.header.sequence = chunk.first_sequence;
  header.volume_tag = chunk.volume_tag;
  header.segment_generation = chunk.generations[copy];
  header.ordinal = chunk.ordinal;
  header.epoch = chunk.epoch;
  header.other_copy = chunk.places[1 - copy].value;
  header.other_generation = chunk.generations[1 - copy];
  header.copy = static_cast<std::uint16_t>(copy);
  seal.seal(header, format::EntryType::chunk, chunk.places[copy].value);
  return header;
}

std::optional<ChunkCopy> decode_chunk_header(const CacheLayout& layout, const DeviceSeal& seal,
                                             const format::ChunkHeader& header, MediaOffset place) {
  if (GUARD("chunk header crc") && !seal.is_sealed(header, format::EntryType::chunk, place.value)) {
    return std::nullopt;
  }
  const MediaOffset other{header.other_copy};
  if (header.header.flags != 0 || header.copy > 1 || header.volume_tag == 0) return std::nullopt;
  if (header.ordinal == 0 || header.header.sequence == 0 || header.epoch == 0) return std::nullopt;
  if (std::any_of(header.reserved.begin(), header.reserved.end(),
                  [](std::byte byte) { return byte != std::byte{}; })) {
    return std::nullopt;
  }
  if (!layout.is_chunk_place(place) || !layout.is_chunk_place(other) ||
      layout.segment_of(place) == layout.segment_of(other)) {
    return std::nullopt;
  }
  ChunkCopy found{.chunk = {.volume_tag = header.volume_tag,
                            .ordinal = header.ordinal,
                            .first_sequence = header.header.sequence,
                            .epoch = header.epoch,
                            .places = {},
                            .generations = {}},
                  .copy = header.copy};
  found.chunk.places[found.copy] = place;
  found.chunk.places[1 - found.copy] = other;
  found.chunk.generations[found.copy] = header.segment_generation;
  found.chunk.generations[1 - found.copy] = header.other_generation;
  return found;
}

std::vector<ChunkCopy> chunk_headers_in(const CacheLayout& layout, const DeviceSeal& seal,
                                        const PmemRegion& region, std::uint32_t segment) {
  std::vector<ChunkCopy> found;
  for (std::uint32_t at = 0; at < layout.chunks_in_segment(); ++at) {
    const MediaOffset place = layout.chunk_place(segment, at);
    format::ChunkHeader header;
    if (!region.read(place, std::as_writable_bytes(std::span(&header, 1)))) continue;
    if (auto copy = decode_chunk_header(layout, seal, header, place)) found.push_back(*copy);
  }
  return found;
}

}  // namespace engine
