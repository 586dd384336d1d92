// Which disk lies beneath a path, and how it is called in a message.
#include "engine/pool/pool_disk.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cerrno>

#include "tests/engine/pool/fake_system.h"
#include "tests/engine/test_directory.h"

namespace engine {
namespace {

TEST(PoolDisk, OfADirectoryIsTheDiskOfItsFileSystem) {
  const TestDirectory place("pool-disk-test");
  struct stat status {};
  ASSERT_EQ(stat(place.path().c_str(), &status), 0);
  FakeSystem system;
  system.add("sdb", "8:16");
  system.add("sdb1", device_number_text(status.st_dev), "sdb");
  system.write("sdb", "queue/rotational", "1\n");
  system.write("sdb", "device/model", "ST8000\n");
  system.write("sdb", "serial", "WRQ0\n");
  const PoolDisk disk = disk_at(place.path(), system.roots());
  EXPECT_EQ(disk.device, "/dev/sdb1");
  EXPECT_EQ(disk.whole_device, "/dev/sdb");
  EXPECT_TRUE(disk.is_rotational);
  EXPECT_FALSE(disk.is_whole);
  EXPECT_EQ(name_of(disk), place.path() + " (/dev/sdb1, ST8000, serial WRQ0)");
}

TEST(PoolDisk, WhatIsNotThereOrNoDiskHasNoName) {
  const FakeSystem system;
  for (const char* const path : {"/no/such/path", "/"}) {
    const PoolDisk disk = disk_at(path, system.roots());
    EXPECT_EQ(name_of(disk), path);
    EXPECT_TRUE(disk.serial.empty());
  }
}

TEST(PoolDisk, AFaultHasABlockOnADeviceAndAByteInAFile) {
  const DiskFault fault{.work = DiskWork::write, .error = EIO, .offset = {1536}};
  const DiskFault sync{.work = DiskWork::sync, .error = EIO};
  const PoolDisk device{.path = "/dev/sdb", .device = "/dev/sdb", .is_whole = true};
  const PoolDisk directory{.path = "/srv/pool"};
  EXPECT_EQ(text(fault, device), "a write at LBA 3 failed: Input/output error");
  EXPECT_EQ(lba_of(fault, device), 3U);
  EXPECT_EQ(text(fault, directory),
            "a write at byte 1536 of a file there failed: Input/output error");
  EXPECT_FALSE(lba_of(fault, directory));
  EXPECT_EQ(text(sync, device), "a sync failed: Input/output error");
  EXPECT_FALSE(lba_of(sync, device));
}

}  // namespace
}  // namespace engine
