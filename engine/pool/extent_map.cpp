#include "engine/pool/extent_map.h"

#include <algorithm>
#include <bit>
#include <numeric>
#include <set>

#include "engine/foundation/check.h"

namespace engine {
namespace {

bool is_power_within(std::uint64_t value, std::uint64_t least, std::uint64_t most) {
  return std::has_single_bit(value) && value >= least && value <= most;
}

bool has_possible_chunk(const PoolShape& shape) {
  if (!shape.is_stripe()) return shape.chunk.value == 0;
  return is_power_within(shape.chunk.value, format::least_chunk_bytes, format::most_chunk_bytes) &&
         shape.slice.value % shape.chunk.value == 0;
}

bool has_possible_members(const PoolShape& shape) {
  const auto& slices = shape.member_slices;
  using Layout = format::MemberLayout;
  if (slices.empty() || slices.size() > format::most_members) return false;
  if (shape.layout == Layout::single && slices.size() != 1) return false;
  if (shape.is_stripe() && slices.size() < 2) return false;
  return std::ranges::all_of(slices, [&](std::uint64_t count) {
    const bool fits = count != 0 && count <= format::most_member_bytes / shape.slice.value;
    return fits && (!shape.is_stripe() || count == slices.front());
  });
}

}  // namespace

std::uint64_t PoolShape::units() const {
  if (is_stripe()) return member_slices.front();
  return std::accumulate(member_slices.begin(), member_slices.end(), std::uint64_t{0});
}

bool valid(const PoolShape& shape) {
  using Layout = format::MemberLayout;
  const bool is_known = shape.layout == Layout::single || shape.layout == Layout::linear ||
                        shape.layout == Layout::stripe;
  return is_known &&
         is_power_within(shape.slice.value, format::least_slice_bytes, format::most_slice_bytes) &&
         has_possible_chunk(shape) && has_possible_members(shape) &&
         shape.data_offset.value % 4096 == 0 &&
         shape.data_offset.value <= format::most_member_bytes;
}

std::vector<ExtentPiece> member_ranges(const PoolShape& shape, const ExtentRun& run) {
  std::vector<ExtentPiece> pieces;
  if (shape.is_stripe()) {
    CHECK(run.pool_unit < shape.units() && run.count <= shape.units() - run.pool_unit);
    const MediaOffset begin =
        MediaOffset{shape.data_offset.value} + ByteCount{run.pool_unit * shape.slice.value};
    for (std::uint32_t member = 0; member < shape.member_slices.size(); ++member) {
      pieces.push_back(
          {.member = member, .offset = begin, .length = {run.count * shape.slice.value}});
    }
    return pieces;
  }
  const ExtentRun alone{.volume_unit = 0, .pool_unit = run.pool_unit, .count = run.count};
  const ExtentMap map(shape, {&alone, 1});
  map.for_each_piece({0}, map.size(),
                     [&](MediaOffset, const ExtentPiece& piece) { pieces.push_back(piece); });
  return pieces;
}

ExtentMap::ExtentMap(PoolShape shape) : shape_(std::move(shape)) {
  CHECK(valid(shape_));
  if (shape_.is_stripe()) return;
  first_unit_.push_back(0);
  for (const std::uint64_t slices : shape_.member_slices) {
    first_unit_.push_back(first_unit_.back() + slices);
  }
}

void ExtentMap::add_members(std::span<const std::uint64_t> slices) {
  CHECK(!shape_.is_stripe());
  for (const std::uint64_t count : slices) {
    shape_.member_slices.push_back(count);
    first_unit_.push_back(first_unit_.back() + count);
  }
  CHECK(valid(shape_));
}

void ExtentMap::append(std::span<const ExtentRun> runs) {
  for (const ExtentRun& run : runs) append(run);
}

void ExtentMap::append(const ExtentRun& run) {
  const std::uint64_t unit = shape_.unit().value;
  const std::uint64_t units = shape_.units();
  CHECK(run.count != 0 && run.pool_unit < units && run.count <= units - run.pool_unit);
  CHECK(run.volume_unit * unit == size_.value);
  if (shape_.is_stripe()) {
    parts_.push_back({.begin = size_.value, .place = run.pool_unit * unit});
    size_.value += run.count * unit;
    return;
  }
  // One part for each member that the run lies on.
  std::uint64_t at = run.pool_unit;
  const std::uint64_t end = run.pool_unit + run.count;
  while (at < end) {
    const auto behind = std::upper_bound(first_unit_.begin(), first_unit_.end(), at);
    const auto member = static_cast<std::uint32_t>(behind - first_unit_.begin() - 1);
    const std::uint64_t upto = std::min(end, *behind);
    parts_.push_back({.begin = size_.value,
                      .place = shape_.data_offset.value + (at - first_unit_[member]) * unit,
                      .member = member});
    size_.value += (upto - at) * unit;
    at = upto;
  }
}

std::vector<std::uint32_t> ExtentMap::members() const {
  std::set<std::uint32_t> members;
  if (shape_.is_stripe() && !parts_.empty()) {
    for (std::uint32_t member = 0; member < shape_.member_slices.size(); ++member) {
      members.insert(member);
    }
  } else {
    for (const Part& part : parts_) members.insert(part.member);
  }
  return {members.begin(), members.end()};
}

ExtentPiece ExtentMap::find(MediaOffset offset, ByteCount length) const {
  CHECK(length.value != 0 && offset.value < size_.value &&
        length.value <= size_.value - offset.value);
  const auto behind =
      std::upper_bound(parts_.begin(), parts_.end(), offset.value,
                       [](std::uint64_t at, const Part& part) { return at < part.begin; });
  const auto index = static_cast<std::size_t>(behind - parts_.begin() - 1);
  const Part& part = parts_[index];
  const std::uint64_t place = part.place + (offset.value - part.begin);
  std::uint64_t count = std::min(length.value, end_of(index) - offset.value);
  if (!shape_.is_stripe()) {
    return {.member = part.member, .offset = {place}, .length = {count}};
  }
  const std::uint64_t chunk_bytes = shape_.chunk.value;
  const std::uint64_t members = shape_.member_slices.size();
  const std::uint64_t chunk = place / chunk_bytes;
  const std::uint64_t inside = place % chunk_bytes;
  count = std::min(count, chunk_bytes - inside);
  return {
      .member = static_cast<std::uint32_t>(chunk % members),
      .offset = {shape_.data_offset.value + chunk / members * chunk_bytes + inside},
      .length = {count},
  };
}

bool ExtentMap::check_invariants() const {
  if (!valid(shape_)) return false;
  if (parts_.empty()) return size_.value == 0;
  if (parts_.front().begin != 0) return false;
  for (std::size_t at = 0; at < parts_.size(); ++at) {
    const Part& part = parts_[at];
    if (end_of(at) <= part.begin) return false;
    const std::uint64_t end = part.place + (end_of(at) - part.begin);
    const std::uint64_t limit =
        shape_.is_stripe()
            ? shape_.units() * shape_.unit().value
            : shape_.data_offset.value + shape_.member_slices.at(part.member) * shape_.slice.value;
    if (end > limit) return false;
  }
  return true;
}

}  // namespace engine
