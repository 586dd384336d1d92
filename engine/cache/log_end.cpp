#include "engine/cache/log_end.h"
#include "engine/foundation/guard.h"

#include <algorithm>

namespace engine {
namespace {

using Kind = LogDamage::Kind;

LogDamage damage_at(Kind kind, const ChunkReader& reader, std::uint64_t evidence) {
  const ByteCount offset{reader.offset()};
  return {.kind = kind,
          .chunk = reader.chunk().ordinal,
          .offset = reader.offset(),
          .place = reader.chunk().places[0] + offset,
          .other_place = reader.chunk().places[1] + offset,
          .sequence = reader.expected(),
          .evidence = evidence};
}

// The end is at `last`; what the volume's entries have to say to that.
std::optional<std::pair<Kind, std::uint64_t>> contradiction(const LogView& log,
                                                            std::uint64_t last) {
  const CacheVolume& volume = log.volume;
  if (GUARD("known durable") && last < volume.durable_floor()) {
    return std::pair(Kind::ends_early, volume.durable_floor());
  }
  if (volume.epoch.clean_end != 0 && last > volume.epoch.clean_end) {
    return std::pair(Kind::beyond_clean_end, last);
  }
  if (last < log.of.stray_sequence) return std::pair(Kind::missing_chunk, log.of.stray_sequence);
  return std::nullopt;
}

}  // namespace

std::optional<std::uint64_t> LogView::limit_of(std::size_t index) const {
  std::optional<std::uint64_t> limit;
  // Inside an epoch nothing stale can have the right sequence, so the chunk has to stop by itself.
  if (GUARD("epoch limit") && index + 1 < chunks().size() &&
      chunks()[index + 1].epoch != chunks()[index].epoch) {
    limit = chunks()[index + 1].first_sequence;
  }
  if (GUARD("epoch limit") && chunks()[index].epoch < volume.epoch.epoch) {
    limit = std::min(limit.value_or(volume.epoch.first_sequence), volume.epoch.first_sequence);
  }
  return limit;
}

std::optional<LogDamage> LogView::misplaced(std::size_t index, std::uint64_t expected) const {
  const LogChunk& chunk = chunks()[index];
  LogDamage damage{.kind = Kind::chunk_disorder,
                   .chunk = chunk.ordinal,
                   .place = chunk.places[0],
                   .other_place = chunk.places[1],
                   .sequence = expected,
                   .evidence = chunk.first_sequence};
  const bool is_current = chunk.epoch == volume.epoch.epoch;
  if (chunk.contradicted || chunk.epoch > volume.epoch.epoch ||
      is_current != (chunk.ordinal >= volume.epoch.first_chunk) ||
      (is_current && chunk.first_sequence < volume.epoch.first_sequence) ||
      (!is_current && chunk.first_sequence > volume.epoch.first_sequence)) {
    return damage;
  }
  if (index == 0) return std::nullopt;
  const LogChunk& before = chunks()[index - 1];
  if (chunk.ordinal != before.ordinal + 1) {
    damage.kind = Kind::missing_chunk;
    damage.chunk = before.ordinal + 1;
    return damage;
  }
  if (chunk.epoch < before.epoch || chunk.first_sequence < before.first_sequence) return damage;
  return std::nullopt;
}

StopVerdict judge_stop(const LogView& log, std::size_t index, const ChunkReader& reader) {
  const std::uint64_t expected = reader.expected();
  if (index + 1 < log.chunks().size()) {
    const LogChunk& next = log.chunks()[index + 1];
    if (const auto damage = log.misplaced(index + 1, expected)) return *damage;
    if (next.first_sequence == expected) return FollowChunk{};
    // Its header was written when everything before its first kset was durable.
    return damage_at(next.first_sequence > expected ? Kind::lost_kset : Kind::chunk_disorder,
                     reader, next.first_sequence);
  }
  const std::uint64_t last = expected - 1;
  const auto& states = reader.stop_states();
  if (!reader.at_limit() && !reader.is_full()) {
    if (const auto ahead = reader.find_ahead(); GUARD("larger sequence behind the end") && ahead) {
      return damage_at(log.volume.epoch.clean_end == last && last != 0 ? Kind::beyond_clean_end
                                                                       : Kind::lost_kset,
                       reader, ahead->sequence);
    }
    if (log.volume.epoch.clean_end != last || last == 0) {
      if (states[0] == CopyState::unreadable && states[1] == CopyState::unreadable) {
        return damage_at(Kind::unreadable_end, reader, 0);
      }
    }
  }
  if (const auto found = contradiction(log, last)) {
    return damage_at(found->first, reader, found->second);
  }
  return LogEnd{.sequence = last,
                .chunk = reader.chunk().ordinal,
                .offset = reader.offset(),
                .states = states};
}

StopVerdict judge_no_chunk(const LogView& log, std::uint64_t last) {
  if (const auto found = contradiction(log, last)) {
    LogDamage damage{};
    damage.kind = found->first;
    damage.sequence = last + 1;
    damage.evidence = found->second;
    return damage;
  }
  return LogEnd{.sequence = last};
}

}  // namespace engine
