// What a durable 4 KiB write, a read hit and recovery cost, beside the bare copy in the same run.
// Memory of this process with cache-line granularity: the cost of stores, not of a medium; then a
// file of page granularity, whose medium is nearly all of the cost.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "engine/foundation/check.h"
#include "engine/foundation/random.h"
#include "engine/media/open_pmem.h"
#include "tests/bench/cache/bench_cache.h"
#include "tests/bench/cache/page_bench.h"
#include "tests/bench/cache/recovery_bench.h"
#include "tests/bench/cache/write_back_bench.h"

namespace engine {
namespace {

constexpr std::uint64_t volume_blocks = volume_bytes.value / block_bytes;
constexpr std::uint64_t writes = 240'000;  // what the device takes without reclaim
constexpr std::size_t hot_blocks = 32;
constexpr std::size_t cold_blocks = 32'768;  // 128 MiB
constexpr int rounds = 3;

// The data that is written.
class Source {
 public:
  explicit Source(std::size_t blocks) : blocks_(blocks), bytes_(blocks * block_bytes) {
    SeededRandom(1).fill(bytes_);
  }
  [[nodiscard]] std::span<const std::byte> next() {
    at_ = at_ + 1 == blocks_ ? 0 : at_ + 1;
    return std::span(bytes_).subspan(at_ * block_bytes, block_bytes);
  }

 private:
  std::size_t blocks_;
  std::size_t at_ = 0;
  std::vector<std::byte> bytes_;
};

struct Figure {
  double mean_ns = 0;
  double p50_ns = 0;  // depth 1 only
};

Figure figure_of(double total_ns, std::uint64_t count, std::vector<double> samples) {
  return {.mean_ns = total_ns / static_cast<double>(count),
          .p50_ns = samples.empty() ? 0 : median(std::move(samples))};
}

Figure bare_writes(PmemRegion& region, Source& source) {
  const auto writer = region.make_writer().value();
  std::vector<double> samples;
  samples.reserve(writes);
  const double begin = now_ns();
  for (std::uint64_t at = 0; at < writes; ++at) {
    const double from = now_ns();
    CHECK(writer->copy({at * block_bytes}, source.next()));
    writer->fence();
    samples.push_back(now_ns() - from);
  }
  return figure_of(now_ns() - begin, writes, std::move(samples));
}

Figure cache_writes(Cache& cache, std::size_t depth, Source& source) {
  const auto actor = CacheActor::make(*cache.device).value();
  Counter counter;
  std::vector<std::unique_ptr<CommitRecord>> records;
  for (std::size_t at = 0; at < depth; ++at) {
    records.push_back(std::make_unique<CommitRecord>(counter));
  }
  SeededRandom random(3);
  std::vector<SectorRange> ranges(depth);
  std::vector<double> samples;
  samples.reserve(writes / depth + 1);
  const double begin = now_ns();
  for (std::uint64_t done = 0; done < writes; done += depth) {
    const double from = now_ns();
    for (SectorRange& range : ranges) {
      range = {{random.below(volume_blocks) * 8}, {8}};
      cache.volume->index().prefetch(range.begin, ExtentIndex::Prefetch::reference);
    }
    for (std::size_t at = 0; at < depth; ++at) {
      CHECK(cache.volume->write(*actor, *records[at], ranges[at], source.next()));
    }
    (void)actor->end_turn();
    samples.push_back(now_ns() - from);
  }
  const double total = now_ns() - begin;
  CHECK(counter.completed >= writes);
  return figure_of(total, writes, depth == 1 ? std::move(samples) : std::vector<double>{});
}

double read_hits(Cache& cache) {
  std::vector<std::byte> to(block_bytes);
  SeededRandom random(5);
  const auto gap = [](const CacheGap&) {};
  const double begin = now_ns();
  for (std::uint64_t at = 0; at < writes; ++at) {
    cache.volume->read({{random.below(volume_blocks) * 8}, {8}}, to, ExtentIndex::Heat::warm, gap);
  }
  return (now_ns() - begin) / static_cast<double>(writes);
}

double bare_reads(PmemRegion& region) {
  std::vector<std::byte> to(block_bytes);
  SeededRandom random(5);
  const double begin = now_ns();
  for (std::uint64_t at = 0; at < writes; ++at) {
    const auto from = region.view({random.below(writes) * block_bytes}, {block_bytes}).value();
    std::memcpy(to.data(), from.data(), from.size());
    asm volatile("" : : "r"(to.data()) : "memory");
  }
  return (now_ns() - begin) / static_cast<double>(writes);
}

void measure(PmemRegion& region, PmemRegion& bare_region, bool hot) {
  Source source(hot ? hot_blocks : cold_blocks);
  std::vector<double> bare;
  std::vector<double> bare_p50;
  std::vector<double> one[2];
  std::vector<double> one_p50[2];
  std::vector<double> deep[2];
  std::vector<double> read[2];
  std::vector<double> bare_read;
  std::vector<double> keys[2];
  for (int round = 0; round < rounds; ++round) {
    const Figure copy = bare_writes(bare_region, source);
    bare.push_back(copy.mean_ns);
    bare_p50.push_back(copy.p50_ns);
    bare_read.push_back(bare_reads(bare_region));
    for (const bool crc : {false, true}) {
      const std::size_t at = crc ? 1 : 0;
      {
        Cache cache(region, crc);
        const Figure single = cache_writes(cache, 1, source);
        one[at].push_back(single.mean_ns);
        one_p50[at].push_back(single.p50_ns);
      }
      Cache cache(region, crc);
      deep[at].push_back(cache_writes(cache, 32, source).mean_ns);
      read[at].push_back(read_hits(cache));
      cache.volume.reset();
      cache.open();
      const double begin = now_ns();
      const RecoveryReport report = cache.recover();
      keys[at].push_back(static_cast<double>(report.keys) / (now_ns() - begin) * 1e3);
    }
  }
  fmt::print("\nsource {}; medians of {} rounds, {} writes each\n",
             hot ? "in the CPU cache (128 KiB)" : "cold (128 MiB)", rounds, writes);
  const double base = median(bare);
  fmt::print("  bare copy + fence:       {:6.0f} ns, p50 {:5.0f} ns\n", base, median(bare_p50));
  for (const bool crc : {false, true}) {
    const std::size_t at = crc ? 1 : 0;
    const char* const name = crc ? "with checksums" : "without";
    fmt::print("  write, depth 1,  {:14}: {:6.0f} ns, p50 {:5.0f} ns\n", name, median(one[at]),
               median(one_p50[at]));
    fmt::print("  write, depth 32, {:14}: {:6.0f} ns = {:3.0f} % of bare\n", name, median(deep[at]),
               100 * base / median(deep[at]));
    fmt::print("  read hit,        {:14}: {:6.0f} ns = {:3.0f} % of a bare copy\n", name,
               median(read[at]), 100 * median(bare_read) / median(read[at]));
    fmt::print("  recovery,        {:14}: {:6.1f} M keys/s\n", name, median(keys[at]));
  }
  fmt::print("  checksums cost at depth 32: {:3.0f} % of the rate is left\n",
             100 * median(deep[0]) / median(deep[1]));
}

}  // namespace
}  // namespace engine

// forebay-cache-bench [all | lines | pages | recovery | write-back] [directory for the files, here
// by default]
int main(int argc, char** argv) {
  const std::string what = argc > 1 ? argv[1] : "all";
  const char* const directory = argc > 2 ? argv[2] : ".";
  if (what == "all" || what == "pages") engine::measure_pages(directory);
  if (what == "pages") return 0;
  if (what == "all" || what == "recovery") engine::measure_recovery();
  if (what == "recovery") return 0;
  const auto region = std::move(engine::make_anonymous_pmem(engine::device_bytes).value());
  if (what == "all" || what == "write-back") engine::measure_write_back(*region, directory);
  if (what == "write-back") return 0;
  const auto bare = std::move(engine::make_anonymous_pmem(engine::device_bytes).value());
  engine::measure(*region, *bare, true);
  engine::measure(*region, *bare, false);
  return 0;
}
