#include "appliance/media/check_command.h"

#include <fmt/format.h>

#include <cstdio>

#include "appliance/media/cache_file.h"
#include "appliance/media/exit_code.h"
#include "appliance/media/survey_json.h"
#include "appliance/media/survey_screen.h"

namespace media {
namespace {

std::string check_screen(const std::string& path, const engine::CacheSurvey& survey) {
  const std::string findings = findings_screen(survey);
  if (findings.empty()) {
    return fmt::format("cache {} on {}: {}, nothing is wrong with it\n",
                       survey.device->uuid().text(), path, verdict_of(survey));
  }
  return findings +
         fmt::format("cache {} on {}: {}; {} findings{}\n", survey.device->uuid().text(), path,
                     verdict_of(survey), survey.findings.size(),
                     survey.any_damage() ? "" : ", none of which costs anything") +
         fmt::format("What can be done: forebay-media repair {}\n", path);
}

}  // namespace

int inspect(const std::string& path, Output output) {
  const auto region = open_region(path, engine::PmemAccess::read_only);
  if (!region) return exit_failed;
  const auto found = survey(path, *region, engine::SurveyDepth::entries);
  if (!found) return exit_failed;
  fmt::print("{}",
             output == Output::json ? survey_json(path, *found) : survey_screen(path, *found));
  return exit_good;
}

int check(const std::string& path, Output output) {
  const auto region = open_region(path, engine::PmemAccess::read_only);
  if (!region) return exit_failed;
  const auto found = survey(path, *region, engine::SurveyDepth::data);
  if (!found) return exit_failed;
  fmt::print("{}", output == Output::json ? survey_json(path, *found) : check_screen(path, *found));
  if (found->any_damage()) return exit_damage;
  return found->findings.empty() ? exit_good : exit_harmless;
}

}  // namespace media
