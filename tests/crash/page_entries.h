// PageEntries: entries of segments that change in one round, on media of pages.
#pragma once

#include "tests/crash/crash_counts.h"

namespace engine::test {

// Some wait for the round, as those that reactors have taken, and one changes at once, as the
// segment of a new chunk does: power fails at each persist point, and destroys pages that were on
// their way. No entry may lose both replicas.
void run_page_entries(CrashCounts& counts);

}  // namespace engine::test
