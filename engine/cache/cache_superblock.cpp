#include "engine/cache/cache_superblock.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "engine/foundation/byte_cursor.h"
#include "engine/foundation/guard.h"

namespace engine {
namespace {

std::optional<format::CacheSuperblock> read_block(const PmemRegion& region, MediaOffset place) {
  format::CacheSuperblock block;
  if (!region.read(place, std::as_writable_bytes(std::span(&block, 1)))) return std::nullopt;
  return block;
}

bool same(const format::CacheSuperblock& left, const format::CacheSuperblock& right) {
  return std::memcmp(&left, &right, sizeof(left)) == 0;
}

// The beginning, the end, and what the beginning names; without repetition.
std::vector<MediaOffset> possible_places(const PmemRegion& region) {
  const std::uint64_t blocks = region.size().value / format::superblock_bytes;
  std::vector<MediaOffset> places;
  if (blocks == 0) return places;
  places.push_back({0});
  if (blocks > 1) places.push_back({(blocks - 1) * format::superblock_bytes});
  const auto near = read_block(region, {0});
  if (near && is_superblock(*near)) {
    const std::uint64_t end = near->device_bytes;
    if (end % format::superblock_bytes == 0 && end > format::superblock_bytes &&
        end / format::superblock_bytes < blocks) {
      places.push_back({end - format::superblock_bytes});
    }
  }
  return places;
}

// A far replica counts only where it says that it lies: anything else is from another life.
bool is_in_place(const format::CacheSuperblock& block, MediaOffset place) {
  return place.value == 0 || block.device_bytes == place.value + format::superblock_bytes;
}

}  // namespace

Result<SuperblockReading, CacheError> read_superblocks(const PmemRegion& region,
                                                       CacheFindings& findings) {
  const auto places = possible_places(region);
  std::optional<SuperblockReading> newest;
  std::optional<CacheError> impossible;
  bool trace = false;
  for (const MediaOffset place : places) {
    const auto block = read_block(region, place);
    if (!block) {
      trace = true;
      continue;
    }
    trace = trace || block->magic == format::cache_magic;
    if (!is_superblock(*block) || !is_in_place(*block, place)) continue;
    auto layout = check_superblock(*block);
    if (!layout) {
      impossible = layout.error();
      impossible->place = place;
      if (impossible->kind == CacheError::Kind::unsupported) return *impossible;
      continue;
    }
    if (newest && newest->block.device_uuid != block->device_uuid) {
      return CacheError{CacheError::Kind::damaged, place,
                        "the two superblocks are of different cache devices"};
    }
    if (!newest || block->sequence > newest->block.sequence) {
      newest = SuperblockReading{.block = *block, .layout = layout.value(), .equal = {}};
    }
  }
  if (!newest) {
    if (impossible) return *impossible;
    if (!trace) {
      return CacheError{CacheError::Kind::not_a_cache, {}, "there is no cache on this device"};
    }
    return CacheError{CacheError::Kind::damaged,
                      {},
                      "neither superblock is whole: nothing of this cache can be found"};
  }
  if (newest->layout.device_bytes > region.size()) {
    return CacheError{CacheError::Kind::too_small,
                      {},
                      "the cache was formatted on " +
                          std::to_string(newest->layout.device_bytes.value) + " bytes, and only " +
                          std::to_string(region.size().value) +
                          " are there: is it the whole device?"};
  }
  for (std::size_t replica = 0; replica < 2; ++replica) {
    const MediaOffset place = newest->layout.superblock[replica];
    const auto block = read_block(region, place);
    newest->equal[replica] = block && same(*block, newest->block);
    if (newest->equal[replica]) continue;
    const bool older = block && is_superblock(*block);
    findings.push_back({.kind = !block  ? CacheFinding::Kind::replica_unreadable
                                : older ? CacheFinding::Kind::replica_older
                                        : CacheFinding::Kind::replica_invalid,
                        .subject = CacheFinding::Subject::superblock,
                        .place = place,
                        .index = replica});
  }
  return *newest;
}

Result<void, PmemError> write_first_superblocks(DurableWriter& writer, const CacheLayout& layout,
                                                const format::CacheSuperblock& block) {
  format::CacheSuperblock rest = block;
  rest.magic = {};
  for (const MediaOffset place : layout.superblock) {
    TRY(writer.write(place, bytes_of(rest)));
  }
  if (GUARD("superblock before its magic")) {
    TRY(writer.settle());
  }
  for (const MediaOffset place : layout.superblock) {
    TRY(writer.write(place, bytes_of(block.magic)));
    TRY(writer.settle());
  }
  return success();
}

Result<void, PmemError> write_superblocks(DurableWriter& writer, const CacheLayout& layout,
                                          const format::CacheSuperblock& block) {
  for (const std::size_t replica : {1U, 0U}) {
    TRY(writer.write(layout.superblock[replica], bytes_of(block)));
    if (replica == 0 || GUARD("one superblock at a time")) {
      TRY(writer.settle());
    }
  }
  return success();
}

std::vector<SuperblockTrace> find_superblock_traces(const PmemRegion& region) {
  std::vector<SuperblockTrace> traces;
  for (const MediaOffset place : possible_places(region)) {
    const auto block = read_block(region, place);
    if (block && block->magic != format::cache_magic) continue;
    traces.push_back({.place = place, .block = block});
  }
  return traces;
}

Result<void, PmemError> erase_superblocks(DurableWriter& writer,
                                          const std::vector<SuperblockTrace>& traces) {
  constexpr std::array<std::byte, format::superblock_bytes> nothing{};
  const std::span zeros(nothing);
  for (const SuperblockTrace& trace : traces) {
    // Eight bytes are written or not; a block that cannot be read is written whole.
    const auto length = trace.block ? sizeof(format::cache_magic) : nothing.size();
    TRY(writer.write(trace.place, zeros.first(length)));
  }
  return GUARD("old cache withdrawn first") ? writer.settle() : success();
}

}  // namespace engine
