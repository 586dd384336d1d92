#include "target/pool_disks.h"

#include <chrono>
#include <system_error>
#include <utility>

namespace target {
namespace {

std::uint64_t microseconds(std::chrono::nanoseconds took) {
  return static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::microseconds>(took).count());
}

}  // namespace

control::DiskStatus status_of_disk(const engine::DiskStatus& disk, const SmartReport& smart) {
  control::DiskStatus status{.path = disk.disk.path,
                             .device = disk.disk.device,
                             .model = disk.disk.model,
                             .serial = disk.disk.serial,
                             .rotational = disk.disk.is_rotational};
  const std::pair<engine::DiskWork, control::DiskWorkStatus*> works[] = {
      {engine::DiskWork::read, &status.reads},
      {engine::DiskWork::write, &status.writes},
      {engine::DiskWork::sync, &status.syncs},
      {engine::DiskWork::zero, &status.zeroings}};
  for (const auto& [work, to] : works) {
    const engine::DiskWorkCounts& counts = disk.counts.of(work);
    *to = {.count = counts.ended(),
           .in_flight = counts.in_flight(),
           .errors = counts.errors,
           .timeouts = counts.timeouts,
           .mean_us = microseconds(counts.mean),
           .p99_us = microseconds(disk.p99[static_cast<std::size_t>(work)])};
  }
  if (const auto& fault = disk.counts.last_fault) {
    const auto lba = engine::lba_of(*fault, disk.disk);
    status.last_error = {.kind = engine::text(fault->work),
                         .error = std::generic_category().message(fault->error),
                         .lba = lba ? static_cast<std::int64_t>(*lba) : -1,
                         .offset_bytes = fault->offset.value,
                         .time_ms = static_cast<std::uint64_t>(fault->wall.count())};
  }
  status.smart = {.status = text(smart.verdict),
                  .why = smart.why,
                  .temperature_celsius = smart.temperature_celsius,
                  .power_on_hours = smart.power_on_hours,
                  .reallocated_sectors = smart.reallocated_sectors,
                  .pending_sectors = smart.pending_sectors,
                  .percentage_used = smart.percentage_used,
                  .spare_percent = smart.spare_percent};
  status.outlier = disk.outlier;
  status.troubles = disk.troubles;
  return status;
}

std::vector<std::string> AilingDisks::well_again(const engine::PoolStatus& pool) {
  std::set<std::string> now;
  std::set<std::string> well;
  for (const engine::DiskStatus& disk : pool.disks) {
    (disk.troubles.empty() ? well : now).insert(engine::name_of(disk.disk));
  }
  std::vector<std::string> again;
  for (const std::string& name : std::exchange(ailing_[pool.name], std::move(now))) {
    if (well.contains(name)) again.push_back(name);
  }
  return again;
}

}  // namespace target
