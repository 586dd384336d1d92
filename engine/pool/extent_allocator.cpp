#include "engine/pool/extent_allocator.h"

#include <algorithm>
#include <iterator>

#include "engine/foundation/check.h"

namespace engine {

ExtentAllocator::ExtentAllocator(std::uint64_t units) : gaps_{{0, units}}, free_(units) {
  CHECK(units != 0);
}

void ExtentAllocator::take(std::span<const ExtentRun> runs) {
  for (const ExtentRun& run : runs) {
    auto gap = gaps_.upper_bound(run.pool_unit);
    CHECK(gap != gaps_.begin());
    --gap;
    const auto [begin, count] = *gap;
    const std::uint64_t before = run.pool_unit - begin;
    CHECK(before < count && run.count <= count - before);
    gaps_.erase(gap);
    if (before != 0) gaps_.emplace(begin, before);
    const std::uint64_t behind = count - before - run.count;
    if (behind != 0) gaps_.emplace(run.pool_unit + run.count, behind);
    free_ -= run.count;
  }
}

void ExtentAllocator::move(std::map<std::uint64_t, std::uint64_t>::iterator gap,
                           std::uint64_t count, std::vector<ExtentRun>& runs) {
  const auto [begin, size] = *gap;
  gaps_.erase(gap);
  if (count < size) gaps_.emplace(begin + count, size - count);
  free_ -= count;
  if (!runs.empty() && runs.back().pool_unit + runs.back().count == begin) {
    runs.back().count += count;
    return;
  }
  const std::uint64_t volume_unit = runs.empty() ? 0 : runs.back().volume_unit + runs.back().count;
  runs.push_back({.volume_unit = volume_unit, .pool_unit = begin, .count = count});
}

bool ExtentAllocator::append(std::vector<ExtentRun>& runs, std::uint64_t count) {
  if (count > free_) return false;
  if (!runs.empty()) {
    const auto behind = gaps_.find(runs.back().pool_unit + runs.back().count);
    if (behind != gaps_.end() && count != 0) {
      const std::uint64_t part = std::min(count, behind->second);
      move(behind, part, runs);
      count -= part;
    }
  }
  while (count != 0) {
    auto gap = std::ranges::find_if(gaps_, [&](const auto& one) { return one.second >= count; });
    if (gap == gaps_.end()) gap = gaps_.begin();
    const std::uint64_t part = std::min(count, gap->second);
    move(gap, part, runs);
    count -= part;
  }
  return true;
}

void ExtentAllocator::trim(std::vector<ExtentRun>& runs, std::uint64_t kept) {
  while (!runs.empty() && runs.back().volume_unit + runs.back().count > kept) {
    ExtentRun& last = runs.back();
    const std::uint64_t stays = kept > last.volume_unit ? kept - last.volume_unit : 0;
    put_back(last.pool_unit + stays, last.count - stays);
    last.count = stays;
    if (stays == 0) runs.pop_back();
  }
}

void ExtentAllocator::withhold(std::uint64_t begin, std::uint64_t end) {
  std::vector<ExtentRun> free;
  for (const auto& [first, count] : gaps_) {
    const std::uint64_t from = std::max(first, begin);
    const std::uint64_t to = std::min(first + count, end);
    if (from < to) free.push_back({.volume_unit = 0, .pool_unit = from, .count = to - from});
  }
  take(free);
}

void ExtentAllocator::put_back(std::uint64_t begin, std::uint64_t count) {
  free_ += count;
  auto gap = gaps_.emplace(begin, count).first;
  const auto behind = std::next(gap);
  if (behind != gaps_.end() && begin + count == behind->first) {
    gap->second += behind->second;
    gaps_.erase(behind);
  }
  if (gap == gaps_.begin()) return;
  const auto before = std::prev(gap);
  if (before->first + before->second != begin) return;
  before->second += gap->second;
  gaps_.erase(gap);
}

}  // namespace engine
