#include "engine/cache/recovery.h"

#include <algorithm>
#include <utility>

#include "engine/cache/log_heal.h"
#include "engine/foundation/check.h"
#include "engine/foundation/guard.h"

namespace engine {
namespace {

constexpr std::size_t replay_keys = 128 * 1024;  // sorted and replayed at once
constexpr std::uint64_t most_sectors = StripeSlot::most_stripes * stripe_sectors;

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
        limits_(device.key_limits(slot)),
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
      KeyDamage damage = judge(kset.view.keys[at], kset.view.stamp.sequence);
      if (damage.fault == KeyFault::none && !damage.stale) {
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
    return true;
  }

  [[nodiscard]] KeyDamage judge(const format::Key& key, std::uint64_t sequence) const {
    KeyDamage damage;
    damage.fault = check_key(key, limits_);
    if (damage.fault != KeyFault::none) return damage;
    const bool placed = has_place(static_cast<format::KeyKind>(key.kind));
    // What the index has no bits for.
    if ((placed && key.sectors > largest_extent_sectors) ||
        key.sector + key.sectors > most_sectors) {
      damage.fault = KeyFault::bad_length;
    }
    damage.stale = placed && sequence > volume_.tails.dirty_tail && !is_current(key);
    return damage;
  }
  [[nodiscard]] bool is_current(const format::Key& key) const {
    const auto segment = device_.layout().segment_of({key.place * format::place_bytes});
    return !GUARD("generation") ||
           device_.segments().is_current(*segment, volume_.identity.tag, key.generation);
  }

  void add(const format::Key& key, std::uint64_t sequence, std::size_t position) {
    const auto kind = static_cast<format::KeyKind>(key.kind);
    const bool dirty = sequence > volume_.tails.dirty_tail;
    ReplayKey to{.range = {Sector{key.sector}, SectorCount{key.sectors}}, .value = {}};
    switch (kind) {
      case format::KeyKind::data:
      case format::KeyKind::clean:
        to.erases = !is_current(key);
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
  const KeyLimits limits_;
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

// Writes copies again that the other one was read in place of. What cannot be healed stays.
Result<void, PmemError> heal(CacheDevice& device, std::uint32_t slot, DurableWriter& writer,
                             const std::vector<LogNote>& notes) {
  bool any = false;
  for (const LogNote& note : notes) {
    if (note.kind != LogNote::Kind::healed) continue;
    const auto& chunks = device.chunks_of(slot).chunks;
    const auto chunk = std::ranges::find(chunks, note.chunk, &LogChunk::ordinal);
    if (chunk == chunks.end()) continue;
    const auto healed =
        heal_kset(writer, device.region(), device.layout(), device.seal(), *chunk, note);
    if (!healed && healed.error() != PmemError::media_error) return healed.error();
    any = true;
  }
  return any ? writer.settle() : success();
}

}  // namespace

std::string KeyDamage::text() const {
  return "key " + std::to_string(key) + " of kset " + std::to_string(sequence) + " in log chunk " +
         std::to_string(chunk) + " at " + std::to_string(place.value) +
         (stale ? " names a segment that is somebody else's by now, but was not written back"
                : " says something impossible (" + std::to_string(static_cast<unsigned>(fault)) +
                      ")") +
         "; nothing from there on is read";
}

Result<RecoveredVolume, CacheError> recover_volume(CacheDevice& device, std::uint32_t slot,
                                                   IndexMemory& memory, const Clock& clock,
                                                   DurableWriter& writer) {
  const CacheVolume& volume = device.volumes()[slot];
  RecoveredVolume result{.cache = std::make_unique<VolumeCache>(device, slot, memory, clock),
                         .report = {}};
  RecoveryReport& report = result.report;
  if (volume.damaged) {
    report.entry_damage = true;
    return result;
  }
  report.last_sequence = volume.tails.key_tail;
  const LogView view{.volume = volume, .of = device.chunks_of(slot)};
  LogReader reader(device.region(), device.layout(), device.seal(), view,
                   LogReader::from_key_tail(volume.tails));
  Replay replay(device, slot, *result.cache, report);
  TRY(replay.run(reader));
  report.notes = reader.notes();
  // Where it is damaged, what lies before is served too.
  const std::uint64_t end_chunk = report.log_damage   ? report.log_damage->chunk
                                  : report.key_damage ? report.key_damage->chunk
                                                      : reader.end().chunk;
  const auto settled = settle_accepted(device, slot, writer, {.chunk = end_chunk}, replay);
  if (!settled) return io_error(settled.error());
  // Also where nothing is written any more: write-back may go as far.
  result.cache->commit().start_at(report.last_sequence);
  if (report.damaged()) return result;
  const auto healed = heal(device, slot, writer, report.notes);
  if (!healed) return io_error(healed.error());
  const auto opened = result.cache->open_log(writer, report.last_sequence, reader.last_time_ms());
  if (!opened) report.not_opened = opened.error();
  return result;
}

Result<std::uint32_t, CacheError> free_unnamed_segments(CacheDevice& device, DurableWriter& writer,
                                                        std::span<VolumeCache* const> volumes) {
  SegmentTable& segments = device.segments();
  std::uint32_t freed = 0;
  for (std::uint32_t segment = 0; segment < segments.count(); ++segment) {
    const SegmentInfo info = segments.info(segment);
    const SegmentCounters& counters = segments.counters(segment);
    if (info.lost || info.use != format::SegmentUse::data || counters.open ||
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
