#include "tests/bench/ceiling/copy.h"

#include <fcntl.h>
#include <immintrin.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <vector>

#include "engine/foundation/crc32c.h"
#include "engine/foundation/random.h"

namespace bench {
namespace {

constexpr std::size_t block_bytes = 4096;
constexpr std::size_t source_blocks = 64;

void stream_block_sse2(std::byte* to, const std::byte* from) {
  for (std::size_t i = 0; i < block_bytes; i += 16) {
    _mm_stream_si128(reinterpret_cast<__m128i*>(to + i),
                     _mm_loadu_si128(reinterpret_cast<const __m128i*>(from + i)));
  }
}

__attribute__((target("avx512f"))) void stream_block_avx512(std::byte* to, const std::byte* from) {
  for (std::size_t i = 0; i < block_bytes; i += 64) {
    _mm512_stream_si512(reinterpret_cast<__m512i*>(to + i), _mm512_loadu_si512(from + i));
  }
}

}  // namespace

std::optional<double> measure_copy(const std::string& path, std::uint64_t bytes,
                                   CopyPattern pattern, std::uint64_t blocks, std::string& error) {
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  void* mapped = MAP_FAILED;
  if (fd >= 0 && ::ftruncate(fd, static_cast<off_t>(bytes)) == 0) {
    mapped = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  }
  if (mapped == MAP_FAILED) error = path + ": " + std::strerror(errno);
  if (fd >= 0) ::close(fd);
  (void)::unlink(path.c_str());
  if (mapped == MAP_FAILED) return std::nullopt;

  auto* const media = static_cast<std::byte*>(mapped);
  for (std::uint64_t at = 0; at < bytes; at += block_bytes) media[at] = std::byte{1};  // fault in
  std::vector<std::byte> source(source_blocks * block_bytes);
  engine::SeededRandom random(1);
  random.fill(source);
  const auto stream = __builtin_cpu_supports("avx512f") ? stream_block_avx512 : stream_block_sse2;

  const std::uint64_t media_blocks = bytes / block_bytes;
  std::uint32_t checksum = 0;
  const auto start = std::chrono::steady_clock::now();
  for (std::uint64_t i = 0; i < blocks; ++i) {
    const std::byte* from = source.data() + i % source_blocks * block_bytes;
    const std::uint64_t to =
        pattern == CopyPattern::random ? random.below(media_blocks) : i % media_blocks;
    if (pattern == CopyPattern::sequential_with_crc) {
      checksum ^= engine::crc32c({from, block_bytes});
    }
    stream(media + to * block_bytes, from);
    _mm_sfence();
  }
  const auto took =
      std::chrono::duration<double, std::nano>(std::chrono::steady_clock::now() - start);
  media[0] = static_cast<std::byte>(checksum);  // keeps the checksum from being optimised away
  (void)::munmap(mapped, bytes);
  return took.count() / static_cast<double>(blocks);
}

}  // namespace bench
