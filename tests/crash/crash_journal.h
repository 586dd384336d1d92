// What becomes of a backing whose cache is lost, and whose marker speaks of a journal.
#pragma once

#include <string>

#include "engine/foundation/result.h"
#include "tests/crash/crash_disk.h"

namespace engine::test {

// Applies the journal of `image` to it, once or, after a crash in the middle, twice; power fails
// when that is over. `sectors`: the volume then. Error: why there is no journal of that batch.
[[nodiscard]] Result<VolumeModel::State, std::string> apply_journal_of(const BackingImage& image,
                                                                       Sector base,
                                                                       SeededRandom& random);
// The same, cut off somewhere by power failure.
[[nodiscard]] VolumeModel::State begin_to_apply_journal_of(const BackingImage& image, Sector base,
                                                           SeededRandom& random);

}  // namespace engine::test
