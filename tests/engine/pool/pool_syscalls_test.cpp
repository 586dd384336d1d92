// What the pool asks of the kernel, in which order, and that it believes no call that failed.
// Nothing but this sees a missing fsync of the real directory: everything works without it until
// the power fails. The calls are wrapped by the linker (CMakeLists.txt).
#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "engine/pool/file_pool.h"

namespace {

struct Calls {
  std::vector<std::string> made;
  std::size_t failing = 0;  // the nth fails; 0: none
  int error = EIO;

  [[nodiscard]] bool fails(std::string call) {
    made.push_back(std::move(call));
    if (failing == 0 || made.size() != failing) return false;
    errno = error;
    return true;
  }
};
Calls calls;

std::string file_name(int fd) {
  std::array<char, PATH_MAX> path{};
  const auto length =
      ::readlink(("/proc/self/fd/" + std::to_string(fd)).c_str(), path.data(), path.size());
  const std::string whole(path.data(), length > 0 ? static_cast<std::size_t>(length) : 0);
  const std::string name = whole.substr(whole.rfind('/') + 1);
  return name.starts_with("forebay-syscalls-") ? "the directory" : name;
}

}  // namespace

extern "C" {
int __real_fsync(int fd);
int __real_syncfs(int fd);
int __real_fallocate(int fd, int mode, off_t offset, off_t length);
int __real_renameat2(int from_directory, const char* from, int to_directory, const char* to,
                     unsigned flags);

int __wrap_fsync(int fd) { return calls.fails("fsync " + file_name(fd)) ? -1 : __real_fsync(fd); }
int __wrap_syncfs(int fd) {
  return calls.fails("syncfs " + file_name(fd)) ? -1 : __real_syncfs(fd);
}
int __wrap_fallocate(int fd, int mode, off_t offset, off_t length) {
  return calls.fails("fallocate " + file_name(fd)) ? -1
                                                   : __real_fallocate(fd, mode, offset, length);
}
int __wrap_renameat2(int from_directory, const char* from, int to_directory, const char* to,
                     unsigned flags) {
  return calls.fails(std::string("rename to ") + to)
             ? -1
             : __real_renameat2(from_directory, from, to_directory, to, flags);
}
}

namespace engine {
namespace {

using Calls = std::vector<std::string>;

struct PoolSyscalls : testing::Test {
  std::string directory = [] {
    char path[] = "forebay-syscalls-XXXXXX";
    EXPECT_NE(mkdtemp(path), nullptr);
    return std::string(path);
  }();
  PoolSyscalls() { begin(); }
  ~PoolSyscalls() override {
    begin();
    std::filesystem::remove_all(directory);
  }
  static void begin(std::size_t failing = 0, int error = EIO) {
    calls.made.clear();
    calls.failing = failing;
    calls.error = error;
  }
  static Calls replaced(const std::string& name) {
    return {"fsync ." + name + ".new", "rename to " + name, "fsync the directory"};
  }
  // Of table `sequence`: the older replica first.
  static Calls table(int sequence) {
    Calls all = replaced("forebay-pool.volumes." + std::to_string(sequence % 2));
    const Calls second = replaced("forebay-pool.volumes." + std::to_string(1 - sequence % 2));
    all.insert(all.end(), second.begin(), second.end());
    return all;
  }
  static Calls joined(std::initializer_list<Calls> parts) {
    Calls all;
    for (const Calls& part : parts) all.insert(all.end(), part.begin(), part.end());
    return all;
  }
  static Calls new_volume() {
    return joined({table(2),
                   {"fallocate .db01.raw.new", "syncfs the directory", "rename to db01.raw",
                    "fsync the directory"},
                   table(3)});
  }
  static Calls grown_volume() {
    return joined({{"fallocate db01.raw", "fsync db01.raw"}, table(4)});
  }
};

TEST_F(PoolSyscalls, EachStepIsDurableBeforeTheNextBegins) {
  ASSERT_TRUE(init_file_pool(directory));
  EXPECT_EQ(calls.made,
            joined({replaced("forebay-pool.volumes.1"), replaced("forebay-pool.volumes.0"),
                    replaced("forebay-pool.label")}));
  begin();
  auto pool = FilePool::open(directory);
  ASSERT_TRUE(pool);
  EXPECT_EQ(calls.made, Calls{});
  const VolumeWish wish[] = {{"db01", 1_MiB, {4096}}};
  const auto made = pool.value()->ensure(wish)[0];
  ASSERT_TRUE(made) << made.error().text;
  EXPECT_EQ(calls.made, new_volume());
  begin();
  ASSERT_TRUE(pool.value()->grow("db01", 2_MiB));
  EXPECT_EQ(calls.made, grown_volume());
}

TEST_F(PoolSyscalls, NoCallThatFailsIsTakenForDone) {
  for (const int error : {EIO, ENOSPC}) {
    for (std::size_t failing = 1; failing <= new_volume().size(); ++failing) {
      begin();
      std::filesystem::remove_all(directory);
      std::filesystem::create_directory(directory);
      ASSERT_TRUE(init_file_pool(directory));
      auto pool = FilePool::open(directory);
      ASSERT_TRUE(pool);
      begin(failing, error);
      const VolumeWish wish[] = {{"db01", 1_MiB, {4096}}};
      EXPECT_FALSE(pool.value()->ensure(wish)[0]) << new_volume()[failing - 1];
      begin();
      const auto again = pool.value()->ensure(wish)[0];
      EXPECT_TRUE(again) << again.error().text;
    }
    for (std::size_t failing = 1; failing <= grown_volume().size(); ++failing) {
      begin();
      std::filesystem::remove_all(directory);
      std::filesystem::create_directory(directory);
      ASSERT_TRUE(init_file_pool(directory));
      auto pool = FilePool::open(directory);
      const VolumeWish wish[] = {{"db01", 1_MiB, {4096}}};
      ASSERT_TRUE(pool && pool.value()->ensure(wish)[0]);
      begin(failing, error);
      EXPECT_FALSE(pool.value()->grow("db01", 2_MiB)) << grown_volume()[failing - 1];
      begin();
      EXPECT_TRUE(pool.value()->grow("db01", 2_MiB));
    }
  }
}

// Measured before: twice a second for ever, with eight fsyncs each.
TEST_F(PoolSyscalls, VolumeThatDoesNotFitCostsNoWrite) {
  ASSERT_TRUE(init_file_pool(directory));
  auto pool = FilePool::open(directory);
  ASSERT_TRUE(pool);
  const ByteCount free = pool.value()->space().value().free;
  const VolumeWish wishes[] = {{"fits", 1_MiB, {4096}},
                               {"huge", {(free.value & ~std::uint64_t{4095}) + 4096}, {4096}}};
  ASSERT_TRUE(pool.value()->ensure(wishes)[0]);
  begin();
  for (int attempt = 0; attempt < 3; ++attempt) {
    const auto answers = pool.value()->ensure(wishes);
    EXPECT_TRUE(answers[0]);
    ASSERT_FALSE(answers[1]);
    EXPECT_EQ(answers[1].error().kind, PoolError::Kind::no_space) << answers[1].error().text;
  }
  EXPECT_EQ(calls.made, Calls{});
  EXPECT_EQ(pool.value()->volumes().size(), 1U);
}

}  // namespace
}  // namespace engine
