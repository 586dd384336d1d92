#include "engine/volume/disk_keeper.h"

#include <pthread.h>

#include <algorithm>
#include <ctime>
#include <utility>

namespace engine {
namespace {

std::string utc(std::chrono::milliseconds wall) {
  const std::time_t seconds = std::chrono::duration_cast<std::chrono::seconds>(wall).count();
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  char text[32] = {};
  (void)std::strftime(text, sizeof(text), "%F %T UTC", &parts);
  return text;
}

// Says the same as long as it lasts.
std::string text(const DiskTrouble& trouble, const PoolDisk& disk) {
  switch (trouble.kind) {
    case DiskTrouble::Kind::errors:
      return "reports errors since " + utc(trouble.since) +
             (trouble.fault ? ": " + engine::text(*trouble.fault, disk) : "");
    case DiskTrouble::Kind::timeouts:
      return "answers too late since " + utc(trouble.since) + ": a request took more than " +
             std::to_string(DiskHealth::late_answer.count()) + " s, or was given up";
    case DiskTrouble::Kind::silent:
      return "has not answered since " + utc(trouble.since);
    case DiskTrouble::Kind::slow:
      return "is slow since " + utc(trouble.since) +
             (trouble.outlier ? ": " + engine::text(*trouble.outlier) : "");
  }
  return {};
}

// Of the last minutes; of all since the start before the first look.
std::chrono::nanoseconds recent_p99(const DiskPace* pace, const DiskWorkCounts& counts) {
  LatencyHistogram latency = counts.latency;
  if (pace != nullptr && pace->recent.count() + pace->past.count() != 0) {
    latency = pace->past;
    latency.fade_into(pace->recent);
  }
  return latency.quantile(OutlierRule{}.per_mille);
}

}  // namespace

void DiskKeeper::start() {
  thread_ = std::thread([this] { run(); });
  (void)pthread_setname_np(thread_.native_handle(), "disks");
}

void DiskKeeper::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void DiskKeeper::run() {
  std::unique_lock lock(mutex_);
  while (!wake_.wait_for(lock, period, [this] { return stopping_; })) {
    lock.unlock();
    look();
    lock.lock();
  }
}

void DiskKeeper::look() {
  const std::vector<PoolDisks> pools = find_();
  const Instant now = clock_.now();
  const auto wall = clock_.wall();
  const std::lock_guard lock(mutex_);
  follow(pools);
  for (const auto& each : known_) each->judge.look(each->disk.health->counts(), now, wall);
  for (const auto& each : known_) each->judge.compare(peers_of(*each), wall);
}

// Whose disk is known already keeps what was seen of it.
void DiskKeeper::follow(const std::vector<PoolDisks>& pools) {
  auto before = std::exchange(known_, {});
  for (const PoolDisks& pool : pools) {
    for (const PoolDisk& disk : pool.disks) {
      const auto found = std::ranges::find_if(before, [&disk](const auto& each) {
        return each != nullptr && each->disk.health == disk.health;
      });
      auto known = found == before.end() ? std::make_unique<Known>() : std::move(*found);
      known->pool = pool.pool;
      known->disk = disk;
      known_.push_back(std::move(known));
    }
  }
}

PeerPaces DiskKeeper::peers_of(const Known& own) const {
  PeerPaces paces;
  for (const auto& each : known_) {
    const bool is_alike = each->disk.is_rotational == own.disk.is_rotational;
    if (each.get() == &own || (each->pool != own.pool && !is_alike)) continue;
    for (std::size_t work = 0; work < disk_works; ++work) {
      paces[work].push_back(each->judge.pace(static_cast<DiskWork>(work)));
    }
  }
  return paces;
}

std::vector<DiskStatus> DiskKeeper::status_of(const std::vector<PoolDisk>& disks) const {
  std::vector<DiskStatus> all;
  const std::lock_guard lock(mutex_);
  for (const PoolDisk& disk : disks) {
    DiskStatus status{.disk = disk, .counts = disk.health->counts()};
    const auto known = std::ranges::find_if(
        known_, [&disk](const auto& each) { return each->disk.health == disk.health; });
    const DiskJudge* const judge = known == known_.end() ? nullptr : &(*known)->judge;
    for (std::size_t at = 0; at < disk_works; ++at) {
      const auto work = static_cast<DiskWork>(at);
      status.p99[at] =
          recent_p99(judge == nullptr ? nullptr : &judge->pace(work), status.counts.of(work));
    }
    if (judge != nullptr) {
      for (const DiskTrouble& trouble : judge->troubles()) {
        if (trouble.outlier) status.outlier = engine::text(*trouble.outlier);
        status.troubles.push_back(text(trouble, disk));
      }
    }
    all.push_back(std::move(status));
  }
  return all;
}

std::vector<Finding> DiskKeeper::findings() const {
  std::vector<Finding> all;
  const std::lock_guard lock(mutex_);
  for (const auto& each : known_) {
    for (const DiskTrouble& trouble : each->judge.troubles()) {
      all.push_back({.about = Finding::About::pool_disk,
                     .name = each->pool,
                     .text = name_of(each->disk) + " " + text(trouble, each->disk)});
    }
  }
  return all;
}

}  // namespace engine
