// What a cache has lost of what only it had, from write to write-back to the next write.
#pragma once

#include "tests/crash/crash_counts.h"

namespace engine::test {

// A dirty block cannot be read any more, is given up, written back over, written anew, and written
// back again, over a backing that keeps a list of what is lost; with power failing wherever it can.
// At every moment a reader, whose clean blocks have all left the cache, gets what was acknowledged
// last, or an error for exactly the block that is lost, never anything older.
void run_lost_blocks(CrashCounts& counts);

}  // namespace engine::test
