// DiskKeeper: looks at the disks of all pools, and knows which of them are not well.
#pragma once

#include <array>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "engine/foundation/clock.h"
#include "engine/media/disk_judge.h"
#include "engine/pool/pool_disk.h"
#include "engine/volume/engine.h"
#include "engine/volume/finding.h"

namespace engine {

// A thread of its own, which asks no disk anything: a pool that hangs is looked at like the others.
// The peers of a disk are those of its pool, and of other pools if they are of its kind (rotating
// or not).
class DiskKeeper {
 public:
  static constexpr Duration period = std::chrono::seconds(10);

  struct PoolDisks {
    std::string pool;
    std::vector<PoolDisk> disks;
  };
  // All pools, with the disks that they have now; called at each look, and by status_of().
  using Find = std::function<std::vector<PoolDisks>()>;

  // `clock` outlives it, as does what `find` uses. Nothing happens before start() or look().
  DiskKeeper(Find find, const Clock& clock) : find_(std::move(find)), clock_(clock) {}
  DiskKeeper(const DiskKeeper&) = delete;
  DiskKeeper& operator=(const DiskKeeper&) = delete;
  ~DiskKeeper() { stop(); }

  // Looks now and then until stop(), by the machine's time.
  void start();
  void stop();
  // One look. Not beside start().
  void look();

  // Any thread, from here on. Of disks that find() has given; counts are of now, the rest of the
  // last look.
  [[nodiscard]] std::vector<DiskStatus> status_of(const std::vector<PoolDisk>& disks) const;
  // Each of a disk's troubles once.
  [[nodiscard]] std::vector<Finding> findings() const;

 private:
  struct Known {
    std::string pool;
    PoolDisk disk;
    DiskJudge judge;
  };
  void run();
  // Under mutex_.
  void follow(const std::vector<PoolDisks>& pools);
  [[nodiscard]] PeerPaces peers_of(const Known& own) const;

  const Find find_;
  const Clock& clock_;

  mutable std::mutex mutex_;  // guards what follows; a leaf
  std::condition_variable wake_;
  std::vector<std::unique_ptr<Known>> known_;
  bool stopping_ = false;

  std::thread thread_;
};

}  // namespace engine
