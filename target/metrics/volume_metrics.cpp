// Metrics of volumes.
#include <chrono>

#include "target/metrics/families.h"
#include "target/metrics/snapshot.h"

namespace target::metrics {
namespace {

using block::CommandOutcome;
using Traffic = engine::CacheTraffic::Event;

Families::Labels of(const VolumeFigures& volume) { return {{"volume", volume.name}}; }

Families::Labels of(const VolumeFigures& volume, const char* label, const char* value) {
  return {{"volume", volume.name}, {label, value}};
}

// `figure(volume)` of each.
template <class F>
void add_each_volume(Families::Family family, const Snapshot& snapshot, F&& figure) {
  for (const VolumeFigures& volume : snapshot.volumes) family.add(of(volume), figure(volume));
}

// The same of those with a cache, and its status.
template <class F>
void add_each_cached_volume(Families::Family family, const Snapshot& snapshot, F&& figure) {
  for (const VolumeFigures& volume : snapshot.volumes) {
    if (volume.cache) family.add(of(volume), figure(volume, *volume.cache));
  }
}

struct ErrorClass {
  CommandOutcome outcome;
  const char* name;
};
constexpr ErrorClass read_classes[] = {{CommandOutcome::media, "media"},
                                       {CommandOutcome::unavailable, "unavailable"},
                                       {CommandOutcome::refused, "refused"}};
constexpr ErrorClass write_classes[] = {{CommandOutcome::media, "media"},
                                        {CommandOutcome::unavailable, "unavailable"},
                                        {CommandOutcome::refused, "refused"},
                                        {CommandOutcome::capacity, "capacity"}};

template <class Classes>
void add_volume_errors(Families::Family family, const Snapshot& snapshot, const Classes& classes,
                       block::VolumeCounts::Errors block::VolumeCounts::*errors) {
  for (const VolumeFigures& volume : snapshot.volumes) {
    for (const ErrorClass& one : classes) {
      family.add(of(volume, "class", one.name),
                 (volume.counts.*errors)[static_cast<std::size_t>(one.outcome)]);
    }
  }
}

void add_volume_state(Families& families, const Snapshot& snapshot) {
  auto info = families.gauge("volume_info", "1; what the volume is and where it lies.");
  for (const VolumeFigures& volume : snapshot.volumes) {
    info.add({{"volume", volume.name},
              {"uuid", volume.uuid},
              {"pool", volume.pool},
              {"cache", volume.cache ? volume.cache->device : std::string()},
              {"cache_mode", volume.cache ? std::string(text(volume.cache->mode)) : std::string()},
              {"state", volume.state}},
             1.0);
  }
  add_each_volume(families.gauge("volume_online", "Whether the volume is served and well."),
                  snapshot, [](const auto& volume) { return volume.online; });
  add_each_volume(families.gauge("volume_size_bytes", "Size as hosts see it."), snapshot,
                  [](const auto& volume) { return volume.size_bytes; });
  add_each_volume(families.gauge("volume_lost_bytes", "What of the volume nobody has any more."),
                  snapshot, [](const auto& volume) { return volume.lost_bytes; });
}

void add_commands(Families& families, const Snapshot& snapshot) {
  add_each_volume(
      families.gauge("volume_in_flight", "Commands that are received and not answered."), snapshot,
      [](const auto& volume) { return volume.counts.in_flight(); });
  add_each_volume(families.counter("volume_reads_total", "Answered reads."), snapshot,
                  [](const auto& volume) { return volume.counts.reads.count(); });
  add_each_volume(families.counter("volume_writes_total", "Answered writes."), snapshot,
                  [](const auto& volume) { return volume.counts.writes.count(); });
  add_each_volume(families.counter("volume_other_commands_total", "All other answered commands."),
                  snapshot, [](const auto& volume) { return volume.counts.others; });
  add_each_volume(families.counter("volume_read_bytes_total", "Bytes read by hosts."), snapshot,
                  [](const auto& volume) { return volume.counts.read_bytes; });
  add_each_volume(families.counter("volume_written_bytes_total", "Bytes written by hosts."),
                  snapshot, [](const auto& volume) { return volume.counts.written_bytes; });
  add_each_volume(families.histogram("volume_read_seconds", "Latency of reads."), snapshot,
                  [](const auto& volume) -> const LatencyCounts& { return volume.counts.reads; });
  add_each_volume(families.histogram("volume_write_seconds", "Latency of writes."), snapshot,
                  [](const auto& volume) -> const LatencyCounts& { return volume.counts.writes; });
  add_volume_errors(families.counter("volume_read_errors_total", "Reads that failed, by why."),
                    snapshot, read_classes, &block::VolumeCounts::read_errors);
  add_volume_errors(families.counter("volume_write_errors_total", "Writes that failed, by why."),
                    snapshot, write_classes, &block::VolumeCounts::write_errors);
  add_each_volume(
      families.counter("volume_aborted_total",
                       "Commands that were not done because their host or its end wanted so."),
      snapshot, [](const auto& volume) { return volume.counts.aborted; });
}

// Of those that have been short of room since the start: mostly none.
void add_overload(Families& families, const Snapshot& snapshot) {
  const auto add = [&snapshot](Families::Family family, auto figure) {
    for (const VolumeFigures& volume : snapshot.volumes) {
      const block::OverloadCounts& overload = volume.overload;
      if (overload.held + overload.held_total + overload.interrupted + overload.closings == 0) {
        continue;
      }
      family.add(of(volume), figure(overload));
    }
  };
  add(families.gauge("volume_unreachable",
                     "Whether hosts are told to wait, because there was no room for too long."),
      [](const auto& overload) { return overload.closed; });
  add(families.gauge("volume_held", "Commands that wait for room in the cache."),
      [](const auto& overload) { return overload.held; });
  add(families.counter("volume_interrupted_total", "Commands sent back, to be tried again later."),
      [](const auto& overload) { return overload.interrupted; });
  add(families.counter("volume_unreachable_total",
                       "How often hosts have been told to wait, for want of room."),
      [](const auto& overload) { return overload.closings; });
}

void add_volume_stages(Families::Family family, const Snapshot& snapshot) {
  for (const VolumeFigures& volume : snapshot.volumes) {
    if (!volume.stages) continue;
    for (std::size_t stage = 0; stage < block::command_stages; ++stage) {
      family.add(of(volume, "stage", stage_names[stage]), (*volume.stages)[stage]);
    }
  }
}

void add_cache_use(Families& families, const Snapshot& snapshot) {
  const auto count = [&](const char* name, const char* help, Traffic event) {
    add_each_cached_volume(
        families.counter(name, help), snapshot,
        [event](const auto&, const auto& cache) { return cache.traffic.of(event); });
  };
  count("volume_cache_read_hits_total", "Reads that the cache had whole.", Traffic::hit);
  count("volume_cache_read_misses_total", "Reads of which a part came from the pool.",
        Traffic::miss);
  count("volume_cache_fills_total", "Pieces of misses that were put into the cache.",
        Traffic::fill);
  auto bypasses =
      families.counter("volume_cache_bypasses_total", "What went around the cache, by why.");
  for (const VolumeFigures& volume : snapshot.volumes) {
    if (!volume.cache) continue;
    const auto& traffic = volume.cache->traffic;
    bypasses.add(of(volume, "reason", "first_read"), traffic.of(Traffic::first_read));
    bypasses.add(of(volume, "reason", "sequential"), traffic.of(Traffic::sequential));
    bypasses.add(of(volume, "reason", "no_room"), traffic.of(Traffic::no_room));
    bypasses.add(of(volume, "reason", "mode"), traffic.of(Traffic::by_mode));
  }
  add_each_cached_volume(
      families.counter("volume_cache_healed_reads_total",
                       "Parts of reads that were bad in the cache, not in the pool."),
      snapshot, [](const auto&, const auto& cache) { return cache.healed_reads; });
  add_each_cached_volume(
      families.counter("volume_cache_lost_reads_total",
                       "Parts of reads that were bad in the cache, and nowhere else."),
      snapshot, [](const auto&, const auto& cache) { return cache.lost_reads; });
}

void add_write_back(Families& families, const Snapshot& snapshot) {
  add_each_cached_volume(families.gauge("volume_dirty_bytes", "Bytes in the cache, for the pool."),
                         snapshot,
                         [](const auto&, const auto& cache) { return cache.dirty.value; });
  add_each_cached_volume(families.gauge("volume_oldest_dirty_age_seconds",
                                        "How long the oldest of them has been there."),
                         snapshot, [](const auto&, const auto& cache) {
                           return std::chrono::duration<double>(cache.dirty_age).count();
                         });
  add_each_cached_volume(
      families.gauge("volume_consistent_point_age_seconds",
                     "How old the moment is that the pool alone has the volume of."),
      snapshot, [](const auto& volume, const auto&) { return volume.consistent_point_age; });
  add_each_cached_volume(
      families.counter("volume_written_back_bytes_total", "Bytes brought to the pool."), snapshot,
      [](const auto&, const auto& cache) { return cache.written_back.value; });
  add_each_cached_volume(
      families.counter("volume_write_back_failures_total", "Batches that failed and come again."),
      snapshot, [](const auto&, const auto& cache) { return cache.write_back_failures; });
}

}  // namespace

void add_volumes(Families& families, const Snapshot& snapshot) {
  add_volume_state(families, snapshot);
  add_commands(families, snapshot);
  add_overload(families, snapshot);
  add_volume_stages(families.histogram("volume_stage_seconds",
                                       "Where reads and writes of the volume spend their time."),
                    snapshot);
  add_cache_use(families, snapshot);
  add_write_back(families, snapshot);
}

}  // namespace target::metrics
