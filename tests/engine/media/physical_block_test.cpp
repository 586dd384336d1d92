#include "engine/media/physical_block.h"
#include "tests/engine/test_directory.h"

#include <gtest/gtest.h>
#include <sys/sysmacros.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace engine {
namespace {

namespace fs = std::filesystem;

// What the kernel shows of a disk 8:0 with a partition 8:1.
struct PhysicalBlock : testing::Test {
  const TestDirectory place{"sysfs"};
  const fs::path root = place.path();

  void SetUp() override {
    fs::create_directories(root / "devices/sda/queue");
    fs::create_directories(root / "devices/sda/sda1");
    fs::create_directories(root / "dev");
    fs::create_directory_symlink(root / "devices/sda", root / "dev/8:0");
    fs::create_directory_symlink(root / "devices/sda/sda1", root / "dev/8:1");
    show("sda/queue/physical_block_size", "4096");
    show("sda/alignment_offset", "0");
    show("sda/sda1/alignment_offset", "0");
  }
  void show(const std::string& path, const std::string& text) const {
    std::ofstream(root / "devices" / path) << text << "\n";
  }
  [[nodiscard]] std::uint32_t of(unsigned minor_number) const {
    return physical_block_bytes(makedev(8, minor_number), root / "dev");
  }
};

TEST_F(PhysicalBlock, DiskAndItsPartitionsHaveOne) {
  EXPECT_EQ(of(0), 4096U);
  EXPECT_EQ(of(1), 4096U);
  show("sda/queue/physical_block_size", "512");
  EXPECT_EQ(of(1), 512U);
}

TEST_F(PhysicalBlock, PartitionThatBeginsInsideABlockHasNone) {
  show("sda/sda1/alignment_offset", "3584");
  EXPECT_EQ(of(0), 4096U);
  EXPECT_EQ(of(1), 0U);
  show("sda/sda1/alignment_offset", "-1");  // stacked disks that do not fit together
  EXPECT_EQ(of(1), 0U);
}

TEST_F(PhysicalBlock, WhatTheKernelDoesNotTellIsNotKnown) {
  EXPECT_EQ(of(2), 0U) << "no block device: btrfs, overlayfs, a network";
  for (const char* nonsense : {"", "none", "0", "-4096", "3000", "99999999999"}) {
    show("sda/queue/physical_block_size", nonsense);
    EXPECT_EQ(of(0), 0U) << nonsense;
  }
  show("sda/queue/physical_block_size", "4096");
  fs::remove(root / "devices/sda/alignment_offset");
  EXPECT_EQ(of(0), 0U);
}

}  // namespace
}  // namespace engine
