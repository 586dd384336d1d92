// Volumes that lie scattered over the members of a device pool, over simulated disks and over
// files.
#pragma once

#include <algorithm>
#include <vector>

#include "engine/foundation/random.h"
#include "engine/pool/extent_backing.h"
#include "tests/engine/media/backing_kit.h"

namespace engine {

inline constexpr ByteCount kit_slice = 64_KiB;
inline constexpr ByteCount kit_data_offset = 128_KiB;

inline PoolShape linear_shape(std::vector<std::uint64_t> slices) {
  return {
      .layout = slices.size() == 1 ? format::MemberLayout::single : format::MemberLayout::linear,
      .chunk = {},
      .slice = kit_slice,
      .data_offset = kit_data_offset,
      .member_slices = std::move(slices)};
}

inline PoolShape stripe_shape(std::size_t members, ByteCount chunk, std::uint64_t slices) {
  return {.layout = format::MemberLayout::stripe,
          .chunk = chunk,
          .slice = kit_slice,
          .data_offset = kit_data_offset,
          .member_slices = std::vector<std::uint64_t>(members, slices)};
}

// All units of the pool, in runs of one to three, in an order of the seed's choice.
inline std::vector<ExtentRun> scattered_runs(const PoolShape& shape, std::uint64_t seed) {
  SeededRandom random(seed);
  std::vector<ExtentRun> runs;
  for (std::uint64_t at = 0; at < shape.units();) {
    const std::uint64_t count = std::min(1 + random.below(3), shape.units() - at);
    runs.push_back({.volume_unit = 0, .pool_unit = at, .count = count});
    at += count;
  }
  for (std::size_t at = runs.size(); at > 1; --at) std::swap(runs[at - 1], runs[random.below(at)]);
  std::uint64_t end = 0;
  for (ExtentRun& run : runs) {
    run.volume_unit = end;
    end += run.count;
  }
  return runs;
}

// So many bytes a member has.
inline ByteCount member_size(const PoolShape& shape, std::size_t member) {
  return {shape.data_offset.value + shape.member_slices[member] * shape.slice.value};
}

// A pool with room for `size`, of `members`.
inline PoolShape shape_for(ByteCount size, std::size_t members, ByteCount chunk) {
  if (chunk.value != 0) {
    const std::uint64_t row = kit_slice.value * members;
    return stripe_shape(members, chunk, (size.value + row - 1) / row);
  }
  std::vector<std::uint64_t> slices;
  const std::uint64_t wanted = (size.value + kit_slice.value - 1) / kit_slice.value;
  for (std::size_t at = 0; at < members; ++at) slices.push_back(wanted / members + 1 + at);
  return linear_shape(std::move(slices));
}

class SimExtentKit : public BackingKit {
 public:
  SimExtentKit(ByteCount size, PoolShape shape, std::uint64_t seed = 1)
      : shape_(std::move(shape)), lane_(budget_, seed) {
    std::vector<MemberDisk> disks;
    for (std::uint32_t at = 0; at < shape_.member_slices.size(); ++at) {
      auto disk = std::make_unique<SimBacking>(member_size(shape_, at), seed * 100 + at);
      members_.push_back(disk.get());
      disks.push_back({.member = at, .disk = std::move(disk)});
    }
    const auto runs = scattered_runs(shape_, seed);
    device_ = std::make_unique<ExtentBacking>(ExtentMap(shape_, runs), size, std::move(disks));
  }
  ExtentBacking& device() override { return *device_; }
  SimLane& lane() override { return lane_; }
  SimBacking& member(std::size_t index) { return *members_[index]; }
  [[nodiscard]] std::size_t members() const { return members_.size(); }
  [[nodiscard]] const PoolShape& shape() const { return shape_; }

 private:
  PoolShape shape_;
  SimLane lane_;
  std::vector<SimBacking*> members_;  // the device's
  std::unique_ptr<ExtentBacking> device_;
};

// Over real files, by io_uring.
class FileExtentKit : public BackingKit {
 public:
  FileExtentKit(ByteCount size, const PoolShape& shape) {
    std::vector<MemberDisk> disks;
    for (std::uint32_t at = 0; at < shape.member_slices.size(); ++at) {
      const ByteCount length = member_size(shape, at);
      files_.push_back(std::make_unique<FileKit>(length, "."));
      auto file = OpenFile::open(files_.back()->path(), length);
      EXPECT_TRUE(file) << file.error();
      disks.push_back(
          {.member = at,
           .disk = std::make_unique<FileDevice>(std::move(file.value()), length,
                                                IoSource::new_file(IoSource::new_backing()))});
    }
    const auto runs = scattered_runs(shape, 7);
    device_ = std::make_unique<ExtentBacking>(ExtentMap(shape, runs), size, std::move(disks));
    lane_ = std::move(UringLane::create(budget_).value());
  }
  ExtentBacking& device() override { return *device_; }
  IoLane& lane() override { return *lane_; }

 private:
  std::vector<std::unique_ptr<FileKit>> files_;
  std::unique_ptr<ExtentBacking> device_;
  std::unique_ptr<UringLane> lane_;
};

}  // namespace engine
