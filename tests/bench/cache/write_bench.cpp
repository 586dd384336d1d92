#include "tests/bench/cache/cache_bench.h"
#include "tests/bench/cache/cache_host.h"
#include "tests/bench/ceiling/copy.h"

namespace engine {
namespace {

void measure_bare(bench::CopyCeiling& bare, const Source& source, const std::string& name,
                  std::uint64_t writes) {
  using bench::CopyPattern;
  const auto plan = [&](CopyPattern pattern) {
    return bench::CopyCeiling::Plan{.pattern = pattern, .source = source.all(), .blocks = writes};
  };
  tell(name + " bare sequential ns", bare.copy(plan(CopyPattern::sequential)));
  tell(name + " bare random ns", bare.copy(plan(CopyPattern::random)));
  tell(name + " bare p50 ns", bare.copy(plan(CopyPattern::sequential), 1));
}

void measure_cache(PmemRegion& region, const BenchPlan& plan, Source& source,
                   const std::string& name) {
  for (const bool crc : {false, true}) {
    const std::string kind = name + (crc ? " crc" : " plain");
    {
      Cache cache(region, crc, plan.volume_bytes());
      CacheHost host(cache, cache.volume(), plan.volume_bytes(), 1, 3);
      tell(kind + " depth 1 p50 ns", host.write(source, plan.writes, 1));
    }
    Cache cache(region, crc, plan.volume_bytes());
    CacheHost host(cache, cache.volume(), plan.volume_bytes(), 32, 3);
    tell(kind + " depth 32 ns", host.write(source, plan.writes));
  }
}

}  // namespace

void measure_writes(const BenchPlan& plan) {
  const CacheFile file(plan.memory, plan.device_bytes());
  const auto bare = open_bare(plan);
  Source hot(Source::hot_blocks);
  Source cold(Source::cold_blocks);
  for (int repeat = 0; repeat < plan.repeats; ++repeat) {
    for (Source* const source : {&hot, &cold}) {
      const std::string name = source == &hot ? "hot" : "cold";
      on_core(0, [&] {
        measure_bare(*bare, *source, name, plan.writes);
        // Just before, as the bare copy's was: what a mapping that has lain unused costs (a kernel
        // that watches which pages are used) is of the machine, and not of either.
        const auto region = file.open();
        measure_cache(*region, plan, *source, name);
      });
    }
  }
}

}  // namespace engine
