// BackingJudge: what volumes are without their cache, in a crash run, and whether their write-back
// goes on with it.
#pragma once

#include <array>

#include "tests/crash/crash_judge.h"
#include "tests/crash/crash_write_back.h"
#include "tests/crash/log_times.h"

namespace engine::test {

using VolumeTimes = std::array<LogTimes, world_volumes>;

class BackingJudge {
 public:
  // All outlive it. `random`: what happens to what a crash has left.
  BackingJudge(CrashJudge& judge, const VolumeTimes& times, SeededRandom& random)
      : judge_(judge), times_(times), random_(random) {}

  // P3: the backing with its marker and its journal, and nothing else.
  void check_alone(std::uint32_t slot, const BackingImage& image);
  // Somebody has begun to do without the cache, and it has come back.
  void touch_alone(BackingImage& image);
  // The batches that a crash has interrupted, or the next ones, in another life.
  void resume(CrashWorld& world, const std::array<BackingImage, world_volumes>& images,
              bool journalled);

 private:
  CrashJudge& judge_;
  const VolumeTimes& times_;
  SeededRandom& random_;
};

}  // namespace engine::test
