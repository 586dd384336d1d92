// LogReplay: a volume's log becomes its index, a window of chunks at a time, by as many as can
// help.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "engine/cache/key_damage.h"
#include "engine/cache/log_reader.h"
#include "engine/cache/recovery.h"
#include "engine/cache/volume_cache.h"
#include "engine/foundation/parallel_tasks.h"

namespace engine {

// Three steps for each window. The chunks are read and their keys decoded beside each other, none
// knowing of the others. Then the LogReader joins them, kset by kset in the order of the log, and
// says which of them count. What counts is published to the index beside each other, by shares of
// the volume's stripes, in each stripe in the order of the log.
//
// Writes nothing to the device. One thread calls it, and nobody else uses the volume meanwhile.
class LogReplay final : private ChunksAhead {
 public:
  // All outlive it. The device's entries and chunks of this volume do not change meanwhile.
  LogReplay(CacheDevice& device, std::uint32_t slot, VolumeCache& cache, ParallelTasks& tasks);
  LogReplay(const LogReplay&) = delete;
  LogReplay& operator=(const LogReplay&) = delete;

  // From K to the legal end, or to the first damage; says in `report` what came of it. Once.
  // Errors: exhausted, given_up.
  [[nodiscard]] Result<void, CacheError> run(RecoveryReport& report);

  using Data = std::vector<std::pair<MediaOffset, ByteCount>>;
  // Where the data lies that the last kset names.
  [[nodiscard]] Data take_last_data() { return std::move(last_data_); }

 private:
  // Of one chunk.
  struct Piece {
    explicit Piece(const CacheDevice& device)
        : reader(device.region(), device.layout(), device.seal()) {}

    struct Kset {
      std::uint64_t offset = 0;  // in the chunk
      std::uint64_t sequence = 0;
      std::uint64_t stale_keys = 0;
      std::size_t keys_end = 0;  // among `keys`
    };
    ChunkReader reader;
    std::vector<ReplayKey> keys;  // of its ksets, one behind the other
    std::vector<Kset> ksets;      // up to one that is damaged
    std::size_t joined = 0;       // of the ksets, in front
    std::size_t counting = 0;     // so many of the keys count, in front
    SectorCount dirty{};          // data among them that the backing does not have
    SectorCount dirty_blocks{};   // each key of that in whole blocks
  };

  [[nodiscard]] std::optional<CacheError> why_ended() const;
  [[nodiscard]] ChunkReader& reader_of(std::size_t index) override;
  void read_window(std::size_t first);
  void decode(std::size_t index, Piece& piece) const;
  [[nodiscard]] KeyDamage add_kset(Piece& piece, const ReadKset& kset) const;
  [[nodiscard]] ReplayKey decode_key(const format::Key& key, const KsetStamp& stamp,
                                     std::size_t position) const;
  // False: it is damaged, and nothing of it counts.
  [[nodiscard]] bool join(const ReadKset& kset, RecoveryReport& report);

  void publish_window();
  void count_live(Piece& piece) const;
  void publish_share(std::span<const ReplayKeys> keys, const ReplayShare& share);
  void note_last_data();
  [[nodiscard]] SegmentCounters& counters_of(Place place) const;

  CacheDevice& device_;
  const CacheVolume& volume_;
  const KeyJudge judge_;
  VolumeCache& cache_;
  ParallelTasks& tasks_;
  const LogView view_;
  const LogReader::Start start_;
  LogReader log_;

  const std::size_t most_pieces_;
  std::vector<Piece> window_;      // never more than most_pieces_
  std::size_t window_begin_ = 0;   // which chunk of the log its first is
  std::size_t window_pieces_ = 0;  // of `window_`, in use
  Piece* current_ = nullptr;       // that the LogReader is in

  // The last kset that counts, while its window is there.
  Piece* last_piece_ = nullptr;
  std::size_t last_begin_ = 0;  // of its keys
  std::size_t last_end_ = 0;
  Data last_data_;
  std::atomic<bool> no_memory_{false};
};

}  // namespace engine
