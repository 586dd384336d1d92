#include "engine/cache/recovery.h"

#include <algorithm>
#include <utility>

#include "engine/cache/log_heal.h"
#include "engine/cache/log_replay.h"
#include "engine/foundation/guard.h"

namespace engine {
namespace {

CacheError io_error(PmemError error) {
  return {CacheError::Kind::io,
          {},
          std::string("what recovery has accepted cannot be made durable: ") + text(error)};
}

// What a killed process has left unsettled may be the last kset of the log and, because its fence
// comes before it is logged, not its data; that is flushed all the same.
Result<void, PmemError> settle_accepted(const RecoveredVolume& volume, DurableWriter& writer) {
  if (!GUARD("accepted end is settled")) return success();
  for (const auto& [place, bytes] : volume.last_data) {
    const auto flushed = writer.flush(place, bytes);
    if (!flushed && flushed.error() != PmemError::media_error) return flushed.error();
  }
  CacheDevice& device = volume.cache->device();
  return settle_log_end(writer, device.layout(), device.chunks_of(volume.cache->slot()).chunks,
                        {.chunk = volume.report.end_chunk});
}

}  // namespace

Result<RecoveredVolume, CacheError> read_volume(CacheDevice& device, std::uint32_t slot,
                                                IndexMemory& memory, const Clock& clock,
                                                ParallelTasks& tasks) {
  RecoveredVolume result{.cache = std::make_unique<VolumeCache>(device, slot, memory, clock),
                         .report = {}};
  if (device.volumes()[slot].damaged) {
    result.report.entry_damage = true;
    return result;
  }
  LogReplay replay(device, slot, *result.cache, tasks);
  TRY(replay.run(result.report));
  result.last_data = replay.take_last_data();
  return result;
}

Result<void, CacheError> finish_recovery(RecoveredVolume& volume, DurableWriter& writer) {
  RecoveryReport& report = volume.report;
  if (report.entry_damage) return success();
  const auto settled = settle_accepted(volume, writer);
  if (!settled) return io_error(settled.error());
  // Also where nothing is written any more: write-back may go as far.
  volume.cache->commit().start_at(report.last_sequence);
  if (report.damaged()) return success();
  CacheDevice& device = volume.cache->device();
  const auto healed = heal_ksets(writer, device.region(), device.layout(), device.seal(),
                                 device.chunks_of(volume.cache->slot()).chunks, report.notes);
  if (!healed) return io_error(healed.error());
  const auto opened = volume.cache->open_log(writer, report.last_sequence, report.last_time_ms);
  if (!opened) report.not_opened = opened.error();
  if (!opened && opened.error().kind == CacheError::Kind::no_free_segment) {
    volume.cache->wait_for_room();
  }
  return success();
}

Result<RecoveredVolume, CacheError> recover_volume(CacheDevice& device, std::uint32_t slot,
                                                   IndexMemory& memory, const Clock& clock,
                                                   DurableWriter& writer) {
  InlineTasks alone;
  TRY(auto volume, read_volume(device, slot, memory, clock, alone));
  TRY(finish_recovery(volume, writer));
  return volume;
}

Result<std::uint32_t, CacheError> free_unnamed_segments(CacheDevice& device, DurableWriter& writer,
                                                        std::span<VolumeCache* const> volumes) {
  SegmentTable& segments = device.segments();
  std::uint32_t freed = 0;
  for (std::uint32_t segment = 0; segment < segments.count(); ++segment) {
    const SegmentInfo info = segments.info(segment);
    const SegmentCounters& counters = segments.counters(segment);
    if (info.lost || info.use != format::SegmentUse::data || counters.is_open() ||
        counters.live_sectors != 0 || counters.highest_sequence != 0) {
      continue;
    }
    const bool ours = std::ranges::any_of(volumes, [&info](const VolumeCache* volume) {
      return volume->tag() == info.volume_tag && volume->is_writable();
    });
    if (!ours) continue;
    TRY(segments.free(writer, segment));
    ++freed;
  }
  return freed;
}

}  // namespace engine
