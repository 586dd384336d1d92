// Memory that goes away under a mapping: SIGBUS is an answer, for the thread that met it alone.
#include "engine/media/fault_guard.h"

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <atomic>
#include <csetjmp>
#include <csignal>
#include <cstring>
#include <thread>

#include "engine/media/file_descriptor.h"
#include "tests/engine/media/pmem_kit.h"

namespace engine {
namespace {

constexpr std::uint64_t page = PmemRegion::page_bytes;

class TruncatedFile : public testing::TestWithParam<const char*> {
 protected:
  FilePmemKit kit{64_KiB, "/dev/shm", GetParam()};
  PmemRegion& region = kit.region();
  std::vector<std::byte> bytes = std::vector<std::byte>(100);
};
INSTANTIATE_TEST_SUITE_P(Granularities, TruncatedFile, testing::Values("CACHE_LINE", "PAGE"),
                         [](const auto& granularity) {
                           return std::string(granularity.param) == "PAGE" ? "Page" : "Line";
                         });

TEST_P(TruncatedFile, ReadBehindItsEndIsAMediaErrorAndTheProcessLives) {
  ASSERT_EQ(truncate(kit.path().c_str(), 8 * page), 0);
  EXPECT_EQ(region.read({9 * page + 10}, bytes).error(), PmemError::media_error);
  EXPECT_EQ(region.bad_ranges(), (std::vector<PmemRange>{{{9 * page}, {page}}}));
  EXPECT_EQ(region.checksum({8 * page - 10}, {20}).error(), PmemError::media_error);
  EXPECT_EQ(region.bad_ranges(), (std::vector<PmemRange>{{{8 * page}, {2 * page}}}));
  EXPECT_EQ(region.view({9 * page}, {1}).error(), PmemError::media_error);
  EXPECT_TRUE(region.read({0}, bytes));
}

TEST_P(TruncatedFile, WriteBehindItsEndIsAMediaErrorAndMakesNoHole) {
  ASSERT_EQ(truncate(kit.path().c_str(), 8 * page), 0);
  EXPECT_EQ(kit.put(9 * page, bytes).error(), PmemError::media_error);
  const std::vector<std::byte> whole(page);
  EXPECT_EQ(kit.put(9 * page, whole).error(), PmemError::media_error);
  EXPECT_EQ(kit.put(9 * page, whole).error(), PmemError::media_error);  // now known to be bad
  const FileDescriptor file(open(kit.path().c_str(), O_RDONLY | O_CLOEXEC));
  EXPECT_EQ(lseek(file.get(), 0, SEEK_END), static_cast<off_t>(8 * page));
}

TEST_P(TruncatedFile, OtherThreadsGoOnReading) {
  std::atomic<bool> stop{false};
  std::atomic<std::uint64_t> good{0};
  std::thread other([&] {
    std::vector<std::byte> mine(page);
    while (!stop.load()) {
      if (!region.read({0}, mine)) return;
      good.fetch_add(1);
    }
  });
  while (good.load() == 0) std::this_thread::yield();
  ASSERT_EQ(truncate(kit.path().c_str(), 4 * page), 0);
  for (std::uint64_t at = 4; at < 16; ++at) {
    EXPECT_EQ(region.read({at * page}, bytes).error(), PmemError::media_error);
  }
  const std::uint64_t before = good.load();
  while (good.load() < before + 100) std::this_thread::yield();
  stop.store(true);
  other.join();
}

sigjmp_buf foreign_landing;
std::atomic<int> foreign_faults{0};

TEST(FaultGuard, ForeignFaultGoesToTheHandlerThatWasThereBefore) {
  struct sigaction former {};
  struct sigaction foreign {};
  foreign.sa_handler = [](int) {
    foreign_faults.fetch_add(1);
    siglongjmp(foreign_landing, 1);
  };
  foreign.sa_flags = SA_NODEFER;
  ASSERT_EQ(sigaction(SIGBUS, &foreign, &former), 0);
  install_fault_handler();
  install_fault_handler();  // again does no harm

  const TemporaryPath path("/dev/shm");
  const FileDescriptor file(open(path.text().c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  void* const gone = mmap(nullptr, page, PROT_READ, MAP_SHARED, file.get(), 0);
  ASSERT_NE(gone, MAP_FAILED);
  std::byte target{};
  const std::span<const std::byte> range(static_cast<const std::byte*>(gone), page);
  const auto load = [&range, &target]() noexcept { std::memcpy(&target, &range[5], 1); };
  EXPECT_EQ(touch_guarded(range, load), &range[5]);
  EXPECT_EQ(foreign_faults.load(), 0);
  // Not in the range that the guard was told of.
  if (sigsetjmp(foreign_landing, 1) == 0) {
    std::memcpy(&target, &range[5], 1);
    ADD_FAILURE() << "no fault";
  }
  EXPECT_EQ(foreign_faults.load(), 1);
  munmap(gone, page);
  ASSERT_EQ(sigaction(SIGBUS, &former, nullptr), 0);
}

TEST(FaultGuard, LeafThatMeetsNothingRuns) {
  int runs = 0;
  const std::array<std::byte, 8> memory{};
  EXPECT_FALSE(touch_guarded(memory, [&runs]() noexcept { ++runs; }));
  EXPECT_EQ(runs, 1);
}

}  // namespace
}  // namespace engine
