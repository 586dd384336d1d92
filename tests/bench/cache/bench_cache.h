// What the parts of forebay-cache-bench share: a clock, cores, sources of data, cache devices.
#pragma once

#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "engine/cache/cache_superblock.h"
#include "engine/cache/format_cache.h"
#include "engine/cache/recovery.h"
#include "engine/foundation/check.h"
#include "engine/foundation/random.h"
#include "engine/media/open_pmem.h"
#include "tests/bench/cache/cache_bench.h"
#include "tests/bench/cache/tell.h"
#include "tests/bench/ceiling/copy.h"
#include "tests/bench/ceiling/pace.h"

namespace engine {

// Commands under way, where a benchmark is not about their number.
inline constexpr std::size_t usual_depth = 32;

inline double now_ns() {
  return std::chrono::duration<double, std::nano>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

// Of all threads, the kernel's part too.
inline double cpu_ms() {
  timespec used{};
  CHECK(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used) == 0);
  return static_cast<double>(used.tv_sec) * 1e3 + static_cast<double>(used.tv_nsec) / 1e6;
}

inline double median(std::vector<double> values) {
  std::ranges::nth_element(values, values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2));
  return values[values.size() / 2];
}

[[noreturn]] inline void give_up(const std::string& why) {
  std::fprintf(stderr, "forebay-cache-bench: %s\n", why.c_str());
  std::exit(1);
}

// The machine's own ceiling, over as much as a volume has.
inline std::unique_ptr<bench::CopyCeiling> open_bare(const BenchPlan& plan) {
  std::string error;
  auto bare =
      bench::CopyCeiling::open(plan.memory + "/forebay-ceiling", plan.volume_bytes().value, error);
  if (bare == nullptr) give_up(error);
  return bare;
}

// Ends the program with the error's text where it has one.
template <class Value, class Error>
Value must(Result<Value, Error> result) {
  if (!result) {
    if constexpr (requires { result.error().text; }) give_up(result.error().text);
    give_up("something failed that never should");
  }
  if constexpr (!std::is_void_v<Value>) return std::move(result).value();
}

// The n-th of those that this process may use.
inline int core(unsigned n) {
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  CHECK(sched_getaffinity(0, sizeof allowed, &allowed) == 0);
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (CPU_ISSET(cpu, &allowed) && n-- == 0) return cpu;
  }
  give_up("two processors are needed");
}

// In a thread of its own: nobody else inherits the core.
template <class Work>
void on_core(unsigned n, Work work) {
  std::thread thread([cpu = core(n), &work] {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    CHECK(pthread_setaffinity_np(pthread_self(), sizeof set, &set) == 0);
    work();
  });
  thread.join();
}

// The data that is written; by one thread, whose own line of the CPU's cache it is.
class alignas(64) Source {
 public:
  static constexpr std::size_t hot_blocks = 32;       // 128 KiB: in the CPU's cache
  static constexpr std::size_t cold_blocks = 32'768;  // 128 MiB: not

  explicit Source(std::size_t blocks) : blocks_(blocks), bytes_(blocks * block_bytes) {
    SeededRandom(1).fill(bytes_);
  }
  [[nodiscard]] std::span<std::byte> next() {
    at_ = at_ + 1 == blocks_ ? 0 : at_ + 1;
    return std::span(bytes_).subspan(at_ * block_bytes, block_bytes);
  }
  [[nodiscard]] std::span<const std::byte> all() const { return bytes_; }

 private:
  std::size_t blocks_;
  std::size_t at_ = 0;
  std::vector<std::byte> bytes_;
};

// A file of a memory file system that is used as persistent memory with cache lines would be.
class CacheFile {
 public:
  CacheFile(const std::string& directory, ByteCount size)
      : path_(directory + "/forebay-cache-bench-" + std::to_string(getpid())) {
    CHECK(setenv("PMEM2_FORCE_GRANULARITY", "CACHE_LINE", 1) == 0);
    must(create_pmem_file(path_, size));
  }
  ~CacheFile() {
    unlink(path_.c_str());
    unsetenv("PMEM2_FORCE_GRANULARITY");
  }
  CacheFile(const CacheFile&) = delete;
  CacheFile& operator=(const CacheFile&) = delete;

  [[nodiscard]] const std::string& path() const { return path_; }
  // For this process alone while it lives.
  [[nodiscard]] std::unique_ptr<PmemRegion> open() const {
    auto region = must(open_pmem_region(path_, {}));
    CHECK(region->guarantee().granularity == PmemGranularity::cache_line);
    touch(*region);
    return region;
  }

 private:
  // The first store to a page of a mapping costs microseconds where a hypervisor keeps page tables
  // of its own, whatever the guest has put into his.
  static void touch(PmemRegion& region) {
    constexpr std::uint64_t page = 4096;
    const auto writer = must(region.make_writer());
    std::array<std::byte, 64> line;
    for (std::uint64_t at = 0; at < region.size().value; at += page) {
      must(region.read({at}, line));
      must(writer->copy({at}, line));
    }
    writer->fence();
  }

  const std::string path_;
};

// Whatever cache was there.
inline Uuid format_anew(PmemRegion& region, bool crc) {
  FormatOptions options;
  options.uuid = Uuid::random();
  options.payload_crc = crc;
  CacheFindings findings;
  if (const auto there = read_superblocks(region, findings)) {
    options.replace = Uuid{there.value().block.device_uuid};
  }
  must(format_cache(region, options));
  return options.uuid;
}

// A freshly formatted device whose volumes are open.
struct Cache {
  Cache(PmemRegion& pmem, bool crc, ByteCount volume_size, std::uint32_t volume_count = 1)
      : region(pmem), memory(1_GiB) {
    (void)format_anew(region, crc);
    open();
    for (std::uint32_t at = 0; at < volume_count; ++at) {
      const Uuid uuid = Uuid::random();
      must(device->volumes().attach(
          *writer, {.volume = uuid,
                    .backing = uuid,
                    .size = volume_size,
                    .binding = {.attach_epoch = 1, .block_size = {}, .name = "bench"}}));
      volumes.emplace_back();
      (void)recover(at);
    }
  }
  void open() {
    device = must(CacheDevice::open(region));
    writer = std::make_unique<DurableWriter>(must(DurableWriter::make(region)));
  }
  RecoveryReport recover(std::uint32_t slot = 0) {
    auto recovered = must(recover_volume(*device, slot, memory, clock, *writer));
    CHECK(!recovered.report.damaged() && !recovered.report.not_opened);
    volumes[slot] = std::move(recovered.cache);
    return recovered.report;
  }
  [[nodiscard]] VolumeCache& volume(std::uint32_t slot = 0) { return *volumes[slot]; }

  PmemRegion& region;
  SystemClock clock;
  IndexMemory memory;
  std::unique_ptr<CacheDevice> device;
  std::unique_ptr<DurableWriter> writer;
  std::vector<std::unique_ptr<VolumeCache>> volumes;
};

}  // namespace engine
