// MemoryDevice: a volume in DRAM, for tests and benchmarks only: gone when the process ends.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <memory>
#include <mutex>
#include <span>
#include <string>

#include "engine/foundation/result.h"
#include "engine/media/backing_device.h"

namespace engine {

// Every operation completes inside submit(), by a copy. Address space is reserved, memory only
// taken where something was written; what never was reads as zeros. Thread-safe.
class MemoryDevice final : public BackingDevice {
 public:
  // Error: a sentence (no address space left).
  [[nodiscard]] static Result<std::unique_ptr<MemoryDevice>, std::string> create(ByteCount size);
  ~MemoryDevice() override;

  // Whoever reads beside a write sees each of these whole, old or new; after a power failure there
  // is nothing to see.
  static constexpr std::uint32_t atomic_write_bytes = 4096;

  [[nodiscard]] ByteCount size() const override { return {size_.load(std::memory_order_acquire)}; }
  void submit(IoLane& lane, BackingIo& io) override;
  // One thread at a time, while others submit. At most most_mappings - 1 times.
  [[nodiscard]] Result<void, std::string> grow(ByteCount size);

 private:
  // One page at a time is copied under its lock: a read beside a write sees each block whole, old
  // or new, as disks promise (NVMe: AWUN covers at least one block).
  struct alignas(64) PageLock {
    std::mutex mutex;  // a leaf
  };
  static constexpr std::size_t page_lock_count = 64;
  [[nodiscard]] PageLock& lock_of(std::uint64_t page) {
    return page_locks_[page % page_lock_count];
  }
  void copy_in(std::uint64_t offset, std::span<const std::byte> data);
  void copy_out(std::uint64_t offset, std::span<std::byte> data);
  void zero_range(std::uint64_t offset, std::uint64_t length);

  // Growing adds a mapping: the ones in use must not move.
  struct Mapping {
    std::byte* memory = nullptr;
    std::uint64_t begin = 0;  // on the device
    std::uint64_t length = 0;
  };
  static constexpr std::size_t most_mappings = 64;

  MemoryDevice() = default;
  // Calls `use` with each contiguous piece of the range, in order.
  template <class Use>
  void for_each_piece(std::uint64_t begin, std::uint64_t length, const Use& use) const;
  // The same for pieces within one page, each under its lock.
  template <class Use>
  void for_each_page(std::uint64_t begin, std::uint64_t length, const Use& use);

  std::array<PageLock, page_lock_count> page_locks_;
  std::array<Mapping, most_mappings> mappings_;  // immutable below mapping_count_
  std::size_t mapping_count_ = 0;                // the growing thread's
  std::atomic<std::uint64_t> size_{0};
};

}  // namespace engine
