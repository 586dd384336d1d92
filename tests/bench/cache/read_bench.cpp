#include <cstring>

#include "tests/bench/cache/cache_bench.h"
#include "tests/bench/cache/cache_host.h"

namespace engine {
namespace {

// From anywhere in as much memory as the volume's.
double bare_copies(const PmemRegion& region, const BenchPlan& plan) {
  const auto all = must(region.view({0}, plan.volume_bytes()));
  Source buffers(Source::hot_blocks);
  SeededRandom random(5);
  bench::Pace pace;
  for (std::uint64_t at = 0; at < plan.writes; ++at) {
    const std::uint64_t block = random.below(all.size() / block_bytes);
    std::byte* const to = buffers.next().data();
    std::memcpy(to, all.data() + block * block_bytes, block_bytes);
    asm volatile("" : : "r"(to) : "memory");
    pace.count(1);
  }
  return pace.median_ns();
}

}  // namespace

void measure_reads(const BenchPlan& plan) {
  const CacheFile file(plan.memory, plan.device_bytes());
  const auto region = file.open();
  Source source(Source::hot_blocks);
  const auto measure = [&] {
    tell("bare read ns", bare_copies(*region, plan));
    for (const bool crc : {false, true}) {
      const std::string kind = crc ? "crc" : "plain";
      Cache cache(*region, crc, plan.volume_bytes());
      {
        CacheHost host(cache, cache.volume(), plan.volume_bytes(), usual_depth, 3);
        (void)host.write(source, plan.writes);
        tell(kind + " read hit ns", host.read(plan.writes));
      }
      cache.volumes.front().reset();
      cache.open();
      const double begin = cpu_ms();
      const RecoveryReport report = cache.recover();
      CHECK(report.keys == plan.writes / usual_depth * usual_depth);
      tell(kind + " recovered keys/s", static_cast<double>(report.keys) / (cpu_ms() - begin) * 1e3);
    }
  };
  for (int repeat = 0; repeat < plan.repeats; ++repeat) on_core(0, measure);
}

}  // namespace engine
