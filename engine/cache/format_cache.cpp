#include "engine/cache/format_cache.h"

#include <algorithm>
#include <array>
#include <vector>

#include "engine/cache/cache_superblock.h"
#include "engine/cache/cache_volume_table.h"
#include "engine/cache/segment_table.h"
#include "engine/foundation/check.h"
#include "engine/foundation/guard.h"

namespace engine {
namespace {

CacheError io_error(PmemError error) {
  return {CacheError::Kind::io, {}, std::string("the cache cannot be written: ") + text(error)};
}

// Why the cache that is there must not be destroyed; nullopt: there is none, or nothing in it waits
// for its backing.
std::optional<std::string> reason_to_keep(const PmemRegion& region) {
  CacheFindings findings;
  const auto superblock = read_superblocks(region, findings);
  if (!superblock) {
    if (superblock.error().kind == CacheError::Kind::not_a_cache) return std::nullopt;
    return "a cache that cannot be read (" + superblock.error().text + ")";
  }
  const CacheLayout& layout = superblock.value().layout;
  const DeviceSeal seal({superblock.value().block.device_uuid});
  CacheVolumeTable volumes(layout, seal);
  volumes.load(ReplicatedTable(region, layout, seal, ReplicatedTable::Kind::volumes), findings);
  for (std::uint32_t slot = 0; slot < volumes.slots(); ++slot) {
    if (volumes[slot].is_provably_clean()) continue;
    return "cache " + Uuid{superblock.value().block.device_uuid}.text() +
           ", which may hold data that no backing has (volume \"" + volumes[slot].binding.name +
           "\")";
  }
  return std::nullopt;
}

Result<void, CacheError> check_replaced(const PmemRegion& region, const FormatOptions& options,
                                        const std::vector<SuperblockTrace>& traces) {
  bool named = false;
  for (const SuperblockTrace& trace : traces) {
    if (!trace.block) continue;
    const Uuid there{trace.block->device_uuid};
    named = named || there == options.replace;
    if (there == options.uuid) {
      return CacheError{CacheError::Kind::same_uuid, trace.place,
                        "a new cache needs a new UUID: what is left of the old one must never be "
                        "taken for its own"};
    }
  }
  if (named) return success();
  if (const auto reason = reason_to_keep(region)) {
    return CacheError{CacheError::Kind::holds_data,
                      {},
                      "the device holds " + *reason + "; name its UUID to destroy it"};
  }
  return success();
}

// `count` times what `entry(i)` gives, from `place` on; a page at a time.
template <class Make>
Result<void, PmemError> write_entries(DurableWriter& writer, MediaOffset place, std::size_t count,
                                      Make make) {
  constexpr std::size_t most = PmemRegion::page_bytes / format::entry_bytes;
  std::vector<RawEntry> page;
  for (std::size_t first = 0; first < count; first += most) {
    page.clear();
    for (std::size_t entry = first; entry < std::min(first + most, count); ++entry) {
      page.push_back(make(entry));
    }
    // What lies behind the last entry is zeroed with it.
    page.resize(most);
    TRY(writer.write(place + ByteCount{first * format::entry_bytes},
                     std::as_bytes(std::span(page))));
  }
  return success();
}

// Settled with the superblocks, before these get their magic.
Result<void, PmemError> write_tables(DurableWriter& writer, const CacheLayout& layout,
                                     const DeviceSeal& seal) {
  for (std::size_t replica = 0; replica < 2; ++replica) {
    TRY(write_entries(writer, layout.volume_table[replica], layout.volume_slots * std::size_t{4},
                      [&seal](std::size_t entry) {
                        const auto slot = static_cast<std::uint32_t>(entry / 4);
                        return CacheVolumeTable::fresh_entries(seal, slot)[entry % 4];
                      }));
    TRY(write_entries(writer, layout.segment_table[replica], layout.segment_count,
                      [&seal](std::size_t entry) {
                        return SegmentTable::fresh_entry(seal, static_cast<std::uint32_t>(entry));
                      }));
  }
  return success();
}

Result<void, PmemError> write_cache(DurableWriter& writer, const CacheLayout& layout,
                                    const FormatOptions& options,
                                    const std::vector<SuperblockTrace>& traces) {
  if (!traces.empty()) {
    TRY(erase_superblocks(writer, traces));
  }
  TRY(write_tables(writer, layout, DeviceSeal(options.uuid)));
  format::CacheSuperblock block{};
  block.features.incompatible = options.payload_crc ? format::feature_payload_crc : 0;
  block.device_uuid = options.uuid.bytes;
  block.sequence = 1;
  block.created_ms = options.created_ms;
  describe_layout(block, layout);
  return write_first_superblocks(writer, layout, block);
}

}  // namespace

Result<void, CacheError> format_cache(PmemRegion& region, const FormatOptions& options) {
  CHECK(!options.uuid.is_nil());
  LayoutOptions wanted = options.layout;
  if (region.guarantee().granularity == PmemGranularity::page && GUARD("kset on a fresh page")) {
    wanted.kset_alignment = 4096;
  }
  TRY(auto layout, plan_layout(region.size(), wanted));
  const auto traces = find_superblock_traces(region);
  TRY(check_replaced(region, options, traces));
  auto writer = DurableWriter::make(region);
  if (!writer) return io_error(writer.error());
  const auto written = write_cache(writer.value(), layout, options, traces);
  if (!written) return io_error(written.error());
  return success();
}

}  // namespace engine
