// BatchJournal: writes a batch of write-back to the journal beside the backing, as large sequential
// frames.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "engine/cache/write_back_batch.h"
#include "engine/media/backing_journal.h"

namespace engine {

// Of write-back's home lane, on that thread. Everything of the batch is copied once, in address
// order, into buffers of its own, on its way to the disk: so frames are whole and aligned however
// small and scattered its pieces are.
//
// Invariants: what the mark that stands needs is not overwritten; once a batch is written, all of
// it is durable.
class BatchJournal {
 public:
  // Of data that a batch should have at most, so that what the journal has from the beginning is
  // enough.
  static constexpr ByteCount most_data = 64_MiB;
  static constexpr ByteCount usual_frame = 256_KiB;

  // All outlive it. `told` runs whenever something has ended, and go_on() has something to do.
  // `frame`: the largest, with its head; in whole blocks of 4 KiB, more than one.
  BatchJournal(BackingJournal& journal, const PmemRegion& region, IoLane& lane,
               std::function<void()> told, ByteCount frame = usual_frame);
  BatchJournal(const BatchJournal&) = delete;
  BatchJournal& operator=(const BatchJournal&) = delete;
  // Nothing is in flight.
  ~BatchJournal();

  // Begins with a batch, which is prepared and stays until it has ended; nothing may be in flight.
  // `mark`: what will be said of it. `keep`: what may count still.
  void begin(const WriteBackBatch& batch, const BackingMark& mark, const JournalPlace& keep);
  enum class State : std::uint8_t {
    writing,
    written,  // durable
    failed,   // see error(); nothing is in flight
  };
  // What can be done now.
  [[nodiscard]] State go_on();

  // That makes the batch count, once it is written.
  [[nodiscard]] const BackingMark& mark() const { return mark_; }
  [[nodiscard]] const std::string& error() const { return error_; }
  [[nodiscard]] std::size_t in_flight() const { return in_flight_; }

 private:
  // How far the batch has been taken apart.
  struct Position {
    std::size_t piece = 0;
    SectorCount done;  // of that piece
  };
  // What goes into one frame.
  struct Part {
    std::uint32_t key = 0;  // of the batch
    SectorRange range{};
  };
  struct Slot {
    JournalIo io;
    BufferLease space;
    std::vector<JournalPiece> pieces;
    BatchJournal* owner = nullptr;
    bool in_use = false;
  };

  [[nodiscard]] std::vector<Part> next_frame(Position& position) const;
  [[nodiscard]] ByteCount frame_bytes(const std::vector<Part>& parts) const;
  [[nodiscard]] bool has_space();
  [[nodiscard]] bool fill(Slot& slot);
  void submit(Slot& slot);
  void sync();

  BackingJournal& journal_;
  const PmemRegion& region_;
  IoLane& lane_;
  const std::function<void()> told_;
  const ByteCount frame_;
  std::array<Slot, 2> slots_;  // their space stays once it is there: write-back must get on
  Slot sync_;

  const WriteBackBatch* batch_ = nullptr;
  BackingMark mark_;
  Position position_;
  MediaOffset place_;  // of the next frame
  std::uint32_t number_ = 0;
  std::uint32_t count_ = 0;
  bool is_synced_ = false;
  std::size_t in_flight_ = 0;
  std::string error_;  // the first
};

}  // namespace engine
