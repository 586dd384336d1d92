#include "engine/cache/log_cut.h"

#include <algorithm>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "engine/foundation/guard.h"

namespace engine {
namespace {

// How far a log can be followed.
struct Reach {
  std::uint64_t last = 0;
  std::uint64_t chunk = 0;  // that `last` was read in; 0: nothing was read
  bool damaged = false;
};

Reach read_from_dirty_tail(CacheDevice& device, std::uint32_t slot) {
  const CacheVolume& volume = device.volumes()[slot];
  const LogView view{.volume = volume, .of = device.chunks_of(slot)};
  LogReader reader(device.region(), device.layout(), device.seal(), view,
                   LogReader::from_dirty_tail(volume.tails));
  const KeyJudge judge(device, slot);
  Reach reach{.last = volume.tails.dirty_tail};
  for (;;) {
    const auto next = reader.next();
    reach.damaged = !next;
    if (!next || !next.value()) return reach;
    const KsetView& kset = next.value()->view;
    const auto is_bad = [&](const format::Key& key) {
      return judge.judge(key, kset.stamp.sequence).any();
    };
    if (std::ranges::any_of(kset.keys, is_bad)) {
      reach.damaged = true;
      return reach;
    }
    reach.last = kset.stamp.sequence;
    reach.chunk = next.value()->chunk;
  }
}

// Adds up what can still be read behind the cut.
void count_lost(CacheDevice& device, std::uint32_t slot, LogCut& cut) {
  ChunkReader reader(device.region(), device.layout(), device.seal());
  for (const LogChunk& chunk : device.chunks_of(slot).chunks) {
    if (chunk.ordinal < cut.keep_chunk) continue;
    reader.start(chunk, std::nullopt);
    for (;;) {
      const auto next = reader.next();
      if (!next) break;  // two whole copies that differ: neither is believed
      if (!next.value()) {
        const auto ahead = reader.find_ahead();
        if (!ahead) break;
        reader.skip_to(*ahead);
        continue;
      }
      const KsetView& kset = next.value()->view;
      if (kset.stamp.sequence <= cut.last) continue;
      ++cut.whole_ksets;
      cut.known_to = std::max(cut.known_to, kset.stamp.sequence);
      for (const format::Key& key : kset.keys) {
        const auto kind = static_cast<format::KeyKind>(key.kind);
        if (kind != format::KeyKind::data && kind != format::KeyKind::zero) continue;
        cut.whole_bytes = cut.whole_bytes + ByteCount{key.sectors * format::place_bytes};
      }
    }
  }
}

CacheError io_error(PmemError error, MediaOffset place) {
  return {CacheError::Kind::io, place,
          std::string("the log cannot be cut, try again: ") + text(error)};
}

// Takes header and first kset from every chunk of the volume behind the last that stays, also from
// those that contradict others.
Result<void, CacheError> erase_chunks(CacheDevice& device, DurableWriter& writer, std::uint32_t tag,
                                      std::uint64_t keep_chunk) {
  const CacheLayout& layout = device.layout();
  constexpr std::uint64_t page = PmemRegion::page_bytes;
  const std::vector<std::byte> zeros((layout.first_kset() / page + 1) * page);
  for (std::uint32_t segment = 0; segment < layout.segment_count; ++segment) {
    const SegmentInfo info = device.segments().info(segment);
    if (info.use != format::SegmentUse::log || info.lost) continue;
    for (const auto& [chunk, copy] :
         chunk_headers_in(layout, device.seal(), device.region(), segment)) {
      if (chunk.volume_tag != tag || chunk.ordinal <= keep_chunk ||
          chunk.generations[copy] != static_cast<std::uint32_t>(info.generation)) {
        continue;
      }
      const MediaOffset place = chunk.places[copy];
      const auto written = writer.write(place, zeros);
      if (!written) return io_error(written.error(), place);
    }
  }
  if (!GUARD("erased chunks are settled")) return success();
  const auto settled = writer.settle();
  if (!settled) return io_error(settled.error(), {});
  return success();
}

}  // namespace

Result<LogCut, CacheError> plan_log_cut(CacheDevice& device, std::uint32_t slot,
                                        const RecoveryReport& report) {
  const CacheVolume& volume = device.volumes()[slot];
  LogCut cut;
  cut.epoch = volume.epoch;
  cut.tails = volume.tails;
  Reach reach{.last = report.last_sequence, .chunk = report.last_chunk, .damaged = true};
  const std::uint64_t dirty_tail = volume.tails.dirty_tail;
  if (reach.last < dirty_tail) {
    // Without what lies between, what lies before would be served although it is older.
    reach = read_from_dirty_tail(device, slot);
    cut.tails.key_tail = dirty_tail;
    cut.tails.key_tail_chunk = cut.tails.dirty_tail_chunk;
  }
  cut.last = reach.last;
  cut.only_forgets = !reach.damaged;
  if (cut.only_forgets) return cut;
  cut.keep_chunk = reach.chunk != 0 ? reach.chunk : cut.tails.key_tail_chunk - 1;
  constexpr auto most = std::numeric_limits<std::uint64_t>::max();
  if (cut.keep_chunk == most || cut.last == most || volume.epoch.epoch == most) {
    return CacheError{
        CacheError::Kind::exhausted, {}, "the log cannot go on: its numbers are used"};
  }
  cut.tails.key_tail_chunk = std::min(cut.tails.key_tail_chunk, cut.keep_chunk + 1);
  cut.tails.dirty_tail_chunk = std::min(cut.tails.dirty_tail_chunk, cut.keep_chunk + 1);
  if (cut.tails.writeback_target > cut.last) {
    cut.torn_batch = cut.tails.writeback_target;
    cut.tails.writeback_target = cut.last > dirty_tail ? cut.last : 0;
  }
  cut.epoch = {.epoch = volume.epoch.epoch + 1,
               .first_sequence = cut.last + 1,
               .first_chunk = cut.keep_chunk + 1,
               .known_durable = cut.last,
               .clean_end = 0};
  cut.known_to = std::max({volume.durable_floor(), device.chunks_of(slot).stray_sequence,
                           report.log_damage ? report.log_damage->evidence : 0,
                           report.key_damage ? report.key_damage->sequence : 0});
  count_lost(device, slot, cut);
  return cut;
}

Result<void, CacheError> cut_log(CacheDevice& device, DurableWriter& writer, std::uint32_t slot,
                                 const LogCut& cut) {
  TRY(device.volumes().replace_tails(writer, slot, cut.tails));
  if (cut.only_forgets) return success();
  // While chunks of the old epoch stand behind it, the new one only makes the damage another.
  TRY(device.volumes().replace_epoch(writer, slot, cut.epoch));
  return erase_chunks(device, writer, device.volumes()[slot].identity.tag, cut.keep_chunk);
}

}  // namespace engine
