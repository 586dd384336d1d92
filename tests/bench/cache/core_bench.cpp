#include <atomic>
#include <barrier>
#include <memory>
#include <thread>

#include "tests/bench/cache/cache_bench.h"
#include "tests/bench/cache/cache_host.h"
#include "tests/bench/ceiling/copy.h"

namespace engine {
namespace {

// `work`, which returns what each of its operations took, on one core after the other: what one
// takes on the usual core, in nanoseconds. (Virtual processors differ: their neighbours do.)
// `prepare(n)` makes it, on its core, with what it needs.
template <class Prepare>
double on_one(Prepare prepare) {
  double each[2] = {};
  for (const unsigned n : {0U, 1U}) {
    on_core(n, [&] { each[n] = prepare(n)(); });
  }
  return 2 / (1 / each[0] + 1 / each[1]);
}

// The same on both cores at once: what one operation takes when there are two of them.
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

// How long a line of the CPU's cache is on its way from one core to the other: what everything that
// two cores share costs at least.
double line_handed_over() {
  constexpr std::uint64_t rounds = 100'000;
  alignas(64) std::atomic<std::uint64_t> line{0};
  const auto take_turns = [&line](std::uint64_t first) {
    for (std::uint64_t turn = first; turn < 2 * rounds; turn += 2) {
      while (line.load(std::memory_order_acquire) != turn) _mm_pause();
      line.store(turn + 1, std::memory_order_release);
    }
  };
  double begin = 0;
  std::thread second([&] { on_core(1, [&] { take_turns(1); }); });
  on_core(0, [&] {
    begin = now_ns();
    take_turns(0);
  });
  second.join();
  return (now_ns() - begin) / (2 * rounds);
}

void measure_bare(bench::CopyCeiling& bare, Source (&sources)[2], std::uint64_t writes) {
  const auto prepare = [&](unsigned n) {
    return [&bare, writes, n, source = sources[n].all()] {
      return bare.copy({.source = source, .blocks = writes / 2, .part = n, .parts = 2});
    };
  };
  tell("bare one core ns", on_one(prepare));
  tell("bare two cores ns", on_both(prepare));
}

void measure_cache(PmemRegion& region, const BenchPlan& plan, Source (&sources)[2]) {
  const ByteCount size = plan.volume_bytes();
  std::unique_ptr<Cache> cache;
  std::uint32_t volumes = 1;
  const auto prepare = [&](unsigned n) {
    VolumeCache& volume = cache->volume(n % volumes);
    auto host = std::make_unique<CacheHost>(*cache, volume, size, usual_depth, 3 + n);
    return [host = std::move(host), &source = sources[n], writes = plan.writes / 2] {
      return host->write(source, writes);
    };
  };
  cache = std::make_unique<Cache>(region, false, size);
  tell("one volume one core ns", on_one(prepare));
  cache.reset();
  cache = std::make_unique<Cache>(region, false, size);
  tell("one volume two cores ns", on_both(prepare));
  cache.reset();
  volumes = 2;
  cache = std::make_unique<Cache>(region, false, size, volumes);
  tell("two volumes two cores ns", on_both(prepare));
}

}  // namespace

void measure_cores(const BenchPlan& plan) {
  const CacheFile file(plan.memory, plan.device_bytes());
  const auto bare = open_bare(plan);
  Source sources[2] = {Source(Source::hot_blocks), Source(Source::hot_blocks)};
  for (int repeat = 0; repeat < plan.repeats; ++repeat) {
    tell("line handed over ns", line_handed_over());
    measure_bare(*bare, sources, plan.writes);
    const auto region = file.open();  // see measure_writes()
    measure_cache(*region, plan, sources);
  }
}

}  // namespace engine
