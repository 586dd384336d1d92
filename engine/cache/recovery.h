// Recovery: a volume's log becomes its index again. docs/recovery.md.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "engine/cache/key_damage.h"
#include "engine/cache/log_reader.h"
#include "engine/cache/volume_cache.h"
#include "engine/foundation/parallel_tasks.h"

namespace engine {

struct RecoveryReport {
  std::uint64_t last_sequence = 0;  // of the last kset that counts
  std::uint64_t last_chunk = 0;     // ordinal of the chunk that it was read in; 0: none was read
  std::uint64_t last_time_ms = 0;   // of the last kset read; 0 before the first
  std::uint64_t end_chunk = 0;      // ordinal of the chunk that reading ended in; 0: none
  std::uint64_t ksets = 0;
  std::uint64_t keys = 0;
  std::uint64_t stale_keys = 0;  // replayed as invalidations
  std::vector<LogNote> notes;
  // Why the volume is read-only, as it was at `last_sequence`; one of these or none.
  std::optional<LogDamage> log_damage;
  std::optional<KeyDamage> key_damage;
  bool entry_damage = false;             // its slot in the volume table: nothing was read
  std::optional<CacheError> not_opened;  // the log is whole, but cannot be opened for writing

  [[nodiscard]] bool damaged() const { return log_damage || key_damage || entry_damage; }
};

struct RecoveredVolume {
  std::unique_ptr<VolumeCache> cache;  // writable, or read-only with the reason in the report
  RecoveryReport report;
  // Where the data lies that the last kset names; of use to finish_recovery() alone.
  std::vector<std::pair<MediaOffset, ByteCount>> last_data{};
};

// Recovery has two halves. The first reads the log of a volume from K to its legal end, or to the
// first damage, rebuilds the index, and gives segments their counts. It writes nothing: the device
// may be opened with either access, and what comes back can be read. Any thread, several volumes
// beside each other, while others are served; nobody uses or changes this one meanwhile. `tasks`
// does the parts of it. All outlive what is returned. Errors: exhausted (no memory for the index),
// given_up.
[[nodiscard]] Result<RecoveredVolume, CacheError> read_volume(CacheDevice& device,
                                                              std::uint32_t slot,
                                                              IndexMemory& memory,
                                                              const Clock& clock,
                                                              ParallelTasks& tasks);
// The second makes what was accepted durable, and opens the log for writing; of a damaged volume
// only the first of that. Any thread with a writer of its own; in page granularity before
// PageCommitter::start(), in a CommitTask, or between two of its steps. Error: io (what was
// accepted cannot be made durable).
[[nodiscard]] Result<void, CacheError> finish_recovery(RecoveredVolume& volume,
                                                       DurableWriter& writer);

// Both, by the calling thread alone.
[[nodiscard]] Result<RecoveredVolume, CacheError> recover_volume(CacheDevice& device,
                                                                 std::uint32_t slot,
                                                                 IndexMemory& memory,
                                                                 const Clock& clock,
                                                                 DurableWriter& writer);

// Frees data segments that no key names: they were allocated or emptied, and not used before the
// crash. After all volumes of the device are recovered, before any of them is written to; segments
// of volumes that are not writable are kept. Error: io.
[[nodiscard]] Result<std::uint32_t, CacheError> free_unnamed_segments(
    CacheDevice& device, DurableWriter& writer, std::span<VolumeCache* const> volumes);

}  // namespace engine
