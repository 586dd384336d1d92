// Members over real files: who may have them, and a pool's life on them.
#include "engine/pool/pool_member.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "engine/media/file_descriptor.h"
#include "engine/media/range_lock.h"
#include "engine/pool/device_pool.h"
#include "tests/engine/test_directory.h"

namespace engine {
namespace {

using ErrorKind = PoolError::Kind;

class PoolMemberFiles : public testing::Test {
 protected:
  std::string make(const std::string& name, std::uint64_t size) {
    const std::string path = place_ / name;
    std::ofstream(path).flush();
    std::filesystem::resize_file(path, size);
    return path;
  }
  static MemberCandidate candidate(const std::string& path) {
    return {.path = path, .opened = open_pool_member(path, "S1")};
  }

  const TestDirectory directory_{"member"};
  const std::filesystem::path place_ = directory_.path();
};

TEST_F(PoolMemberFiles, WhatIsNoDiskIsNotOpened) {
  EXPECT_EQ(open_pool_member(place_ / "none").error().code, ENOENT);
  const std::string pipe = place_ / "pipe";
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  EXPECT_EQ(open_pool_member(pipe).error().code, ENOTBLK);
  EXPECT_EQ(open_pool_member("/dev/null").error().code, ENOTBLK);
  EXPECT_FALSE(open_pool_member(place_));
}

TEST_F(PoolMemberFiles, ALinkLeadsToTheDevice) {
  const std::string path = make("disk", 1U << 20);
  std::filesystem::create_symlink(path, place_ / "by-id");
  const auto member = open_pool_member(place_ / "by-id", "SN");
  ASSERT_TRUE(member);
  const MemberInfo& info = member.value()->info();
  EXPECT_EQ(info.path, place_ / "by-id");
  EXPECT_EQ(info.device, std::filesystem::canonical(path));
  EXPECT_EQ(info.serial, "SN");
  EXPECT_EQ(info.size, 1_MiB);
}

TEST_F(PoolMemberFiles, ReadsWritesAndZeros) {
  const std::string path = make("disk", 64U << 10);
  const auto member = std::move(open_pool_member(path).value());
  const std::vector<std::byte> data(16384, std::byte{0x5a});
  ASSERT_TRUE(member->write({8192}, data));
  ASSERT_TRUE(member->zero({12288}, {4096}));
  ASSERT_TRUE(member->sync());
  std::vector<std::byte> found(65536 + 4096);
  EXPECT_EQ(member->read({0}, found).value(), 65536U);
  std::vector<std::byte> wanted(found.size());
  std::copy(data.begin(), data.end(), wanted.begin() + 8192);
  std::fill_n(wanted.begin() + 12288, 4096, std::byte{});
  EXPECT_EQ(found, wanted);
  EXPECT_EQ(std::filesystem::file_size(path), 65536U);
}

TEST_F(PoolMemberFiles, HeldByOneAndHandedOnToItsSuccessor) {
  const std::string path = make("disk", 64U << 10);
  auto first = std::move(open_pool_member(path).value());
  EXPECT_TRUE(first->hold(nullptr).value().held);
  auto stranger = std::move(open_pool_member(path).value());
  EXPECT_FALSE(stranger->hold(nullptr).value().held);
  auto successor = std::move(open_pool_member(path).value());
  const auto inherited = successor->hold(first.get());
  EXPECT_TRUE(inherited.value().held && inherited.value().inherited);
  first.reset();
  EXPECT_FALSE(stranger->hold(nullptr).value().held) << "the successor has it still";
  successor.reset();
  EXPECT_TRUE(stranger->hold(nullptr).value().held);
}

TEST_F(PoolMemberFiles, AnotherFileAtThePathIsNotThePredecessors) {
  const std::string path = make("disk", 64U << 10);
  auto first = std::move(open_pool_member(path).value());
  EXPECT_TRUE(first->hold(nullptr).value().held);
  std::filesystem::remove(path);
  make("disk", 64U << 10);
  auto successor = std::move(open_pool_member(path).value());
  const auto held = successor->hold(first.get());
  EXPECT_TRUE(held.value().held && !held.value().inherited);
}

TEST_F(PoolMemberFiles, RangesAreLockedByTheDescriptionNotTheProcess) {
  const std::string path = make("disk", 1U << 20);
  FileDescriptor one(::open(path.c_str(), O_RDWR | O_CLOEXEC));
  const FileDescriptor other(::open(path.c_str(), O_RDWR | O_CLOEXEC));
  EXPECT_EQ(lock_file_range(one.get(), {{65536}, 64_KiB}), 0);
  EXPECT_EQ(lock_file_range(other.get(), {{65536 + 4096}, 4_KiB}), EWOULDBLOCK);
  EXPECT_EQ(lock_file_range(other.get(), {{0}, 64_KiB}), 0) << "beside it";
  const auto member = std::move(open_pool_member(path).value());
  EXPECT_FALSE(member->lock({65536}, 4_KiB).value());
  // Whatever keeps the description keeps the lock: a request that has not ended does so.
  FileDescriptor copy(dup(one.get()));
  one = FileDescriptor();
  EXPECT_FALSE(member->lock({65536}, 4_KiB).value());
  copy = FileDescriptor();
  EXPECT_TRUE(member->lock({65536}, 4_KiB).value());
  EXPECT_EQ(lock_file_range(other.get(), {{65536}, 4_KiB}), EWOULDBLOCK);
  ASSERT_TRUE(member->unlock({65536}, 4_KiB));
  EXPECT_EQ(lock_file_range(other.get(), {{65536}, 4_KiB}), 0);
}

TEST_F(PoolMemberFiles, APoolLivesOnThem) {
  const std::uint64_t size = LabelArea{}.bytes.value + (16U << 20);
  const std::vector<std::string> paths{make("one", size), make("two", size)};
  const auto candidates = [&] {
    std::vector<MemberCandidate> all;
    for (const std::string& path : paths) all.push_back(candidate(path));
    return all;
  };
  const auto made = init_device_pool(candidates(), {.layout = format::MemberLayout::stripe});
  ASSERT_TRUE(made) << made.error().text;
  auto opened = DevicePool::open(candidates(), made.value());
  ASSERT_TRUE(opened) << opened.error().text;
  DevicePool& pool = *opened.value();
  const VolumeWish wish[] = {{"a", 12_MiB, {4096}}};
  const auto volume = pool.ensure(wish)[0];
  ASSERT_TRUE(volume) << volume.error().text;
  EXPECT_EQ(DevicePool::open(candidates()).error().kind, ErrorKind::in_use);
  {
    const auto marker = pool.open_marker(volume.value(), {});
    ASSERT_TRUE(marker) << marker.error().text;
    EXPECT_EQ(marker.value()->stands().volume, volume.value().uuid);
    EXPECT_TRUE(pool.open_marker(volume.value(), {})) << "its successor";
  }
  EXPECT_EQ(pool.open_journal(volume.value(), {}).error().kind, ErrorKind::unsupported);
  EXPECT_TRUE(pool.settle_journal("a"));
  auto successor = DevicePool::open(candidates(), made.value(), &pool);
  ASSERT_TRUE(successor) << successor.error().text;
  EXPECT_TRUE(successor.value()->has_inherited_lock());
  opened.value().reset();
  EXPECT_EQ(successor.value()->volumes().size(), 1U);
  EXPECT_EQ(DevicePool::open(candidates()).error().kind, ErrorKind::in_use);
  successor.value().reset();
  const auto again = DevicePool::open(candidates());
  ASSERT_TRUE(again) << again.error().text;
  EXPECT_EQ(again.value()->ensure(wish)[0].value(), volume.value());
  EXPECT_EQ(again.value()->member(0).serial, "S1");
}

}  // namespace
}  // namespace engine
