#include "engine/media/buffer_arena.h"

#include <sanitizer/asan_interface.h>
#include <sys/mman.h>

#include <algorithm>

#include "engine/foundation/check.h"

namespace engine {
namespace {

constexpr std::size_t slab_bytes = BufferArena::slab_bytes;

std::byte* slab_of(std::byte* block) {
  return block - reinterpret_cast<std::uintptr_t>(block) % slab_bytes;
}

std::byte* buddy_of(std::byte* block, std::size_t length) {
  std::byte* slab = slab_of(block);
  const auto offset = static_cast<std::size_t>(block - slab);
  return slab + (offset ^ length);
}

// Aligned to its own length, or nullptr.
std::byte* map_slab() {
  void* memory = ::mmap(nullptr, 2 * slab_bytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) return nullptr;
  auto* begin = static_cast<std::byte*>(memory);
  std::byte* slab = slab_of(begin + slab_bytes - 1);
  if (slab != begin) ::munmap(begin, static_cast<std::size_t>(slab - begin));
  std::byte* end = begin + 2 * slab_bytes;
  if (slab + slab_bytes != end) {
    ::munmap(slab + slab_bytes, static_cast<std::size_t>(end - (slab + slab_bytes)));
  }
  return slab;
}

}  // namespace

BufferArena::~BufferArena() {
  unmap_free_slabs(used_);
  unmap_free_slabs(clean_);
}

bool BufferArena::add_slab() {
  // Instead of growing beside what was used and is free, that is given back to the machine.
  if (used_bytes_ >= slab_bytes) forget_contents();
  std::byte* slab = map_slab();
  if (slab == nullptr) return false;
  ASAN_POISON_MEMORY_REGION(slab, slab_bytes);
  slabs_.insert(slab);
  clean_.back().insert(slab);
  return true;
}

std::byte* BufferArena::take_from(FreeBlocks& blocks, std::size_t size_class) {
  std::size_t from = size_class;
  while (from < class_count && blocks[from].empty()) ++from;
  if (from == class_count) return nullptr;
  std::byte* block = *blocks[from].begin();
  blocks[from].erase(blocks[from].begin());
  while (from > size_class) {
    --from;
    blocks[from].insert(block + (page_bytes << from));
  }
  return block;
}

std::byte* BufferArena::allocate(std::size_t size_class) {
  CHECK(size_class < class_count);
  const std::size_t length = page_bytes << size_class;
  const std::lock_guard lock(mutex_);
  std::byte* block = take_from(used_, size_class);
  if (block != nullptr) {
    used_bytes_ -= length;
  } else {
    block = take_from(clean_, size_class);
    if (block == nullptr && add_slab()) block = take_from(clean_, size_class);
    if (block == nullptr) return nullptr;
  }
  ASAN_UNPOISON_MEMORY_REGION(block, length);
  return block;
}

void BufferArena::release(std::byte* block, std::size_t size_class) noexcept {
  const std::lock_guard lock(mutex_);
  std::size_t length = page_bytes << size_class;
  ASAN_POISON_MEMORY_REGION(block, length);
  used_bytes_ += length;
  for (; size_class + 1 < class_count; ++size_class, length *= 2) {
    std::byte* buddy = buddy_of(block, length);
    if (used_[size_class].erase(buddy) == 0) {
      if (clean_[size_class].erase(buddy) == 0) break;
      used_bytes_ += length;  // one block again: all of it counts
    }
    block = std::min(block, buddy);
  }
  used_[size_class].insert(block);
}

// The largest go first.
void BufferArena::forget_contents() noexcept {
  std::size_t forgotten = 0;
  for (std::size_t size_class = class_count; size_class-- > 0;) {
    const std::size_t length = page_bytes << size_class;
    auto& blocks = used_[size_class];
    while (!blocks.empty()) {
      if (++forgotten > most_forgotten) return;
      std::byte* block = *blocks.begin();
      ::madvise(block, length, MADV_DONTNEED);
      clean_[size_class].insert(blocks.extract(blocks.begin()));
      used_bytes_ -= length;
    }
  }
}

void BufferArena::unmap_free_slabs(FreeBlocks& blocks) noexcept {
  for (std::byte* slab : blocks.back()) {
    ASAN_UNPOISON_MEMORY_REGION(slab, slab_bytes);
    ::munmap(slab, slab_bytes);
    slabs_.erase(slab);
  }
  blocks.back().clear();
}

void BufferArena::trim() noexcept {
  const std::lock_guard lock(mutex_);
  used_bytes_ -= used_.back().size() * slab_bytes;
  unmap_free_slabs(used_);
  unmap_free_slabs(clean_);
  if (used_bytes_ != 0) forget_contents();
}

std::size_t BufferArena::mapped_bytes() const {
  const std::lock_guard lock(mutex_);
  return slabs_.size() * slab_bytes;
}

void BufferArena::check_invariants() const {
  const std::lock_guard lock(mutex_);
  std::size_t used = 0;
  for (std::size_t size_class = 0; size_class < class_count; ++size_class) {
    const std::size_t length = page_bytes << size_class;
    used += used_[size_class].size() * length;
    for (const auto* blocks : {&used_[size_class], &clean_[size_class]}) {
      for (std::byte* block : *blocks) {
        CHECK(slabs_.contains(slab_of(block)));
        CHECK(reinterpret_cast<std::uintptr_t>(block) % length == 0);
        if (size_class + 1 == class_count) continue;
        std::byte* buddy = buddy_of(block, length);
        CHECK(!used_[size_class].contains(buddy) && !clean_[size_class].contains(buddy));
      }
    }
  }
  CHECK(used == used_bytes_);
}

}  // namespace engine
