// CrashWriteBack: write-back of the volumes of one life, over disks that outlive it.
#pragma once

#include <array>
#include <memory>

#include "engine/cache/write_back.h"
#include "tests/crash/crash_disk.h"
#include "tests/crash/crash_world.h"
#include "tests/sim/sim_lane.h"

namespace engine::test {

using CrashDisks = std::array<std::unique_ptr<CrashDisk>, world_volumes>;

class CrashWriteBack {
 public:
  // All outlive it. Batches of a few keys, a few operations at once, as `random` says; each first
  // into a journal, or not.
  CrashWriteBack(CrashWorld& world, CrashDisks& disks, SeededRandom& random,
                 bool journalled = false);
  CrashWriteBack(const CrashWriteBack&) = delete;
  CrashWriteBack& operator=(const CrashWriteBack&) = delete;
  ~CrashWriteBack();

  [[nodiscard]] WriteBack& of(std::uint32_t slot) { return *write_backs_[slot]; }
  // One turn of the lane; what goes on in the disks meanwhile.
  void turn();
  // Until everything of the volume that is published is on its backing, and the marker says so; or
  // (`up_to` not 0) until D is there. False: it does not get there.
  [[nodiscard]] bool bring(std::uint32_t slot, std::uint64_t up_to = 0);

 private:
  [[nodiscard]] bool is_there(std::uint32_t slot, std::uint64_t up_to) const;

  CrashWorld& world_;
  CrashDisks& disks_;
  SeededRandom& random_;
  target::SimClock clock_;
  MemoryBudget budget_{2_MiB};
  SimLane lane_{budget_};
  std::array<std::unique_ptr<WriteBack>, world_volumes> write_backs_;
};

}  // namespace engine::test
