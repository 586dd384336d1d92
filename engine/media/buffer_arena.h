// BufferArena: the memory behind transfer buffers, carved from large mappings so that it takes as
// much of the machine as is counted, and can be given back.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <set>

namespace engine {

// Blocks of 4 KiB << size class, aligned to 4096 (and to 64 KiB from that size on); a buddy
// allocator over slabs of 2 MiB. (The C library's allocator spends twice as much on 4 KiB aligned
// to 4 KiB.) Any thread; for the slow path, behind what a BufferPool keeps.
//
// Invariants: a free block lies in exactly one of the free sets; two free buddies are never apart.
// What lies in memory is at most what is given out, or was at the worst time, and a slab (unless
// thousands of small holes are left, which are given back bit by bit).
class BufferArena {
 public:
  BufferArena() = default;
  BufferArena(const BufferArena&) = delete;
  BufferArena& operator=(const BufferArena&) = delete;
  // Slabs with blocks that are still out stay mapped: the kernel may write to them.
  ~BufferArena();

  static constexpr std::size_t page_bytes = 4096;
  static constexpr std::size_t class_count = 10;  // 4 KiB << 0 .. 4 KiB << 9
  static constexpr std::size_t slab_bytes = page_bytes << (class_count - 1);

  // nullptr: the machine has no memory.
  [[nodiscard]] std::byte* allocate(std::size_t size_class);
  void release(std::byte* block, std::size_t size_class) noexcept;
  // Gives the machine what is free.
  void trim() noexcept;

  [[nodiscard]] std::size_t mapped_bytes() const;
  void check_invariants() const;

 private:
  // By size class. The lowest address goes first, so that slabs at the end become free as a whole.
  using FreeBlocks = std::array<std::set<std::byte*>, class_count>;

  [[nodiscard]] bool add_slab();
  [[nodiscard]] std::byte* take_from(FreeBlocks& blocks, std::size_t size_class);
  void forget_contents() noexcept;
  void unmap_free_slabs(FreeBlocks& blocks) noexcept;

  // Blocks whose contents one call forgets: each is a system call under the lock.
  static constexpr std::size_t most_forgotten = 1024;

  mutable std::mutex mutex_;  // guards everything; a leaf
  FreeBlocks used_;           // may lie in memory; they go first
  FreeBlocks clean_;          // never written to, or given back since
  std::set<std::byte*> slabs_;
  std::size_t used_bytes_ = 0;  // of used_
};

}  // namespace engine
