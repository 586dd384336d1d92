// Thin volumes of a file pool: what space they take, and what stays free.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <string>

#include "engine/pool/file_pool.h"
#include "tests/engine/pool/sim_directory.h"
#include "tests/engine/test_directory.h"

namespace engine {
namespace {

namespace fs = std::filesystem;
using ErrorKind = PoolError::Kind;

constexpr BlockSize thin_block{4096};

VolumeWish thin_wish(const std::string& name, ByteCount size) {
  return {.name = name, .size = size, .block_size = thin_block, .provisioning = Provisioning::thin};
}

struct ThinPool : testing::Test {
  const TestDirectory place{"thin-test"};
  const std::string directory = place.path();
  ThinPool() { EXPECT_TRUE(init_file_pool(directory)); }

  [[nodiscard]] std::unique_ptr<FilePool> open() const {
    auto pool = FilePool::open(directory);
    EXPECT_TRUE(pool) << pool.error().text;
    return pool ? std::move(pool.value()) : nullptr;
  }
  static Result<VolumeRecord, PoolError> ensure(FilePool& pool, const VolumeWish& wish) {
    return pool.ensure({&wish, 1})[0];
  }
  [[nodiscard]] struct stat status_of(const std::string& name) const {
    struct stat status {};
    EXPECT_EQ(stat((directory + "/" + name).c_str(), &status), 0);
    return status;
  }
};

TEST_F(ThinPool, AVolumeIsAsLongAsItSaysAndTakesNoSpace) {
  const ByteCount size{8_GiB};
  {
    const auto pool = open();
    const auto made = ensure(*pool, thin_wish("db01", size));
    ASSERT_TRUE(made) << made.error().text;
    EXPECT_EQ(made.value().provisioning, Provisioning::thin);
    const auto grown = pool->grow("db01", {2 * size.value});
    ASSERT_TRUE(grown) << grown.error().text;
  }
  const struct stat image = status_of("db01.raw");
  EXPECT_EQ(static_cast<std::uint64_t>(image.st_size), 2 * size.value);
  EXPECT_EQ(image.st_blocks, 0);
  // Asked for as thick: it stays what it is.
  const VolumeWish thick{.name = "db01", .size = {3 * size.value}, .block_size = thin_block};
  const auto pool = open();
  const auto found = ensure(*pool, thick);
  ASSERT_TRUE(found) << found.error().text;
  EXPECT_EQ(found.value().provisioning, Provisioning::thin);
  EXPECT_EQ(static_cast<std::uint64_t>(status_of("db01.raw").st_size), 3 * size.value);
  EXPECT_EQ(status_of("db01.raw").st_blocks, 0);
}

TEST_F(ThinPool, WhatStoodBehindTheEndIsNotShownByGrowing) {
  const auto pool = open();
  ASSERT_TRUE(ensure(*pool, thin_wish("v", 1_MiB)));
  const std::string path = directory + "/v.raw";
  for (const std::uint64_t length : {2ULL << 20, 16ULL << 20}) {
    fs::resize_file(path, 1 << 20);
    fs::resize_file(path, length);
    const int fd = open64(path.c_str(), O_WRONLY | O_CLOEXEC);
    ASSERT_EQ(pwrite(fd, "old", 3, (1 << 20) + 100), 3);
    close(fd);
  }
  ASSERT_TRUE(pool->grow("v", 4_MiB));
  EXPECT_GE(static_cast<std::uint64_t>(status_of("v.raw").st_size), 4ULL << 20);
  EXPECT_EQ(status_of("v.raw").st_blocks, 0);
}

TEST(ThinSpace, IsNotAskedForAndTheReserveIsNobodys) {
  SimDirectoryDisk disk;
  disk.free_bytes = (1_GiB).value;
  SimDirectory fresh(disk, {}, 1);
  ASSERT_TRUE(init_file_pool(fresh));
  auto pool = FilePool::open(std::make_unique<SimDirectory>(disk, SimDirectory::Fault{}, 1));
  ASSERT_TRUE(pool) << pool.error().text;
  FilePool& now = *pool.value();
  now.keep_free(900_MiB);
  const auto thin = thin_wish("thin", 1024_GiB);
  EXPECT_TRUE(now.ensure({&thin, 1})[0]);
  EXPECT_TRUE(now.grow("thin", 2048_GiB));
  const VolumeWish thick{.name = "thick", .size = 200_MiB, .block_size = thin_block};
  const auto refused = now.ensure({&thick, 1});
  ASSERT_FALSE(refused[0]);
  EXPECT_EQ(refused[0].error().kind, ErrorKind::no_space);
  const VolumeWish smaller{.name = "thick", .size = 50_MiB, .block_size = thin_block};
  EXPECT_TRUE(now.ensure({&smaller, 1})[0]);
}

}  // namespace
}  // namespace engine
