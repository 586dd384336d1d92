#include "engine/cache/index_memory.h"

#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <system_error>
#include <utility>

#include "engine/foundation/check.h"

namespace engine {
namespace {

// 21 units are a table of leaves. A class above 64 units has one block in a slab.
constexpr std::array<std::uint8_t, 14> class_units{1,  2,  3,  4,  6,  8,  12,
                                                   16, 21, 24, 32, 48, 64, 128};
constexpr std::uint8_t no_block = 0xff;
// Each arena may hold a slab of each class that has little in it: nothing for a small memory.
constexpr std::uint64_t least_for_arenas = std::uint64_t{64} << 20;

std::atomic<std::uint32_t> threads_so_far{0};
thread_local const std::uint32_t number_of_thread = threads_so_far.fetch_add(1);

constexpr auto class_of_units = [] {
  std::array<std::uint8_t, IndexMemory::slab_units + 1> classes{};
  std::uint8_t at = 0;
  for (std::uint32_t units = 1; units < classes.size(); ++units) {
    if (units > class_units[at]) ++at;
    classes[units] = at;
  }
  return classes;
}();

constexpr std::uint32_t blocks_per_slab(std::uint8_t size_class) {
  return IndexMemory::slab_units / class_units[size_class];
}

// The first megabytes are mapped in small steps, so that a small cache stays small; then in whole
// huge pages: random lookups in small ones would miss the TLB each time.
constexpr std::size_t huge_page = std::size_t{2} << 20;
constexpr std::uint32_t small_step_slabs = (64 << 10) / IndexMemory::slab_bytes;
constexpr std::uint32_t huge_page_slabs = huge_page / IndexMemory::slab_bytes;

std::byte* reserve(std::size_t bytes) {
  void* at = mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (at == MAP_FAILED) throw std::system_error(errno, std::generic_category(), "index memory");
  return static_cast<std::byte*>(at);
}

}  // namespace

IndexMemory::IndexMemory(ByteCount limit)
    : most_slabs_(static_cast<std::uint32_t>(limit.value / slab_bytes)),
      arenas_in_use_(limit.value < least_for_arenas ? 1 : most_arenas) {
  static_assert(class_units.size() == class_count);
  CHECK(limit.value >= (64 << 10));
  CHECK(limit.value <= std::uint64_t{64} << 30);
  reserved_bytes_ = limit.value + 2 * huge_page;
  reservation_ = reserve(reserved_bytes_);
  base_ = reservation_ + (huge_page - reinterpret_cast<std::uintptr_t>(reservation_) % huge_page);
  (void)madvise(base_, huge_page, MADV_NOHUGEPAGE);
  if (limit.value > huge_page) {
    (void)madvise(base_ + huge_page, limit.value - huge_page, MADV_HUGEPAGE);  // best effort
  }
  slabs_ = reinterpret_cast<Slab*>(reserve(std::size_t{most_slabs_} * sizeof(Slab)));
  mapped_slabs_.store(1);  // slab 0, which is never used: handle 0 means none
  CHECK(map_more());
}

IndexMemory::~IndexMemory() {
  munmap(slabs_, std::size_t{most_slabs_} * sizeof(Slab));
  munmap(reservation_, reserved_bytes_);
}

void IndexMemory::bound_by(ByteCount granted, Ask ask) {
  const std::lock_guard guard(map_mutex_);
  granted_ = granted.value;
  ask_ = std::move(ask);
}

// With map_mutex_ held, or before anybody else can.
bool IndexMemory::may_have(std::uint32_t slabs) {
  if (!ask_) return true;
  const std::uint64_t wanted = std::uint64_t{slabs} * (slab_bytes + sizeof(Slab)) + tables_.load();
  if (wanted <= granted_) return true;
  if (!ask_({wanted - granted_})) return false;
  granted_ = wanted;
  return true;
}

// Touches the memory here, so that no page fault happens under a stripe lock.
bool IndexMemory::map_more() {
  const std::uint32_t from = mapped_slabs_.load();
  std::uint32_t to = 0;
  if (from < huge_page_slabs) {
    to = (from / small_step_slabs + 1) * small_step_slabs;
  } else {
    to = from + huge_page_slabs;
  }
  to = std::min(to, most_slabs_);
  if (to == from || !may_have(to)) return false;
  constexpr std::size_t page = 4096;
  for (std::size_t at = std::size_t{from} * slab_bytes; at < std::size_t{to} * slab_bytes;) {
    base_[at] = std::byte{0};
    at = (at / page + 1) * page;
  }
  std::memset(static_cast<void*>(slabs_ + from), 0, (to - from) * sizeof(Slab));
  const std::lock_guard guard(lock_);
  mapped_slabs_.store(to);
  free_slabs_.fetch_add(to - from);
  return true;
}

bool IndexMemory::promise_from_free(std::uint32_t slabs) {
  const std::uint32_t promised = promised_.fetch_add(slabs) + slabs;
  if (free_slabs_.load() >= promised) return true;
  unpromise(slabs);
  return false;
}

bool IndexMemory::promise_ahead(std::uint32_t slabs) {
  return free_slabs_.load() >= promised_.load() + slabs + little && promise_from_free(slabs);
}

bool IndexMemory::promise(std::uint32_t slabs) {
  while (!promise_from_free(slabs)) {
    const std::lock_guard guard(map_mutex_);
    // Another thread may have mapped enough in the meantime.
    if (free_slabs_.load() < promised_.load() + slabs && !map_more()) return false;
  }
  return true;
}

IndexMemory::Handle IndexMemory::allocate(std::uint32_t units) {
  const Handle handle = take(units, true);
  CHECK(handle != 0);  // somebody took more than it was promised
  return handle;
}

IndexMemory::Handle IndexMemory::try_allocate(std::uint32_t units) { return take(units, false); }

// What others have begun is used up before the memory that is there runs out.
IndexMemory::Handle IndexMemory::take(std::uint32_t units, bool promised) {
  const std::uint8_t size_class = class_of_units[units];
  const std::uint32_t own = number_of_thread % arenas_in_use_;
  if (const Handle block = take_begun(own, size_class)) return block;
  if (free_slabs_.load() < promised_.load() + little) {
    for (std::uint32_t next = 1; next < arenas_in_use_; ++next) {
      const Handle block = take_begun((own + next) % arenas_in_use_, size_class);
      if (block != 0) return block;
    }
  }
  const std::uint32_t fresh = take_slab(own, promised);
  if (fresh == 0) return 0;
  Arena& arena = arenas_[own];
  const std::lock_guard guard(arena.lock);
  slabs_[fresh] = {.size_class = size_class,
                   .first = no_block,
                   .fresh = 0,
                   .arena = static_cast<std::uint8_t>(own)};
  link(arena.partial[size_class], fresh);
  return take_from(arena, fresh);
}

// Of a slab that has a block already; 0: there is none.
IndexMemory::Handle IndexMemory::take_begun(std::uint32_t arena, std::uint8_t size_class) {
  const std::lock_guard guard(arenas_[arena].lock);
  const std::uint32_t number = arenas_[arena].partial[size_class];
  return number == 0 ? 0 : take_from(arenas_[arena], number);
}

// With the arena's lock held.
IndexMemory::Handle IndexMemory::take_from(Arena& arena, std::uint32_t number) {
  Slab& slab = slabs_[number];
  const std::uint32_t first_unit = number * slab_units;
  std::uint8_t unit = slab.first;
  if (unit != no_block) {
    slab.first = static_cast<std::uint8_t>(*at(first_unit + unit));
  } else {
    unit = slab.fresh;
    slab.fresh = static_cast<std::uint8_t>(unit + class_units[slab.size_class]);
  }
  if (++slab.used == blocks_per_slab(slab.size_class)) {
    unlink(arena.partial[slab.size_class], number);
  }
  return first_unit + unit;
}

void IndexMemory::free(Handle handle) {
  const std::uint32_t number = handle / slab_units;
  Slab& slab = slabs_[number];
  Arena& arena = arenas_[slab.arena];  // the slab's while it has a block
  const std::lock_guard guard(arena.lock);
  std::uint32_t& list = arena.partial[slab.size_class];
  const bool was_full = slab.used == blocks_per_slab(slab.size_class);
  *at(handle) = std::byte{slab.first};
  slab.first = static_cast<std::uint8_t>(handle % slab_units);
  --slab.used;
  if (slab.used == 0) {
    if (!was_full) unlink(list, number);
    put_back(number, slab.arena);
  } else if (was_full) {
    link(list, number);
  }
}

std::uint32_t IndexMemory::take_slab(std::uint32_t arena, bool promised) {
  const std::lock_guard guard(lock_);
  std::uint32_t number = unlist_free(arena);
  for (std::uint32_t next = 1; number == 0 && next < arenas_in_use_; ++next) {
    number = unlist_free((arena + next) % arenas_in_use_);
  }
  if (number == 0) return 0;
  free_slabs_.fetch_sub(1);
  // Taken first and compared then, as promise_from_free does: of two that race one gives way.
  if (promised || free_slabs_.load() >= promised_.load()) return number;
  list_free(number, arena);
  return 0;
}

// 0: it has none, and nobody's are all gone.
std::uint32_t IndexMemory::unlist_free(std::uint32_t arena) {
  constexpr auto slabs_of_line = static_cast<std::uint32_t>(64 / sizeof(Slab));
  Free& own = free_[arena];
  if (own.list != 0) return std::exchange(own.list, slabs_[own.list].next);
  if (own.fresh == own.fresh_end) {
    own.fresh = next_fresh_;
    next_fresh_ = std::min((next_fresh_ / slabs_of_line + 1) * slabs_of_line, mapped_slabs_.load());
    own.fresh_end = next_fresh_;
  }
  return own.fresh == own.fresh_end ? 0 : own.fresh++;
}

void IndexMemory::put_back(std::uint32_t slab, std::uint32_t arena) {
  const std::lock_guard guard(lock_);
  list_free(slab, arena);
}

void IndexMemory::list_free(std::uint32_t slab, std::uint32_t arena) {
  slabs_[slab].used = 0;
  slabs_[slab].next = std::exchange(free_[arena].list, slab);
  free_slabs_.fetch_add(1);
}

void IndexMemory::link(std::uint32_t& list, std::uint32_t slab) {
  slabs_[slab].previous = 0;
  slabs_[slab].next = list;
  if (list != 0) slabs_[list].previous = slab;
  list = slab;
}

void IndexMemory::unlink(std::uint32_t& list, std::uint32_t slab) {
  const std::uint32_t next = slabs_[slab].next;
  const std::uint32_t previous = slabs_[slab].previous;
  (previous == 0 ? list : slabs_[previous].next) = next;
  if (next != 0) slabs_[next].previous = previous;
}

std::uint32_t IndexMemory::capacity(Handle handle) const {
  return class_units[slabs_[handle / slab_units].size_class];
}

std::uint32_t IndexMemory::rounded(std::uint32_t units) {
  return class_units[class_of_units[units]];
}

ByteCount IndexMemory::memory_bytes() const {
  const std::uint64_t mapped = mapped_slabs_.load();
  return ByteCount{mapped * (slab_bytes + sizeof(Slab)) + sizeof(*this)};
}

ByteCount IndexMemory::used_bytes() const {
  const std::lock_guard guard(lock_);
  const std::uint64_t used = mapped_slabs_.load() - free_slabs_.load();
  return ByteCount{used * (slab_bytes + sizeof(Slab)) + sizeof(*this)};
}

void IndexMemory::check_invariants() const {
  std::array<std::unique_lock<SpinLock>, most_arenas> quiet;
  for (std::size_t at = 0; at < most_arenas; ++at) quiet[at] = std::unique_lock(arenas_[at].lock);
  const std::lock_guard guard(lock_);
  std::uint32_t free = 0;
  for (const Free& some : free_) {
    for (std::uint32_t at = some.list; at != 0; at = slabs_[at].next) {
      CHECK(slabs_[at].used == 0);
      ++free;
    }
    free += some.fresh_end - some.fresh;
  }
  CHECK(free_slabs_.load() == free + (mapped_slabs_.load() - next_fresh_));
  std::uint32_t listed = 0;
  for (std::uint8_t arena = 0; arena < most_arenas; ++arena) {
    for (std::uint8_t size_class = 0; size_class < class_count; ++size_class) {
      std::uint32_t previous = 0;
      for (std::uint32_t at = arenas_[arena].partial[size_class]; at != 0; at = slabs_[at].next) {
        CHECK(slabs_[at].size_class == size_class && slabs_[at].arena == arena);
        CHECK(slabs_[at].previous == previous);
        CHECK(slabs_[at].used > 0);
        CHECK(slabs_[at].used < blocks_per_slab(size_class));
        previous = at;
        ++listed;
      }
    }
  }
  std::uint32_t partial = 0;
  std::uint32_t unused = 0;
  for (std::uint32_t at = 1; at < next_fresh_; ++at) {
    const Slab& slab = slabs_[at];
    unused += slab.used == 0 ? 1U : 0U;
    partial += slab.used > 0 && slab.used < blocks_per_slab(slab.size_class) ? 1U : 0U;
  }
  CHECK(unused == free);
  CHECK(partial == listed);
}

}  // namespace engine
