// CacheDevice: an opened cache device, its tables and its log chunks. docs/media-format.md.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "engine/cache/cache_error.h"
#include "engine/cache/cache_finding.h"
#include "engine/cache/cache_layout.h"
#include "engine/cache/cache_superblock.h"
#include "engine/cache/cache_volume_table.h"
#include "engine/cache/chunk_scan.h"
#include "engine/cache/device_seal.h"
#include "engine/cache/kset.h"
#include "engine/cache/log_chunks.h"
#include "engine/cache/segment_table.h"

namespace engine {

// Invariants after an opening for writing: both replicas of everything are equal and durable,
// except of what findings() call lost; no log segment is empty.
class CacheDevice {
 public:
  enum class Access : std::uint8_t {
    inspect,  // writes nothing; findings say what is not as it should be
    write,    // heals first
  };
  struct OpenOptions {
    Access access = Access::write;
    std::optional<Uuid> expected;  // refuse any other cache
  };

  // The region outlives the device, and nobody else writes to it. Errors: not_a_cache, damaged,
  // unsupported, wrong_device, too_small, wrong_granularity, io. Damage to single entries and
  // chunks is no error: see findings().
  [[nodiscard]] static Result<std::unique_ptr<CacheDevice>, CacheError> open(
      PmemRegion& region, const OpenOptions& options);
  [[nodiscard]] static Result<std::unique_ptr<CacheDevice>, CacheError> open(PmemRegion& region) {
    return open(region, OpenOptions{});
  }
  CacheDevice(const CacheDevice&) = delete;
  CacheDevice& operator=(const CacheDevice&) = delete;

  [[nodiscard]] Uuid uuid() const { return {superblock_.device_uuid}; }
  [[nodiscard]] bool payload_crc() const;
  // The one that counts.
  [[nodiscard]] const format::CacheSuperblock& superblock() const { return superblock_; }
  [[nodiscard]] PmemRegion& region() { return region_; }
  [[nodiscard]] const PmemRegion& region() const { return region_; }
  [[nodiscard]] const CacheLayout& layout() const { return layout_; }
  [[nodiscard]] const DeviceSeal& seal() const { return seal_; }
  [[nodiscard]] SegmentTable& segments() { return segments_; }
  [[nodiscard]] CacheVolumeTable& volumes() { return volumes_; }
  [[nodiscard]] LogChunks& chunks() { return chunks_; }
  // What opening found, healed or not; in the order of finding.
  [[nodiscard]] const CacheFindings& findings() const { return findings_; }

  // The device could not be written to or synced: nothing of it is acknowledged or taken any more,
  // until it is opened anew. What it holds can be read. Any thread; page granularity.
  void fail() { failed_.store(true, std::memory_order_release); }
  [[nodiscard]] bool failed() const { return failed_.load(std::memory_order_acquire); }

  // The chunks that opening found to be a volume's. Its cache takes them over and keeps them.
  [[nodiscard]] VolumeChunks& chunks_of(std::uint32_t slot) { return volume_chunks_.at(slot); }
  // The ordinal of the next chunk of a volume that is opened for writing.
  [[nodiscard]] std::uint64_t next_ordinal(std::uint32_t slot) const;
  [[nodiscard]] KeyLimits key_limits(std::uint32_t slot) const;

  // Ends the detachment of a volume that is leaving: frees its chunks and data segments, in which
  // nothing may be pinned or open, then its slot. Its VolumeCache has ended. May be repeated after
  // a crash. Control thread. Error: io.
  [[nodiscard]] Result<void, CacheError> finish_leaving(DurableWriter& writer, std::uint32_t slot);

  // The volume's cache has ended, and its log may be read again: what DRAM counts of its segments
  // begins anew, and its share is that of a volume that nobody has. What it uses stays its own, and
  // nobody counts on getting it back.
  void retain(std::uint32_t slot);

  // Takes the rest of a region that has become larger: tables first, then the superblock commits.
  // Right after open, before anything else uses the device. Errors: bad_options (not larger, or no
  // room in the tables), lost_entry (repair first), io.
  [[nodiscard]] Result<void, CacheError> grow(DurableWriter& writer);

 private:
  CacheDevice(PmemRegion& region, const SuperblockReading& superblock, CacheFindings findings);

  // Healing reports what it heals by itself.
  void load(Access access);
  [[nodiscard]] Result<void, PmemError> heal_tables(DurableWriter& writer,
                                                    const SuperblockReading& superblock);
  [[nodiscard]] Result<void, PmemError> heal_headers(DurableWriter& writer);
  void report_orphans();
  [[nodiscard]] Result<void, PmemError> write_grown(DurableWriter& writer,
                                                    const CacheLayout& larger);

  PmemRegion& region_;
  format::CacheSuperblock superblock_;
  CacheLayout layout_;
  DeviceSeal seal_;
  CacheFindings findings_;
  SegmentTable segments_;
  CacheVolumeTable volumes_;
  LogChunks chunks_;
  std::vector<VolumeChunks> volume_chunks_;  // one for each slot
  std::vector<MissingHeader> missing_;
  std::atomic<bool> failed_{false};
};

}  // namespace engine
