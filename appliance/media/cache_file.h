// The file or device that forebay-media was given: opened, surveyed, or refused in one line.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "engine/cache/cache_survey.h"
#include "engine/media/open_pmem.h"

namespace media {

// A line on standard error: "forebay-media: TEXT".
void complain(const std::string& text);

// nullptr: refused, and said so. A region that a daemon has open is refused with its process.
[[nodiscard]] std::unique_ptr<engine::PmemRegion> open_region(const std::string& path,
                                                              engine::PmemAccess access);

// nullopt: there is no cache that could be surveyed, and that was said. Survey before region.
[[nodiscard]] std::optional<engine::CacheSurvey> survey(const std::string& path,
                                                        engine::PmemRegion& region,
                                                        engine::SurveyDepth depth);

}  // namespace media
