// CacheRepair: what can be mended on a cache device that nobody uses, planned first, done on
// demand.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "engine/cache/cache_survey.h"
#include "engine/cache/log_cut.h"
#include "engine/cache/lost_segments.h"
#include "engine/foundation/uuid.h"

namespace engine {

struct RepairStep {
  enum class Kind : std::uint8_t {
    heal,             // replicas, headers and copies are written again from the good one
    restore_segment,  // a lost entry is written again as logs name it
    free_segment,     // a lost entry that nobody names, or an orphan
    finish_leaving,   // an interrupted detachment
    forget_clean,     // everything up to D, where only that is damaged
    cut_log,          // what is behind the damage is lost
  };
  Kind kind = Kind::heal;
  std::uint32_t slot = 0;     // finish_leaving, forget_clean, cut_log
  std::uint32_t segment = 0;  // restore_segment, free_segment
  LostSegment entry = {};     // of one that is lost
  LogCut cut = {};            // forget_clean, cut_log
  std::string text = {};      // a sentence: what is done, and what that costs

  [[nodiscard]] const char* name() const;  // "cut_log"
};

struct RepairPlan {
  std::vector<RepairStep> steps;     // in the order in which they are done
  std::vector<std::string> remains;  // damage that these steps leave, with what would help
};

// `cut`: volumes whose damaged log may be cut; the others keep what is behind the damage. Nothing
// is written. Error: exhausted.
[[nodiscard]] Result<RepairPlan, CacheError> plan_repair(const CacheSurvey& survey,
                                                         std::span<const Uuid> cut);

// Does what was planned from a survey of this region, on the cache `device` and no other. Each step
// is done or not, whatever happens; after a crash, plan anew. The survey's device must not be used
// any more. Errors: those of CacheDevice::open; io.
[[nodiscard]] Result<void, CacheError> repair_cache(PmemRegion& region, const Uuid& device,
                                                    const CacheSurvey& survey,
                                                    const RepairPlan& plan);

}  // namespace engine
