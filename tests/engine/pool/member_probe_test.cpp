// What is on a disk before it becomes a pool's: written by the tools that operators use, refused
// unless it is named, removed without a trace, and never believed.
#include "engine/pool/member_probe.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "engine/foundation/random.h"
#include "engine/media/file_descriptor.h"
#include "tests/engine/pool/fake_system.h"

namespace engine {
namespace {

using SignatureKind = ForeignSignature::Kind;
constexpr const char* some_uuid = "77a1c0de-1111-4222-8333-444455556666";
constexpr const char* other_uuid = "12345678-9abc-4def-8123-456789abcdef";

// A file that stands for a disk.
class MemberProbeTest : public testing::Test {
 protected:
  MemberProbeTest() {
    char name[] = "forebay-member-XXXXXX";
    const FileDescriptor file(mkstemp(name));
    EXPECT_TRUE(file);
    path = std::filesystem::absolute(name);
    resize(64_MiB);
  }
  ~MemberProbeTest() override { unlink(path.c_str()); }

  void resize(ByteCount size) const {
    ASSERT_EQ(truncate(path.c_str(), static_cast<off_t>(size.value)), 0);
  }
  void blank() const {
    resize({});
    resize(64_MiB);
  }
  // By root's tools, which are not in everybody's path.
  void run(const std::string& command) const {
    const std::string line =
        "export PATH=\"$PATH:/usr/sbin:/sbin\"; exec >/dev/null 2>&1; " + command + " " + path;
    const int ended = std::system(line.c_str());
    ASSERT_TRUE(WIFEXITED(ended) && WEXITSTATUS(ended) == 0) << command;
  }
  void partition(const std::string& script) const { run("printf '" + script + "' | sfdisk"); }
  void put(std::uint64_t offset, std::string_view bytes) const {
    const FileDescriptor file(open(path.c_str(), O_WRONLY | O_CLOEXEC));
    ASSERT_EQ(pwrite(file.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset)),
              static_cast<ssize_t>(bytes.size()));
  }
  [[nodiscard]] MemberProbe probe() const {
    auto probed = probe_member(path, system.roots());
    EXPECT_TRUE(probed) << probed.error().text;
    return probed ? probed.value() : MemberProbe{};
  }
  [[nodiscard]] std::optional<std::string> refused(
      const std::vector<std::string>& permitted = {}) const {
    return refusal(probe(), permitted);
  }
  // The one signature, and that naming anything but it changes nothing.
  ForeignSignature only_one() const {
    const MemberProbe found = probe();
    EXPECT_EQ(found.signatures.found.size(), 1U);
    if (found.signatures.found.empty()) return {};
    const ForeignSignature& one = found.signatures.found.front();
    const std::string permission = permission_for(found, one);
    EXPECT_TRUE(refusal(found, {})) << one.type;
    for (const std::string& wrong :
         {std::string(), one.type, one.label, permission + " ", permission.substr(1),
          permission.substr(0, permission.size() - 1), std::string("*")}) {
      const std::vector<std::string> named{wrong};
      EXPECT_TRUE(refusal(found, named)) << wrong;
      EXPECT_EQ(wipe_member(path, named, system.roots()).error().kind, PoolError::Kind::not_empty);
    }
    const std::vector<std::string> named{"x", permission};
    EXPECT_FALSE(refusal(found, named)) << *refusal(found, named);
    EXPECT_EQ(probe().signatures.found, found.signatures.found) << "nothing was wiped";
    return one;
  }
  void expect_wiped_by(const std::vector<std::string>& permitted) const {
    const auto wiped = wipe_member(path, permitted, system.roots());
    ASSERT_TRUE(wiped) << wiped.error().text;
    EXPECT_TRUE(probe().signatures.found.empty());
    EXPECT_EQ(refused(), std::nullopt);
    const auto size = std::filesystem::file_size(path);
    EXPECT_EQ(first_not_zero(0), std::nullopt);
    EXPECT_EQ(first_not_zero(size - (1 << 20)), std::nullopt);
  }
  // In the MiB from there on.
  [[nodiscard]] std::optional<std::size_t> first_not_zero(std::uint64_t offset) const {
    std::vector<char> bytes(1 << 20, 'x');
    const FileDescriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
    EXPECT_EQ(pread(file.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset)), 1 << 20);
    const auto found = std::ranges::find_if(bytes, [](char byte) { return byte != 0; });
    if (found == bytes.end()) return std::nullopt;
    return static_cast<std::size_t>(found - bytes.begin());
  }

  FakeSystem system;
  std::string path;
};

TEST_F(MemberProbeTest, ABlankFileMayBeTaken) {
  const MemberProbe found = probe();
  EXPECT_EQ(found.kind, MemberProbe::Kind::regular_file);
  EXPECT_EQ(found.size, 64_MiB);
  EXPECT_EQ(found.name(), path);
  EXPECT_EQ(found.ours, MemberProbe::Ours::nothing);
  EXPECT_FALSE(found.is_read_only || found.is_exclusively_open || found.is_host_managed);
  EXPECT_EQ(refusal(found, {}), std::nullopt);
  EXPECT_TRUE(wipe_member(path, {}, system.roots()));
}

TEST_F(MemberProbeTest, WhatHasNoSignatureIsNotWiped) {
  put(4096, "something that nobody knows");
  EXPECT_EQ(refused(), std::nullopt);
  EXPECT_TRUE(wipe_member(path, {}, system.roots()));
  EXPECT_EQ(first_not_zero(0), 4096U);
}

TEST_F(MemberProbeTest, WhatIsNoDiskIsAnError) {
  const auto kind_of = [this](const std::string& where) {
    const auto probed = probe_member(where, system.roots());
    EXPECT_FALSE(probed) << where;
    EXPECT_NE(probed.error().text.find(where), std::string::npos);
    EXPECT_EQ(wipe_member(where, {}, system.roots()).has_value(), false);
    return probed.error().kind;
  };
  EXPECT_EQ(kind_of(path + ".none"), PoolError::Kind::missing);
  EXPECT_EQ(kind_of("/dev/null"), PoolError::Kind::io);
  EXPECT_EQ(kind_of(system.path()), PoolError::Kind::io);
  const std::string pipe = path + ".pipe";
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  EXPECT_EQ(kind_of(pipe), PoolError::Kind::io);
  unlink(pipe.c_str());
  resize({});
  EXPECT_EQ(kind_of(path), PoolError::Kind::io);
}

TEST_F(MemberProbeTest, AFileSystemIsNamedByItsUuidAlone) {
  run(std::string("mkfs.ext4 -q -F -L backup -U ") + some_uuid);
  EXPECT_EQ(only_one(), (ForeignSignature{.kind = SignatureKind::file_system,
                                          .type = "ext4",
                                          .label = "backup",
                                          .uuid = some_uuid}));
  EXPECT_EQ(*refused(), path + " holds an ext4 file system \"backup\" (UUID " + some_uuid +
                            "); refused. If it may be destroyed, add --overwrite " + some_uuid);
  expect_wiped_by({some_uuid});
}

TEST_F(MemberProbeTest, XfsSwapAndTheirLike) {
  resize(400_MiB);
  run(std::string("mkfs.xfs -q -f -L data -m uuid=") + some_uuid);
  EXPECT_EQ(only_one(), (ForeignSignature{SignatureKind::file_system, "xfs", "data", some_uuid}));
  expect_wiped_by({some_uuid});
  run(std::string("mkswap -L spare -U ") + other_uuid);
  EXPECT_EQ(only_one(), (ForeignSignature{SignatureKind::other, "swap", "spare", other_uuid}));
  expect_wiped_by({other_uuid});
}

TEST_F(MemberProbeTest, APartitionTableTellsWhatIsInside) {
  partition(std::string("label: gpt\\nlabel-id: ") + some_uuid + "\\nsize=16MiB\\n size=16MiB\\n");
  run(std::string("mkfs.ext4 -q -F -L backup -E offset=1048576 -U ") + other_uuid);
  resize(64_MiB);
  const MemberProbe found = probe();
  EXPECT_EQ(found.signatures.partitions, 2U);

  EXPECT_EQ(found.signatures.found,
            (std::vector<ForeignSignature>{{SignatureKind::partition_table, "gpt", "", some_uuid}}))
      << "once, though it is on the disk twice, and with its protective record";
  EXPECT_EQ(
      found.signatures.in_partitions,
      (std::vector<ForeignSignature>{{SignatureKind::file_system, "ext4", "backup", other_uuid}}));
  (void)only_one();
  EXPECT_EQ(*refused(), path + " holds a gpt partition table (UUID " + some_uuid +
                            ") with 2 partitions, in it: an ext4 file system \"backup\" (UUID " +
                            other_uuid + "); refused. If it may be destroyed, add --overwrite " +
                            some_uuid);
  expect_wiped_by({some_uuid});
}

TEST_F(MemberProbeTest, TheCopyOfATableAtTheEndCountsAlone) {
  partition(std::string("label: gpt\\nlabel-id: ") + some_uuid + "\\nsize=16MiB\\n");
  put(0, std::string(65536, '\0'));
  EXPECT_EQ(only_one().uuid, some_uuid);
  expect_wiped_by({some_uuid});
}

TEST_F(MemberProbeTest, ATableWithoutAnIdentityIsNamedTogetherWithItsDisk) {
  partition("label: dos\\nlabel-id: 0x0badcafe\\nsize=16MiB\\n");
  EXPECT_EQ(only_one().uuid, "0badcafe");
  put(440, std::string(4, '\0'));
  EXPECT_EQ(only_one(), (ForeignSignature{SignatureKind::partition_table, "dos", "", ""}));
  const std::vector<std::string> of_another{"dos", "dos@" + path + "2", "dos@WRQ0BBBB"};
  EXPECT_TRUE(refused(of_another));
  expect_wiped_by({"dos@" + path});

  MemberProbe disk;
  disk.path = "/dev/sdb";
  EXPECT_EQ(permission_for(disk, {.type = "dos"}), "dos@/dev/sdb");
  disk.identity.serial = "WRQ0BBBB";
  EXPECT_EQ(permission_for(disk, {.type = "dos"}), "dos@WRQ0BBBB");
  EXPECT_EQ(permission_for(disk, {.type = "dos", .uuid = "0badcafe"}), "0badcafe");
}

TEST_F(MemberProbeTest, EverySignatureMustBeNamed) {
  run(std::string("mkfs.ext4 -q -F -U ") + some_uuid);
  partition("label: dos\\nlabel-id: 0x0badcafe\\nsize=16MiB\\n");
  ASSERT_EQ(probe().signatures.found.size(), 2U);
  EXPECT_TRUE(refused({some_uuid}));
  EXPECT_TRUE(refused({"0badcafe"}));
  EXPECT_FALSE(wipe_member(path, std::vector<std::string>{some_uuid}, system.roots()));
  EXPECT_EQ(probe().signatures.found.size(), 2U);
  expect_wiped_by({"0badcafe", some_uuid});
}

// Written by hand, as their tools need devices of their own.
TEST_F(MemberProbeTest, MembersOfVolumeManagersAndStoresAreKnown) {
  struct Case {
    const char* type;
    SignatureKind kind;
    std::function<void()> write;
  };
  const std::vector<Case> cases{
      {"LVM2_member", SignatureKind::raid,
       [this] {
         std::string sector = "LABELONE";
         sector += std::string("\x01\0\0\0\0\0\0\0", 8);  // its own number
         sector += std::string("\0\0\0\0\x20\0\0\0", 8);  // crc, where the header begins
         put(512, sector + "LVM2 001" + "abcdefghijklmnopqrstuvwxyz012345");
       }},
      {"linux_raid_member", SignatureKind::raid,
       [this] {
         std::string block(256, '\0');
         block.replace(0, 8, std::string("\xfc\x4e\x2b\xa9\x01\0\0\0", 8));
         block.replace(16, 16, "0123456789abcdef");
         block.replace(32, 5, "store");
         block[144] = 8;  // super_offset, in 512 bytes
         put(4096, block);
       }},
      {"crypto_LUKS", SignatureKind::encrypted,
       [this] {
         put(0, std::string("LUKS\xba\xbe\0\x01", 8));
         put(168, "77a1c0de-1111-4222-8333-444455556666");
       }},
      {"ceph_bluestore", SignatureKind::other, [this] { put(0, "bluestore block device\n"); }},
      {"bcache", SignatureKind::other,
       [this] {
         std::string block(256, '\0');
         block[8] = 8;  // where it lies, in 512 bytes
         block.replace(24, 16, "\xc6\x85\x73\xf6\x4e\x1a\x45\xca\x82\x65\xf5\x7f\x48\xba\x6d\x81");
         block.replace(40, 16, "0123456789abcdef");
         put(4096, block);
       }},
  };
  for (const Case& each : cases) {
    blank();
    each.write();
    const ForeignSignature one = only_one();
    EXPECT_EQ(one.type, each.type);
    EXPECT_EQ(one.kind, each.kind) << each.type;
    expect_wiped_by({permission_for(probe(), one)});
  }
}

TEST_F(MemberProbeTest, WhatMediaSayIsHarmlessInAMessage) {
  run("mkfs.ext4 -q -F -L placeholder");
  put(1024 + 120, std::string("a\x1b[2J\"\\\n\x80\xff", 10) + std::string(6, '\0'));
  EXPECT_EQ(only_one().label, "a?[2J?????");
}

TEST_F(MemberProbeTest, ASignatureWithoutItsFileSystemIsOne) {
  run(std::string("mkfs.ext4 -q -F -U ") + some_uuid);
  resize(16_KiB);
  EXPECT_EQ(only_one().type, "ext4");
  resize({1024 + 512});
  (void)probe();
  resize({1});
  EXPECT_EQ(refused(), std::nullopt);
}

TEST_F(MemberProbeTest, RandomAndSpoiledContentsNeverBreakTheProbe) {
  partition(std::string("label: gpt\\nlabel-id: ") + some_uuid + "\\nsize=8MiB\\nsize=8MiB\\n");
  run(std::string("mkfs.ext4 -q -F -E offset=1048576 -U ") + other_uuid);
  resize(64_MiB);
  std::string image(64 << 10, '\0');
  {
    const FileDescriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
    ASSERT_EQ(pread(file.get(), image.data(), image.size(), 0), static_cast<ssize_t>(image.size()));
  }
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    SeededRandom random(seed);
    std::string spoiled = image;
    for (std::uint64_t times = 1 + random.below(16); times != 0; --times) {
      spoiled[random.below(seed % 2 == 0 ? 2048 : spoiled.size())] =
          static_cast<char>(random.below(256));
    }
    put(0, spoiled);
    const MemberProbe found = probe();
    EXPECT_FALSE(found.signatures.found.empty()) << "the copy at the end is whole; seed " << seed;
  }
  std::vector<std::byte> noise(64 << 10);
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    SeededRandom random(seed);
    random.fill(noise);
    blank();
    put(0, {reinterpret_cast<const char*>(noise.data()), noise.size()});
    (void)probe();
  }
}

TEST_F(MemberProbeTest, WhatIsOursIsToldByItsMagic) {
  put(0, "FBYPOOL\n");
  EXPECT_EQ(probe().ours, MemberProbe::Ours::pool_label);
  EXPECT_EQ(refused(), std::nullopt) << "whose it is says the label";
  put(0, "FBYMEMB\n");
  EXPECT_EQ(probe().ours, MemberProbe::Ours::member_label);
  EXPECT_EQ(refused(), std::nullopt);
  put(0, "FBYCACHE");
  EXPECT_EQ(probe().ours, MemberProbe::Ours::cache_device);
  EXPECT_NE(refused({"FBYCACHE"})->find("cache device"), std::string::npos);
}

TEST_F(MemberProbeTest, AFileInUseIsRefusedWhateverIsNamed) {
  run(std::string("mkswap -U ") + some_uuid);
  system.swaps(path + " file 1024 0 -2\n");
  const std::vector<std::string> named{some_uuid};
  EXPECT_EQ(*refused(named), path + " is in use as swap; refused.");
  system.swaps("");
  system.add("loop3", "7:3");
  system.write("loop3", "loop/backing_file", path + "\n");
  EXPECT_EQ(*refused(named), path + " is held by loop3; refused.");
  EXPECT_EQ(wipe_member(path, named, system.roots()).error().kind, PoolError::Kind::not_empty);
  system.write("loop3", "loop/backing_file", "\n");
  expect_wiped_by(named);
}

// What the probe of a disk has found, as messages.
class RefusalTest : public testing::Test {
 protected:
  RefusalTest() {
    disk.path = "/dev/disk/by-id/ata-ST8000-WRQ0BBBB";
    disk.node = "/dev/sdb";
    disk.kind = MemberProbe::Kind::block_device;
    disk.size = 1_GiB;
    disk.identity = {.kernel_name = "sdb",
                     .model = "ST8000",
                     .serial = "WRQ0BBBB",
                     .links = {"ata-ST8000-WRQ0BBBB", "wwn-0x5"}};
    disk.signatures.found = {{SignatureKind::file_system, "ext4", "backup", some_uuid}};
  }
  // With the signature permitted.
  [[nodiscard]] std::string message() const {
    const std::vector<std::string> named{some_uuid};
    return refusal(disk, named).value_or("taken");
  }
  MemberProbe disk;
};

TEST_F(RefusalTest, NamesTheDiskByWhatIsKnownOfIt) {
  EXPECT_EQ(*refusal(disk, {}),
            "ata-ST8000-WRQ0BBBB (/dev/sdb) holds an ext4 file system \"backup\" (UUID " +
                std::string(some_uuid) + "); refused. If it may be destroyed, add --overwrite " +
                some_uuid);
  EXPECT_EQ(message(), "taken");
  disk.identity.links.clear();
  EXPECT_EQ(disk.name(), "ST8000 WRQ0BBBB (/dev/sdb)");
  disk.identity.model.clear();
  EXPECT_EQ(disk.name(), "WRQ0BBBB (/dev/sdb)");
  disk.identity.serial.clear();
  EXPECT_EQ(disk.name(), "/dev/sdb");
}

TEST_F(RefusalTest, NothingPermitsADiskInUse) {
  const std::string name = "ata-ST8000-WRQ0BBBB (/dev/sdb) ";
  disk.uses = {{DiskUse::Kind::boot, "dm-0", "/"}, {DiskUse::Kind::mounted, "sdb1", "/srv"}};
  EXPECT_EQ(message(), name + "is what this system runs from: / is on dm-0; refused.");
  disk.uses.erase(disk.uses.begin());
  EXPECT_EQ(message(), name + "is mounted at /srv (sdb1); refused.");
  disk.uses = {{DiskUse::Kind::swap, "sdb", "/dev/sdb"}};
  EXPECT_EQ(message(), name + "is in use as swap; refused.");
  disk.uses = {{DiskUse::Kind::held, "sdb2", "md0"}};
  EXPECT_EQ(message(), name + "is held by md0 (sdb2); refused.");
  disk.uses.clear();
  disk.is_read_only = true;
  EXPECT_EQ(message(), name + "is read-only; refused.");
  disk.is_read_only = false;
  disk.is_exclusively_open = true;
  EXPECT_NE(message().find("held exclusively by another program"), std::string::npos);
  disk.is_exclusively_open = false;
  disk.is_host_managed = true;
  EXPECT_NE(message().find("host-managed zoned"), std::string::npos);
  disk.is_host_managed = false;
  EXPECT_EQ(message(), "taken");
}

TEST_F(RefusalTest, PartitionsWithoutATableAreNotIgnored) {
  disk.partitions = {"sdb1", "sdb2"};
  EXPECT_NE(message().find("has the partition sdb1 but no partition table"), std::string::npos);
  disk.signatures.found.push_back({SignatureKind::partition_table, "gpt", "", other_uuid});
  EXPECT_NE(message().find("--overwrite " + std::string(other_uuid)), std::string::npos);
  const std::vector<std::string> both{some_uuid, other_uuid};
  EXPECT_EQ(refusal(disk, both), std::nullopt);
}

}  // namespace
}  // namespace engine
