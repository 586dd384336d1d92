// VolumeLog: one volume's key log, for appending. docs/media-format.md, "Kset" and "Log chunk".
#pragma once

#include <array>
#include <atomic>
#include <boost/container/static_vector.hpp>
#include <cstdint>
#include <optional>
#include <span>

#include "engine/cache/cache_device.h"
#include "engine/cache/durable_writer.h"
#include "engine/foundation/clock.h"
#include "engine/foundation/result.h"
#include "engine/foundation/spin_lock.h"

namespace engine {

// Ksets go into the current chunk, one behind the other; a chunk without room for the next one is
// left for a spare. Room is promised at admission (reserve), so an append never lacks it.
//
// Accounting: a chunk counts for what it holds at worst, when the largest kset just does not fit
// at its end; what it held beyond that is added when it is left. A command is charged for a kset
// of its own, and what it shared or did not use is given back.
//
// reserve(), give_back() and add_spare(): any thread. Everything else: whoever holds the volume's
// commit lock.
//
// Invariants: at most one kset is not settled, the last; the current chunk's header is durable;
// sequences have no gap; no time is before the one before; available_ + what is promised = what
// chunks and spares count for.
class VolumeLog {
 public:
  static constexpr std::size_t most_spares = 16;
  // Chunks, spares among them, that a volume may have whatever its device is short of; with one
  // more, as it takes them one by one, every command gets through.
  static constexpr std::uint32_t few_chunks = 3;

  // Both outlive it. Not open yet.
  VolumeLog(CacheDevice& device, std::uint32_t slot, const Clock& clock);
  VolumeLog(const VolumeLog&) = delete;
  VolumeLog& operator=(const VolumeLog&) = delete;

  // Opens for writing behind kset `last`: a new epoch, a new chunk, and a spare if there is room.
  // Everything up to `last` is durable. Errors: no_free_segment, io, exhausted.
  [[nodiscard]] Result<void, CacheError> open(DurableWriter& writer, std::uint64_t last,
                                              std::uint64_t last_time_ms);

  enum class Purpose : std::uint8_t {
    command,
    relog,  // keeps what is there anyway: leaves a whole chunk to the others
    ahead,  // of commands that may come (TurnStock): leaves two
  };
  // Promises room for `bytes` of ksets, each of kset_bytes() of its keys; false: a spare is needed.
  [[nodiscard]] bool reserve(std::uint64_t bytes, Purpose purpose = Purpose::command);
  void give_back(std::uint64_t bytes) {
    available_.fetch_add(static_cast<std::int64_t>(bytes), std::memory_order_relaxed);
  }
  // Errors: no_free_segment (also when there are most_spares), io.
  [[nodiscard]] Result<void, CacheError> add_spare(DurableWriter& writer);

  // Gives the spares back, once nothing is appended any more. Error: io.
  [[nodiscard]] Result<void, CacheError> release_spares(DurableWriter& writer);

  // How many keys a kset may have that goes into the current chunk; 0: it is full.
  [[nodiscard]] std::size_t keys_that_fit() const;

  struct Appended {
    std::uint64_t sequence = 0;
    std::uint64_t bytes = 0;  // of the room that was promised
  };
  // Writes the next kset in both copies; the caller settles before he appends again, or tells
  // anybody. Takes a spare if the chunk has no room. Errors: io (the log cannot go on: what is on
  // the media now is for recovery to see), no_free_segment (more than was promised).
  [[nodiscard]] Result<Appended, CacheError> append(DurableWriter& writer,
                                                    std::span<const format::Key> keys);

  [[nodiscard]] std::uint64_t last_sequence() const { return last_sequence_; }
  [[nodiscard]] std::uint64_t last_time_ms() const { return last_time_ms_; }
  // The ordinal of a chunk that the next kset does not lie before: for the tails. Any thread.
  [[nodiscard]] std::uint64_t chunk_of_next() const {
    return ordinal_.load(std::memory_order_relaxed);
  }
  // Where the next kset goes, if it fits.
  [[nodiscard]] const ChunkPlaces& places() const { return places_; }
  [[nodiscard]] std::uint64_t offset() const { return offset_; }
  [[nodiscard]] std::size_t spares() const { return spare_count_.load(std::memory_order_relaxed); }
  // Chunks that the volume has, spares among them. Any thread.
  [[nodiscard]] std::size_t chunks() const {
    return chunk_count_.load(std::memory_order_relaxed) + spares();
  }
  // The oldest chunk is not the log's any more.
  void drop_chunk() { chunk_count_.fetch_sub(1, std::memory_order_relaxed); }

 private:
  [[nodiscard]] Result<void, CacheError> begin_chunk(DurableWriter& writer);
  [[nodiscard]] static std::uint64_t chunks_left_by(Purpose purpose);
  [[nodiscard]] std::uint64_t usable_bytes() const;
  [[nodiscard]] std::optional<ChunkPlaces> take_spare();

  CacheDevice& device_;
  const std::uint32_t slot_;
  const Clock& clock_;
  const std::uint32_t alignment_;
  const std::uint32_t chunk_bytes_;
  std::uint32_t tag_ = 0;
  std::uint64_t epoch_ = 0;

  ChunkPlaces places_;
  std::atomic<std::uint64_t> ordinal_{0};
  std::uint64_t offset_ = 0;
  std::uint64_t last_sequence_ = 0;
  std::uint64_t last_time_ms_ = 0;
  std::array<std::byte, largest_kset_bytes> space_;

  alignas(64) std::atomic<std::int64_t> available_{0};  // asked by everybody, all the time
  alignas(64) std::atomic<std::size_t> spare_count_{0};
  std::atomic<std::size_t> chunk_count_{0};  // that were begun
  SpinLock spares_lock_;                     // guards spares_; a leaf
  boost::container::static_vector<ChunkPlaces, most_spares> spares_;
};

}  // namespace engine
