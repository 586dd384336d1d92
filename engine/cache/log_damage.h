// LogDamage: why a volume's log cannot be read on, and LogNote: what was read in spite of
// something.
#pragma once

#include <cstdint>
#include <string>

#include "engine/foundation/units.h"

namespace engine {

// One copy of a kset, as the reader found it where the next kset belongs.
enum class CopyState : std::uint8_t {
  good,
  invalid,     // nothing, torn, rotted, or of an earlier life of this place
  unreadable,  // media error
};

// The log is read up to the kset before `sequence`; nothing behind it is believed. The volume is
// served read-only as it was then, or not at all, until somebody decides.
struct LogDamage {
  enum class Kind : std::uint8_t {
    missing_chunk,     // neither header of a chunk that must be there can be found
    chunk_disorder,    // headers that cannot follow each other
    lost_kset,         // both copies bad, and the log demonstrably goes on behind: `evidence`
    unreadable_end,    // both copies unreadable where the log may end: nobody knows whether it does
    ends_early,        // no more ksets, but up to `evidence` all were durable once
    beyond_clean_end,  // ksets behind the end that a clean stop recorded: `evidence` is one of them
    copies_differ,     // both copies whole, and not the same
    time_went_back,    // a kset older than the one before it
  };
  Kind kind = Kind::lost_kset;
  std::uint64_t chunk = 0;     // ordinal; 0: the log has no chunk there
  std::uint64_t offset = 0;    // in the chunk
  MediaOffset place;           // on the device, of copy 0
  MediaOffset other_place;     // of copy 1
  std::uint64_t sequence = 0;  // the first that is not read
  std::uint64_t evidence = 0;  // a sequence, see above; else 0

  // Its kind as a word for scripts: "lost_kset".
  [[nodiscard]] const char* name() const;
  // A sentence: what, where, and what follows.
  [[nodiscard]] std::string text() const;
  friend bool operator==(const LogDamage&, const LogDamage&) = default;
};

// Nothing is lost; one copy is bad and can be written again, or a kset that no longer matters is.
struct LogNote {
  enum class Kind : std::uint8_t {
    healed,             // read from the other copy
    unreadable_at_end,  // one copy cannot be read where the log ends; the other shows the end
    forgotten_damage,   // both copies bad, of a kset that was forgotten already
  };
  Kind kind = Kind::healed;
  std::uint64_t chunk = 0;  // ordinal
  std::uint64_t offset = 0;
  std::uint64_t length = 0;    // healed: of the kset, padded
  std::uint64_t sequence = 0;  // of the kset
  std::uint8_t copy = 0;       // the bad one
  CopyState state = CopyState::invalid;

  [[nodiscard]] const char* name() const;  // as above: "bad_kset_copy"
  [[nodiscard]] std::string text() const;
  friend bool operator==(const LogNote&, const LogNote&) = default;
};

}  // namespace engine
