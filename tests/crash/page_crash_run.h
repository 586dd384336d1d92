// PageCrashRun: a seeded workload through the commit thread of a simulated device of pages, with
// power failing wherever it can, syncs that fail and processes that are killed.
#pragma once

#include "tests/crash/crash_run.h"

namespace engine::test {

// The thread is not there: the run steps it, and reactors go on between any two of its writes.
// Options as in run_crashes(), but those of churning and fences; chunks' headers count as entries.
void run_page_crashes(const CrashOptions& options, CrashCounts& counts);

// A scripted case: reactors take segments while a round is under way whose entries are not settled
// yet.
void run_segments_of_a_round(CrashCounts& counts);

}  // namespace engine::test
