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

// A page behind the end of its file.
class GonePage {
 public:
  GonePage() {
    const TemporaryPath path("/dev/shm");
    const FileDescriptor file(open(path.text().c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    memory_ = mmap(nullptr, page, PROT_READ, MAP_SHARED, file.get(), 0);
    EXPECT_NE(memory_, MAP_FAILED);
  }
  GonePage(const GonePage&) = delete;
  GonePage& operator=(const GonePage&) = delete;
  ~GonePage() { munmap(memory_, page); }
  [[nodiscard]] std::span<const std::byte> bytes() const {
    return {static_cast<const std::byte*>(memory_), page};
  }
  void load() const { static_cast<void>(*static_cast<const volatile std::byte*>(memory_)); }

 private:
  void* memory_;
};

// Puts a handler in front of everything, and the guard in front of that.
class ForeignHandler {
 public:
  explicit ForeignHandler(void (*handler)(int, siginfo_t*, void*)) {
    struct sigaction foreign {};
    foreign.sa_sigaction = handler;
    foreign.sa_flags = SA_SIGINFO | SA_NODEFER;
    EXPECT_EQ(sigaction(SIGBUS, &foreign, &former_), 0);
    install_fault_handler();
    install_fault_handler();  // again does no harm
    EXPECT_EQ(sigaction(SIGBUS, nullptr, &ours_), 0);
  }
  ForeignHandler(const ForeignHandler&) = delete;
  ForeignHandler& operator=(const ForeignHandler&) = delete;
  ~ForeignHandler() { EXPECT_EQ(sigaction(SIGBUS, &former_, nullptr), 0); }
  [[nodiscard]] const struct sigaction& ours() const { return ours_; }

 private:
  struct sigaction former_ {};
  struct sigaction ours_ {};
};

sigjmp_buf foreign_landing;
std::atomic<int> foreign_faults{0};
void (*guard_handler)(int, siginfo_t*, void*) = nullptr;

TEST(FaultGuard, ForeignFaultsGoToTheHandlerThatWasThereBefore) {
  const GonePage gone;
  const ForeignHandler foreign([](int, siginfo_t*, void*) {
    foreign_faults.fetch_add(1);
    siglongjmp(foreign_landing, 1);
  });
  const auto load = [&gone]() noexcept { gone.load(); };
  for (int round = 1; round <= 3; ++round) {
    EXPECT_EQ(touch_guarded(gone.bytes(), load), gone.bytes().data());
    EXPECT_EQ(foreign_faults.load(), round - 1);
    // Not guarded.
    if (sigsetjmp(foreign_landing, 1) == 0) {
      gone.load();
      ADD_FAILURE() << "no fault";
    }
    EXPECT_EQ(foreign_faults.load(), round);
  }
}

TEST(FaultGuard, HandlerThatHandsFaultsBackDoesNotMakeThemGoRound) {
  const GonePage gone;
  const ForeignHandler foreign(
      [](int signal, siginfo_t* info, void* context) { guard_handler(signal, info, context); });
  guard_handler = foreign.ours().sa_sigaction;
  EXPECT_EXIT(gone.load(), testing::KilledBySignal(SIGBUS), "");
}

TEST(FaultGuard, LeafThatMeetsNothingRuns) {
  int runs = 0;
  const std::array<std::byte, 8> memory{};
  EXPECT_FALSE(touch_guarded(memory, [&runs]() noexcept { ++runs; }));
  EXPECT_EQ(runs, 1);
}

}  // namespace
}  // namespace engine
