#include "tests/bench/cache/cache_bench.h"
#include "tests/bench/cache/cache_host.h"
#include "tests/bench/cache/joined_host.h"
#include "tests/bench/ceiling/copy.h"

namespace engine {

void run_counted(const BenchPlan& plan, const CountedWrites& counted) {
  Source source(Source::hot_blocks);
  if (counted.path == CountedPath::bare) {
    std::string error;
    const auto bare = bench::CopyCeiling::open(plan.memory + "/forebay-ceiling",
                                               plan.volume_bytes().value, error);
    if (bare == nullptr) give_up(error);
    (void)bare->copy({.source = source.all(), .blocks = counted.writes});
    return;
  }
  const CacheFile file(plan.memory, plan.device_bytes());
  if (counted.path == CountedPath::joined) {
    JoinedVolume joined(plan, file, counted.crc);
    JoinedHost host(joined, counted.depth, 3);
    (void)host.run(VolumeIo::Kind::write, source, counted.writes);
    return;
  }
  const auto region = file.open();
  Cache cache(*region, counted.crc, plan.volume_bytes());
  CacheHost host(cache, cache.volume(), plan.volume_bytes(), counted.depth, 3);
  (void)host.write(source, counted.writes);
}

}  // namespace engine
