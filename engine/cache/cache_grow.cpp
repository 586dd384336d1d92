// CacheDevice::grow: the same format on a larger region.
#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "engine/cache/cache_device.h"
#include "engine/foundation/byte_cursor.h"
#include "engine/foundation/guard.h"

namespace engine {
namespace {

// Copies the near replica of a table to where the far one will be.
Result<void, PmemError> copy_table(DurableWriter& writer, const PmemRegion& region,
                                   MediaOffset from, MediaOffset to, std::uint64_t bytes) {
  std::array<std::byte, PmemRegion::page_bytes> page;
  for (std::uint64_t at = 0; at < bytes; at += PmemRegion::page_bytes) {
    TRY(region.read(from + ByteCount{at}, page));
    TRY(writer.write(to + ByteCount{at}, page));
  }
  return success();
}

constexpr std::uint64_t whole_pages(std::uint64_t bytes) {
  return (bytes + PmemRegion::page_bytes - 1) / PmemRegion::page_bytes * PmemRegion::page_bytes;
}

}  // namespace

Result<void, CacheError> CacheDevice::grow(DurableWriter& writer) {
  TRY(auto larger, grow_layout(layout_, region_.size()));
  const auto is_table_damage = [](const CacheFinding& finding) {
    return finding.is_damage() && (finding.kind == CacheFinding::Kind::lost_entry ||
                                   finding.kind == CacheFinding::Kind::replicas_contradict);
  };
  if (std::ranges::any_of(findings_, is_table_damage)) {
    return CacheError{CacheError::Kind::lost_entry,
                      {},
                      "an entry of the tables is lost; repair the device before it grows"};
  }
  const auto written = write_grown(writer, larger);
  if (!written) {
    return CacheError{CacheError::Kind::io,
                      {},
                      std::string("the larger cache cannot be written: ") + text(written.error())};
  }
  layout_ = larger;
  segments_.grow();
  return success();
}

Result<void, PmemError> CacheDevice::write_grown(DurableWriter& writer, const CacheLayout& larger) {
  // New segments first: the smaller format does not read that far in its table.
  for (std::uint32_t segment = layout_.segment_count; segment < larger.segment_count; ++segment) {
    const RawEntry entry = SegmentTable::fresh_entry(seal_, segment);
    TRY(writer.write(larger.segment_entry(segment)[0], bytes_of(entry)));
  }
  TRY(copy_table(writer, region_, layout_.volume_table[0], larger.volume_table[1],
                 whole_pages(layout_.volume_slots * sizeof(format::VolumeSlot))));
  TRY(copy_table(writer, region_, layout_.segment_table[0], larger.segment_table[1],
                 whole_pages(larger.segment_count * format::entry_bytes)));
  if (GUARD("grown tables before the superblock")) {
    TRY(writer.settle());
  }
  format::CacheSuperblock block = superblock_;
  block.sequence = superblock_.sequence + 1;
  describe_layout(block, larger);
  TRY(write_superblocks(writer, larger, block));
  superblock_ = block;
  return success();
}

}  // namespace engine
