// BackingMarker: says beside a backing which past moment of its volume it holds by itself. The seam
// between write-back and wherever a pool keeps that, with a simulated twin (tests/sim).
#pragma once

#include <cstdint>
#include <optional>

#include "engine/foundation/uuid.h"
#include "engine/media/backing_device.h"
#include "engine/media/io_lane.h"

namespace engine {

// Where in the journal beside the backing a batch lies, in whole blocks of 4 KiB.
struct JournalPlace {
  MediaOffset offset;
  ByteCount bytes;          // 0: there is none
  std::uint64_t epoch = 0;  // of the cache's attachment
  [[nodiscard]] MediaOffset end() const { return offset + bytes; }
  friend bool operator==(const JournalPlace&, const JournalPlace&) = default;
};

// What of the volume only its cache had, as it was last written down: it may be more by now.
struct BacklogNote {
  ByteCount bytes;            // of data that the backing lacked; newer over older counted twice
  ByteCount journalled;       // those of them that the journal has
  std::uint64_t time_ms = 0;  // since 1970-01-01 UTC: when it was so
  friend bool operator==(const BacklogNote&, const BacklogNote&) = default;
};

// Invariants: from <= to; clean: from = to, and so are the times; a journal if journalled, else
// none, and nothing of the backlog in it.
struct BackingMark {
  enum class State : std::uint8_t {
    clean = 1,        // the backing is the volume as it was after kset `to`
    in_progress = 2,  // it was that after `from`; some of what leads to `to` may be on it besides
    journalled = 3,   // the same, and with what is in the journal it is as it was after `to`
  };
  State state = State::clean;
  Uuid volume;
  Uuid cache;  // the cache device whose log the sequences are of
  std::uint64_t from = 0;
  std::uint64_t to = 0;
  std::uint64_t from_time_ms = 0;  // since 1970-01-01 UTC; 0: as the volume was without its cache
  std::uint64_t to_time_ms = 0;
  JournalPlace journal{};
  std::optional<BacklogNote> backlog{};  // nullopt: nobody has written it down
  friend bool operator==(const BackingMark&, const BackingMark&) = default;
};

// One change of the marker; owned by the caller, untouched by it until `done` runs.
struct MarkerWrite {
  BackingMark mark;
  // On the lane's thread; may run inside write() (simulation). `ok`: durable. Anything else: what
  // is read later is the mark before or this one.
  void (*done)(MarkerWrite& write, IoStatus status) noexcept = nullptr;
  void* context = nullptr;  // the caller's own
};

class BackingMarker {
 public:
  BackingMarker() = default;
  BackingMarker(const BackingMarker&) = delete;
  BackingMarker& operator=(const BackingMarker&) = delete;
  // Nothing may be in flight.
  virtual ~BackingMarker() = default;

  // Replaces the mark, so that a crash leaves the one before or this one, and no single bad place
  // of the medium brings an older one back. One at a time, on one lane.
  virtual void write(IoLane& lane, MarkerWrite& write) = 0;
  // As it was found when it was opened, or the last that has been written with success. When a
  // write has failed since, that one may be read later instead.
  [[nodiscard]] virtual const BackingMark& stands() const = 0;
};

}  // namespace engine
