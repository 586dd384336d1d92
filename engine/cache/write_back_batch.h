// WriteBackBatch: keys of the log, from D up to a kset boundary E, as the writes that bring a
// backing from the one moment to the other.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "engine/cache/log_reader.h"
#include "engine/cache/merge_keys.h"
#include "engine/cache/volume_cache.h"
#include "engine/cache/write_back_trouble.h"
#include "engine/media/backing_device.h"
#include "engine/media/loss_record.h"

namespace engine {

// When a batch is large enough; it ends with the kset that reaches one of them.
struct BatchBounds {
  std::size_t most_keys = 16384;
  ByteCount most_bytes = 256_MiB;
};

// Takes keys from the log, not from the index: what was superseded behind the end counts. Prepared
// in steps of about a tenth of a millisecond, on the volume's home lane; nothing is written.
//
// Whatever is to go to the backing is read before the batch is used, in place: checked where the
// device carries checksums, and touched in any case, so that the kernel will not meet bad memory
// that can be known. What cannot be, and is not written down as lost, ends the batch before its
// kset, as if it had been chosen so; what is written down is left out.
//
// Invariants, once prepared: pieces are in address order and do not overlap, every piece is a part
// of one of the keys, and no key is of a kset behind the end.
class WriteBackBatch {
 public:
  struct From {
    LogReader::Start start;        // behind D
    std::uint64_t at_least = 0;    // a target that an earlier batch has set: not to end before it
    std::uint64_t at_most = 0;     // the last kset that is published
    VolumeChunks chunks;           // a copy: the log goes on meanwhile
    LossRecord* losses = nullptr;  // of the backing; outlives the batch
  };
  // The volume outlives it; K stays at or before the start.
  WriteBackBatch(VolumeCache& volume, const BatchBounds& bounds, From from);
  WriteBackBatch(const WriteBackBatch&) = delete;
  WriteBackBatch& operator=(const WriteBackBatch&) = delete;

  // One step; nothing once it is prepared.
  void prepare_some();
  [[nodiscard]] bool is_prepared() const { return stage_ == Stage::prepared; }

  // Below: once prepared. False: trouble() lies before where it would have to end.
  [[nodiscard]] bool is_usable() const { return is_usable_; }
  // What it leaves out is still written down as lost: asked when it begins, with nothing else under
  // way to the backing.
  [[nodiscard]] bool leaves_out_only_lost() const;
  // Why it ends where it does, if that is not its bounds.
  [[nodiscard]] const std::optional<WriteBackTrouble>& trouble() const { return trouble_; }
  struct End {
    std::uint64_t sequence = 0;
    std::uint64_t chunk = 1;  // in which it lies, or a later one that the next kset is in
    std::uint64_t time_ms = 0;
  };
  [[nodiscard]] End end() const;
  [[nodiscard]] const std::vector<DirtyKey>& keys() const { return keys_; }
  [[nodiscard]] const std::vector<DirtyPiece>& pieces() const { return pieces_; }
  // Data of all keys, superseded or not: what the volume's backlog becomes smaller by.
  [[nodiscard]] SectorCount data() const { return data_; }
  // Each key of it in whole blocks.
  [[nodiscard]] SectorCount blocks() const { return blocks_; }

  // Makes `io` the write that begins with pieces()[first]; returns the first piece that is not in
  // it. Adjacent pieces that lie side by side in the cache are one, up to largest_io; adjacent
  // zeros are one. nullopt: the place has become unreadable since.
  static constexpr ByteCount largest_io = 1_MiB;
  static constexpr ByteCount most_zeros = 1_GiB;
  [[nodiscard]] std::optional<std::size_t> fill_io(std::size_t first, BackingIo& io) const;
  // Small pieces that are adjacent on the volume and scattered in the cache cost the backing less
  // in one operation than copying them costs: whether `io`, as fill_io has made it of everything
  // before `next`, is such a case; and then the same as fill_io, copied into `space`.
  static constexpr ByteCount worth_copying = 64_KiB;  // less than that
  [[nodiscard]] bool is_scattered(std::size_t next, const BackingIo& io) const;
  [[nodiscard]] std::optional<std::size_t> gather(std::size_t first, std::span<std::byte> space,
                                                  BackingIo& io) const;

 private:
  enum class Stage : std::uint8_t { gather, merge, verify, prepared };
  // What a batch could end with.
  struct Kset {
    End end;
    std::size_t keys = 0;  // of the batch up to here
  };

  void gather_some();
  void count_data(std::size_t from);
  void take(const ReadKset& kset);
  [[nodiscard]] std::optional<WriteBackTrouble> judge(const format::Key& key) const;
  void finish_gathering();
  void merge();
  void verify_some();
  // Of pieces_[at], which cannot be read as a whole: what can be takes its place. Error: a part
  // that is not written down as lost.
  [[nodiscard]] Result<void, WriteBackTrouble> leave_out_lost(std::size_t at);
  [[nodiscard]] bool is_lost(SectorRange range) const;
  // Ends it before the kset of the trouble.
  void end_before(const WriteBackTrouble& trouble);
  void drop_superseded();

  VolumeCache& volume_;
  const BatchBounds bounds_;
  const From from_;
  const LogView view_;
  std::optional<LogReader> reader_;  // while gathering
  Stage stage_ = Stage::gather;
  std::vector<Kset> ksets_;
  std::vector<DirtyKey> keys_;
  std::vector<DirtyPiece> pieces_;
  std::size_t verified_ = 0;  // pieces
  std::vector<SectorRange> left_out_;
  SectorCount data_;
  SectorCount blocks_;
  bool is_usable_ = true;
  std::optional<WriteBackTrouble> trouble_;
};

}  // namespace engine
