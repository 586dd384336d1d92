// IndexMemory: the DRAM of all indexes of a daemon, in small blocks, promised before it is needed.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>

#include "engine/foundation/spin_lock.h"
#include "engine/foundation/units.h"

namespace engine {

// Blocks of 16..2048 bytes, named by 4-byte handles, cut from slabs of 2 KiB that hold blocks of
// one size each. A slab without a block serves any size again. Threads cut theirs from different
// slabs: the heads of the lists, and what a slab keeps of itself, would go from core to core.
//
// A publish that is already durable must not fail for want of memory, so whoever admits it has
// the slabs that it may need in the worst case promised first (promise, the only thing that can
// fail, maps and touches memory), and gives the promise back afterwards. What lies beyond all
// promises may be taken by allocations that can be refused.
//
// Thread-safe; must outlive every index that uses it.
//
// Invariants: each slab is free, or of one class and one arena with 1..all blocks used and in its
// list there iff not all are; free slabs are counted exactly; while no holder of a promise has
// taken more than it was promised, free >= promised - what they have taken.
class IndexMemory {
 public:
  using Handle = std::uint32_t;  // 0 is none; else the block's position in units
  static constexpr std::uint32_t unit_bytes = 16;
  static constexpr std::uint32_t slab_units = 128;
  static constexpr std::uint32_t slab_bytes = slab_units * unit_bytes;
  // Kept for what is done without a promise and cannot be refused (see Stripe).
  static constexpr std::uint32_t spare_slabs = 16;
  // Slabs: with less than that nobody asks ahead, and threads use up what others have begun.
  static constexpr std::uint32_t little = 512;

  // Reserves address space for `limit` (64 KiB..64 GiB), nearly no memory. Start-up only: throws
  // std::system_error if that is refused.
  explicit IndexMemory(ByteCount limit);
  ~IndexMemory();
  IndexMemory(const IndexMemory&) = delete;
  IndexMemory& operator=(const IndexMemory&) = delete;

  // From now on no more than `granted` is mapped, tables included, unless `ask` grants so much
  // more. It is called by any thread, under a lock: it calls nothing of the memory. Before the
  // first use.
  using Ask = std::function<bool(ByteCount)>;
  void bound_by(ByteCount granted, Ask ask);
  // The tables of stripes, which an index keeps elsewhere, have become so much larger. Any thread.
  void add_tables(std::size_t bytes) { tables_.fetch_add(bytes, std::memory_order_relaxed); }
  void remove_tables(std::size_t bytes) { tables_.fetch_sub(bytes, std::memory_order_relaxed); }

  // False if the limit, or who grants memory, stands against it: wait, or give something up. May
  // map memory: no locks.
  [[nodiscard]] bool promise(std::uint32_t slabs);
  void unpromise(std::uint32_t slabs) { promised_.fetch_sub(slabs, std::memory_order_relaxed); }
  // The same without mapping memory, for callers under a lock.
  [[nodiscard]] bool promise_from_free(std::uint32_t slabs);
  // The same for what is not needed yet (TurnStock): false, too, if it would leave little to
  // others.
  [[nodiscard]] bool promise_ahead(std::uint32_t slabs);

  // A block of at least `units` (1..128), by a caller that was promised it, or from the spare.
  [[nodiscard]] Handle allocate(std::uint32_t units);
  // The same, or 0 if only promised memory is left.
  [[nodiscard]] Handle try_allocate(std::uint32_t units);
  void free(Handle handle);
  // Units of the block, at least what was asked for.
  [[nodiscard]] std::uint32_t capacity(Handle handle) const;
  [[nodiscard]] static std::uint32_t rounded(std::uint32_t units);
  [[nodiscard]] std::byte* at(Handle handle) const {
    return base_ + std::size_t{handle} * unit_bytes;
  }
  template <class T>
  [[nodiscard]] T* as(Handle handle) const {
    return reinterpret_cast<T*>(at(handle));
  }

  // All that is mapped, used or not, with what describes it; never more than the limit and 1 %.
  [[nodiscard]] ByteCount memory_bytes() const;
  // The part of it in slabs that hold a block.
  [[nodiscard]] ByteCount used_bytes() const;
  void check_invariants() const;

 private:
  struct Slab {
    std::uint32_t next = 0;  // of the same class with a free block, or of the free slabs; 0: none
    std::uint32_t previous = 0;
    std::uint8_t size_class = 0;
    std::uint8_t used = 0;   // blocks
    std::uint8_t first = 0;  // free block, as units from the slab's beginning; no_block: none
    std::uint8_t fresh = 0;  // units from here on were never used
    std::uint8_t arena = 0;
  };
  static constexpr std::uint32_t class_count = 14;
  static constexpr std::uint32_t most_arenas = 4;
  // Where some of the threads cut their blocks from.
  struct alignas(64) Arena {
    mutable SpinLock lock;  // guards the lists, their slabs and the links inside free blocks
    std::uint32_t partial[class_count] = {};  // slabs with a free block, by class
  };

  [[nodiscard]] bool map_more();
  [[nodiscard]] bool may_have(std::uint32_t slabs);
  [[nodiscard]] Handle take(std::uint32_t units, bool promised);
  [[nodiscard]] Handle take_begun(std::uint32_t arena, std::uint8_t size_class);
  [[nodiscard]] Handle take_from(Arena& arena, std::uint32_t number);
  [[nodiscard]] std::uint32_t take_slab(std::uint32_t arena, bool promised);
  void put_back(std::uint32_t slab, std::uint32_t arena);
  // With lock_ held.
  [[nodiscard]] std::uint32_t unlist_free(std::uint32_t arena);
  void list_free(std::uint32_t slab, std::uint32_t arena);
  void link(std::uint32_t& list, std::uint32_t slab);
  void unlink(std::uint32_t& list, std::uint32_t slab);

  std::byte* reservation_ = nullptr;
  std::size_t reserved_bytes_ = 0;
  std::byte* base_ = nullptr;
  Slab* slabs_ = nullptr;  // one for each 2 KiB of the limit, mapped as needed
  std::uint32_t most_slabs_ = 0;
  std::uint32_t arenas_in_use_ = 1;

  // What all threads change, all the time, and what they only look at are in lines of their own.
  alignas(64) std::atomic<std::uint32_t> promised_{spare_slabs};
  std::atomic<std::uint32_t> free_slabs_{0};    // written under lock_
  std::atomic<std::uint32_t> mapped_slabs_{0};  // written under lock_ and map_mutex_

  alignas(64) std::atomic<std::size_t> tables_{0};
  // One thread maps memory at a time; before lock_. Guards who grants it, too.
  std::mutex map_mutex_;
  std::uint64_t granted_ = 0;
  Ask ask_;
  // Taken under stripe locks, one at a time.
  Arena arenas_[most_arenas];
  // Free slabs that an arena has first; any other has them when it would go without. So slabs whose
  // descriptions share a line of the CPU's cache are mostly of one arena: handing such a line from
  // core to core costs more than a look-up.
  struct Free {
    std::uint32_t list = 0;   // that were used
    std::uint32_t fresh = 0;  // from here to `fresh_end`: never used
    std::uint32_t fresh_end = 0;
  };
  alignas(64) mutable SpinLock lock_;  // guards the two below; a leaf: taken under an arena's
  Free free_[most_arenas];
  std::uint32_t next_fresh_ = 1;  // slabs from here to mapped are nobody's; slab 0 is never used
};

}  // namespace engine
