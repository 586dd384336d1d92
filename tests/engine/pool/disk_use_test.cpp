// Who uses a disk already, as a machine with every kind of stack tells.
#include "engine/pool/disk_use.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/engine/pool/fake_system.h"

namespace engine {
namespace {

using UseKind = DiskUse::Kind;
using Uses = std::vector<DiskUse>;

// sda: ESP, /boot, LVM with / and /srv; sdb: free; sdc and sdd: an md mirror with swap on it.
class DiskUseTest : public testing::Test {
 protected:
  DiskUseTest() {
    system.add("sda", "8:0");
    system.add("sda1", "8:1", "sda");
    system.add("sda2", "8:2", "sda");
    system.add("sda3", "8:3", "sda");
    system.add("sda4", "8:4", "sda");
    system.add("sdb", "8:16");
    system.add("sdb1", "8:17", "sdb");
    system.add("sdc", "8:32");
    system.add("sdd", "8:48");
    system.add("dm-0", "253:0");
    system.add("dm-1", "253:1");
    system.add("md0", "9:0");
    system.write("dm-0", "dm/name", "vg0-root\n");
    system.write("dm-1", "dm/name", "vg0-srv\n");
    system.stack("dm-0", "sda3");
    system.stack("dm-1", "sda3");
    system.stack("md0", "sdc");
    system.stack("md0", "sdd");
    system.link("mapper/vg0-root", "../dm-0");
    system.link("mapper/vg0-srv", "../dm-1");
    system.mount("8:1", "/boot/efi", "/dev/sda1");
    system.mount("8:2", "/boot", "/dev/sda2");
    system.mount("253:0", "/", "/dev/mapper/vg0-root");
    system.mount("253:1", "/srv/a\\040b", "/dev/mapper/vg0-srv");
    system.mount("0:21", "/sys", "sysfs");
    system.swaps("/dev/md0   partition  1048572 0 -2\n");
  }
  Uses of(const std::string& name) { return uses_of(system.block(name), system.roots()); }
  static bool has(const Uses& uses, UseKind kind) {
    return std::any_of(uses.begin(), uses.end(),
                       [kind](const DiskUse& use) { return use.kind == kind; });
  }

  FakeSystem system;
};

TEST_F(DiskUseTest, AFreeDiskHasNone) {
  EXPECT_EQ(of("sdb"), Uses{});
  EXPECT_EQ(of("sdb1"), Uses{});
}

TEST_F(DiskUseTest, TheDiskBeneathEverythingIsTheBootDisk) {
  const Uses disk = of("sda");
  ASSERT_FALSE(disk.empty());
  EXPECT_EQ(disk.front(), (DiskUse{UseKind::boot, "dm-0", "/"}));
  EXPECT_TRUE(has(disk, UseKind::mounted));
  EXPECT_TRUE(has(disk, UseKind::held));
  EXPECT_EQ(of("sda1").front(), (DiskUse{UseKind::boot, "sda1", "/boot/efi"}));
  EXPECT_EQ(of("sda3").front(), (DiskUse{UseKind::boot, "dm-0", "/"}));
  EXPECT_EQ(of("dm-0").front(), (DiskUse{UseKind::boot, "dm-0", "/"}));
}

TEST_F(DiskUseTest, AFreePartitionOfTheBootDiskIsFree) { EXPECT_EQ(of("sda4"), Uses{}); }

TEST_F(DiskUseTest, TheBootDiskIsFoundThroughAMirrorOfPartitionsOfAnArray) {
  FakeSystem deep;
  deep.add("sda", "8:0");
  deep.add("sda1", "8:1", "sda");
  deep.add("sdb", "8:16");
  deep.add("md0", "9:0");
  deep.add("md0p1", "259:0", "md0");
  deep.add("dm-0", "253:0");
  deep.stack("md0", "sda1");
  deep.stack("md0", "sdb");
  deep.stack("dm-0", "md0p1");
  deep.mount("253:0", "/usr", "/dev/mapper/usr");
  for (const char* const name : {"sda", "sda1", "sdb", "md0", "md0p1", "dm-0"}) {
    const Uses uses = uses_of(deep.block(name), deep.roots());
    ASSERT_FALSE(uses.empty()) << name;
    EXPECT_EQ(uses.front(), (DiskUse{UseKind::boot, "dm-0", "/usr"})) << name;
  }
}

TEST_F(DiskUseTest, ACircleOfDevicesEnds) {
  system.add("dm-8", "253:8");
  system.add("dm-9", "253:9");
  system.stack("dm-8", "dm-9");
  system.stack("dm-9", "dm-8");
  system.mount("253:8", "/boot", "/dev/dm-8");
  EXPECT_EQ(of("dm-9").front().kind, UseKind::boot);
}

TEST_F(DiskUseTest, MountsOfPartsOfTheDiskAndOfItselfCount) {
  EXPECT_EQ(of("dm-1"), (Uses{{UseKind::mounted, "dm-1", "/srv/a b"}}));
  system.mount("8:17", "/mnt", "/dev/sdb1");
  EXPECT_EQ(of("sdb"), (Uses{{UseKind::mounted, "sdb1", "/mnt"}}));
  EXPECT_EQ(of("sdb1"), (Uses{{UseKind::mounted, "sdb1", "/mnt"}}));
}

TEST_F(DiskUseTest, APartitionOfADiskThatIsMountedAsAWholeIsNotFree) {
  system.mount("8:16", "/mnt", "/dev/sdb");
  EXPECT_EQ(of("sdb1"), (Uses{{UseKind::mounted, "sdb", "/mnt"}}));
}

// btrfs shows a number of its own, which no device has.
TEST_F(DiskUseTest, AMountIsFoundByItsSourceToo) {
  system.link("disk/by-label/data", "../../sdb");
  system.mount("0:44", "/data", "/dev/disk/by-label/data");
  EXPECT_EQ(of("sdb"), (Uses{{UseKind::mounted, "sdb", "/data"}}));
}

TEST_F(DiskUseTest, SwapOnAnArrayIsTheArraysAndTheArrayHoldsItsDisks) {
  EXPECT_EQ(of("md0"), (Uses{{UseKind::swap, "md0", "/dev/md0"}}));
  EXPECT_EQ(of("sdc"), (Uses{{UseKind::held, "sdc", "md0"}}));
  system.swaps("/dev/sdb1 partition 1048572 0 -2\n");
  EXPECT_EQ(of("sdb"), (Uses{{UseKind::swap, "sdb1", "/dev/sdb1"}}));
}

TEST_F(DiskUseTest, AHolderIsNamedAsAnOperatorKnowsIt) {
  system.stack("dm-1", "sdb1");
  EXPECT_EQ(of("sdb"), (Uses{{UseKind::held, "sdb1", "dm-1 (vg0-srv)"}}));
}

TEST_F(DiskUseTest, FilesAreHeldByLoopDevicesAndSwap) {
  const std::string file = system.path() / "member with a space";
  std::ofstream(file) << "x";
  struct stat status {};
  ASSERT_EQ(stat(file.c_str(), &status), 0);
  EXPECT_EQ(uses_of(status, system.roots()), Uses{});
  system.add("loop3", "7:3");
  system.write("loop3", "loop/backing_file", file + "\n");
  EXPECT_EQ(uses_of(status, system.roots()), (Uses{{UseKind::held, "", "loop3"}}));
  std::string escaped = file;
  while (escaped.find(' ') != std::string::npos) escaped.replace(escaped.find(' '), 1, "\\040");
  system.swaps(escaped + " file 1024 0 -2\n");
  EXPECT_EQ(uses_of(status, system.roots()).front(), (DiskUse{UseKind::swap, "", file}));
}

TEST_F(DiskUseTest, NonsenseOfTheKernelIsPassedBy) {
  std::ofstream(system.path() / "proc/self/mountinfo")
      << "\n36\n36 25 8:16\n36 25 x:y / /mnt rw - ext4\n36 25 99:99 / / rw - ext4 /dev/none rw\n"
      << "36 25 8:16 / /late\\04 rw master:1 unbindable - ext4 none rw\n36 25 8:17: / / rw -\n";
  system.swaps("\n/dev/\n\\\n/dev/../../etc partition\n");
  EXPECT_EQ(of("sdb"), (Uses{{UseKind::mounted, "sdb", "/late\\04"}}));
  std::filesystem::remove_all(system.path() / "proc");
  EXPECT_EQ(of("sdb"), Uses{});
}

TEST(DeviceNumber, OnlyTwoNumbersAreOne) {
  EXPECT_EQ(device_number_text(*parse_device_number("259:1048575")), "259:1048575");
  for (const char* const text : {"", ":", "8", "8:", ":1", "8:1:", "8:1 ", " 8:1", "-8:1", "8:x"}) {
    EXPECT_FALSE(parse_device_number(text)) << text;
  }
}

}  // namespace
}  // namespace engine
