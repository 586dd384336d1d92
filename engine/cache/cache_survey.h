// CacheSurvey: what lies on a cache device and what is wrong with it, without writing a byte.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/cache/cache_device.h"
#include "engine/cache/recovery.h"

namespace engine {

struct SurveyFinding {
  enum class Severity : std::uint8_t {
    harmless,  // nothing is lost: what is bad is there once more, or nobody needs it
    damage,    // something is lost, or not known to be there
  };
  Severity severity = Severity::harmless;
  std::string kind;                   // a word for scripts; never changes its meaning
  MediaOffset place;                  // on the device
  std::optional<std::uint32_t> slot;  // of the volume that it concerns
  std::string text;                   // a sentence: what, where, and what follows
};

struct VolumeSurvey {
  std::uint32_t slot = 0;
  RecoveryReport report;       // what reading its log came to
  std::uint64_t chunks = 0;    // of its log
  std::uint32_t segments = 0;  // that hold its data
  std::uint64_t pieces = 0;
  ByteCount clean;      // data that the backing has too
  ByteCount dirty;      // data that only the cache has
  ByteCount zeros;      // dirty, and without data
  ByteCount bad_dirty;  // with SurveyDepth::data: of it unreadable or rotted
};

struct SegmentUses {
  std::uint32_t free = 0;
  std::uint32_t data = 0;  // in use, with those below
  std::uint32_t log = 0;
  std::uint32_t lost = 0;     // nobody knows whose
  std::uint32_t unnamed = 0;  // data, of a volume whose log is whole, and no key names it
  std::uint32_t orphan = 0;   // data, of no volume
};

enum class SurveyDepth : std::uint8_t {
  entries,  // superblocks, tables, logs
  data,     // and every piece of cached data
};

struct CacheSurvey {
  std::unique_ptr<CacheDevice> device;  // opened to inspect
  std::vector<VolumeSurvey> volumes;    // every slot that is not free, or is lost
  SegmentUses segments;
  std::vector<SurveyFinding> findings;  // as found: tables, then volume by volume

  [[nodiscard]] bool any_damage() const;
};

// Reads all of it; one volume's index at a time is in memory. The region outlives the survey and
// nobody writes to it meanwhile. Errors: those of CacheDevice::open, exhausted.
[[nodiscard]] Result<CacheSurvey, CacheError> survey_cache(PmemRegion& region, SurveyDepth depth);

}  // namespace engine
