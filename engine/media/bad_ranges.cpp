#include "engine/media/bad_ranges.h"

#include <algorithm>
#include <limits>

namespace engine {

void BadRanges::add(PmemRange range) {
  if (range.length.value == 0) return;
  std::uint64_t begin = range.offset.value;
  std::uint64_t end = begin + range.length.value;
  const std::lock_guard guard(mutex_);
  auto at = ranges_.upper_bound(begin);
  if (at != ranges_.begin() && std::prev(at)->second >= begin) --at;
  while (at != ranges_.end() && at->first <= end) {
    begin = std::min(begin, at->first);
    end = std::max(end, at->second);
    at = ranges_.erase(at);
  }
  ranges_.emplace(begin, end);
  count_.store(ranges_.size(), std::memory_order_release);
}

void BadRanges::remove(PmemRange range) {
  if (range.length.value == 0) return;
  const std::uint64_t begin = range.offset.value;
  const std::uint64_t end = begin + range.length.value;
  const std::lock_guard guard(mutex_);
  auto at = ranges_.upper_bound(begin);
  if (at != ranges_.begin() && std::prev(at)->second > begin) --at;
  while (at != ranges_.end() && at->first < end) {
    const auto [old_begin, old_end] = *at;
    at = ranges_.erase(at);
    if (old_begin < begin) ranges_.emplace(old_begin, begin);
    if (old_end > end) ranges_.emplace(end, old_end);
  }
  count_.store(ranges_.size(), std::memory_order_release);
}

std::vector<PmemRange> BadRanges::within(PmemRange range) const {
  const std::uint64_t begin = range.offset.value;
  const std::uint64_t end = begin + range.length.value;
  std::vector<PmemRange> found;
  if (begin == end) return found;
  const std::lock_guard guard(mutex_);
  auto at = ranges_.upper_bound(begin);
  if (at != ranges_.begin() && std::prev(at)->second > begin) --at;
  for (; at != ranges_.end() && at->first < end; ++at) {
    const std::uint64_t from = std::max(begin, at->first);
    found.push_back({{from}, {std::min(end, at->second) - from}});
  }
  return found;
}

std::vector<PmemRange> BadRanges::list() const {
  return within({{0}, {std::numeric_limits<std::uint64_t>::max()}});
}

}  // namespace engine
