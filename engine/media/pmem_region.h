// PmemRegion: persistent memory as the cache engine sees it. The seam between the engine and
// libpmem2, with simulated twins (tests/sim) that reorder, tear, lose and poison on demand.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "engine/foundation/result.h"
#include "engine/foundation/units.h"
#include "engine/media/bad_ranges.h"
#include "engine/media/pmem_error.h"
#include "engine/media/pmem_guarantee.h"
#include "engine/media/pmem_writer.h"

namespace engine {

// One mapping, contiguous, of constant size. Loads are the same for all; what stores depends on the
// granularity:
// - byte and cache line: each thread through a PmemWriter of its own; write_pages() and sync()
//   answer not_supported.
// - page: nobody stores to the mapping. One thread, the device's commit thread, calls write_pages()
//   and sync(); make_writer() answers not_supported.
class PmemRegion {
 public:
  // What nobody can write smaller and still heal.
  static constexpr std::uint64_t page_bytes = 4096;

  PmemRegion(const PmemRegion&) = delete;
  PmemRegion& operator=(const PmemRegion&) = delete;
  // No writer may be left.
  virtual ~PmemRegion();

  [[nodiscard]] ByteCount size() const { return size_; }
  [[nodiscard]] const PmemGuarantee& guarantee() const { return guarantee_; }
  // What this region does not do for the operator (memory not locked); empty when all is well.
  [[nodiscard]] const std::string& note() const { return note_; }

  // For loads, as long as the region lives; any thread. Touching it raises SIGBUS if it has become
  // bad without anybody knowing: read() or checksum() it first if that must not happen.
  // Errors: out_of_range; media_error: a known bad range is touched.
  [[nodiscard]] Result<std::span<const std::byte>, PmemError> view(MediaOffset offset,
                                                                   ByteCount length) const;
  // A copy that survives bad memory, which is known from then on. Any thread. Errors: as view().
  [[nodiscard]] Result<void, PmemError> read(MediaOffset offset, std::span<std::byte> bytes) const;
  // The CRC-32C of a range, in place, behind bytes that had `before`; survives like read().
  [[nodiscard]] Result<std::uint32_t, PmemError> checksum(MediaOffset offset, ByteCount length,
                                                          std::uint32_t before = 0) const;

  // Error: not_supported in page granularity.
  [[nodiscard]] virtual Result<std::unique_ptr<PmemWriter>, PmemError> make_writer() = 0;

  struct PageWrite {
    MediaOffset offset;
    std::span<const std::byte> bytes;
  };
  // Writes in order; any alignment, but whatever shares a page with them may be torn with them
  // until the next sync(). May be persistent at any time from now on. Errors: out_of_range (nothing
  // is written), media_error, sync_failed, not_supported.
  [[nodiscard]] virtual Result<void, PmemError> write_pages(std::span<const PageWrite> writes);
  // Everything written is persistent on success. A failure is final: the kernel forgets what it
  // could not write, so every later write_pages() and sync() answers sync_failed until the region
  // is opened anew. Errors: sync_failed, not_supported.
  [[nodiscard]] virtual Result<void, PmemError> sync();
  // True from a failed sync on. Any thread.
  [[nodiscard]] virtual bool needs_reopen() const { return false; }

  // Known so far: from the medium's own list at open, and from reads that met them.
  [[nodiscard]] std::vector<PmemRange> bad_ranges() const { return bad_.list(); }
  // The sum over all writers, also those that are gone; in page granularity, writes and syncs. Any
  // thread.
  [[nodiscard]] virtual PmemCounts counts() const;

 protected:
  // `bad_block`: bytes that are good or bad together; a power of two.
  PmemRegion(ByteCount size, const PmemGuarantee& guarantee, std::uint64_t bad_block)
      : size_(size), guarantee_(guarantee), bad_block_(bad_block) {}
  // Called once, by the constructor of what derives.
  void attach(std::byte* memory) { memory_ = memory; }
  void set_note(std::string note) { note_ = std::move(note); }

  [[nodiscard]] bool holds(MediaOffset offset, std::uint64_t length) const {
    return offset.value <= size_.value && length <= size_.value - offset.value;
  }
  [[nodiscard]] std::byte* at(MediaOffset offset) const { return memory_ + offset.value; }
  [[nodiscard]] BadRanges& bad() const { return bad_; }
  // Remembers the block around an address that could not be touched.
  PmemError mark_bad(const std::byte* address) const;
  // Before `bytes` are stored over bad blocks. Error: media_error.
  [[nodiscard]] Result<void, PmemError> overwrite_bad(MediaOffset to,
                                                      std::span<const std::byte> bytes);

 private:
  friend class PmemWriter;
  // Makes a range of whole bad blocks good by giving it new content; false when it cannot be done.
  [[nodiscard]] virtual bool heal(MediaOffset /*to*/, std::span<const std::byte> /*bytes*/) {
    return false;
  }
  void enter(const PmemWriter& writer);
  void leave(const PmemWriter& writer);

  const ByteCount size_;
  const PmemGuarantee guarantee_;
  const std::uint64_t bad_block_;
  std::byte* memory_ = nullptr;
  std::string note_;
  mutable BadRanges bad_;
  mutable std::mutex writers_mutex_;  // guards the two below; a leaf
  std::vector<const PmemWriter*> writers_;
  PmemCounts of_former_writers_;
};

}  // namespace engine
