// Images that somebody else has made, and other names for volumes: what is refused, and what the
// power may leave of it.
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "engine/pool/file_pool.h"
#include "engine/pool/journal_file.h"
#include "engine/pool/marker_file.h"
#include "tests/engine/file_content.h"
#include "tests/engine/pool/sim_directory.h"
#include "tests/engine/test_directory.h"

namespace engine {
namespace {

namespace fs = std::filesystem;
using ErrorKind = PoolError::Kind;

constexpr BlockSize adopted_block{4096};
const Adoption adoption{.name = "db01", .file = "copied.raw", .block_size = adopted_block};

struct AdoptPool : testing::Test {
  const TestDirectory place{"adopt-test"};
  const std::string directory = place.path();
  std::unique_ptr<FilePool> pool;

  AdoptPool() {
    EXPECT_TRUE(init_file_pool(directory));
    open();
  }

  void open() {
    pool.reset();
    auto opened = FilePool::open(directory);
    ASSERT_TRUE(opened) << opened.error().text;
    pool = std::move(opened.value());
  }
  [[nodiscard]] std::string at(const std::string& name) const { return directory + "/" + name; }
  void make_file(const std::string& name, std::size_t bytes) const {
    std::ofstream(at(name), std::ios::binary) << std::string(bytes, 'x');
  }
  [[nodiscard]] std::string read_file(const std::string& name) const {
    return file_content(at(name));
  }
  // Empty: it was done.
  [[nodiscard]] std::string adopt(const std::string& name, const std::string& file,
                                  std::uint32_t block = 4096) const {
    const auto adopted = pool->adopt({.name = name, .file = file, .block_size = {block}});
    return adopted ? std::string() : adopted.error().text;
  }
};

TEST_F(AdoptPool, AnImageIsAVolumeAsItIsAndWhereItIs) {
  make_file("copied.raw", 1 << 20);
  const auto adopted = pool->adopt(adoption);
  ASSERT_TRUE(adopted) << adopted.error().text;
  EXPECT_EQ(adopted.value().image, "copied.raw");
  EXPECT_EQ(adopted.value().size, 1_MiB);
  EXPECT_EQ(adopted.value().provisioning, Provisioning::thick);
  EXPECT_EQ(pool->adopt(adoption).value(), adopted.value()) << "a second time";
  open();
  const VolumeWish wish{.name = "db01", .size = 2_MiB, .block_size = adopted_block};
  const auto found = pool->ensure({&wish, 1})[0];
  ASSERT_TRUE(found) << found.error().text;
  EXPECT_EQ(found.value().uuid, adopted.value().uuid);
  const std::string now = read_file("copied.raw");
  EXPECT_EQ(now.substr(0, 1 << 20), std::string(1 << 20, 'x'));
  EXPECT_EQ(now.substr(1 << 20), std::string(1 << 20, '\0')) << "grown";
}

TEST_F(AdoptPool, WithHolesItIsThin) {
  make_file("copied.raw", 4096);
  fs::resize_file(at("copied.raw"), 8 << 20);
  EXPECT_EQ(pool->adopt(adoption).value().provisioning, Provisioning::thin);
  struct stat status {};
  ASSERT_EQ(stat(at("copied.raw").c_str(), &status), 0);
  EXPECT_LE(status.st_blocks * 512, 64 << 10);
}

TEST_F(AdoptPool, OfSmallBlocksItMayEndInTheMiddleOfAPage) {
  make_file("odd.raw", 4096 + 512);
  EXPECT_NE(adopt("odd", "odd.raw"), "");
  EXPECT_EQ(adopt("odd", "odd.raw", 512), "");
  EXPECT_EQ(pool->volumes()[0].size, ByteCount{4608});
  EXPECT_EQ(read_file("odd.raw"), std::string(4608, 'x') + std::string(3584, '\0'));
}

TEST_F(AdoptPool, WhatIsNoImageOrSomebodysIsRefused) {
  const VolumeWish wish{.name = "here", .size = 1_MiB, .block_size = adopted_block};
  ASSERT_TRUE(pool->ensure({&wish, 1})[0]);
  make_file("free.raw", 4096);
  make_file("odd.raw", 4095);
  make_file("empty.raw", 0);
  make_file("image.img", 4096);
  make_file("marked.raw", 4096);
  make_file(marker_name("marked.raw"), 8192);
  make_file("journalled.raw", 4096);
  make_file(journal_name("journalled.raw"), 8192);
  fs::create_symlink("free.raw", at("link.raw"));
  fs::create_directory(at("folder.raw"));
  ASSERT_EQ(mkfifo(at("pipe.raw").c_str(), 0600), 0);
  struct Row {
    std::string name;
    std::string file;
    std::string why;
  };
  const Row rows[] = {
      {"here", "free.raw", "there is a volume here already"},
      {"other", "here.raw", "it belongs to volume here"},
      {"other", "missing.raw", "there is no file missing.raw in"},
      {"other", "image.img", "must lie in"},
      {"other", "../free.raw", "must lie in"},
      {"other", "/free.raw", "must lie in"},
      {"other", "forebay-pool.label", "must lie in"},
      {"other", ".free.raw", "must lie in"},
      {"other", "odd.raw", "4095 bytes are not a whole number of blocks of 4096"},
      {"other", "empty.raw", "0 bytes are not a whole number"},
      {"other", "link.raw", "it is no regular file"},
      {"other", "folder.raw", "it is no regular file"},
      {"other", "pipe.raw", "it is no regular file"},
      {"other", "marked.raw", "marked.raw.marker says that a cache may have what it lacks"},
      {"other", "journalled.raw", "journalled.raw.journal says that"},
      {"an other", "free.raw", "\"an other\" cannot be the name of a volume"},
      {"", "free.raw", "\"\" cannot be the name of a volume"},
  };
  for (const Row& row : rows) {
    EXPECT_NE(adopt(row.name, row.file).find(row.why), std::string::npos)
        << row.name << " " << row.file << ": " << adopt(row.name, row.file);
  }
  EXPECT_NE(adopt("other", "free.raw", 1024).find("(512 or 4096)"), std::string::npos);
  EXPECT_EQ(pool->volumes().size(), 1U);
  EXPECT_EQ(adopt("other", "free.raw"), "");
  EXPECT_NE(adopt("third", "free.raw").find("it belongs to volume other"), std::string::npos);
}

// Its name is another's who had none like it: nothing is overwritten.
TEST_F(AdoptPool, AVolumeOfTheImagesNameHasAnotherImage) {
  make_file("db02.raw", 4096);
  ASSERT_EQ(adopt("db01", "db02.raw"), "");
  const VolumeWish wish{.name = "db02", .size = 1_MiB, .block_size = adopted_block};
  const auto made = pool->ensure({&wish, 1})[0];
  ASSERT_TRUE(made) << made.error().text;
  EXPECT_EQ(made.value().image, "db02.2.raw");
  EXPECT_EQ(read_file("db02.raw"), std::string(4096, 'x'));
}

TEST_F(AdoptPool, RenamedAVolumeKeepsUuidAndImage) {
  make_file("copied.raw", 4096);
  const VolumeRecord before = pool->adopt(adoption).value();
  make_file("there.raw", 4096);
  ASSERT_EQ(adopt("there", "there.raw"), "");
  EXPECT_EQ(pool->rename("db01", Uuid::random(), "db02").error().kind, ErrorKind::other_volume);
  EXPECT_EQ(pool->rename("db00", before.uuid, "db02").error().kind, ErrorKind::other_volume);
  EXPECT_EQ(pool->rename("db01", before.uuid, "there").error().kind, ErrorKind::bad_name);
  EXPECT_EQ(pool->rename("db01", before.uuid, "a/b").error().kind, ErrorKind::bad_name);
  const auto renamed = pool->rename("db01", before.uuid, "db02");
  ASSERT_TRUE(renamed) << renamed.error().text;
  EXPECT_EQ(renamed.value().name, "db02");
  EXPECT_EQ(renamed.value().uuid, before.uuid);
  EXPECT_EQ(renamed.value().image, "copied.raw");
  EXPECT_TRUE(pool->rename("db01", before.uuid, "db02")) << "a second time";
  open();
  EXPECT_EQ(pool->volumes().front(), renamed.value());
}

// ---- power loss

Result<std::unique_ptr<FilePool>, PoolError> open_adopting(SimDirectoryDisk& disk,
                                                           SimDirectory::Fault fault = {},
                                                           std::uint64_t seed = 1) {
  return FilePool::open(std::make_unique<SimDirectory>(disk, fault, seed));
}

// A pool with an image that has been copied there and not been synced, as `cp` leaves it.
struct Copied {
  SimDirectoryDisk disk;
  const std::vector<std::byte> content = std::vector<std::byte>(6144, std::byte{0x5a});

  Copied() {
    SimDirectory fresh(disk, {}, 1);
    EXPECT_TRUE(init_file_pool(fresh));
    EXPECT_TRUE(fresh.write("copied.raw", content));
    SimDirectoryDisk::File& file = disk.files[disk.names.at("copied.raw")];
    file.synced = false;
    file.before.emplace(content.size());
  }
};

void expect_adopted_or_not(Copied& copied, bool asked, bool answered) {
  const auto opened = open_adopting(copied.disk);
  ASSERT_TRUE(opened) << opened.error().text;
  const auto& volumes = opened.value()->volumes();
  if (volumes.empty()) {
    EXPECT_FALSE(answered);
    return;
  }
  EXPECT_TRUE(asked);
  ASSERT_EQ(volumes.size(), 1U);
  EXPECT_TRUE(volumes[0].ready);
  EXPECT_EQ(volumes[0].image, "copied.raw");
  ASSERT_TRUE(copied.disk.names.contains("copied.raw")) << "an entry without its image";
  const SimDirectoryDisk::File& file = copied.disk.files[copied.disk.names.at("copied.raw")];
  EXPECT_GE(file.length, 8192U);
  EXPECT_EQ(file.bytes, copied.content);
}

TEST(Adopt, PowerLossAtEveryStepLeavesAVolumeWithItsImageOrNone) {
  const Adoption wanted{.name = "db01", .file = "copied.raw", .block_size = {512}};
  std::uint64_t states = 0;
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    for (std::uint64_t step = 1;; ++step) {
      SCOPED_TRACE("seed " + std::to_string(seed) + " step " + std::to_string(step));
      Copied copied;
      SeededRandom random(seed * 1000 + step);
      bool asked = false;
      bool answered = false;
      try {
        const auto opened = open_adopting(copied.disk, {.step = step, .error = 0}, seed);
        asked = true;
        answered = static_cast<bool>(opened.value()->adopt(wanted));
      } catch (const SimCrash&) {
      }
      copied.disk.crash(random);
      ++states;
      expect_adopted_or_not(copied, asked, answered);
      if (testing::Test::HasFailure()) return;
      if (answered) break;
    }
  }
  EXPECT_GT(states, 200U);
}

TEST(Adopt, PowerLossAtEveryStepOfARenameLeavesEitherName) {
  std::uint64_t states = 0;
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    for (std::uint64_t step = 1;; ++step) {
      SCOPED_TRACE("seed " + std::to_string(seed) + " step " + std::to_string(step));
      SimDirectoryDisk disk;
      Uuid uuid;
      {
        SimDirectory fresh(disk, {}, 1);
        ASSERT_TRUE(init_file_pool(fresh));
        const VolumeWish wish{.name = "old", .size = 1_MiB, .block_size = adopted_block};
        uuid = open_adopting(disk).value()->ensure({&wish, 1})[0].value().uuid;
      }
      SeededRandom random(seed * 1000 + step);
      bool answered = false;
      try {
        const auto opened = open_adopting(disk, {.step = step, .error = 0}, seed);
        answered = static_cast<bool>(opened.value()->rename("old", uuid, "new"));
      } catch (const SimCrash&) {
      }
      disk.crash(random);
      ++states;
      const auto opened = open_adopting(disk);
      ASSERT_TRUE(opened) << opened.error().text;
      ASSERT_EQ(opened.value()->volumes().size(), 1U);
      const VolumeRecord& now = opened.value()->volumes()[0];
      EXPECT_EQ(now.uuid, uuid);
      EXPECT_EQ(now.image, "old.raw");
      EXPECT_TRUE(now.name == "new" || (now.name == "old" && !answered)) << now.name;
      if (testing::Test::HasFailure()) return;
      if (answered) break;
    }
  }
  EXPECT_GT(states, 200U);
}

}  // namespace
}  // namespace engine
