#include <barrier>

#include "tests/bench/cache/cache_bench.h"
#include "tests/bench/cache/cache_host.h"
#include "tests/bench/ceiling/copy.h"

namespace engine {
namespace {

constexpr std::size_t depth = 32;

// `work`, which returns what each of its operations took, on both cores at once: what one takes
// when there are two of them, in nanoseconds. `prepare(n)` makes it, on its core, with what it
// needs.
template <class Prepare>
double on_both(Prepare prepare) {
  std::barrier together(2);
  double each[2] = {};
  const auto run = [&](unsigned n) {
    on_core(n, [&] {
      auto work = prepare(n);
      together.arrive_and_wait();
      each[n] = work();
      together.arrive_and_wait();
    });
  };
  std::thread second([&run] { run(1); });
  run(0);
  second.join();
  return 1 / (1 / each[0] + 1 / each[1]);
}

void measure_bare(bench::CopyCeiling& bare, Source (&sources)[2], std::uint64_t writes) {
  on_core(0, [&] {
    tell("bare one core ns", bare.copy({.source = sources[0].all(), .blocks = writes}));
  });
  const double both = on_both([&](unsigned n) {
    return [&bare, writes, n, source = sources[n].all()] {
      return bare.copy({.source = source, .blocks = writes / 2, .part = n, .parts = 2});
    };
  });
  tell("bare two cores ns", both);
}

void measure_cache(PmemRegion& region, const BenchPlan& plan, Source (&sources)[2]) {
  const ByteCount size = plan.volume_bytes();
  on_core(0, [&] {
    Cache cache(region, false, size);
    CacheHost host(cache, cache.volume(), size, depth, 3);
    tell("one volume one core ns", host.write(sources[0], plan.writes));
  });
  for (const std::uint32_t volumes : {1U, 2U}) {
    Cache cache(region, false, size, volumes);
    const double both = on_both([&](unsigned n) {
      VolumeCache& volume = cache.volume(n % volumes);
      auto host = std::make_unique<CacheHost>(cache, volume, size, depth, 3 + n);
      return [host = std::move(host), &source = sources[n], writes = plan.writes / 2] {
        return host->write(source, writes);
      };
    });
    tell(volumes == 1 ? "one volume two cores ns" : "two volumes two cores ns", both);
  }
}

}  // namespace

void measure_cores(const BenchPlan& plan) {
  const CacheFile file(plan.memory, plan.device_bytes());
  const auto bare = open_bare(plan);
  Source sources[2] = {Source(Source::hot_blocks), Source(Source::hot_blocks)};
  for (int repeat = 0; repeat < plan.repeats; ++repeat) {
    measure_bare(*bare, sources, plan.writes);
    const auto region = file.open();  // see measure_writes()
    measure_cache(*region, plan, sources);
  }
}

}  // namespace engine
