// FilePool over a real directory: what an operator may do to it, and what it says.
#include "engine/pool/file_pool.h"
#include "tests/engine/file_content.h"
#include "tests/engine/test_directory.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <csignal>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

namespace engine {
namespace {

namespace fs = std::filesystem;
using ErrorKind = PoolError::Kind;

struct PoolTest : testing::Test {
  const TestDirectory place{"pool-test"};
  const std::string directory = place.path();

  [[nodiscard]] std::string at(const std::string& name) const { return directory + "/" + name; }
  std::unique_ptr<FilePool> open() {
    auto pool = FilePool::open(directory);
    EXPECT_TRUE(pool) << pool.error().text;
    return pool ? std::move(pool.value()) : nullptr;
  }
  void make() { ASSERT_TRUE(init_file_pool(directory)); }
  static Result<VolumeRecord, PoolError> ensure(FilePool& pool, const std::string& name,
                                                ByteCount size, std::uint32_t block = 4096) {
    const VolumeWish wish[] = {{name, size, {block}}};
    return pool.ensure(wish)[0];
  }
  void write_file(const std::string& name, const std::string& text) const {
    std::ofstream(at(name), std::ios::binary) << text;
  }
  [[nodiscard]] std::string read_file(const std::string& name) const {
    return file_content(at(name));
  }
};

TEST_F(PoolTest, VolumeKeepsItsIdentityOverReopening) {
  make();
  Uuid uuid;
  {
    auto pool = open();
    const auto made = ensure(*pool, "db01", 8_MiB, 512);
    ASSERT_TRUE(made) << made.error().text;
    uuid = made.value().uuid;
    EXPECT_FALSE(uuid.is_nil());
    struct stat status {};
    ASSERT_EQ(stat(pool->image_path(made.value()).c_str(), &status), 0);
    EXPECT_EQ(status.st_size, 8 << 20);
    EXPECT_GE(status.st_blocks * 512, 8 << 20) << "fully allocated";
    EXPECT_EQ(status.st_mode & 0777, 0600U) << "data of hosts is nobody else's";
  }
  auto pool = open();
  const auto found = ensure(*pool, "db01", 8_MiB, 512);
  ASSERT_TRUE(found);
  EXPECT_EQ(found.value().uuid, uuid);
}

TEST_F(PoolTest, UnlabelledDirectoryIsRefusedAndStaysUntouched) {
  const auto refused = FilePool::open(directory);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::not_labelled);
  EXPECT_NE(refused.error().text.find("no Forebay label in " + directory), std::string::npos);
  EXPECT_NE(refused.error().text.find("is the file system mounted?"), std::string::npos);
  EXPECT_TRUE(fs::is_empty(directory));
  const auto missing = FilePool::open(directory + "/nowhere");
  EXPECT_EQ(missing.error().kind, ErrorKind::missing);
}

TEST_F(PoolTest, InitRefusesWhatIsNotEmptyOrAPoolAlready) {
  write_file("precious", "data");
  const auto foreign = init_file_pool(directory);
  ASSERT_FALSE(foreign);
  EXPECT_EQ(foreign.error().kind, ErrorKind::not_empty);
  EXPECT_NE(foreign.error().text.find("precious"), std::string::npos);
  EXPECT_EQ(read_file("precious"), "data");
  fs::remove(at("precious"));
  fs::create_directory(at("lost+found"));
  const auto made = init_file_pool(directory);
  ASSERT_TRUE(made) << made.error().text;
  const auto again = init_file_pool(directory);
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().kind, ErrorKind::already_labelled);
  EXPECT_NE(again.error().text.find(made.value().text()), std::string::npos);
  EXPECT_EQ(init_file_pool(directory + "/nowhere").error().kind, ErrorKind::missing);
}

TEST_F(PoolTest, InitRefusesADirectoryWhoseLabelWasLost) {
  make();
  ASSERT_TRUE(ensure(*open(), "db01", 1_MiB));
  fs::remove(at("forebay-pool.label"));
  fs::remove(at("db01.raw"));
  EXPECT_EQ(init_file_pool(directory).error().kind, ErrorKind::not_empty)
      << "its table knows a volume";
}

TEST_F(PoolTest, AnotherPoolThanExpectedIsRefused) {
  make();
  const auto expected = Uuid::random();
  const auto refused = FilePool::open(directory, expected);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::wrong_pool);
  EXPECT_NE(refused.error().text.find(expected.text()), std::string::npos);
}

TEST_F(PoolTest, SecondDaemonIsRefusedWithTheFirstOnesProcess) {
  make();
  int ready[2];
  ASSERT_EQ(pipe(ready), 0);
  const pid_t child = fork();
  if (child == 0) {
    auto pool = FilePool::open(directory);
    const char answer = pool ? 'y' : 'n';
    (void)!::write(ready[1], &answer, 1);
    pause();
    _exit(0);
  }
  char answer = 0;
  ASSERT_EQ(::read(ready[0], &answer, 1), 1);
  ASSERT_EQ(answer, 'y');
  const auto refused = FilePool::open(directory);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::in_use);
  EXPECT_NE(refused.error().text.find("(pid " + std::to_string(child) + ")"), std::string::npos)
      << refused.error().text;
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  EXPECT_NE(open(), nullptr) << "a killed daemon leaves no lock";
  close(ready[0]);
  close(ready[1]);
}

TEST_F(PoolTest, TwoOpensInOneProcessExcludeEachOther) {
  make();
  auto pool = open();
  EXPECT_EQ(FilePool::open(directory).error().kind, ErrorKind::in_use);
  pool.reset();
  EXPECT_NE(open(), nullptr);
}

TEST_F(PoolTest, MissingImageIsAnErrorAndNeverANewEmptyVolume) {
  make();
  ASSERT_TRUE(ensure(*open(), "db01", 1_MiB));
  fs::rename(at("db01.raw"), at("elsewhere"));
  {
    auto pool = open();
    const auto refused = ensure(*pool, "db01", 1_MiB);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().kind, ErrorKind::image_missing);
    EXPECT_FALSE(fs::exists(at("db01.raw")));
  }
  fs::rename(at("elsewhere"), at("db01.raw"));
  fs::resize_file(at("db01.raw"), 4096);
  EXPECT_EQ(ensure(*open(), "db01", 1_MiB).error().kind, ErrorKind::image_missing) << "truncated";
  fs::resize_file(at("db01.raw"), 1 << 20);
  EXPECT_TRUE(ensure(*open(), "db01", 1_MiB));
}

TEST_F(PoolTest, AnImageIsNeverServedWithoutWhatOnlyItsCacheHas) {
  make();
  const CacheBinding clean = attached({}, Uuid::random(), {});
  CacheBinding dirty = clean;
  dirty.state = format::CacheBindingState::dirty;
  {
    auto pool = open();
    ASSERT_TRUE(ensure(*pool, "db01", 1_MiB));
    ASSERT_EQ(pool->bind("db01", dirty).value().cache, dirty);
    EXPECT_EQ(pool->bind("db02", dirty).error().kind, ErrorKind::image_missing);
  }
  auto pool = open();
  const auto refused = ensure(*pool, "db01", 1_MiB);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::cache_missing);
  EXPECT_NE(refused.error().text.find(dirty.device.text()), std::string::npos);
  EXPECT_EQ(pool->volumes()[0].cache, dirty) << "and nothing is changed by asking";

  // Written back: the image may be served, and what is in the cache is too old from then on.
  ASSERT_TRUE(pool->bind("db01", clean));
  const auto served = ensure(*pool, "db01", 1_MiB);
  ASSERT_TRUE(served);
  EXPECT_EQ(served.value().cache, forgotten(clean));
  pool.reset();
  EXPECT_EQ(open()->volumes()[0].cache, forgotten(clean)) << "before the first write";
}

TEST_F(PoolTest, ForeignFileOfThatNameIsNeverOverwritten) {
  make();
  write_file("db01.raw", "somebody's image");
  const auto refused = ensure(*open(), "db01", 1_MiB);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::image_foreign);
  EXPECT_EQ(read_file("db01.raw"), "somebody's image");
  fs::remove(at("db01.raw"));
  EXPECT_TRUE(ensure(*open(), "db01", 1_MiB)) << "and nothing is left of the refusal";
}

TEST_F(PoolTest, GrowsAndRefusesToShrinkOrToChangeTheBlock) {
  make();
  auto pool = open();
  const auto made = ensure(*pool, "db01", 2_MiB);
  ASSERT_TRUE(made);
  const auto shrunk = ensure(*pool, "db01", 1_MiB);
  ASSERT_FALSE(shrunk);
  EXPECT_EQ(shrunk.error().kind, ErrorKind::shrink);
  EXPECT_EQ(shrunk.error().text,
            "1MiB is smaller than the existing 2MiB; shrinking is refused. (To serve less, make a "
            "new volume.)");
  EXPECT_EQ(ensure(*pool, "db01", 2_MiB, 512).error().kind, ErrorKind::block_size_changed);
  const auto grown = ensure(*pool, "db01", 3_MiB);
  ASSERT_TRUE(grown);
  EXPECT_EQ(grown.value().uuid, made.value().uuid);
  EXPECT_EQ(fs::file_size(at("db01.raw")), 3U << 20);
  EXPECT_EQ(pool->grow("db01", 1_MiB).error().kind, ErrorKind::shrink);
  EXPECT_EQ(pool->grow("db01", {(4 << 20) + 1}).error().kind, ErrorKind::bad_name);
  EXPECT_EQ(pool->grow("nobody", 4_MiB).error().kind, ErrorKind::image_missing);
  ASSERT_TRUE(pool->grow("db01", 4_MiB));
  pool.reset();
  EXPECT_EQ(ensure(*open(), "db01", 4_MiB).value().size, 4_MiB);
}

TEST_F(PoolTest, WishThatHasNotFollowedAGrowIsServedWhole) {
  make();
  ASSERT_TRUE(ensure(*open(), "db01", 2_MiB));
  ASSERT_TRUE(open()->grow("db01", 4_MiB, 2_MiB));
  EXPECT_EQ(ensure(*open(), "db01", 2_MiB).value().size, 4_MiB);
  EXPECT_EQ(ensure(*open(), "db01", 3_MiB).value().size, 4_MiB);
  EXPECT_EQ(ensure(*open(), "db01", 1_MiB).error().kind, ErrorKind::shrink);
  EXPECT_EQ(open()->grow("db01", 3_MiB, 2_MiB).error().kind, ErrorKind::shrink);
  ASSERT_TRUE(ensure(*open(), "db01", 5_MiB)) << "the wish has followed, and further";
  EXPECT_EQ(ensure(*open(), "db01", 2_MiB).error().kind, ErrorKind::shrink);
}

TEST_F(PoolTest, WhatStoodBehindTheEndIsNotShownByGrowing) {
  make();
  ASSERT_TRUE(ensure(*open(), "db01", 1_MiB));
  {
    std::ofstream tail(at("db01.raw"), std::ios::binary | std::ios::app);
    tail << std::string(8192, 'x');
  }
  ASSERT_TRUE(ensure(*open(), "db01", 2_MiB));
  EXPECT_EQ(read_file("db01.raw").find('x'), std::string::npos);
}

TEST_F(PoolTest, VolumeThatIsNoLongerWishedKeepsItsDataAndComesBack) {
  make();
  const auto made = ensure(*open(), "db01", 1_MiB);
  ASSERT_TRUE(made);
  ASSERT_TRUE(ensure(*open(), "other", 1_MiB));
  EXPECT_TRUE(fs::exists(at("db01.raw")));
  EXPECT_EQ(ensure(*open(), "db01", 1_MiB).value().uuid, made.value().uuid);
}

TEST_F(PoolTest, NoSpaceIsSaidAndLeavesNothing) {
  make();
  auto pool = open();
  const auto space = pool->space();
  ASSERT_TRUE(space);
  const ByteCount too_much{(space.value().size.value + (1 << 20)) / 4096 * 4096};
  const auto full = ensure(*pool, "full", too_much);
  ASSERT_FALSE(full);
  EXPECT_EQ(full.error().kind, ErrorKind::no_space) << full.error().text;
  EXPECT_NE(full.error().text.find("free"), std::string::npos);
  EXPECT_TRUE(pool->volumes().empty());
  for (const auto& entry : fs::directory_iterator(directory)) {
    EXPECT_TRUE(entry.path().filename().string().starts_with("forebay-pool.")) << entry.path();
  }
  ASSERT_TRUE(ensure(*pool, "small", 1_MiB));
  EXPECT_EQ(pool->grow("small", too_much).error().kind, ErrorKind::no_space);
  EXPECT_EQ(fs::file_size(at("small.raw")), 1U << 20);
  EXPECT_EQ(pool->volumes()[0].size, 1_MiB);
}

// A file system of `size` over `directory`, seen by the thread that runs `body` and by nobody else.
template <class Body>
void on_small_file_system(const std::string& directory, const std::string& size, const Body& body) {
  std::thread([&] {
    ASSERT_EQ(::unshare(CLONE_NEWNS), 0) << "needs CAP_SYS_ADMIN, as root has";
    ASSERT_EQ(::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr), 0);
    ASSERT_EQ(::mount("none", directory.c_str(), "tmpfs", 0, ("size=" + size).c_str()), 0);
    body();
    EXPECT_EQ(::umount2(directory.c_str(), MNT_DETACH), 0);
  }).join();
}

void fill(const std::string& path) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  const std::vector<char> bytes(4096, 1);
  while (::write(fd, bytes.data(), bytes.size()) > 0) {
  }
  EXPECT_EQ(errno, ENOSPC);
  ::close(fd);
}

TEST_F(PoolTest, FullFileSystemIsOpenedAndServesWhatItHas) {
  on_small_file_system(directory, "64m", [this] {
    make();
    ASSERT_TRUE(ensure(*open(), "db01", 1_MiB));
    fs::remove(at("forebay-pool.lock"));  // as on the first start: its one block is not there yet
    fill(at("somebody-elses"));
    auto pool = open();
    ASSERT_NE(pool, nullptr);
    EXPECT_TRUE(ensure(*pool, "db01", 1_MiB));
    EXPECT_EQ(ensure(*pool, "db02", 1_MiB).error().kind, ErrorKind::no_space);
    EXPECT_EQ(FilePool::open(directory).error().kind, ErrorKind::in_use);
  });
}

TEST_F(PoolTest, RoomForThePoolsOwnFilesStaysFree) {
  on_small_file_system(directory, "64m", [this] {
    make();
    auto pool = open();
    ASSERT_NE(pool, nullptr);
    EXPECT_EQ(ensure(*pool, "large", 50_MiB).error().kind, ErrorKind::no_space);
    ASSERT_TRUE(ensure(*pool, "large", 40_MiB));
    EXPECT_GE(pool->space().value().free, 16_MiB);
    EXPECT_EQ(pool->grow("large", 50_MiB).error().kind, ErrorKind::no_space);
    EXPECT_TRUE(pool->grow("large", 44_MiB)) << "it has most of that already";
  });
}

TEST_F(PoolTest, VolumesThatFitTogetherOnlyInPartAreMadeInPart) {
  on_small_file_system(directory, "64m", [this] {
    make();
    auto pool = open();
    ASSERT_NE(pool, nullptr);
    const VolumeWish wishes[] = {
        {"a", 30_MiB, {4096}}, {"b", 30_MiB, {4096}}, {"c", 8_MiB, {4096}}};
    const auto answers = pool->ensure(wishes);
    EXPECT_TRUE(answers[0]);
    ASSERT_FALSE(answers[1]);
    EXPECT_EQ(answers[1].error().kind, ErrorKind::no_space);
    EXPECT_TRUE(answers[2]) << answers[2].error().text;
  });
}

// Grown, and then the power failed before the table said so: the space is there already.
TEST_F(PoolTest, SpaceThatAnImageHasAlreadyIsNotAskedForAgain) {
  on_small_file_system(directory, "64m", [this] {
    make();
    auto pool = open();
    ASSERT_NE(pool, nullptr);
    const auto made = ensure(*pool, "db01", 20_MiB);
    ASSERT_TRUE(made);
    const int image = ::open(pool->image_path(made.value()).c_str(), O_RDWR | O_CLOEXEC);
    ASSERT_EQ(::fallocate(image, 0, 0, 40 << 20), 0);
    ::close(image);
    const auto grown = pool->grow("db01", 40_MiB);
    EXPECT_TRUE(grown) << grown.error().text;
  });
}

TEST_F(PoolTest, DamagedReplicaIsRepairedFromTheOther) {
  make();
  ASSERT_TRUE(ensure(*open(), "db01", 1_MiB));
  const std::string good = read_file("forebay-pool.volumes.0");
  ASSERT_EQ(read_file("forebay-pool.volumes.1"), good);
  for (const char* replica : {"forebay-pool.volumes.0", "forebay-pool.volumes.1"}) {
    for (const std::string& damage : {std::string(), std::string("garbage"), good.substr(0, 700)}) {
      write_file(replica, damage);
      const auto pool = open();
      EXPECT_EQ(pool->volumes().size(), 1U);
      EXPECT_EQ(read_file(replica), good);
      EXPECT_EQ(pool->healed().rotten, 1U) << "files are replaced whole";
      EXPECT_NE(pool->healed().texts.at(0).find("a replica of the volume table was damaged"),
                std::string::npos);
    }
    EXPECT_TRUE(open()->healed().empty());
    fs::remove(at(replica));
    EXPECT_EQ(open()->volumes().size(), 1U);
    EXPECT_EQ(read_file(replica), good);
  }
}

TEST_F(PoolTest, BothReplicasDamagedIsAnErrorAndNothingIsWritten) {
  make();
  ASSERT_TRUE(ensure(*open(), "db01", 1_MiB));
  write_file("forebay-pool.volumes.0", "x");
  fs::remove(at("forebay-pool.volumes.1"));
  const auto refused = FilePool::open(directory);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::damaged);
  EXPECT_EQ(read_file("forebay-pool.volumes.0"), "x");
  EXPECT_FALSE(fs::exists(at("forebay-pool.volumes.1")));
}

TEST_F(PoolTest, TableOfAnotherPoolIsNotBelieved) {
  make();
  ASSERT_TRUE(ensure(*open(), "db01", 1_MiB));
  const std::string foreign = read_file("forebay-pool.volumes.0");
  fs::remove_all(directory);
  fs::create_directory(directory);
  make();
  write_file("forebay-pool.volumes.0", foreign);
  EXPECT_TRUE(open()->volumes().empty());
  write_file("forebay-pool.volumes.0", foreign);
  write_file("forebay-pool.volumes.1", foreign);
  EXPECT_EQ(FilePool::open(directory).error().kind, ErrorKind::damaged);
}

TEST_F(PoolTest, DamagedLabelIsRefusedWithItsPlace) {
  make();
  std::string bytes = read_file("forebay-pool.label");
  bytes[60] = static_cast<char>(bytes[60] ^ 1);
  write_file("forebay-pool.label", bytes);
  const auto refused = FilePool::open(directory);
  EXPECT_EQ(refused.error().kind, ErrorKind::damaged);
  EXPECT_NE(refused.error().text.find(directory), std::string::npos);
}

TEST_F(PoolTest, NamesThatAreNoFileNamesAreRefused) {
  make();
  auto pool = open();
  for (const char* name : {"", "../x", "a/b", ".hidden", "a b"}) {
    EXPECT_EQ(ensure(*pool, name, 1_MiB).error().kind, ErrorKind::bad_name) << name;
  }
  EXPECT_EQ(ensure(*pool, "empty", {0}).error().kind, ErrorKind::bad_name);
  EXPECT_EQ(ensure(*pool, "odd", {1000}).error().kind, ErrorKind::bad_name);
  EXPECT_EQ(ensure(*pool, "forebay-pool", 1_MiB).value().image, "forebay-pool.raw");
}

TEST_F(PoolTest, ThousandAreMadeInOneBatch) {
  make();
  std::vector<VolumeWish> wishes;
  for (int number = 0; number < 1000; ++number)
    wishes.push_back({"v" + std::to_string(number), {65536}, {512}});
  {
    auto pool = open();
    for (const auto& answer : pool->ensure(wishes)) ASSERT_TRUE(answer) << answer.error().text;
  }
  auto pool = open();
  EXPECT_EQ(pool->volumes().size(), 1000U);
  for (const auto& answer : pool->ensure(wishes)) EXPECT_TRUE(answer);
}

}  // namespace
}  // namespace engine
