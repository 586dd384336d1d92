// SmallWorkload: a story of few commands, with power failing at every persist point of it and of
// the recoveries behind it, and everything that can be left of it then.
#pragma once

#include "tests/crash/crash_run.h"

namespace engine::test {

struct SmallWorkloadFigures {
  std::uint64_t points = 0;      // of media and of disks, outside of recoveries
  std::uint64_t exhaustive = 0;  // of those: with every choice of lines, or of sectors
};

// Two actors: overlapping writes, some smaller than a block, a discard, a batch of write-back that
// is written over meanwhile, and reclaim that moves data out of a sparse segment.
//
// `seed`: the second actor's first turn comes at that persist point of the other's, or behind it
// (0); the story goes on from there only for 0. False: there is no such point.
bool run_small_workload(const CrashOptions& options, CrashCounts& counts,
                        SmallWorkloadFigures& figures);

}  // namespace engine::test
