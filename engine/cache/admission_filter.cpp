#include "engine/cache/admission_filter.h"

#include <algorithm>
#include <bit>
#include <mutex>

namespace engine {
namespace {

constexpr std::uint64_t block_sectors = 8;

std::uint64_t mixed(std::uint64_t value) {
  value ^= value >> 31;
  value *= 0x9e3779b97f4a7c15;
  value ^= value >> 29;
  value *= 0xbf58476d1ce4e5b9;
  return value ^ (value >> 32);
}

}  // namespace

AdmissionFilter::AdmissionFilter(std::uint64_t remembered)
    : sets_(std::bit_ceil(std::max<std::uint64_t>(remembered / ways, 1))) {}

AdmissionFilter::Verdict AdmissionFilter::judge(SectorRange range) {
  const std::lock_guard lock(lock_);
  // Both are told in any case.
  const bool sequential = is_sequential(range);
  const bool seen = was_seen(range.begin);
  if (sequential) return Verdict::sequential;
  return seen ? Verdict::fill : Verdict::first_read;
}

bool AdmissionFilter::is_sequential(SectorRange range) {
  ++clock_;
  const auto goes_on = [range](const Stream& stream) {
    return stream.length > 0 && range.begin.value >= stream.next &&
           range.begin.value - stream.next <= stream_slack;
  };
  const auto found = std::ranges::find_if(streams_, goes_on);
  Stream& stream =
      found != streams_.end() ? *found : *std::ranges::min_element(streams_, {}, &Stream::touched);
  if (found == streams_.end()) stream = {};
  stream.next = range.end().value;
  stream.length += range.count.value;
  stream.touched = clock_;
  return stream.length >= stream_sectors;
}

// The second time it is forgotten: if the cache gives it up again, it has to prove itself anew.
bool AdmissionFilter::was_seen(Sector sector) {
  const std::uint64_t hash = mixed(sector.value / block_sectors);
  Set& set = sets_[hash & (sets_.size() - 1)];
  const auto mark = static_cast<std::uint16_t>((hash >> 48) | 1);
  const auto found = std::ranges::find(set, mark);
  if (found != set.end()) {
    std::move(found + 1, set.end(), found);
    set.back() = 0;
    return true;
  }
  std::move_backward(set.begin(), set.end() - 1, set.end());
  set.front() = mark;
  return false;
}

}  // namespace engine
