#include "tests/bench/cache/cache_bench.h"
#include "tests/bench/cache/cache_host.h"
#include "tests/bench/cache/joined_host.h"
#include "tests/bench/ceiling/copy.h"

namespace engine {
namespace {

// VolumeCache alone, in the same repeat.
void measure_alone(const BenchPlan& plan, const CacheFile& file, Source& source) {
  const auto region = file.open();
  for (const std::size_t deep : {std::size_t{1}, usual_depth}) {
    Cache cache(*region, false, plan.volume_bytes());
    CacheHost host(cache, cache.volume(), plan.volume_bytes(), deep, 3);
    if (deep == 1) {
      tell("alone write depth 1 p50 ns", host.write(source, plan.writes, 1));
    } else {
      tell("alone write depth 32 ns", host.write(source, plan.writes));
      tell("alone read hit ns", host.read(plan.writes));
    }
  }
}

void measure_engine(const BenchPlan& plan, const CacheFile& file, Source& source) {
  using Kind = VolumeIo::Kind;
  for (const std::size_t deep : {std::size_t{1}, usual_depth}) {
    JoinedVolume joined(plan, file, false);
    on_core(0, [&] {
      {
        JoinedHost host(joined, deep, 3);
        if (deep == 1) {
          tell("joined write depth 1 p50 ns", host.run(Kind::write, source, plan.writes, 1));
          return;
        }
        tell("joined write depth 32 ns", host.run(Kind::write, source, plan.writes));
      }
      Source buffers(usual_depth);
      JoinedHost host(joined, deep, 3);
      tell("joined read hit ns", host.run(Kind::read, buffers, plan.writes));
    });
  }
}

}  // namespace

void measure_joined(const BenchPlan& plan) {
  const CacheFile file(plan.memory, plan.device_bytes());
  const auto bare = open_bare(plan);
  Source source(Source::hot_blocks);
  for (int repeat = 0; repeat < plan.repeats; ++repeat) {
    on_core(0, [&] {
      tell("bare copy ns", bare->copy({.source = source.all(), .blocks = plan.writes}));
      measure_alone(plan, file, source);
    });
    measure_engine(plan, file, source);
  }
}

}  // namespace engine
