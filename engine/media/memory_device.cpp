#include "engine/media/memory_device.h"

#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <system_error>

namespace engine {
namespace {

constexpr std::uint64_t page_bytes = 4096;

void zero(std::byte* memory, std::uint64_t length) {
  // Whole pages go back to the system and read as zeros; the edges are other blocks' too.
  const auto address = reinterpret_cast<std::uintptr_t>(memory);
  const std::uint64_t head = std::min((page_bytes - address % page_bytes) % page_bytes, length);
  const std::uint64_t pages = (length - head) / page_bytes * page_bytes;
  std::memset(memory, 0, head);
  if (pages != 0 && madvise(memory + head, pages, MADV_DONTNEED) != 0) {
    std::memset(memory + head, 0, pages);
  }
  std::memset(memory + head + pages, 0, length - head - pages);
}

}  // namespace

Result<std::unique_ptr<MemoryDevice>, std::string> MemoryDevice::create(ByteCount size) {
  std::unique_ptr<MemoryDevice> device(new MemoryDevice);
  TRY(device->grow(size));
  return device;
}

MemoryDevice::~MemoryDevice() {
  for (std::size_t at = 0; at < mapping_count_; ++at) {
    munmap(mappings_[at].memory, mappings_[at].length);
  }
}

Result<void, std::string> MemoryDevice::grow(ByteCount size) {
  const std::uint64_t old_size = size_.load(std::memory_order_relaxed);
  if (size.value < old_size) return std::string("memory does not shrink");
  if (size.value == old_size) return boost::outcome_v2::success();
  if (mapping_count_ == most_mappings) return std::string("memory was grown too often");
  const std::uint64_t length = size.value - old_size;
  void* memory = mmap(nullptr, length, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) {
    return "no address space for it: " + std::generic_category().message(errno);
  }
  mappings_[mapping_count_] = {
      .memory = static_cast<std::byte*>(memory), .begin = old_size, .length = length};
  ++mapping_count_;
  size_.store(size.value, std::memory_order_release);
  return boost::outcome_v2::success();
}

template <class Use>
void MemoryDevice::for_each_piece(std::uint64_t begin, std::uint64_t length, const Use& use) const {
  const Mapping& first = mappings_[0];
  if (begin + length <= first.length) {
    use(first.memory + begin, std::uint64_t{0}, length);
    return;
  }
  std::uint64_t done = 0;
  for (const Mapping& mapping : mappings_) {
    if (done == length) return;
    const std::uint64_t at = begin + done;
    if (at < mapping.begin || at >= mapping.begin + mapping.length) continue;
    const std::uint64_t piece = std::min(length - done, mapping.begin + mapping.length - at);
    use(mapping.memory + (at - mapping.begin), done, piece);
    done += piece;
  }
}

template <class Use>
void MemoryDevice::for_each_page(std::uint64_t begin, std::uint64_t length, const Use& use) {
  for (std::uint64_t done = 0; done < length;) {
    const std::uint64_t at = begin + done;
    const std::uint64_t count = std::min(length - done, page_bytes - at % page_bytes);
    const std::lock_guard guard(lock_of(at / page_bytes).mutex);
    for_each_piece(at, count, [&](std::byte* memory, auto inside, auto piece) {
      use(memory, done + inside, piece);
    });
    done += count;
  }
}

void MemoryDevice::submit(IoLane& /*lane*/, BackingIo& io) {
  const bool moves = io.kind == BackingIo::Kind::read || io.kind == BackingIo::Kind::write;
  const std::uint64_t length = io.kind == BackingIo::Kind::sync ? 0
                               : moves                          ? io.buffer.size()
                                                                : io.length.value;
  const std::uint64_t size = size_.load(std::memory_order_acquire);
  if (io.kind != BackingIo::Kind::sync &&
      (io.offset.value > size || length > size - io.offset.value)) {
    return io.done(io, IoStatus::out_of_range);
  }
  if (length == 0) return io.done(io, IoStatus::ok);
  switch (io.kind) {
    case BackingIo::Kind::read:
      copy_out(io.offset.value, io.buffer);
      break;
    case BackingIo::Kind::write:
      copy_in(io.offset.value, io.buffer);
      break;
    case BackingIo::Kind::zero_range:
    case BackingIo::Kind::discard:
      zero_range(io.offset.value, length);
      break;
    case BackingIo::Kind::sync:
      break;
  }
  io.done(io, IoStatus::ok);
}

void MemoryDevice::copy_in(std::uint64_t offset, std::span<const std::byte> data) {
  for_each_page(offset, data.size(), [data](std::byte* memory, auto at, auto count) {
    std::memcpy(memory, data.data() + at, count);
  });
}

void MemoryDevice::copy_out(std::uint64_t offset, std::span<std::byte> data) {
  for_each_page(offset, data.size(), [data](const std::byte* memory, auto at, auto count) {
    std::memcpy(data.data() + at, memory, count);
  });
}

// All pages of a long range at once: it is rare, and the system is asked only once for them.
void MemoryDevice::zero_range(std::uint64_t offset, std::uint64_t length) {
  if (length <= page_bytes) {
    return for_each_page(offset, length,
                         [](std::byte* memory, auto, auto count) { zero(memory, count); });
  }
  for (PageLock& lock : page_locks_) lock.mutex.lock();
  for_each_piece(offset, length, [](std::byte* memory, auto, auto count) { zero(memory, count); });
  for (PageLock& lock : page_locks_) lock.mutex.unlock();
}

}  // namespace engine
