// Writes over stripes and segments, with power failing at every persist point of them: after each
// crash all of a write is there, or nothing.
#pragma once

#include "tests/crash/crash_counts.h"

namespace engine::test {

void run_whole_writes(CrashCounts& counts);
// The same through the commit thread of a device of pages.
void run_whole_writes_on_pages(CrashCounts& counts);

}  // namespace engine::test
