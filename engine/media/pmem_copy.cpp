#include "engine/media/pmem_copy.h"

#include <cpuid.h>
#include <immintrin.h>

#include <algorithm>
#include <cstdint>
#include <cstring>

namespace engine {
namespace {

std::size_t offset_in_line(const std::byte* at) {
  return reinterpret_cast<std::uintptr_t>(at) % cache_line_bytes;
}

using WriteBackLine = void (*)(void*) noexcept;

__attribute__((target("clwb"))) void clwb(void* line) noexcept { _mm_clwb(line); }
__attribute__((target("clflushopt"))) void clflushopt(void* line) noexcept { _mm_clflushopt(line); }
void clflush(void* line) noexcept { _mm_clflush(line); }

WriteBackLine choose_write_back() {
  unsigned eax = 0;
  unsigned ebx = 0;
  unsigned ecx = 0;
  unsigned edx = 0;
  if (__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) == 0) return clflush;
  if ((ebx & bit_CLWB) != 0) return clwb;
  if ((ebx & bit_CLFLUSHOPT) != 0) return clflushopt;
  return clflush;
}

const WriteBackLine write_back_line = choose_write_back();

// Part of one line.
void copy_part(std::byte* to, const std::byte* from, std::size_t count) noexcept {
  std::memcpy(to, from, count);
  write_back_line(to);
}

using CopyLines = void (*)(std::byte*, const std::byte*, std::size_t) noexcept;

// Memory takes as long whatever the width; the fewer instructions, the more of what comes next is
// begun meanwhile.
__attribute__((target("avx512f"))) void copy_by_64(std::byte* to, const std::byte* from,
                                                   std::size_t count) noexcept {
  for (std::size_t at = 0; at < count; at += cache_line_bytes) {
    _mm512_stream_si512(reinterpret_cast<__m512i*>(to + at), _mm512_loadu_si512(from + at));
  }
}

__attribute__((target("avx"))) void copy_by_32(std::byte* to, const std::byte* from,
                                               std::size_t count) noexcept {
  for (std::size_t at = 0; at < count; at += sizeof(__m256i)) {
    _mm256_stream_si256(reinterpret_cast<__m256i*>(to + at),
                        _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from + at)));
  }
}

void copy_by_16(std::byte* to, const std::byte* from, std::size_t count) noexcept {
  for (std::size_t at = 0; at < count; at += sizeof(__m128i)) {
    _mm_stream_si128(reinterpret_cast<__m128i*>(to + at),
                     _mm_loadu_si128(reinterpret_cast<const __m128i*>(from + at)));
  }
}

CopyLines choose_copy() {
  if (__builtin_cpu_supports("avx512f")) return copy_by_64;
  if (__builtin_cpu_supports("avx")) return copy_by_32;
  return copy_by_16;
}

// Whole lines.
const CopyLines copy_lines = choose_copy();

}  // namespace

void write_back_lines(std::span<std::byte> bytes) noexcept {
  std::byte* line = bytes.data() - offset_in_line(bytes.data());
  for (; line < bytes.data() + bytes.size(); line += cache_line_bytes) write_back_line(line);
}

void copy_to_pmem(std::byte* to, std::span<const std::byte> from) noexcept {
  const std::byte* source = from.data();
  std::size_t left = from.size();
  if (left == 0) return;
  const std::size_t inside = offset_in_line(to);
  if (inside != 0) {
    const std::size_t head = std::min(cache_line_bytes - inside, left);
    copy_part(to, source, head);
    to += head;
    source += head;
    left -= head;
  }
  const std::size_t lines = left / cache_line_bytes * cache_line_bytes;
  copy_lines(to, source, lines);
  if (left != lines) copy_part(to + lines, source + lines, left - lines);
}

void persist_fence() noexcept { _mm_sfence(); }

}  // namespace engine
