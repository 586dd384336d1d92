// BackingJournal: holds batches of write-back beside a backing, so that it and the backing together
// are at one past moment also while a batch is on its way. The seam between write-back and wherever
// a pool keeps that, with a simulated twin (tests/crash).
#pragma once

#include <cstdint>
#include <span>

#include "engine/media/backing_device.h"
#include "engine/media/backing_marker.h"
#include "engine/media/io_lane.h"

namespace engine {

// A part of a batch: what a range of the backing is to hold. In whole sectors of 512 bytes.
struct JournalPiece {
  enum class Kind : std::uint8_t {
    data = 1,
    zeros = 2,
  };
  Kind kind = Kind::data;
  MediaOffset offset;
  ByteCount length;
  friend bool operator==(const JournalPiece&, const JournalPiece&) = default;
};

// Which of a batch's frames: they lie one behind the other, from mark.journal.offset on.
struct JournalFrame {
  // The blocks that the journal itself needs of each.
  static constexpr ByteCount head = 4_KiB;
  static constexpr std::size_t most_pieces = 240;
  BackingMark mark;  // that makes the batch count: journalled
  std::uint32_t number = 0;
  std::uint32_t count = 1;  // of all frames of the batch
  friend bool operator==(const JournalFrame&, const JournalFrame&) = default;
};

// One operation; owned by the caller, untouched by it until `done` runs.
struct JournalIo {
  enum class Kind : std::uint8_t {
    write,  // of one frame
    sync,   // what was written, and had ended, is durable
  };
  Kind kind = Kind::write;
  JournalFrame frame{};
  MediaOffset place{};                     // of the frame in the journal
  std::span<const JournalPiece> pieces{};  // at most JournalFrame::most_pieces
  std::span<std::byte> buffer{};  // 4096-aligned, whole blocks: the head, which the journal
                                  // fills, then the data of all pieces, then zeros
  void (*done)(JournalIo& io, IoStatus status) noexcept = nullptr;  // on the lane's thread
  void* context = nullptr;                                          // the caller's own

  // The journal's own state while the operation is under way.
  FileOperation file{};
};

class BackingJournal {
 public:
  BackingJournal() = default;
  BackingJournal(const BackingJournal&) = delete;
  BackingJournal& operator=(const BackingJournal&) = delete;
  // Nothing may be in flight.
  virtual ~BackingJournal() = default;

  // Starts `io`, on one lane; grows where it must. A failure is not final: whoever writes all of a
  // batch again, and syncs it, may believe the answer.
  virtual void submit(IoLane& lane, JournalIo& io) = 0;
};

}  // namespace engine
