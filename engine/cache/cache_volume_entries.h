// The four entries of a volume's slot: from and to the structs of cache_format.h. Pure.
#pragma once

#include <optional>

#include "engine/cache/cache_volume_table.h"
#include "engine/format/cache_format.h"

namespace engine {

// The entry without sequence and seal.
[[nodiscard]] format::VolumeIdentityEntry encode_entry(const CacheVolumeIdentity& identity);
[[nodiscard]] format::VolumeEpochEntry encode_entry(const LogEpoch& epoch);
[[nodiscard]] format::VolumeTailsEntry encode_entry(const LogTails& tails);
[[nodiscard]] format::VolumeBindingEntry encode_entry(const CacheVolumeBinding& binding);

// nullopt: it says what cannot be. A free slot's identity says no more than its tag.
[[nodiscard]] std::optional<CacheVolumeIdentity> decode_entry(
    const format::VolumeIdentityEntry& entry);
[[nodiscard]] std::optional<LogEpoch> decode_entry(const format::VolumeEpochEntry& entry);
[[nodiscard]] std::optional<LogTails> decode_entry(const format::VolumeTailsEntry& entry);
[[nodiscard]] std::optional<CacheVolumeBinding> decode_entry(
    const format::VolumeBindingEntry& entry);

// What each must satisfy by itself: checked before it is written and after it is read.
[[nodiscard]] bool is_possible(const CacheVolumeIdentity& identity);
[[nodiscard]] bool is_possible(const LogEpoch& epoch);
[[nodiscard]] bool is_possible(const LogTails& tails);
[[nodiscard]] bool is_possible(const CacheVolumeBinding& binding);

}  // namespace engine
