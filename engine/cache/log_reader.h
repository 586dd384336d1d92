// LogReader: walks a volume's log to its legal end, or to the first damage.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "engine/cache/chunk_reader.h"
#include "engine/cache/log_end.h"

namespace engine {

// Whoever reads chunks before a LogReader comes to them.
class ChunksAhead {
 public:
  // A reader that has been started with this chunk of the log, counted from 0, within its limit,
  // and has given nothing out yet. Good until the next call.
  [[nodiscard]] virtual ChunkReader& reader_of(std::size_t index) = 0;

 protected:
  ~ChunksAhead() = default;
};

// One thread. The chunks must not change while it reads.
class LogReader {
 public:
  // Where to begin: behind kset `sequence`, which lies at the latest at the beginning of chunk
  // `chunk`. The tails of a volume are such pairs.
  struct Start {
    std::uint64_t sequence = 0;
    std::uint64_t chunk = 1;
  };
  [[nodiscard]] static Start from_key_tail(const LogTails& tails) {
    return {.sequence = tails.key_tail, .chunk = tails.key_tail_chunk};
  }
  [[nodiscard]] static Start from_dirty_tail(const LogTails& tails) {
    return {.sequence = tails.dirty_tail, .chunk = tails.dirty_tail_chunk};
  }

  // All outlive it. `ahead`: null, it reads the chunks itself.
  LogReader(const PmemRegion& region, const CacheLayout& layout, const DeviceSeal& seal,
            const LogView& log, const Start& start, ChunksAhead* ahead = nullptr);

  // The next kset, with no sequence left out; it is good until the next call. nullopt: the legal
  // end, see end(). After damage: the same damage again.
  [[nodiscard]] Result<std::optional<ReadKset>, LogDamage> next();

  // Once next() has answered nullopt.
  [[nodiscard]] const LogEnd& end() const;
  // The time of the last kset read; 0 before the first.
  [[nodiscard]] std::uint64_t last_time_ms() const { return last_time_ms_; }

  // What was read in spite of something, the first most_notes of note_count().
  static constexpr std::size_t most_notes = 4096;
  [[nodiscard]] const std::vector<LogNote>& notes() const { return notes_; }
  [[nodiscard]] std::uint64_t note_count() const { return note_count_; }

 private:
  using Step = Result<std::optional<ReadKset>, LogDamage>;

  [[nodiscard]] std::optional<LogDamage> begin();
  void start_chunk();
  // True: go on reading; false: the end.
  [[nodiscard]] Result<bool, LogDamage> pass_stop();
  [[nodiscard]] bool skip_forgotten();
  [[nodiscard]] std::optional<LogDamage> accept(const ReadKset& kset);
  [[nodiscard]] LogDamage fail(const LogDamage& damage);
  void note(const LogNote& note);

  const CacheLayout& layout_;
  LogView log_;
  Start start_;
  ChunksAhead* const ahead_;
  ChunkReader own_reader_;
  ChunkReader* reader_ = &own_reader_;
  bool begun_ = false;
  std::size_t index_ = 0;  // of the chunk that is read
  std::uint64_t last_time_ms_ = 0;
  std::optional<LogEnd> end_;
  std::optional<LogDamage> damage_;
  std::vector<LogNote> notes_;
  std::uint64_t note_count_ = 0;
};

}  // namespace engine
