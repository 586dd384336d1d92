#include "engine/pool/device_volume.h"

#include <utility>
#include <vector>

#include "engine/foundation/check.h"
#include "engine/media/range_lock.h"

namespace engine {
namespace {

using Kind = PoolError::Kind;
using Ranges = std::map<std::uint32_t, std::vector<FileRange>>;

// What the volume has of each member.
Ranges ranges_of(const DevicePool& pool, const VolumeRecord& record) {
  Ranges ranges;
  for (const ExtentRun& run : pool.runs_of(record)) {
    for (const ExtentPiece& piece : member_ranges(pool.shape(), run)) {
      ranges[piece.member].push_back({.offset = piece.offset, .length = piece.length});
    }
  }
  return ranges;
}

// The end of the data that a pool of that shape has on the member.
ByteCount end_of_member(const PoolShape& shape, std::uint32_t member) {
  return {shape.data_offset.value + shape.member_slices.at(member) * shape.slice.value};
}

PoolError at_member(const DevicePool& pool, std::uint32_t member, Kind kind,
                    const std::string& what) {
  return {kind, name_of(pool.member(member)) + ": " + what};
}

Result<OpenFile, PoolError> open_member(const DevicePool& pool, std::uint32_t member,
                                        std::vector<FileRange> ranges) {
  auto file = OpenFile::open(pool.member(member).device, end_of_member(pool.shape(), member));
  if (!file) return at_member(pool, member, Kind::io, file.error());
  file.value().lock_only(std::move(ranges));
  return std::move(file.value());
}

}  // namespace

Result<std::unique_ptr<OpenedVolume>, PoolError> DeviceVolume::open(const DevicePool& pool,
                                                                    const VolumeRecord& record) {
  std::unique_ptr<DeviceVolume> volume(new DeviceVolume(pool.shape()));
  TRY(auto disks, volume->open_disks(pool, record));
  volume->untaken_ =
      std::make_unique<ExtentBacking>(pool.extent_map(record), record.size, std::move(disks));
  volume->backing_ = volume->untaken_.get();
  return std::unique_ptr<OpenedVolume>(std::move(volume));
}

std::unique_ptr<BackingDevice> DeviceVolume::take_backing() {
  CHECK(untaken_ != nullptr);
  return std::move(untaken_);
}

Result<std::vector<MemberDisk>, PoolError> DeviceVolume::open_disks(const DevicePool& pool,
                                                                    const VolumeRecord& record) {
  std::vector<MemberDisk> added;
  std::map<std::uint32_t, FileDevice*> opened;  // of them
  for (auto& [member, ranges] : ranges_of(pool, record)) {
    if (disks_.contains(member)) continue;
    TRY(auto file, open_member(pool, member, std::move(ranges)));
    // Before the first request: the lock is of this very description, which requests hold on to.
    if (const auto locked = file.lock(); !locked) {
      return at_member(pool, member, Kind::in_use, locked.error());
    }
    auto device = std::make_unique<FileDevice>(std::move(file), end_of_member(pool.shape(), member),
                                               IoSource::new_file(pool.backing_number(member)),
                                               FileSpace::as_asked, nullptr, pool.health(member));
    opened[member] = device.get();
    added.push_back({.member = member, .disk = std::move(device)});
  }
  disks_.merge(opened);
  return added;
}

Result<void, PoolError> DeviceVolume::reopen(Pool& pool, const VolumeRecord& record) {
  const auto& devices = dynamic_cast<const DevicePool&>(pool);
  for (auto& [member, ranges] : ranges_of(devices, record)) {
    const auto disk = disks_.find(member);
    if (disk == disks_.end()) continue;  // what it has grown by since
    TRY(auto file, open_member(devices, member, std::move(ranges)));
    if (auto reopened = disk->second->reopen(std::move(file)); !reopened) {
      return at_member(devices, member, Kind::io, reopened.error());
    }
  }
  return grow(pool, record);
}

Result<void, PoolError> DeviceVolume::grow(Pool& pool, const VolumeRecord& record) {
  const auto& devices = dynamic_cast<const DevicePool&>(pool);
  shape_ = devices.shape();
  if (record.size <= backing_->size()) return success();
  for (auto& [member, ranges] : ranges_of(devices, record)) {
    const auto disk = disks_.find(member);
    if (disk == disks_.end()) continue;
    if (auto locked = disk->second->lock_ranges(std::move(ranges)); !locked) {
      return at_member(devices, member, Kind::in_use, locked.error());
    }
    const ByteCount end = end_of_member(shape_, member);
    if (end > disk->second->size()) disk->second->grow(end);
  }
  TRY(auto added, open_disks(devices, record));
  backing_->grow(devices.extent_map(record), record.size, std::move(added));
  return success();
}

BackingPromise DeviceVolume::promise() const {
  BackingPromise promise;
  std::vector<std::uint32_t> atomic;
  for (const auto& [member, disk] : disks_) {
    if (promise.note.empty()) promise.note = disk->note();
    promise.survives_power_loss =
        promise.survives_power_loss && disk->geometry().survives_power_loss;
    atomic.push_back(disk->geometry().atomic_write_bytes);
  }
  promise.atomic_write_bytes = engine::atomic_write_bytes(shape_, atomic);
  return promise;
}

}  // namespace engine
