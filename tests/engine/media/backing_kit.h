// The backings that the contract suite runs over, each with its lane, behind one face.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <memory>
#include <string>

#include "engine/media/file_device.h"
#include "engine/media/memory_device.h"
#include "engine/media/uring_lane.h"
#include "tests/engine/media/lane_driver.h"
#include "tests/sim/sim_backing.h"
#include "tests/sim/sim_lane.h"

namespace engine {

class BackingKit {
 public:
  BackingKit() = default;
  BackingKit(const BackingKit&) = delete;
  BackingKit& operator=(const BackingKit&) = delete;
  virtual ~BackingKit() = default;
  virtual BackingDevice& device() = 0;
  virtual IoLane& lane() = 0;

  // Submits and turns the lane until `io` has ended. `io.context` and `io.done` are overwritten.
  IoStatus run(BackingIo& io) { return run_to_end(device(), lane(), io); }
  IoStatus run(BackingIo::Kind kind, std::uint64_t offset, std::span<std::byte> buffer,
               std::uint64_t length = 0, bool durable = false) {
    BackingIo io{.kind = kind, .durable = durable, .offset = {offset}, .buffer = buffer};
    io.length = {length};
    return run(io);
  }

 protected:
  MemoryBudget budget_{64_MiB};
};

// A real file; `directory` chooses the file system. One that gives space back has none at first.
class FileKit : public BackingKit {
 public:
  FileKit(ByteCount size, const std::string& directory, FileSpace space = FileSpace::as_asked)
      : size_(size) {
    path_ = directory + "/forebay-device-XXXXXX";
    const int fd = mkostemp(path_.data(), O_CLOEXEC);
    EXPECT_GE(fd, 0) << path_;
    const auto length = static_cast<off_t>(size.value);
    EXPECT_EQ(
        space == FileSpace::given_back ? ftruncate(fd, length) : posix_fallocate(fd, 0, length), 0);
    close(fd);
    auto file = OpenFile::open(path_, size);
    EXPECT_TRUE(file) << file.error();
    device_ = std::make_unique<FileDevice>(std::move(file.value()), size,
                                           IoSource::new_file(IoSource::new_backing()), space);
    lane_ = std::move(UringLane::create(budget_).value());
  }
  ~FileKit() override { unlink(path_.c_str()); }
  FileDevice& device() override { return *device_; }
  IoLane& lane() override { return *lane_; }
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  ByteCount size_;
  std::string path_;
  std::unique_ptr<FileDevice> device_;
  std::unique_ptr<UringLane> lane_;
};

// FileDevice over a simulated lane and disk, with whatever geometry a disk may have.
class SimFileKit : public BackingKit {
 public:
  SimFileKit(ByteCount size, FileGeometry geometry, std::uint64_t seed = 1)
      : disk_(size, seed),
        lane_(budget_, seed),
        device_(OpenFile::borrowed(lane_.attach(disk_), geometry), size,
                IoSource::new_file(IoSource::new_backing())) {}
  FileDevice& device() override { return device_; }
  SimLane& lane() override { return lane_; }
  SimDisk& disk() { return disk_; }

 private:
  SimDisk disk_;
  SimLane lane_;
  FileDevice device_;
};

class MemoryKit : public BackingKit {
 public:
  explicit MemoryKit(ByteCount size) : device_(std::move(MemoryDevice::create(size).value())) {}
  MemoryDevice& device() override { return *device_; }
  IoLane& lane() override { return lane_; }

 private:
  SimLane lane_{budget_};
  std::unique_ptr<MemoryDevice> device_;
};

class SimBackingKit : public BackingKit {
 public:
  explicit SimBackingKit(ByteCount size, std::uint64_t seed = 1) : device_(size, seed) {}
  SimBacking& device() override { return device_; }
  SimLane& lane() override { return lane_; }

 private:
  SimLane lane_{budget_};
  SimBacking device_;
};

// What a 4096-byte-sector disk and a 512-byte-sector disk ask of a file.
inline constexpr FileGeometry native_4k{
    .offset_alignment = 4096, .memory_alignment = 512, .direct = true, .never_buffered = true};
inline constexpr FileGeometry native_512{
    .offset_alignment = 512, .memory_alignment = 4, .direct = true, .never_buffered = true};

}  // namespace engine
