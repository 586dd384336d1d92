#include "appliance/media/cache_file.h"

#include <fmt/format.h>

#include <cstdio>
#include <utility>

namespace media {

void complain(const std::string& text) { fmt::print(stderr, "forebay-media: {}\n", text); }

std::unique_ptr<engine::PmemRegion> open_region(const std::string& path,
                                                engine::PmemAccess access) {
  auto opened = engine::open_pmem_region(path, {.access = access, .lock_memory = false});
  if (opened) return std::move(opened).value();
  complain(opened.error().text);
  return nullptr;
}

std::optional<engine::CacheSurvey> survey(const std::string& path, engine::PmemRegion& region,
                                          engine::SurveyDepth depth) {
  auto surveyed = engine::survey_cache(region, depth);
  if (surveyed) return std::move(surveyed).value();
  complain(path + ": " + surveyed.error().text);
  return std::nullopt;
}

}  // namespace media
