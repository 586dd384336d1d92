#include "engine/cache/cache_device.h"

#include <algorithm>
#include <string>

#include "engine/cache/log_heal.h"
#include "engine/foundation/byte_cursor.h"
#include "engine/foundation/check.h"
#include "engine/foundation/guard.h"

namespace engine {
namespace {

CacheError io_error(PmemError error) {
  return {CacheError::Kind::io, {}, std::string("the cache cannot be healed: ") + text(error)};
}

}  // namespace

CacheDevice::CacheDevice(PmemRegion& region, const SuperblockReading& superblock,
                         CacheFindings findings)
    : region_(region),
      superblock_(superblock.block),
      layout_(superblock.layout),
      seal_({superblock.block.device_uuid}),
      findings_(std::move(findings)),
      segments_(layout_, seal_),
      volumes_(layout_, seal_),
      chunks_(layout_, seal_, segments_) {}

Result<std::unique_ptr<CacheDevice>, CacheError> CacheDevice::open(PmemRegion& region,
                                                                   const OpenOptions& options) {
  CacheFindings findings;
  TRY(auto superblock, read_superblocks(region, findings));
  const Uuid there{superblock.block.device_uuid};
  if (options.expected && *options.expected != there) {
    return CacheError{
        CacheError::Kind::wrong_device,
        {},
        "the device carries cache " + there.text() + ", not " + options.expected->text()};
  }
  if (options.access == Access::write && region.guarantee().granularity == PmemGranularity::page &&
      superblock.layout.kset_alignment < PmemRegion::page_bytes && GUARD("kset on a fresh page")) {
    return CacheError{CacheError::Kind::wrong_granularity,
                      {},
                      "the cache was formatted for finer media: here writing a kset could tear "
                      "the one before it"};
  }
  std::unique_ptr<CacheDevice> device(new CacheDevice(region, superblock, std::move(findings)));
  if (options.access == Access::inspect) {
    device->load(options.access);
    return device;
  }
  auto writer = DurableWriter::make(region);
  if (!writer) return io_error(writer.error());
  const auto tables = device->heal_tables(writer.value(), superblock);
  if (!tables) return io_error(tables.error());
  device->load(options.access);
  const auto headers = device->heal_headers(writer.value());
  if (!headers) return io_error(headers.error());
  TRY(device->chunks_.free_empty_segments(writer.value()));
  return device;
}

// What a killed process left unsettled is settled first: the only whole replica of an entry is
// never the one that power loss could still take.
Result<void, PmemError> CacheDevice::heal_tables(DurableWriter& writer,
                                                 const SuperblockReading& superblock) {
  const ReplicatedTable volumes(region_, layout_, seal_, ReplicatedTable::Kind::volumes);
  const ReplicatedTable segments(region_, layout_, seal_, ReplicatedTable::Kind::segments);
  volumes.report(findings_);
  segments.report(findings_);
  for (const MediaOffset place : layout_.superblock) {
    TRY(writer.flush(place, ByteCount{format::superblock_bytes}));
  }
  TRY(volumes.flush(writer));
  TRY(segments.flush(writer));
  if (GUARD("what was left is settled before it is healed")) {
    TRY(writer.settle());
  }
  for (std::size_t replica = 0; replica < 2; ++replica) {
    if (superblock.equal[replica]) continue;
    TRY(writer.write(layout_.superblock[replica], bytes_of(superblock.block)));
    TRY(writer.settle());
  }
  if (!GUARD("replicas made equal")) return success();
  TRY(volumes.heal(writer));
  return segments.heal(writer);
}

void CacheDevice::load(Access access) {
  const ReplicatedTable volumes(region_, layout_, seal_, ReplicatedTable::Kind::volumes);
  const ReplicatedTable segments(region_, layout_, seal_, ReplicatedTable::Kind::segments);
  if (access == Access::inspect) {
    volumes.report(findings_);
    segments.report(findings_);
  }
  volumes_.load(volumes, findings_);
  segments_.load(segments, findings_);
  report_orphans();
  ChunkScan scan = scan_chunks(region_, layout_, seal_, segments_, volumes_, findings_);
  chunks_.take_segments();
  for (const VolumeChunks& volume : scan.volumes) {
    for (const LogChunk& chunk : volume.chunks) {
      for (const MediaOffset place : chunk.places) chunks_.occupy(place);
    }
  }
  for (const MediaOffset place : scan.kept) chunks_.occupy(place);
  // A lost chunk may lie in any place that seems free: none is given away before a repair.
  const auto is_gap = [](const CacheFinding& finding) {
    return finding.kind == CacheFinding::Kind::chunk_gap ||
           finding.kind == CacheFinding::Kind::stray_kset;
  };
  if (std::ranges::any_of(findings_, is_gap)) chunks_.occupy_all();
  volume_chunks_ = std::move(scan.volumes);
  missing_ = std::move(scan.missing);
}

void CacheDevice::report_orphans() {
  if (volumes_.any_identity_lost()) return;  // it may be that one's
  for (std::uint32_t segment = 0; segment < segments_.count(); ++segment) {
    const SegmentInfo info = segments_.info(segment);
    if (info.lost || info.use != format::SegmentUse::data) continue;
    if (volumes_.find_tag(info.volume_tag)) continue;
    findings_.push_back({.kind = CacheFinding::Kind::orphan_segment,
                         .subject = CacheFinding::Subject::segment_entry,
                         .place = layout_.segment_entry(segment)[0],
                         .index = segment,
                         .tag = info.volume_tag});
  }
}

Result<void, PmemError> CacheDevice::heal_headers(DurableWriter& writer) {
  for (const VolumeChunks& volume : volume_chunks_) {
    for (const LogChunk& chunk : volume.chunks) {
      for (const MediaOffset place : chunk.places) {
        TRY(writer.flush(place, ByteCount{format::entry_bytes}));
      }
    }
  }
  TRY(writer.settle());
  for (const MissingHeader& missing : missing_) {
    const auto healed = heal_header(writer, region_, layout_, seal_, missing);
    // A place that cannot be healed costs one copy; the finding says so.
    if (!healed && healed.error() != PmemError::media_error) return healed.error();
  }
  return writer.settle();
}

bool CacheDevice::payload_crc() const {
  return (superblock_.features.incompatible & format::feature_payload_crc) != 0;
}

std::uint64_t CacheDevice::next_ordinal(std::uint32_t slot) const {
  const CacheVolume& volume = volumes_[slot];
  const auto& chunks = volume_chunks_.at(slot).chunks;
  const std::uint64_t behind = chunks.empty() ? 1 : chunks.back().ordinal + 1;
  return std::max({behind, volume.tails.key_tail_chunk, volume.epoch.first_chunk});
}

KeyLimits CacheDevice::key_limits(std::uint32_t slot) const {
  return {
      .layout = layout_, .volume_size = volumes_[slot].identity.size, .payload_crc = payload_crc()};
}

Result<void, CacheError> CacheDevice::finish_leaving(DurableWriter& writer, std::uint32_t slot) {
  const CacheVolumeIdentity identity = volumes_[slot].identity;
  CHECK(identity.state == format::VolumeSlotState::leaving);
  // Chunks of a volume that contradict each other are left to the next open, which drops them.
  VolumeChunks& chunks = volume_chunks_.at(slot);
  if (!chunks.contradicts) {
    TRY(chunks_.release_below(writer, chunks.chunks, ~std::uint64_t{0}));
  }
  chunks = {};
  std::vector<std::uint32_t> its;
  for (std::uint32_t segment = 0; segment < segments_.count(); ++segment) {
    const SegmentInfo info = segments_.info(segment);
    if (info.use != format::SegmentUse::data || info.volume_tag != identity.tag) continue;
    if (info.lost) continue;
    segments_.counters(segment).live_sectors.store(0, std::memory_order_relaxed);  // in no index
    its.push_back(segment);
  }
  TRY(segments_.free_all(writer, its));
  segments_.shares().forget(identity.tag);
  return volumes_.release(writer, slot);
}

void CacheDevice::retain(std::uint32_t slot) {
  const std::uint32_t tag = volumes_[slot].identity.tag;
  for (std::uint32_t segment = 0; segment < segments_.count(); ++segment) {
    const SegmentInfo info = segments_.info(segment);
    if (info.use != format::SegmentUse::data || info.volume_tag != tag) continue;
    SegmentCounters& counters = segments_.counters(segment);
    counters.live_sectors.store(0, std::memory_order_relaxed);
    counters.highest_sequence.store(0, std::memory_order_relaxed);
  }
  SegmentShares& shares = segments_.shares();
  shares.forget(tag);
  shares.end_count(tag, shares.begin_count(tag), shares.used(tag));
}

}  // namespace engine
