// What is refused when persistent memory is made and opened, and what is said then.
#include "engine/media/open_pmem.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cerrno>
#include <fstream>
#include <vector>

#include "engine/media/file_descriptor.h"
#include "engine/media/pmem_file.h"
#include "tests/engine/media/pmem_kit.h"

namespace engine {
namespace {

using testing::HasSubstr;

PmemOpenError refusal(const std::string& path, const PmemOpenOptions& options = {}) {
  const auto opened = open_pmem_region(path, options);
  EXPECT_FALSE(opened) << path;
  return opened ? PmemOpenError{} : opened.error();
}

// A file as others make it.
FileDescriptor make_file(const std::string& path) {
  FileDescriptor file(open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  EXPECT_TRUE(static_cast<bool>(file));
  return file;
}

TEST(OpenPmem, MissingFileIsNotFound) {
  const auto error = refusal("no-such-directory/cache");
  EXPECT_EQ(error.kind, PmemError::not_found);
  EXPECT_THAT(error.text, HasSubstr("no-such-directory/cache"));
}

TEST(OpenPmem, WhatCannotBeMappedIsRefused) {
  EXPECT_EQ(refusal(".").kind, PmemError::not_supported);
  EXPECT_EQ(refusal("/dev/null").kind, PmemError::not_supported);
  EXPECT_THAT(refusal("/dev/null").text, HasSubstr("neither"));
}

TEST(OpenPmem, SparseFileIsRefused) {
  const TemporaryPath path(".");
  const FileDescriptor file = make_file(path.text());
  ASSERT_EQ(ftruncate(file.get(), 1 << 20), 0);
  EXPECT_EQ(refusal(path.text()).kind, PmemError::sparse);
}

TEST(OpenPmem, OneHoleInAWrittenFileIsRefusedWithItsPlace) {
  for (const char* directory : {".", "/dev/shm"}) {
    const TemporaryPath path(directory);
    const FileDescriptor file = make_file(path.text());
    const std::vector<std::byte> bytes(1 << 16, std::byte{1});
    for (const off_t at : {0, 1 << 17, 1 << 18}) {
      ASSERT_EQ(pwrite(file.get(), bytes.data(), bytes.size(), at), 1 << 16);
    }
    const auto error = refusal(path.text());
    EXPECT_EQ(error.kind, PmemError::sparse);
    EXPECT_THAT(error.text, HasSubstr("byte 65536"));
  }
}

TEST(OpenPmem, AllocatedButNeverWrittenFileIsRefused) {
  const TemporaryPath path(".");
  const FileDescriptor file = make_file(path.text());
  ASSERT_EQ(posix_fallocate(file.get(), 0, 1 << 20), 0);
  EXPECT_EQ(refusal(path.text()).kind, PmemError::sparse);
}

TEST(OpenPmem, SmallFileIsRefusedWithBothSizes) {
  const TemporaryPath path(".");
  ASSERT_TRUE(create_pmem_file(path.text(), 64_KiB));
  const auto error = refusal(path.text(), {.at_least = 1_MiB});
  EXPECT_EQ(error.kind, PmemError::too_small);
  EXPECT_THAT(error.text, HasSubstr("65536"));
  EXPECT_THAT(error.text, HasSubstr("1048576"));
  ASSERT_EQ(truncate(path.text().c_str(), 4095), 0);
  EXPECT_EQ(refusal(path.text()).kind, PmemError::too_small);
}

TEST(OpenPmem, CoarserThanRequiredIsRefusedWithWhatItIs) {
  const TemporaryPath path(".");
  ASSERT_TRUE(create_pmem_file(path.text(), 64_KiB));
  const auto error = refusal(path.text(), {.required = PmemGranularity::cache_line});
  EXPECT_EQ(error.kind, PmemError::granularity_insufficient);
  EXPECT_THAT(error.text, HasSubstr("page (file)"));
  const ForcedGranularity forced("CACHE_LINE");
  EXPECT_TRUE(open_pmem_region(path.text(), {.required = PmemGranularity::cache_line}));
  EXPECT_EQ(refusal(path.text(), {.required = PmemGranularity::byte}).kind,
            PmemError::granularity_insufficient);
}

TEST(OpenPmem, SecondOpenerIsToldWhoHasIt) {
  const TemporaryPath path(".");
  ASSERT_TRUE(create_pmem_file(path.text(), 64_KiB));
  {
    const auto first = open_pmem_region(path.text(), {});
    ASSERT_TRUE(first);
    const auto error = refusal(path.text());
    EXPECT_EQ(error.kind, PmemError::in_use);
    EXPECT_THAT(error.text, HasSubstr("process " + std::to_string(getpid())));
  }
  EXPECT_TRUE(open_pmem_region(path.text(), {}));
}

TEST(OpenPmem, ReadOnlyNeverStores) {
  for (const char* directory : {".", "/dev/shm"}) {
    for (const char* granularity : {"PAGE", "CACHE_LINE"}) {
      const ForcedGranularity forced(granularity);
      const TemporaryPath path(directory);
      ASSERT_TRUE(create_pmem_file(path.text(), 64_KiB));
      const auto region =
          std::move(open_pmem_region(path.text(), {.access = PmemAccess::read_only}).value());
      EXPECT_EQ(region->make_writer().error(), PmemError::not_supported);
      EXPECT_EQ(region->write_pages({}).error(), PmemError::not_supported);
      EXPECT_EQ(region->sync().error(), PmemError::not_supported);
      std::vector<std::byte> seen(4096, std::byte{1});
      ASSERT_TRUE(region->read({0}, seen));
      EXPECT_TRUE(seen == std::vector<std::byte>(4096));
    }
  }
}

TEST(OpenPmem, SeveralMayLookWhileNobodyWrites) {
  const TemporaryPath path(".");
  ASSERT_TRUE(create_pmem_file(path.text(), 64_KiB));
  const PmemOpenOptions look{.access = PmemAccess::read_only};
  {
    const auto first = open_pmem_region(path.text(), look);
    const auto second = open_pmem_region(path.text(), look);
    ASSERT_TRUE(first && second);
    EXPECT_EQ(refusal(path.text()).kind, PmemError::in_use);
  }
  const auto writer = open_pmem_region(path.text(), {});
  ASSERT_TRUE(writer);
  const auto error = refusal(path.text(), look);
  EXPECT_EQ(error.kind, PmemError::in_use);
  EXPECT_THAT(error.text, HasSubstr("process " + std::to_string(getpid())));
}

TEST(OpenPmem, ASparseCopyCanBeLookedAt) {
  const TemporaryPath path(".");
  const FileDescriptor file = make_file(path.text());
  ASSERT_EQ(ftruncate(file.get(), 1 << 20), 0);
  EXPECT_TRUE(open_pmem_region(path.text(), {.access = PmemAccess::read_only}));
}

TEST(OpenPmem, ForcedGranularityIsShownAsEmulated) {
  const TemporaryPath path("/dev/shm");
  ASSERT_TRUE(create_pmem_file(path.text(), 64_KiB));
  EXPECT_EQ(open_pmem_region(path.text(), {}).value()->guarantee().text(),
            "page (tmpfs, not durable)");
  const ForcedGranularity forced("BYTE");
  const auto region = std::move(open_pmem_region(path.text(), {}).value());
  EXPECT_EQ(region->guarantee(), (PmemGuarantee{.granularity = PmemGranularity::byte,
                                                .medium = PmemMedium::tmpfs,
                                                .emulated = true}));
  EXPECT_EQ(region->guarantee().text(), "byte (emulated on tmpfs, not durable)");
}

TEST(OpenPmem, OddTailOfAFileIsLeftAlone) {
  const TemporaryPath path("/dev/shm");
  const FileDescriptor file = make_file(path.text());
  const std::vector<std::byte> bytes(10000, std::byte{1});
  ASSERT_EQ(pwrite(file.get(), bytes.data(), bytes.size(), 0), 10000);
  EXPECT_EQ(open_pmem_region(path.text(), {}).value()->size().value, 8192U);
}

TEST(OpenPmem, ContentOutlivesTheRegion) {
  const TemporaryPath path(".");
  ASSERT_TRUE(create_pmem_file(path.text(), 64_KiB));
  const std::vector<std::byte> bytes(100, std::byte{7});
  const std::array writes{PmemRegion::PageWrite{.offset = {4000}, .bytes = bytes}};
  {
    const auto region = std::move(open_pmem_region(path.text(), {}).value());
    ASSERT_TRUE(region->write_pages(writes));
    ASSERT_TRUE(region->sync());
  }
  const auto region = std::move(open_pmem_region(path.text(), {}).value());
  std::vector<std::byte> seen(100);
  ASSERT_TRUE(region->read({4000}, seen));
  EXPECT_TRUE(seen == bytes);
}

TEST(CreatePmemFile, ExistingFileIsNotWrittenOver) {
  const TemporaryPath path(".");
  std::ofstream(path.text()) << "precious";
  EXPECT_EQ(create_pmem_file(path.text(), 64_KiB).error().kind, PmemError::already_there);
  std::string content;
  std::ifstream(path.text()) >> content;
  EXPECT_EQ(content, "precious");
}

TEST(CreatePmemFile, HasAllItsBlocksAndTheyAreZeros) {
  const TemporaryPath path(".");
  ASSERT_TRUE(create_pmem_file(path.text(), {3 * (1 << 20) + 4096}));
  struct stat status {};
  ASSERT_EQ(stat(path.text().c_str(), &status), 0);
  EXPECT_EQ(status.st_size, 3 * (1 << 20) + 4096);
  EXPECT_GE(status.st_blocks * 512, status.st_size);
  const auto region = std::move(open_pmem_region(path.text(), {}).value());
  const auto view = region->view({0}, region->size()).value();
  EXPECT_TRUE(std::all_of(view.begin(), view.end(), [](std::byte b) { return b == std::byte{}; }));
}

TEST(CreatePmemFile, OddSizesAreRefused) {
  const TemporaryPath path(".");
  EXPECT_EQ(create_pmem_file(path.text(), {0}).error().kind, PmemError::too_small);
  EXPECT_EQ(create_pmem_file(path.text(), {4097}).error().kind, PmemError::not_supported);
  EXPECT_NE(access(path.text().c_str(), F_OK), 0);
}

TEST(CreatePmemFile, FullFileSystemLeavesNothingBehind) {
  const TemporaryPath path("/dev/shm");
  EXPECT_EQ(create_pmem_file(path.text(), {1ULL << 50}).error().kind, PmemError::no_space);
  EXPECT_NE(access(path.text().c_str(), F_OK), 0);
  EXPECT_EQ(create_pmem_file("no-such-directory/cache", 64_KiB).error().kind, PmemError::not_found);
}

TEST(ExtendPmemFile, KeepsWhatIsThereAndLeavesNoHole) {
  const TemporaryPath path(".");
  ASSERT_TRUE(create_pmem_file(path.text(), 64_KiB));
  std::fstream(path.text(), std::ios::in | std::ios::out) << "precious";
  ASSERT_TRUE(extend_pmem_file(path.text(), 3_MiB));
  const auto region = std::move(open_pmem_region(path.text(), {}).value());
  EXPECT_EQ(region->size(), 3_MiB);
  std::array<std::byte, 8> seen{};
  ASSERT_TRUE(region->read({0}, seen));
  EXPECT_EQ(seen[0], std::byte{'p'});
  EXPECT_EQ(extend_pmem_file(path.text(), 4_MiB).error().kind, PmemError::in_use);
}

TEST(ExtendPmemFile, RefusesWhatIsNotLargerOrDoesNotFit) {
  const TemporaryPath path("/dev/shm");
  ASSERT_TRUE(create_pmem_file(path.text(), 64_KiB));
  EXPECT_EQ(extend_pmem_file(path.text(), 64_KiB).error().kind, PmemError::already_there);
  EXPECT_EQ(extend_pmem_file(path.text(), {65537}).error().kind, PmemError::not_supported);
  EXPECT_EQ(extend_pmem_file(path.text(), {1ULL << 50}).error().kind, PmemError::no_space);
  EXPECT_EQ(open_pmem_region(path.text(), {}).value()->size(), 64_KiB);
}

TEST(PmemFile, SystemErrorsKeepTheirMeaning) {
  EXPECT_EQ(pmem_system_error("x", "cannot be opened", EACCES).kind, PmemError::no_permission);
  EXPECT_EQ(pmem_system_error("x", "cannot be opened", EROFS).kind, PmemError::no_permission);
  EXPECT_EQ(pmem_system_error("x", "cannot be opened", ENOENT).kind, PmemError::not_found);
  EXPECT_EQ(pmem_system_error("x", "cannot be written", EDQUOT).kind, PmemError::no_space);
  EXPECT_EQ(pmem_system_error("x", "cannot be written", EIO).kind, PmemError::io);
}

TEST(PmemGuarantee, SaysWhatIsNotDurable) {
  using G = PmemGranularity;
  using M = PmemMedium;
  const auto line = [](G granularity, M medium, bool emulated) {
    return PmemGuarantee{.granularity = granularity, .medium = medium, .emulated = emulated}.text();
  };
  EXPECT_EQ(line(G::cache_line, M::devdax, false), "cache line (devdax)");
  EXPECT_EQ(line(G::byte, M::fsdax_file, false), "byte (fsdax file)");
  EXPECT_EQ(line(G::byte, M::fsdax_file, true), "byte (emulated on fsdax file, not durable)");
  EXPECT_EQ(line(G::cache_line, M::anonymous, true),
            "cache line (emulated on memory, not durable)");
  EXPECT_EQ(line(G::page, M::file, false), "page (file)");
}

}  // namespace
}  // namespace engine
