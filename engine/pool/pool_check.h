// Looking at a pool without opening it: what it would refuse, told before anything is served.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "engine/pool/device_pool.h"
#include "engine/pool/file_pool.h"

namespace engine {

// Why `record` cannot become what is wished; nullopt if it can, or if the wish only has not
// followed an online grow (then it is served as it is). Kinds: shrink, block_size_changed,
// cache_missing.
[[nodiscard]] std::optional<PoolError> refusal_of(const VolumeRecord& record,
                                                  const VolumeWish& wish);
// Where a cache is missing: what the image is without it, as the marker beside it says.
void add_what_is_left(PoolError& refused, PoolDirectory& directory, const VolumeRecord& record);
// Of a volume that has had another name, and is there by neither.
[[nodiscard]] PoolError not_made_anew(const std::string& name, const std::string& was);
[[nodiscard]] PoolError shrink_error(ByteCount existing, ByteCount wished);
// What to tell of a volume that is served although `configured` says less.
[[nodiscard]] std::string larger_than_configured(ByteCount existing, ByteCount configured);
// The same of one whose configured blocks are others than a host's format has set.
[[nodiscard]] std::string blocks_by_host(BlockSize existing);

// What a pool's open() and ensure() would say, as far as reading alone can tell, and which volumes
// are larger than wished (kind shrink).
struct PoolFindings {
  std::optional<PoolError> pool;
  std::vector<MemberTrouble> members;             // device pool: of each path, and each member
  std::vector<std::optional<PoolError>> volumes;  // in the order of the wishes
  // In the same order: what the pool has of them; nullopt: nothing that is ready, or not known.
  std::vector<std::optional<VolumeRecord>> records;
  // And what their markers say; nullopt: none, or it cannot be read.
  std::vector<std::optional<BackingMark>> marks;
};
// Writes nothing, locks nothing: the pool may be served by another process meanwhile.
[[nodiscard]] PoolFindings inspect_file_pool(const std::string& directory,
                                             std::optional<Uuid> expected,
                                             std::span<const VolumeWish> wishes);

// A device pool as it is configured.
struct MembersWish {
  std::vector<std::string> paths;
  std::optional<Uuid> pool{};
  std::optional<format::MemberLayout> layout{};
  std::optional<ByteCount> chunk{};
};
// As inspect_file_pool(). A disk is opened for reading, and not claimed.
[[nodiscard]] PoolFindings inspect_device_pool(const MembersWish& configured,
                                               std::span<const VolumeWish> wishes);

}  // namespace engine
