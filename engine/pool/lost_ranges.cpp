#include "engine/pool/lost_ranges.h"

#include <algorithm>
#include <limits>
#include <utility>

namespace engine {

bool LostRanges::add(const LostRange& range, std::size_t at_most) {
  LostRange whole = range;
  std::vector<LostRange> next;
  for (const LostRange& each : ranges_) {
    // Those that touch it become one with it.
    if (each.end() < whole.begin || whole.end() < each.begin) {
      next.push_back(each);
      continue;
    }
    const Sector end = std::max(each.end(), whole.end());
    whole.begin = std::min(each.begin, whole.begin);
    whole.count = end - whole.begin;
  }
  if (next.size() + 1 > at_most && next.size() + 1 > ranges_.size()) return false;
  if (whole.count.value > std::numeric_limits<std::uint32_t>::max()) return false;
  next.insert(std::ranges::upper_bound(next, whole.begin, {}, &LostRange::begin), whole);
  ranges_ = std::move(next);
  return true;
}

bool LostRanges::remove(const LostRange& range) {
  std::vector<LostRange> next;
  for (const LostRange& each : ranges_) {
    if (!each.overlaps(range)) {
      next.push_back(each);
      continue;
    }
    if (each.begin < range.begin) next.push_back({each.begin, range.begin - each.begin});
    if (range.end() < each.end()) next.push_back({range.end(), each.end() - range.end()});
  }
  if (next.size() > most) return false;
  ranges_ = std::move(next);
  return true;
}

bool LostRanges::holds(const LostRange& range) const {
  return std::ranges::any_of(ranges_, [&range](const LostRange& each) {
    return each.begin <= range.begin && range.end() <= each.end();
  });
}

bool LostRanges::touches(const LostRange& range) const {
  return std::ranges::any_of(ranges_,
                             [&range](const LostRange& each) { return each.overlaps(range); });
}

SectorCount LostRanges::sectors() const {
  SectorCount sum;
  for (const LostRange& each : ranges_) sum = sum + each.count;
  return sum;
}

std::string LostRanges::text() const {
  std::string where;
  for (const LostRange& each : ranges_) {
    if (!where.empty()) where += ", ";
    where += std::to_string(each.begin.value) + " to " + std::to_string(each.end().value - 1);
  }
  return std::to_string(sectors().value * 512) + " bytes are lost (sectors of 512 bytes: " + where +
         ")";
}

}  // namespace engine
