// A volume over a simulated disk, through the same code that stands above a real one.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "engine/media/file_device.h"
#include "engine/volume/backed_volume.h"
#include "tests/engine/media/lane_driver.h"
#include "tests/sim/sim_lane.h"

namespace engine {

inline const Uuid some_uuid = *Uuid::parse("6f0c7f9e-5a53-4b0e-9c51-2f4f4d1e7a10");

// Submits and turns the lane until `io` has ended. `io.done` is overwritten.
inline IoStatus run(Volume& volume, IoLane& lane, VolumeIo& io) {
  struct Waiting : VolumeIo {
    bool here = false;
    IoStatus status = IoStatus::ok;
  } waiting;
  static_cast<VolumeIo&>(waiting) = io;
  waiting.done = [](VolumeIo& ended, IoStatus status) noexcept {
    auto& to = static_cast<Waiting&>(ended);
    EXPECT_FALSE(to.here);
    to.here = true;
    to.status = status;
  };
  volume.submit(lane, waiting);
  drive_until(lane, [&waiting] { return waiting.here; });
  return waiting.status;
}

inline IoStatus run(Volume& volume, IoLane& lane, VolumeIo::Kind kind, std::uint64_t lba,
                    std::uint64_t blocks, std::span<std::byte> data = {}) {
  VolumeIo io{.kind = kind, .lba = {lba}, .blocks = {blocks}, .data = data};
  return run(volume, lane, io);
}

// The disk outlives what is opened over it, as a disk outlives a daemon.
class SimStack {
 public:
  SimStack(SimDisk& disk, FileGeometry geometry, BlockSize block, std::uint64_t seed)
      : lane_(budget_, seed),
        volume_({.name = "sim", .uuid = {}, .block_size = block}, {disk.size().value / block.bytes},
                "not there yet") {
    auto device =
        std::make_unique<FileDevice>(OpenFile::borrowed(lane_.attach(disk), geometry), disk.size(),
                                     IoSource::new_file(IoSource::new_backing()));
    device_ = device.get();
    volume_.go_online(std::move(device), some_uuid, {disk.size().value / block.bytes}, {});
  }
  [[nodiscard]] BackedVolume& volume() { return volume_; }
  [[nodiscard]] SimLane& lane() { return lane_; }
  [[nodiscard]] FileDevice& device() { return *device_; }

 private:
  MemoryBudget budget_{16_MiB};
  SimLane lane_;
  BackedVolume volume_;
  FileDevice* device_ = nullptr;
};

}  // namespace engine
