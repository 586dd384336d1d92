// How a backing file is opened where the kernel does not tell its alignment, which is found by
// trial. The linker puts __wrap_ in front of the calls (CMakeLists.txt).
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <string>

#include "engine/media/file_device.h"

namespace {

// What a trial of so many bytes ends with; 0: it succeeds.
int (*error_of_trial)(std::size_t bytes) = nullptr;

}  // namespace

extern "C" {
int __real_statx(int directory, const char* path, int flags, unsigned mask, struct statx* status);
ssize_t __real_pread(int fd, void* buffer, std::size_t bytes, off_t offset);

int __wrap_statx(int directory, const char* path, int flags, unsigned mask, struct statx* status) {
  const int result = __real_statx(directory, path, flags, mask, status);
  status->stx_mask &= ~static_cast<unsigned>(STATX_DIOALIGN);
  return result;
}

ssize_t __wrap_pread(int fd, void* buffer, std::size_t bytes, off_t offset) {
  errno = error_of_trial != nullptr ? error_of_trial(bytes) : 0;
  return errno != 0 ? -1 : __real_pread(fd, buffer, bytes, offset);
}
}

namespace engine {
namespace {

struct OpenFileByTrial : testing::Test {
  std::string path = [] {
    char name[] = "forebay-open-test-XXXXXX";
    const int fd = mkstemp(name);
    EXPECT_GE(fd, 0);
    EXPECT_EQ(ftruncate(fd, 1 << 20), 0);
    close(fd);
    return std::string(name);
  }();
  ~OpenFileByTrial() override {
    error_of_trial = nullptr;
    std::filesystem::remove(path);
  }
};

TEST_F(OpenFileByTrial, TakesTheFirstAlignmentThatCanBeRead) {
  error_of_trial = [](std::size_t bytes) { return bytes < 4096 ? EINVAL : 0; };
  const auto file = OpenFile::open(path, 1_MiB);
  ASSERT_TRUE(file) << file.error();
  EXPECT_TRUE(file.value().geometry().direct);
  EXPECT_EQ(file.value().geometry().offset_alignment, 4096U);
  EXPECT_EQ(file.value().geometry().memory_alignment, 4096U);
}

// A disk that cannot be read has no alignment: taking one, or the page cache, would hide it.
TEST_F(OpenFileByTrial, AnErrorOfTheDiskIsNoAlignment) {
  for (const std::size_t good : {std::size_t{512}, std::size_t{4096}}) {
    static std::size_t failing;
    failing = good;
    error_of_trial = [](std::size_t bytes) { return bytes < failing ? EINVAL : EIO; };
    const auto file = OpenFile::open(path, 1_MiB);
    ASSERT_FALSE(file) << "opened with " << file.value().geometry().offset_alignment;
    EXPECT_EQ(file.error(), "cannot be read: Input/output error");
  }
  error_of_trial = nullptr;
  EXPECT_TRUE(OpenFile::open(path, 1_MiB)) << "the disk is well again";
}

TEST_F(OpenFileByTrial, WithoutDirectReadsThePageCacheIsUsed) {
  error_of_trial = [](std::size_t) { return EOPNOTSUPP; };
  const auto file = OpenFile::open(path, 1_MiB);
  ASSERT_TRUE(file) << file.error();
  EXPECT_FALSE(file.value().geometry().direct);
  EXPECT_EQ(file.value().geometry().atomic_write_bytes, 0U);
}

}  // namespace
}  // namespace engine
