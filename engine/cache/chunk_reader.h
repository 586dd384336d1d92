// ChunkReader: the ksets of one log chunk, in order, from both of its copies.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "engine/cache/device_seal.h"
#include "engine/cache/kset.h"
#include "engine/cache/log_chunk.h"
#include "engine/cache/log_damage.h"
#include "engine/media/pmem_region.h"

namespace engine {

// One copy of a chunk, copied out so that later media errors cannot hurt.
class ChunkImage {
 public:
  void load(const PmemRegion& region, MediaOffset place, std::uint32_t bytes);

  [[nodiscard]] bool is_readable(std::uint64_t offset, std::uint64_t length) const;
  // Unreadable bytes are zero.
  [[nodiscard]] std::span<const std::byte> bytes() const { return {bytes_.get(), size_}; }

 private:
  static constexpr std::uint64_t line_bytes = 64;
  std::unique_ptr<std::byte[]> bytes_;
  std::uint32_t size_ = 0;
  std::vector<bool> bad_lines_;  // empty: all readable
};

// `view` is good until the reader is started again.
struct ReadKset {
  KsetView view;
  std::uint64_t chunk = 0;                                            // ordinal
  std::uint64_t offset = 0;                                           // in the chunk
  std::array<CopyState, 2> copies{CopyState::good, CopyState::good};  // at least one is good
};

// Chunks can be read independently of each other, by threads with a reader each. What a stop
// means is judge_stop()'s to say (log_end.h).
class ChunkReader {
 public:
  // All outlive it.
  ChunkReader(const PmemRegion& region, const CacheLayout& layout, const DeviceSeal& seal)
      : region_(region), layout_(layout), seal_(seal) {}

  // Reads on with `chunk` from its first kset. `limit`: the sequence that certainly does not lie in
  // it, because the next chunk or epoch begins with it; whatever lies there is not looked at.
  void start(const LogChunk& chunk, std::optional<std::uint64_t> limit);

  // nullopt: stopped. A kset is whole, of this chunk's volume and epoch, and has exactly the next
  // sequence. Error: copies_differ.
  [[nodiscard]] Result<std::optional<ReadKset>, LogDamage> next();

  // Reads, right after start(), whatever next() will give out, which costs nothing then.
  void read_ahead();
  [[nodiscard]] std::span<const ReadKset> ahead() const { return ahead_; }

  [[nodiscard]] const LogChunk& chunk() const { return chunk_; }
  // Once stopped: where, and what would come there.
  [[nodiscard]] std::uint64_t expected() const { return expected_; }
  [[nodiscard]] std::uint64_t offset() const { return offset_; }
  // Once stopped, too: at its limit; with no room for another kset; what each copy has there.
  [[nodiscard]] bool at_limit() const { return limit_ == expected_; }
  [[nodiscard]] bool is_full() const;
  [[nodiscard]] const std::array<CopyState, 2>& stop_states() const { return stop_states_; }

  // Searches the rest of the chunk for a kset of this chunk's life that can only be there if the
  // log went on: the lowest sequence from expected() on, and below the limit.
  struct Ahead {
    std::uint64_t sequence = 0;
    std::uint64_t offset = 0;
  };
  [[nodiscard]] std::optional<Ahead> find_ahead() const;
  // Goes on from there.
  void skip_to(const Ahead& ahead);

 private:
  struct Copy {
    CopyState state = CopyState::invalid;
    std::optional<KsetView> kset;  // whole and of this life, whatever its sequence
    std::uint64_t length = 0;      // unpadded
  };
  [[nodiscard]] Copy look(std::size_t copy, std::uint64_t offset) const;
  [[nodiscard]] Result<std::optional<ReadKset>, LogDamage> read();

  const PmemRegion& region_;
  const CacheLayout& layout_;
  const DeviceSeal& seal_;
  LogChunk chunk_;
  std::optional<std::uint64_t> limit_;
  std::array<ChunkImage, 2> images_;
  std::uint64_t expected_ = 0;
  std::uint64_t offset_ = 0;
  std::array<CopyState, 2> stop_states_{CopyState::invalid, CopyState::invalid};
  std::vector<ReadKset> ahead_;
  std::size_t given_out_ = 0;  // of them
};

}  // namespace engine
