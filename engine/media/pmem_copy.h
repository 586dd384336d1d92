// Copies that go round the CPU cache, and what makes them persistent.
#pragma once

#include <cstddef>
#include <span>

namespace engine {

inline constexpr std::size_t cache_line_bytes = 64;

// Starts writing back the cache lines that hold `bytes`; done after the next persist_fence() of
// this thread. By clwb, clflushopt or clflush, whichever the processor has.
void write_back_lines(std::span<std::byte> bytes) noexcept;

// Copies by non-temporal stores; lines that are covered in part are stored and written back.
// Persistent after the next persist_fence() of this thread. Calls nothing that owns anything.
void copy_to_pmem(std::byte* to, std::span<const std::byte> from) noexcept;

// Orders this thread's stores: sfence.
void persist_fence() noexcept;

}  // namespace engine
