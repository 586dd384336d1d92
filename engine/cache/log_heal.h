// Making a log as good as it was: what one copy lost is written again from the other.
#pragma once

#include <deque>
#include <vector>

#include "engine/cache/chunk_scan.h"
#include "engine/cache/durable_writer.h"
#include "engine/cache/log_end.h"
#include "engine/cache/log_reader.h"

namespace engine {

// Recovery may have accepted what a killed process has written and never settled. Flushes both
// copies of the chunk that the log ends in, and of any behind it, and settles: before anything is
// healed, and before the volume is served.
[[nodiscard]] Result<void, PmemError> settle_log_end(DurableWriter& writer,
                                                     const CacheLayout& layout,
                                                     const std::deque<LogChunk>& chunks,
                                                     const LogEnd& end);

// Writes one bad header again; the log ends behind it. Does not settle. Error: media_error: the
// place cannot be healed and stays bad.
[[nodiscard]] Result<void, PmemError> heal_header(DurableWriter& writer, const PmemRegion& region,
                                                  const CacheLayout& layout, const DeviceSeal& seal,
                                                  const MissingHeader& missing);
// Writes the bad copy of a kset again, for a note of kind healed. As above.
[[nodiscard]] Result<void, PmemError> heal_kset(DurableWriter& writer, const PmemRegion& region,
                                                const CacheLayout& layout, const DeviceSeal& seal,
                                                const LogChunk& chunk, const LogNote& note);
// The same for each note of that kind, and settles if there was one. What cannot be healed stays.
[[nodiscard]] Result<void, PmemError> heal_ksets(DurableWriter& writer, const PmemRegion& region,
                                                 const CacheLayout& layout, const DeviceSeal& seal,
                                                 const std::deque<LogChunk>& chunks,
                                                 const std::vector<LogNote>& notes);

}  // namespace engine
