#include "tests/bench/ceiling/copy.h"

#include <fcntl.h>
#include <immintrin.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "engine/foundation/crc32c.h"
#include "engine/foundation/random.h"

namespace bench {
namespace {

constexpr std::size_t block_bytes = 4096;

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

std::unique_ptr<CopyCeiling> CopyCeiling::open(const std::string& path, std::uint64_t bytes,
                                               std::string& error) {
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  void* mapped = MAP_FAILED;
  if (fd >= 0 && ::ftruncate(fd, static_cast<off_t>(bytes)) == 0) {
    mapped = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  }
  if (mapped == MAP_FAILED) error = path + ": " + std::strerror(errno);
  if (fd >= 0) ::close(fd);
  (void)::unlink(path.c_str());
  if (mapped == MAP_FAILED) return nullptr;
  auto* const media = static_cast<std::byte*>(mapped);
  for (std::uint64_t at = 0; at < bytes; at += block_bytes) media[at] = std::byte{1};  // fault in
  return std::unique_ptr<CopyCeiling>(new CopyCeiling(media, bytes));
}

CopyCeiling::~CopyCeiling() { (void)::munmap(media_, bytes_); }

double CopyCeiling::copy(const Plan& plan, std::uint64_t chunk) {
  const auto stream = __builtin_cpu_supports("avx512f") ? stream_block_avx512 : stream_block_sse2;
  const std::uint64_t media_blocks = bytes_ / block_bytes / plan.parts;
  std::byte* const media = media_ + plan.part * media_blocks * block_bytes;
  const std::size_t source_blocks = plan.source.size() / block_bytes;
  engine::SeededRandom random(1);
  std::uint32_t checksum = 0;
  std::size_t source = 0;
  std::uint64_t next = 0;
  Pace pace(chunk);
  for (std::uint64_t at = 0; at < plan.blocks; ++at) {
    const std::byte* const from = plan.source.data() + source * block_bytes;
    source = source + 1 == source_blocks ? 0 : source + 1;
    const std::uint64_t to =
        plan.pattern == CopyPattern::random ? random.below(media_blocks) : next;
    next = next + 1 == media_blocks ? 0 : next + 1;
    if (plan.pattern == CopyPattern::sequential_with_crc) {
      checksum ^= engine::crc32c({from, block_bytes});
    }
    stream(media + to * block_bytes, from);
    _mm_sfence();
    pace.count(1);
  }
  media[0] = static_cast<std::byte>(checksum);  // keeps the checksum from being optimised away
  return pace.median_ns();
}

}  // namespace bench
