#include "engine/volume/bad_range_search.h"

#include <algorithm>

namespace engine {
namespace {

constexpr std::uint64_t grain = 8;  // sectors

}  // namespace

void BadRangeSearch::failed() {
  const SectorRange range = left_.back();
  left_.pop_back();
  const std::uint64_t begin = range.begin.value;
  const std::uint64_t end = range.end().value;
  const std::uint64_t middle = (begin + end) / 2 / grain * grain;
  if (end - begin > grain && middle > begin) {
    left_.push_back({{middle}, {end - middle}});
    left_.push_back({{begin}, {middle - begin}});
    return;
  }
  if (!bad_.empty() && bad_.back().end() == range.begin) {
    bad_.back().count = range.end() - bad_.back().begin;
    return;
  }
  bad_.push_back(range);
}

bool BadRangeSearch::take(IoStatus outcome) {
  if (outcome == IoStatus::ok) {
    read_well();
  } else if (outcome == IoStatus::media_error || outcome == IoStatus::timed_out) {
    failed();
  } else {
    return false;
  }
  return true;
}

bool BadRangeSearch::is_bad(SectorRange range) const {
  return std::ranges::any_of(bad_, [range](const SectorRange& bad) {
    return bad.begin < range.end() && range.begin < bad.end();
  });
}

}  // namespace engine
