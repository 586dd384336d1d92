#include "target/control/page_troubles.h"

#include <fmt/format.h>

#include <algorithm>

#include "target/control/page_text.h"

namespace target::control {
namespace {

std::string with_reason(const std::string& state, const std::string& reason) {
  return reason.empty() ? state : fmt::format("{}: {}", state, reason);
}

void add_volumes(std::vector<Trouble>& all, const Status& status) {
  for (const VolumeStatus& volume : status.volumes) {
    const std::string what = "volume " + volume.name;
    if (volume.state != "online") {
      std::string text = with_reason(volume.state, volume.reason);
      if (volume.dirty_bytes != 0) {
        text += fmt::format("; {} dirty kept in cache {}",
                            bytes_text(static_cast<double>(volume.dirty_bytes)), volume.cache);
      }
      all.push_back({.what = what, .text = std::move(text), .since_ms = volume.state_since_ms});
    }
    if (volume.lost_bytes != 0) {
      all.push_back({.what = what,
                     .text = fmt::format("{} lost: reading them fails until they are written",
                                         bytes_text(static_cast<double>(volume.lost_bytes)))});
    }
    if (!volume.detach_error.empty()) {
      all.push_back({.is_bad = false,
                     .what = what,
                     .text = "detaching was given up: " + volume.detach_error});
    }
  }
}

void add_pools(std::vector<Trouble>& all, const Status& status) {
  for (const PoolStatus& pool : status.pools) {
    const std::string what = "pool " + pool.name;
    if (!pool.open || !pool.reason.empty()) {
      all.push_back({.what = what,
                     .text = with_reason(pool.open ? "does not answer" : "not open", pool.reason),
                     .since_ms = pool.state_since_ms});
    }
    if (pool.filling) {
      all.push_back({.is_bad = false,
                     .what = what,
                     .text = fmt::format("filling up: {} free of {}",
                                         bytes_text(static_cast<double>(pool.free_bytes)),
                                         bytes_text(static_cast<double>(pool.size_bytes)))});
    }
    for (const DiskStatus& disk : pool.disks) {
      for (const std::string& trouble : disk.troubles) {
        all.push_back(
            {.is_bad = false, .what = what, .text = fmt::format("disk {} {}", disk.path, trouble)});
      }
    }
  }
}

}  // namespace

std::vector<Trouble> troubles_of(const Status& status) {
  std::vector<Trouble> all;
  if (status.config_is_copy) {
    all.push_back({.what = "configuration", .text = status.config_note});
  }
  if (!status.last_reload.reason.empty()) {
    all.push_back({.is_bad = false,
                   .what = "configuration",
                   .text = fmt::format(
                       "the last change, by {}, was not made ({}): nothing has changed: {}",
                       status.last_reload.by, status.last_reload.result, status.last_reload.reason),
                   .since_ms = status.last_reload.time_ms});
  }
  for (const CacheStatus& cache : status.caches) {
    if (cache.retired || (cache.open && cache.reason.empty())) continue;
    all.push_back({.what = "cache " + cache.name,
                   .text = with_reason(cache.open ? "failed" : "not open", cache.reason),
                   .since_ms = cache.state_since_ms});
  }
  add_pools(all, status);
  add_volumes(all, status);
  for (const ListenerStatus& listener : status.listeners) {
    if (listener.listening) continue;
    all.push_back({.what = "listener " + listener.name,
                   .text = with_reason("not listening", listener.reason),
                   .since_ms = listener.state_since_ms});
  }
  std::ranges::stable_sort(
      all, [](const Trouble& a, const Trouble& b) { return a.is_bad && !b.is_bad; });
  return all;
}

}  // namespace target::control
