// Metrics of pools and of their disks.
#include "target/metrics/families.h"
#include "target/metrics/snapshot.h"

namespace target::metrics {
namespace {

using engine::DiskWork;

const char* kind_of(const engine::PoolStatus& pool) {
  switch (pool.kind) {
    case engine::PoolSpec::Kind::file:
      return "file";
    case engine::PoolSpec::Kind::device:
      return "device";
    case engine::PoolSpec::Kind::memory:
      break;
  }
  return "memory";
}

Families::Labels of(const engine::PoolStatus& pool) { return {{"pool", pool.name}}; }

Families::Labels of(const engine::PoolStatus& pool, const engine::DiskStatus& disk) {
  return {{"pool", pool.name}, {"disk", disk.disk.path}};
}

// `figure(pool)` of each.
template <class F>
void add_each_pool(Families::Family family, const Snapshot& snapshot, F&& figure) {
  for (const engine::PoolStatus& pool : snapshot.pools) family.add(of(pool), figure(pool));
}

// `figure(disk)` of each disk.
template <class F>
void add_each_disk(Families::Family family, const Snapshot& snapshot, F&& figure) {
  for (const engine::PoolStatus& pool : snapshot.pools) {
    for (const engine::DiskStatus& disk : pool.disks) family.add(of(pool, disk), figure(disk));
  }
}

// The disks count in finer steps than ours: what is in a step that crosses a bound counts above it.
LatencyCounts latency_of(const engine::DiskStatus& disk, DiskWork work) {
  const engine::DiskWorkCounts& done = disk.counts.of(work);
  LatencyCounts counts;
  for (std::size_t step = 0; step < engine::LatencyHistogram::steps; ++step) {
    const auto end = engine::LatencyHistogram::end_of(step).count();
    counts.counts[LatencyCounts::bucket_of(end)] += done.latency.in(step);
  }
  counts.sum_ns = static_cast<std::uint64_t>(done.took.count());
  return counts;
}

void add_pool_state(Families& families, const Snapshot& snapshot) {
  auto info = families.gauge("pool_info", "1; what the pool is.");
  for (const engine::PoolStatus& pool : snapshot.pools) {
    const bool is_file = pool.kind == engine::PoolSpec::Kind::file;
    info.add({{"pool", pool.name},
              {"kind", kind_of(pool)},
              {"provisioning", is_file ? engine::text(pool.provisioning) : ""}},
             1.0);
  }
  add_each_pool(families.gauge("pool_open", "Whether the pool is open, and its disks answer."),
                snapshot, [](const auto& pool) { return pool.open && pool.reason.empty(); });
  add_each_pool(families.gauge("pool_size_bytes", "Size of its file system, or of its disks."),
                snapshot, [](const auto& pool) { return pool.size.value; });
  add_each_pool(families.gauge("pool_free_bytes", "Bytes of it that are free."), snapshot,
                [](const auto& pool) { return pool.free.value; });
  add_each_pool(families.gauge("pool_promised_bytes", "Free bytes that answered writes will take."),
                snapshot, [](const auto& pool) { return pool.promised.value; });
  add_each_pool(families.gauge("pool_reserve_bytes", "Bytes that stay free."), snapshot,
                [](const auto& pool) { return pool.reserve.value; });
  add_each_pool(families.gauge("pool_filling", "Whether warn_at is reached."), snapshot,
                [](const auto& pool) { return pool.filling; });
  auto replicas = families.counter("pool_bad_replicas_total",
                                   "Replicas of labels and tables that were not whole.");
  for (const engine::PoolStatus& pool : snapshot.pools) {
    replicas.add({{"pool", pool.name}, {"cause", "rotten"}}, std::uint64_t{pool.healed.rotten});
    replicas.add({{"pool", pool.name}, {"cause", "cut_off"}}, std::uint64_t{pool.healed.cut_off});
  }
  add_each_pool(families.gauge("pool_retained_volumes", "Volumes that nobody configures."),
                snapshot, [](const auto& pool) { return std::uint64_t{pool.retained.size()}; });
}

void add_disk_work(Families& families, const Snapshot& snapshot) {
  auto info = families.gauge("disk_info", "1; what the disk is.");
  for (const engine::PoolStatus& pool : snapshot.pools) {
    for (const engine::DiskStatus& disk : pool.disks) {
      info.add({{"pool", pool.name},
                {"disk", disk.disk.path},
                {"device", disk.disk.whole_device},
                {"model", disk.disk.model},
                {"serial", disk.disk.serial},
                {"rotational", disk.disk.is_rotational ? "true" : "false"}},
               1.0);
    }
  }
  add_each_disk(families.gauge("disk_healthy", "Whether nothing is to be said against the disk."),
                snapshot, [](const auto& disk) { return disk.troubles.empty(); });
  add_each_disk(families.gauge("disk_in_flight", "Operations that it has not answered."), snapshot,
                [](const auto& disk) { return disk.counts.in_flight(); });
  add_each_disk(families.histogram("disk_read_seconds", "Latency of its reads."), snapshot,
                [](const auto& disk) { return latency_of(disk, DiskWork::read); });
  add_each_disk(families.histogram("disk_write_seconds", "Latency of its writes."), snapshot,
                [](const auto& disk) { return latency_of(disk, DiskWork::write); });
  add_each_disk(families.histogram("disk_sync_seconds", "Latency of its flushes."), snapshot,
                [](const auto& disk) { return latency_of(disk, DiskWork::sync); });
  add_each_disk(families.counter("disk_read_errors_total", "Reads that failed."), snapshot,
                [](const auto& disk) { return disk.counts.of(DiskWork::read).errors; });
  add_each_disk(families.counter("disk_write_errors_total", "Writes and zeroings that failed."),
                snapshot, [](const auto& disk) {
                  return disk.counts.of(DiskWork::write).errors +
                         disk.counts.of(DiskWork::zero).errors;
                });
  add_each_disk(families.counter("disk_sync_errors_total", "Flushes that failed."), snapshot,
                [](const auto& disk) { return disk.counts.of(DiskWork::sync).errors; });
  add_each_disk(families.counter("disk_timeouts_total", "Operations that took 30 s or longer."),
                snapshot, [](const auto& disk) { return disk.counts.timeouts(); });
}

template <class Value>
void add_smart(Families::Family family, const Snapshot& snapshot,
               std::optional<Value> SmartFigures::*figure) {
  for (const engine::PoolStatus& pool : snapshot.pools) {
    for (const engine::DiskStatus& disk : pool.disks) {
      const auto found = snapshot.smart.find(disk.disk.whole_device);
      if (found == snapshot.smart.end() || !(found->second.*figure)) continue;
      family.add(of(pool, disk), *(found->second.*figure));
    }
  }
}

}  // namespace

void add_pools(Families& families, const Snapshot& snapshot) {
  add_pool_state(families, snapshot);
  add_disk_work(families, snapshot);
  add_smart(families.gauge("disk_smart_passed", "Whether the disk says that it is well."), snapshot,
            &SmartFigures::passed);
  add_smart(families.gauge("disk_temperature_celsius", "Its temperature."), snapshot,
            &SmartFigures::temperature_celsius);
  add_smart(families.gauge("disk_power_on_seconds", "How long it has been running."), snapshot,
            &SmartFigures::power_on_seconds);
  add_smart(families.gauge("disk_reallocated_sectors", "Sectors that it has replaced."), snapshot,
            &SmartFigures::reallocated_sectors);
  add_smart(families.gauge("disk_pending_sectors", "Sectors that it could not read."), snapshot,
            &SmartFigures::pending_sectors);
  add_smart(families.gauge("disk_wear_ratio", "What of the media's life is used."), snapshot,
            &SmartFigures::wear_ratio);
  add_smart(families.gauge("disk_spare_ratio", "What of its spare blocks is left."), snapshot,
            &SmartFigures::spare_ratio);
}

}  // namespace target::metrics
