// A survey for scripts: the object that `inspect --json` and `check --json` print.
#pragma once

#include <string>

#include "engine/cache/cache_survey.h"

namespace media {

// One line. Numbers are bytes, milliseconds since 1970-01-01 UTC, sectors of 512 bytes or
// sequences, as their names say.
[[nodiscard]] std::string survey_json(const std::string& path, const engine::CacheSurvey& survey);

}  // namespace media
