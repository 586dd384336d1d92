// A survey as an operator reads it: trouble first, then the device, then volume by volume.
#pragma once

#include <string>

#include "engine/cache/cache_survey.h"

namespace media {

// "CLEAN", "DIRTY" (data waits for its backing) or "DAMAGED".
[[nodiscard]] const char* verdict_of(const engine::CacheSurvey& survey);
// "clean", "dirty", "damaged" or "leaving".
[[nodiscard]] const char* state_of(const engine::CacheSurvey& survey,
                                   const engine::VolumeSurvey& volume);
// "write-back", as the configuration calls it.
[[nodiscard]] const char* mode_text(engine::format::CacheMode mode);
// "2026-11-20 09:12:05 UTC"; "never" for 0.
[[nodiscard]] std::string time_text(std::uint64_t ms_since_1970);

// Readable without colour. `path` as the operator wrote it.
[[nodiscard]] std::string survey_screen(const std::string& path, const engine::CacheSurvey& survey);
// Only what is wrong: a line each, damage ("!") before the rest ("-").
[[nodiscard]] std::string findings_screen(const engine::CacheSurvey& survey);

}  // namespace media
