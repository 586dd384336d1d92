// Metrics of cache devices.
#include <chrono>

#include "target/metrics/families.h"
#include "target/metrics/snapshot.h"

namespace target::metrics {
namespace {

Families::Labels of(const engine::CacheStatus& cache) { return {{"cache", cache.name}}; }

// `figure(cache)` of each, or of each that is open.
template <class F>
void add_each_cache(Families::Family family, const Snapshot& snapshot, F&& figure) {
  for (const engine::CacheStatus& cache : snapshot.caches) family.add(of(cache), figure(cache));
}
template <class F>
void add_each_open_cache(Families::Family family, const Snapshot& snapshot, F&& figure) {
  for (const engine::CacheStatus& cache : snapshot.caches) {
    if (cache.open) family.add(of(cache), figure(cache));
  }
}

void add_cache_state(Families& families, const Snapshot& snapshot) {
  auto info = families.gauge("cache_info", "1; what the device is.");
  for (const engine::CacheStatus& cache : snapshot.caches) {
    if (!cache.open) continue;
    info.add(
        {{"cache", cache.name}, {"uuid", cache.uuid.text()}, {"media", cache.guarantee.text()}},
        1.0);
  }
  add_each_cache(families.gauge("cache_open", "Whether the device is open."), snapshot,
                 [](const auto& cache) { return cache.open; });
  add_each_cache(families.gauge("cache_failed", "Whether it could not be written."), snapshot,
                 [](const auto& cache) { return cache.failed; });
  add_each_open_cache(families.gauge("cache_size_bytes", "Size of the device."), snapshot,
                      [](const auto& cache) { return cache.size.value; });
  add_each_open_cache(families.gauge("cache_free_bytes", "Bytes free, of data and logs."), snapshot,
                      [](const auto& cache) { return cache.free.value; });
  add_each_open_cache(families.gauge("cache_dirty_bytes", "Bytes that wait for pools."), snapshot,
                      [](const auto& cache) { return cache.dirty.value; });
  auto segments = families.gauge("cache_segments", "Segments, by what they are used for.");
  for (const engine::CacheStatus& cache : snapshot.caches) {
    if (!cache.open) continue;
    segments.add({{"cache", cache.name}, {"state", "free"}}, cache.segments.free);
    segments.add({{"cache", cache.name}, {"state", "data"}}, cache.segments.data);
    segments.add({{"cache", cache.name}, {"state", "log"}}, cache.segments.log);
  }
  auto recovery = families.gauge("cache_recovery_seconds", "How long opening it took.");
  for (const engine::CacheStatus& cache : snapshot.caches) {
    if (!cache.recovery) continue;
    recovery.add(of(cache), std::chrono::duration<double>(*cache.recovery).count());
  }
}

void add_cache_work(Families& families, const Snapshot& snapshot) {
  add_each_open_cache(families.counter("cache_stores_total", "Copies into the device."), snapshot,
                      [](const auto& cache) { return cache.stores.copies; });
  add_each_open_cache(families.counter("cache_stored_bytes_total", "Bytes copied into the device."),
                      snapshot, [](const auto& cache) { return cache.stores.bytes; });
  add_each_open_cache(families.counter("cache_fences_total", "How often that was made durable."),
                      snapshot, [](const auto& cache) { return cache.stores.fences; });
  add_each_open_cache(families.counter("cache_reads_in_place_total", "Reads sent without a copy."),
                      snapshot, [](const auto& cache) { return cache.reads_in_place; });
  add_each_open_cache(families.counter("cache_bytes_in_place_total", "Bytes sent without a copy."),
                      snapshot, [](const auto& cache) { return cache.bytes_in_place.value; });
  add_each_open_cache(
      families.counter("cache_healed_reads_total",
                       "Parts of reads that were bad in the cache, not in the pool."),
      snapshot, [](const auto& cache) { return cache.healed_reads; });
  add_each_open_cache(
      families.counter("cache_lost_reads_total",
                       "Parts of reads that were bad in the cache, and nowhere else."),
      snapshot, [](const auto& cache) { return cache.lost_reads; });
  add_each_open_cache(families.counter("cache_reclaimed_segments_total", "Data segments freed."),
                      snapshot, [](const auto& cache) { return cache.reclaimed_segments; });
  add_each_open_cache(
      families.counter("cache_reclaim_dropped_bytes_total", "Cold blocks given up."), snapshot,
      [](const auto& cache) { return cache.reclaim_dropped.value; });
  add_each_open_cache(
      families.counter("cache_reclaim_kept_bytes_total", "Hot blocks logged again."), snapshot,
      [](const auto& cache) { return cache.reclaim_kept.value; });
}

}  // namespace

void add_caches(Families& families, const Snapshot& snapshot) {
  add_cache_state(families, snapshot);
  add_cache_work(families, snapshot);
}

}  // namespace target::metrics
