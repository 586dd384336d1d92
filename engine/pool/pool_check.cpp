#include "engine/pool/pool_check.h"

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
  if (wish.size < record.size) {
    return PoolError{Kind::shrink,
                     size_text(wish.size) + " is smaller than the existing " +
                         size_text(record.size) +
                         "; shrinking is refused. (To serve less, make a new volume.)"};
  }
  return std::nullopt;
}

PoolFindings inspect_file_pool(const std::string& directory, std::optional<Uuid> expected,
                               std::span<const VolumeWish> wishes) {
  PoolFindings findings;
  findings.volumes.resize(wishes.size());
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
    if (record != nullptr && record->ready) findings.volumes[at] = refusal_of(*record, wishes[at]);
  }
  return findings;
}

}  // namespace engine
