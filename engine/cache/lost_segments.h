// What logs still say about segments whose entries are lost.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "engine/cache/cache_survey.h"

namespace engine {

// A lost segment can get an entry again if every log can be read: what is dirty in it is named by
// keys behind their volume's D, which carry its generation, as headers do of a log segment; what
// nobody names may be freed, in a generation above all that were ever seen of it.
struct LostSegment {
  SegmentInfo info;            // what its entry shall say
  std::uint64_t sequence = 0;  // no replica that is whole has a higher one
  std::string doubt;           // not empty: why nothing can be said; then `info` does not count
};

// By segment: every one that is lost. Reads logs as far as they go; a key's segment being lost does
// not end that.
[[nodiscard]] std::map<std::uint32_t, LostSegment> find_lost_segments(const CacheSurvey& survey);

}  // namespace engine
