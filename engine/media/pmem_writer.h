// PmemWriter: one actor's stores to persistent memory.
#pragma once

#include <atomic>
#include <cstdint>
#include <span>

#include "engine/foundation/result.h"
#include "engine/foundation/units.h"
#include "engine/media/pmem_error.h"

namespace engine {

class PmemRegion;

// What a writer, or all writers of a region, have done. In page granularity a copy is one write to
// the file, a fence one sync.
struct PmemCounts {
  std::uint64_t copies = 0;
  std::uint64_t bytes = 0;
  std::uint64_t fences = 0;
  friend bool operator==(const PmemCounts&, const PmemCounts&) = default;
};

// One for each thread that stores; never shared: a fence settles what its own writer stored, and
// nothing of another's. The region outlives it. The range of every call is checked here;
// implementations may rely on it. Its counts are in cache lines of their own: each thread changes
// its own all the time.
class alignas(64) PmemWriter {
 public:
  PmemWriter(const PmemWriter&) = delete;
  PmemWriter& operator=(const PmemWriter&) = delete;
  virtual ~PmemWriter();

  // Copies round the CPU cache; any alignment. Loads see it at once, it is persistent after the
  // next fence(). An overwrite that covers a bad block entirely heals it where the medium can,
  // which may take a system call and a sync. Errors: out_of_range; media_error: a bad block is
  // covered in part or cannot be healed; some of the bytes may be stored.
  [[nodiscard]] Result<void, PmemError> copy(MediaOffset to, std::span<const std::byte> bytes);

  // The same, and the CRC-32C of each 4 KiB of `bytes`, the last piece possibly shorter; `crcs` has
  // one place for each. Reads the source from memory only once.
  [[nodiscard]] Result<void, PmemError> copy_crc(MediaOffset to, std::span<const std::byte> bytes,
                                                 std::span<std::uint32_t> crcs);

  // Makes what is there now persistent at the next fence(), whoever stored it, as long as that was
  // before this process was started: what kill -9 left in the CPU cache. Recovery's. Errors:
  // out_of_range, media_error.
  [[nodiscard]] Result<void, PmemError> flush(MediaOffset offset, ByteCount length);

  // Everything this writer copied and flushed is persistent on return.
  void fence();

  // Any thread.
  [[nodiscard]] PmemCounts counts() const;

 protected:
  explicit PmemWriter(PmemRegion& region);

 private:
  [[nodiscard]] virtual Result<void, PmemError> store(MediaOffset to,
                                                      std::span<const std::byte> bytes) = 0;
  [[nodiscard]] virtual Result<void, PmemError> write_back(MediaOffset offset,
                                                           ByteCount length) = 0;
  virtual void drain() = 0;

  PmemRegion& region_;
  // Only the writer's thread changes them.
  std::atomic<std::uint64_t> copies_{0};
  std::atomic<std::uint64_t> bytes_{0};
  std::atomic<std::uint64_t> fences_{0};
};

}  // namespace engine
