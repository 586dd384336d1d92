#include "engine/pool/pool_check.h"

#include "engine/pool/marker_file.h"
#include "engine/pool/pool_files.h"

namespace engine {

using Kind = PoolError::Kind;

std::optional<PoolError> refusal_of(const VolumeRecord& record, const VolumeWish& wish) {
  if (record.block_size != wish.block_size) {
    return PoolError{Kind::block_size_changed,
                     std::to_string(wish.block_size.bytes) + " is not the existing " +
                         std::to_string(record.block_size.bytes) +
                         "; the block size of a volume cannot be changed. (Make a new volume.)"};
  }
  if (!wish.is_cached && judge(record.cache, {}, {}) == CacheVerdict::cache_missing) {
    return PoolError{Kind::cache_missing,
                     "cache device " + record.cache.device.text() +
                         " holds writes that the image lacks, and is not configured here; bring it "
                         "back. (Nothing is served without them. If they are lost: forebayctl "
                         "abandon " +
                         record.name + " --cache " + record.cache.device.text() + ".)"};
  }
  const bool lags_behind = record.configured.value != 0 && wish.size >= record.configured;
  if (wish.size < record.size && !lags_behind) return shrink_error(record.size, wish.size);
  return std::nullopt;
}

void add_what_is_left(PoolError& refused, PoolDirectory& directory, const VolumeRecord& record) {
  if (refused.kind != Kind::cache_missing) return;
  const auto marker = read_marker(directory, record.image, record.uuid);
  if (!marker || !marker.value()) return;
  refused.text += " The volume is then " + what_is_left(marker.value()->mark, record.cache.device);
}

PoolError shrink_error(ByteCount existing, ByteCount wished) {
  return {Kind::shrink, size_text(wished) + " is smaller than the existing " + size_text(existing) +
                            "; shrinking is refused. (To serve less, make a new volume.)"};
}

std::string larger_than_configured(ByteCount existing, ByteCount configured) {
  return "the configured " + size_text(configured) + " is smaller than the existing " +
         size_text(existing) +
         ", which is served; shrinking is refused. Write size: " + size_text(existing) +
         " into the configuration. (To serve less, make a new volume.)";
}

PoolFindings inspect_file_pool(const std::string& directory, std::optional<Uuid> expected,
                               std::span<const VolumeWish> wishes) {
  PoolFindings findings;
  findings.volumes.resize(wishes.size());
  findings.records.resize(wishes.size());
  findings.marks.resize(wishes.size());
  auto opened = open_pool_directory(directory);
  if (!opened) {
    findings.pool = pool_opening_error(directory, opened.error());
    return findings;
  }
  PoolDirectory& place = *opened.value();
  const auto label = read_pool_label(place, expected);
  if (!label) {
    findings.pool = label.error();
    return findings;
  }
  auto table = peek_volume_table(place, label.value().pool_uuid);
  if (!table) {
    findings.pool = table.error();
    return findings;
  }
  for (std::size_t at = 0; at < wishes.size(); ++at) {
    const VolumeRecord* record = table.value().find(wishes[at].name);
    if (record == nullptr || !record->ready) continue;
    const ByteCount wished = wishes[at].size;
    findings.records[at] = *record;
    findings.volumes[at] = refusal_of(*record, wishes[at]);
    if (findings.volumes[at]) add_what_is_left(*findings.volumes[at], place, *record);
    if (const auto marker = read_marker(place, record->image, record->uuid);
        marker && marker.value()) {
      findings.marks[at] = marker.value()->mark;
    }
    if (!findings.volumes[at] && wished < record->size) {
      findings.volumes[at] = PoolError{Kind::shrink, larger_than_configured(record->size, wished)};
    }
  }
  return findings;
}

}  // namespace engine
