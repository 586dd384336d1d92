// CacheFinding: what opening a cache device found not as it should be, and what came of it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/foundation/units.h"

namespace engine {

// None of these ends the opening: what is lost is lost to one volume or one segment only.
struct CacheFinding {
  enum class Kind : std::uint8_t {
    // One replica or copy was bad and the other good: nothing is lost, the bad one is written
    // again.
    replica_unreadable,
    replica_invalid,
    replica_older,   // a change was under way when power failed
    header_missing,  // of one copy of a log chunk
    // Damage. `index` says whose.
    lost_entry,            // both replicas bad
    replicas_contradict,   // both valid, of one sequence, and different
    impossible_entry,      // valid, and says what cannot be
    duplicate_volume,      // two slots with one volume or one tag
    orphan_segment,        // of a tag that no slot has
    contradicting_chunks,  // two headers for one copy of a chunk, or copies that do not fit
                           // together
    chunk_gap,             // an ordinal between others is missing: `index` is the first missing
    chunk_disorder,        // epoch or sequence goes back from one chunk to the next
    stray_kset,  // in a place whose headers are gone, and it matters: kept; `index` is its sequence
    unknown_chunk,  // of a tag that no slot has, while a slot is lost: kept
  };
  enum class Subject : std::uint8_t { superblock, volume_entry, segment_entry, chunk };

  Kind kind = Kind::lost_entry;
  Subject subject = Subject::superblock;
  MediaOffset place;        // of the bad replica or copy; of the first one if both are
  std::uint64_t index = 0;  // volume slot, segment, or the chunk's ordinal
  std::uint32_t tag = 0;    // chunk, orphan: of the volume

  // Its kind as a word for scripts: "replica_older".
  [[nodiscard]] const char* name() const;
  [[nodiscard]] bool is_damage() const { return kind >= Kind::lost_entry; }
  // A sentence: what, where, and what follows.
  [[nodiscard]] std::string text() const;
  friend bool operator==(const CacheFinding&, const CacheFinding&) = default;
};

using CacheFindings = std::vector<CacheFinding>;

}  // namespace engine
