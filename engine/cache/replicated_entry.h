// Replicated entries: 64 bytes that lie on the device twice. docs/media-format.md, "Entries".
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "engine/cache/cache_layout.h"
#include "engine/cache/device_seal.h"
#include "engine/cache/durable_writer.h"
#include "engine/format/cache_format.h"

namespace engine {

// Any entry, before it is known or when it does not matter what it says.
struct RawEntry {
  format::EntryHeader header;
  std::array<std::byte, 48> body;
};
static_assert(sizeof(RawEntry) == format::entry_bytes && alignof(RawEntry) == 1);

enum class ReplicaState : std::uint8_t {
  good,
  unreadable,  // media error
  invalid,     // CRC, type or flags: torn, rotted, or never written
  older,       // good, and the other is newer
};

struct EntryReading {
  std::optional<RawEntry> value;  // the newest good one; nullopt: lost
  std::array<ReplicaState, 2> state{};
  bool contradicts = false;  // both good, of one sequence, and different: neither is the value

  [[nodiscard]] bool is_whole() const {
    return state[0] == ReplicaState::good && state[1] == ReplicaState::good && !contradicts;
  }
};

// What two replicas amount to. nullopt: unreadable.
[[nodiscard]] EntryReading judge_replicas(const DeviceSeal& seal, format::EntryType type,
                                          std::uint64_t position,
                                          const std::array<std::optional<RawEntry>, 2>& replicas);

// Writes one replica, settles, writes the other, settles: one is whole at every instant. Both must
// be equal before, as they are after open. An error leaves it open which of the two values counts.
[[nodiscard]] Result<void, PmemError> update_entry(DurableWriter& writer,
                                                   const CacheLayout::Places& places,
                                                   const RawEntry& entry);

// `entry` as the next version of one whose sequence was `sequence`, sealed.
template <class Entry>
[[nodiscard]] RawEntry next_entry(const DeviceSeal& seal, Entry entry, format::EntryType type,
                                  std::uint64_t position, std::uint64_t sequence) {
  entry.header.sequence = sequence + 1;
  seal.seal(entry, type, position);
  return std::bit_cast<RawEntry>(entry);
}

}  // namespace engine
