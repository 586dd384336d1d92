#include "engine/cache/recovery.h"

#include <algorithm>
#include <utility>

#include "engine/cache/log_heal.h"
#include "engine/foundation/check.h"
#include "engine/foundation/guard.h"

namespace engine {
namespace {

constexpr std::size_t replay_keys = 128 * 1024;  // sorted and replayed at once

CacheError io_error(PmemError error) {
  return {CacheError::Kind::io,
          {},
          std::string("what recovery has accepted cannot be made durable: ") + text(error)};
}

// One volume's replay.
class Replay {
 public:
  Replay(CacheDevice& device, std::uint32_t slot, VolumeCache& cache, RecoveryReport& report)
      : device_(device),
        volume_(device.volumes()[slot]),
        judge_(device, slot),
        cache_(cache),
        report_(report) {
    batch_.reserve(replay_keys);
  }

  // Error: exhausted.
  [[nodiscard]] Result<void, CacheError> run(LogReader& reader) {
    for (;;) {
      const auto next = reader.next();
      if (!next) {
        report_.log_damage = next.error();
        break;
      }
      if (!next.value()) break;
      if (!take(*next.value())) break;
      if (batch_.size() + format::most_keys > replay_keys) {
        TRY(replay());
      }
    }
    return replay();
  }
  // Data of the last kset, by place.
  [[nodiscard]] const std::vector<std::pair<MediaOffset, ByteCount>>& last_data() const {
    return last_data_;
  }

 private:
  // False: damaged; nothing of the kset counts.
  [[nodiscard]] bool take(const ReadKset& kset) {
    const std::size_t before = batch_.size();
    last_data_.clear();
    for (std::size_t at = 0; at < kset.view.keys.size(); ++at) {
      KeyDamage damage = judge_.judge(kset.view.keys[at], kset.view.stamp.sequence);
      if (!damage.any()) {
        add(kset.view.keys[at], kset.view.stamp.sequence, at);
        continue;
      }
      batch_.resize(before);
      damage.sequence = kset.view.stamp.sequence;
      damage.key = at;
      damage.chunk = kset.chunk;
      damage.place = place_of(kset);
      report_.key_damage = damage;
      return false;
    }
    count_live(std::span(batch_).subspan(before), kset.view.stamp.sequence);
    ++report_.ksets;
    report_.keys += kset.view.keys.size();
    report_.last_sequence = kset.view.stamp.sequence;
    report_.last_chunk = kset.chunk;
    return true;
  }

  void add(const format::Key& key, std::uint64_t sequence, std::size_t position) {
    const auto kind = static_cast<format::KeyKind>(key.kind);
    const bool dirty = sequence > volume_.tails.dirty_tail;
    ReplayKey to{.range = {Sector{key.sector}, SectorCount{key.sectors}}, .value = {}};
    switch (kind) {
      case format::KeyKind::data:
      case format::KeyKind::clean:
        to.erases = !judge_.is_current(key);
        report_.stale_keys += to.erases ? 1 : 0;
        to.value = {.place = Place{key.place},
                    .crc = key.crc,
                    .logged_sectors = static_cast<std::uint16_t>(key.sectors),
                    .dirty = dirty && kind == format::KeyKind::data};
        if (!to.erases) {
          last_data_.emplace_back(MediaOffset{key.place * format::place_bytes},
                                  ByteCount{key.sectors * format::place_bytes});
        }
        break;
      case format::KeyKind::zero:
        // Where the backing has them, a hole says the same.
        to.erases = !dirty;
        to.value = {
            .place = zero_stamp(sequence, position), .kind = ExtentKind::zero, .dirty = true};
        break;
      case format::KeyKind::invalidate:
        to.erases = true;
        break;
    }
    batch_.push_back(to);
  }

  void count_live(std::span<const ReplayKey> keys, std::uint64_t sequence) {
    for (const ReplayKey& key : keys) {
      if (key.erases || key.value.kind != ExtentKind::data) continue;
      if (key.value.dirty) cache_.commit().add_backlog(key.range.count);
      SegmentCounters& counters = counters_of(key.value.place);
      counters.live_sectors.fetch_add(static_cast<std::uint32_t>(key.range.count.value),
                                      std::memory_order_relaxed);
      counters.raise_sequence(sequence);
    }
  }
  [[nodiscard]] SegmentCounters& counters_of(Place place) const {
    const auto segment = device_.layout().segment_of({place.value * format::place_bytes});
    CHECK(segment.has_value());
    return device_.segments().counters(*segment);
  }

  [[nodiscard]] Result<void, CacheError> replay() {
    const auto on_displaced = [this](const Fragment& part) {
      if (part.value.kind != ExtentKind::data) return;
      counters_of(part.value.place)
          .live_sectors.fetch_sub(static_cast<std::uint32_t>(part.range.count.value),
                                  std::memory_order_relaxed);
    };
    if (!cache_.index().replay(batch_, on_displaced)) {
      return CacheError{CacheError::Kind::exhausted, {}, "there is no memory for the index"};
    }
    batch_.clear();
    return success();
  }

  [[nodiscard]] MediaOffset place_of(const ReadKset& kset) const {
    for (const LogChunk& chunk : device_.chunks_of(cache_.slot()).chunks) {
      if (chunk.ordinal == kset.chunk) return chunk.places[0] + ByteCount{kset.offset};
    }
    return {};
  }

  CacheDevice& device_;
  const CacheVolume& volume_;
  const KeyJudge judge_;
  VolumeCache& cache_;
  RecoveryReport& report_;
  std::vector<ReplayKey> batch_;
  std::vector<std::pair<MediaOffset, ByteCount>> last_data_;
};

// What a killed process has left unsettled may be the last kset of the log and, because its fence
// comes before it is logged, not its data; that is flushed all the same.
Result<void, PmemError> settle_accepted(CacheDevice& device, std::uint32_t slot,
                                        DurableWriter& writer, const LogEnd& end,
                                        const Replay& replay) {
  if (!GUARD("accepted end is settled")) return success();
  for (const auto& [place, bytes] : replay.last_data()) {
    const auto flushed = writer.flush(place, bytes);
    if (!flushed && flushed.error() != PmemError::media_error) return flushed.error();
  }
  return settle_log_end(writer, device.layout(), device.chunks_of(slot).chunks, end);
}

// The part of recovery that writes nothing.
Result<void, CacheError> read_log(CacheDevice& device, std::uint32_t slot, RecoveryReport& report,
                                  Replay& replay) {
  const CacheVolume& volume = device.volumes()[slot];
  if (volume.damaged) {
    report.entry_damage = true;
    return success();
  }
  report.last_sequence = volume.tails.key_tail;
  const LogView view{.volume = volume, .of = device.chunks_of(slot)};
  LogReader reader(device.region(), device.layout(), device.seal(), view,
                   LogReader::from_key_tail(volume.tails));
  TRY(replay.run(reader));
  report.notes = reader.notes();
  report.last_time_ms = reader.last_time_ms();
  // Where it is damaged, what lies before is served too.
  report.end_chunk = report.log_damage   ? report.log_damage->chunk
                     : report.key_damage ? report.key_damage->chunk
                                         : reader.end().chunk;
  return success();
}

}  // namespace

Result<RecoveredVolume, CacheError> read_volume(CacheDevice& device, std::uint32_t slot,
                                                IndexMemory& memory, const Clock& clock) {
  RecoveredVolume result{.cache = std::make_unique<VolumeCache>(device, slot, memory, clock),
                         .report = {}};
  Replay replay(device, slot, *result.cache, result.report);
  TRY(read_log(device, slot, result.report, replay));
  return result;
}

Result<RecoveredVolume, CacheError> recover_volume(CacheDevice& device, std::uint32_t slot,
                                                   IndexMemory& memory, const Clock& clock,
                                                   DurableWriter& writer) {
  RecoveredVolume result{.cache = std::make_unique<VolumeCache>(device, slot, memory, clock),
                         .report = {}};
  RecoveryReport& report = result.report;
  Replay replay(device, slot, *result.cache, report);
  TRY(read_log(device, slot, report, replay));
  if (report.entry_damage) return result;
  const auto settled = settle_accepted(device, slot, writer, {.chunk = report.end_chunk}, replay);
  if (!settled) return io_error(settled.error());
  // Also where nothing is written any more: write-back may go as far.
  result.cache->commit().start_at(report.last_sequence);
  if (report.damaged()) return result;
  const auto healed = heal_ksets(writer, device.region(), device.layout(), device.seal(),
                                 device.chunks_of(slot).chunks, report.notes);
  if (!healed) return io_error(healed.error());
  const auto opened = result.cache->open_log(writer, report.last_sequence, report.last_time_ms);
  if (!opened) report.not_opened = opened.error();
  if (!opened && opened.error().kind == CacheError::Kind::no_free_segment) {
    result.cache->wait_for_room();
  }
  return result;
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
