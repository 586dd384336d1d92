// DevicePool: its disks, and what becomes of its volumes while some of them are missing.
#include <algorithm>
#include <utility>

#include "engine/foundation/check.h"
#include "engine/media/queue_depth.h"
#include "engine/pool/device_pool.h"

namespace engine {

using Kind = PoolError::Kind;

const DevicePool::MemberUse& DevicePool::use_of(std::uint32_t index) const {
  const auto [entry, is_new] = uses_.try_emplace(member(index).device);
  if (is_new) {
    entry->second = {.backing_number = IoSource::new_backing(),
                     .health = std::make_shared<DiskHealth>()};
    QueueDepth::of(entry->second.backing_number).set_limit(queue_depth_);
  }
  return entry->second;
}

void DevicePool::set_queue_depth(std::uint32_t depth) {
  queue_depth_ = depth;
  for (const auto& [device, use] : uses_) QueueDepth::of(use.backing_number).set_limit(depth);
}

std::vector<PoolDisk> DevicePool::disks() const {
  std::vector<PoolDisk> all;
  for (std::uint32_t index = 0; index < members_.count(); ++index) {
    const bool is_there = members_.is_there(index);
    PoolDisk disk = is_there ? disk_at(member(index).path) : PoolDisk{.path = member(index).path};
    disk.is_missing = !is_there;
    if (disk.serial.empty()) disk.serial = member(index).serial;
    disk.health = health(index);
    all.push_back(std::move(disk));
  }
  return all;
}

std::vector<MemberState> DevicePool::members() const {
  std::vector<MemberState> states;
  for (std::uint32_t index = 0; index < members_.count(); ++index) {
    const MemberInfo info = member(index);
    MemberState state{.index = index,
                      .uuid = table().members[index].uuid,
                      .is_there = members_.is_there(index),
                      .path = info.path,
                      .serial = info.serial};
    if (state.is_there) state.device = info.device;
    if (!state.is_there) state.reason = why_missing(notes_, index, state.path);
    states.push_back(std::move(state));
  }
  return states;
}

bool DevicePool::is_whole() const { return members_.is_whole() && !members_.has_failed(); }

std::optional<PoolError> DevicePool::why_out_of_reach(const VolumeRecord& volume) const {
  const VolumePlace* const place = place_of(volume);
  CHECK(place != nullptr);
  return why_out_of_reach(*place, "volume " + volume.name);
}

std::optional<PoolError> DevicePool::why_out_of_reach(const VolumePlace& place,
                                                      const std::string& what) const {
  if (members_.is_whole()) return std::nullopt;
  for (const ExtentRun& run : place.runs) {
    for (const ExtentPiece& piece : member_ranges(members_.shape(), run)) {
      if (members_.is_there(piece.member)) continue;
      return PoolError{Kind::member_missing,
                       what + " lies on what is missing: " + missing_text(table(), piece.member)};
    }
  }
  return std::nullopt;
}

Result<void, PoolError> DevicePool::within_reach(const std::string& name) const {
  const auto volume = table().find(name);
  if (!volume) return success();
  if (auto missing = why_out_of_reach(table().places[*volume], "volume " + name)) {
    return std::move(*missing);
  }
  return success();
}

void DevicePool::withhold_missing(ExtentAllocator& space) const {
  if (members_.is_whole()) return;
  const PoolShape shape = members_.shape();
  CHECK(!shape.is_stripe());
  std::uint64_t first = 0;
  for (std::uint32_t index = 0; index < members_.count(); ++index) {
    const std::uint64_t units = shape.member_slices[index];
    if (!members_.is_there(index)) space.withhold(first, first + units);
    first += units;
  }
}

}  // namespace engine
