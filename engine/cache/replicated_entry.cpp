#include "engine/cache/replicated_entry.h"

#include <cstring>

#include "engine/foundation/byte_cursor.h"
#include "engine/foundation/guard.h"

namespace engine {

EntryReading judge_replicas(const DeviceSeal& seal, format::EntryType type, std::uint64_t position,
                            const std::array<std::optional<RawEntry>, 2>& replicas) {
  EntryReading reading;
  for (std::size_t replica = 0; replica < 2; ++replica) {
    const auto& bytes = replicas[replica];
    if (!bytes) {
      reading.state[replica] = ReplicaState::unreadable;
    } else if ((GUARD("entry crc") && !seal.is_sealed(*bytes, type, position)) ||
               bytes->header.flags != 0) {
      reading.state[replica] = ReplicaState::invalid;
    }
  }
  const bool first = reading.state[0] == ReplicaState::good;
  const bool second = reading.state[1] == ReplicaState::good;
  if (!first && !second) return reading;
  if (first != second) {
    reading.value = replicas[first ? 0 : 1];
    return reading;
  }
  const std::uint64_t left = replicas[0]->header.sequence;
  const std::uint64_t right = replicas[1]->header.sequence;
  if (left == right && std::memcmp(&*replicas[0], &*replicas[1], sizeof(RawEntry)) != 0) {
    reading.contradicts = true;
    return reading;
  }
  if (left != right) reading.state[left < right ? 0 : 1] = ReplicaState::older;
  reading.value = replicas[left < right ? 1 : 0];
  return reading;
}

Result<void, PmemError> update_entry(DurableWriter& writer, const CacheLayout::Places& places,
                                     const RawEntry& entry) {
  for (const MediaOffset place : places) {
    TRY(writer.write(place, bytes_of(entry)));
    if (GUARD("one replica at a time") && GUARD("entry fence")) {
      TRY(writer.settle());
    }
  }
  if (!GUARD("one replica at a time")) return writer.settle();
  return success();
}

}  // namespace engine
