#include "tests/crash/crash_write_back.h"

namespace engine::test {

CrashWriteBack::CrashWriteBack(CrashWorld& world, CrashDisks& disks, SeededRandom& random,
                               bool journalled)
    : world_(world), disks_(disks), random_(random) {
  for (std::uint32_t slot = 0; slot < world_volumes; ++slot) {
    WriteBackLimits limits;
    limits.most_in_flight = 1 + random.below(4);
    limits.most_age = std::chrono::hours(1);
    const BatchBounds bounds{.most_keys = 1 + random.below(16), .most_bytes = 1_MiB};
    CrashDisk& disk = *disks[slot];
    // Small frames, so that a batch has several.
    write_backs_[slot] =
        std::make_unique<WriteBack>(world.volume(slot), disk, disk, lane_, world.writer(), clock_,
                                    limits, bounds, journalled ? &disk : nullptr, 8_KiB);
  }
}

CrashWriteBack::~CrashWriteBack() {
  for (auto& disk : disks_) disk->abandon();
  (void)lane_.reap();
}

void CrashWriteBack::turn() {
  clock_.advance(std::chrono::minutes(2));  // whatever the back-off
  for (auto& write_back : write_backs_) write_back->tick();
  lane_.finish_turn();
  for (auto& disk : disks_) {
    for (std::uint64_t ends = random_.below(3); ends > 0 && disk->end_one(random_); --ends) {
    }
  }
  (void)lane_.reap();
}

bool CrashWriteBack::is_there(std::uint32_t slot, std::uint64_t up_to) const {
  const LogTails& tails = world_.device().volumes()[slot].tails;
  const auto& mark = disks_[slot]->mark();
  const std::uint64_t wanted = up_to != 0 ? up_to : world_.volume(slot).commit().published();
  return tails.dirty_tail >= wanted && tails.writeback_target <= tails.dirty_tail && mark &&
         mark->state == BackingMark::State::clean && write_backs_[slot]->is_quiet();
}

bool CrashWriteBack::bring(std::uint32_t slot, std::uint64_t up_to) {
  struct Waits final : DirtyTailWaiter {
    void written_back() override {}
  } waiter;
  if (up_to == 0) {
    of(slot).set_draining(true);
  } else {
    (void)of(slot).wait(waiter, up_to);
  }
  bool there = false;
  for (int round = 0; round < 20'000 && !there; ++round) {
    turn();
    there = is_there(slot, up_to);
  }
  of(slot).set_draining(false);
  return there;
}

}  // namespace engine::test
