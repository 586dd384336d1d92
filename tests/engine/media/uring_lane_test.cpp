#include "engine/media/uring_lane.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/io_uring.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <optional>
#include <thread>
#include <vector>

#include "tests/engine/media/hung_memory.h"
#include "tests/engine/media/lane_driver.h"

namespace engine {
namespace {

struct Done {
  int result = 0;
  int calls = 0;
};

void note_done(FileOperation& operation, int result) noexcept {
  auto& done = *static_cast<Done*>(operation.context);
  done.result = result;
  ++done.calls;
}

// An unlinked file in the build folder's file system.
class ScratchFile {
 public:
  explicit ScratchFile(std::uint64_t size) {
    char path[] = "forebay-lane-XXXXXX";
    fd_ = mkostemp(path, O_CLOEXEC);
    EXPECT_GE(fd_, 0);
    unlink(path);
    EXPECT_EQ(ftruncate(fd_, static_cast<off_t>(size)), 0);
  }
  ~ScratchFile() { close(fd_); }
  [[nodiscard]] int fd() const { return fd_; }

 private:
  int fd_ = -1;
};

struct LaneTest : testing::Test {
  MemoryBudget budget{64_MiB};
  std::unique_ptr<UringLane> lane = make({});
  std::unique_ptr<UringLane> make(UringLane::Options options) {
    auto made = UringLane::create(budget, options);
    EXPECT_TRUE(made) << made.error().text;
    return std::move(made.value());
  }
};

TEST_F(LaneTest, WritesSyncsAndReadsBack) {
  const ScratchFile file(1 << 20);
  auto out = lane->buffers().lease(8_KiB);
  auto in = lane->buffers().lease(8_KiB);
  std::memset(out->bytes().data(), 0xa5, out->bytes().size());
  Done done;
  FileOperation operation{
      .kind = FileOperation::Kind::write_durable, .fd = file.fd(), .offset = {4096}};
  operation.buffer = out->bytes();
  operation.done = note_done;
  operation.context = &done;
  for (const FileOperation::Kind kind :
       {FileOperation::Kind::write_durable, FileOperation::Kind::sync, FileOperation::Kind::read}) {
    operation.kind = kind;
    if (kind == FileOperation::Kind::read) operation.buffer = in->bytes();
    lane->start(operation);
    EXPECT_EQ(lane->in_flight(), 1U);
    drive_until(*lane, [&] { return lane->in_flight() == 0; });
    EXPECT_EQ(done.result, kind == FileOperation::Kind::sync ? 0 : 8192) << static_cast<int>(kind);
  }
  EXPECT_TRUE(std::equal(out->bytes().begin(), out->bytes().end(), in->bytes().begin()));
  EXPECT_EQ(done.calls, 3);
}

// Dirty pages of the file in the page cache; nullopt before Linux 6.5.
std::optional<std::uint64_t> dirty_pages(int fd) {
  constexpr long cachestat = 451;
  struct {
    std::uint64_t offset = 0;
    std::uint64_t length = 0;  // to the end
  } range;
  struct {
    std::uint64_t cached, dirty, writeback, evicted, recently_evicted;
  } found{};
  if (syscall(cachestat, fd, &range, &found, 0) != 0) return std::nullopt;
  return found.dirty + found.writeback;
}

// Everything the product promises hangs on this one flag.
TEST_F(LaneTest, DurableWriteLeavesNothingToBeFlushed) {
  const ScratchFile file(1 << 20);  // buffered
  std::vector<std::byte> bytes(65536, std::byte{1});
  Done done;
  FileOperation operation{
      .kind = FileOperation::Kind::write_durable, .fd = file.fd(), .buffer = bytes};
  operation.done = note_done;
  operation.context = &done;
  lane->start(operation);
  drive_until(*lane, [&] { return lane->in_flight() == 0; });
  EXPECT_EQ(done.result, 65536);
  const auto after_durable = dirty_pages(file.fd());
  operation.kind = FileOperation::Kind::write;
  lane->start(operation);
  drive_until(*lane, [&] { return lane->in_flight() == 0; });
  const auto after_plain = dirty_pages(file.fd());
  if (after_durable) {
    EXPECT_EQ(*after_durable, 0U);
    EXPECT_GT(*after_plain, 0U) << "or this test proves nothing";
  }
}

TEST_F(LaneTest, EachKindAsksTheKernelForWhatItMeans) {
  struct Row {
    FileOperation::Kind kind;
    unsigned opcode;
    unsigned flags;
  };
  const std::array rows{Row{FileOperation::Kind::read, IORING_OP_READ, 0},
                        Row{FileOperation::Kind::write, IORING_OP_WRITE, 0},
                        Row{FileOperation::Kind::write_durable, IORING_OP_WRITE, RWF_DSYNC},
                        Row{FileOperation::Kind::sync, IORING_OP_FSYNC, IORING_FSYNC_DATASYNC}};
  for (const Row& row : rows) {
    FileOperation operation{.kind = row.kind};
    const auto asked = kernel_request_of(operation);
    EXPECT_EQ(asked.opcode, row.opcode) << static_cast<int>(row.kind);
    EXPECT_EQ(asked.flags, row.flags) << static_cast<int>(row.kind);
  }
}

TEST_F(LaneTest, ZeroRangeAndPunchHoleZero) {
  const ScratchFile file(1 << 20);
  std::vector<char> ones(1 << 20, 1);
  ASSERT_EQ(pwrite(file.fd(), ones.data(), ones.size(), 0), 1 << 20);
  Done done;
  FileOperation operation{.fd = file.fd(), .offset = {4096}, .length = {8192}};
  operation.done = note_done;
  operation.context = &done;
  for (const FileOperation::Kind kind :
       {FileOperation::Kind::zero_range, FileOperation::Kind::punch_hole}) {
    operation.kind = kind;
    lane->start(operation);
    drive_until(*lane, [&] { return lane->in_flight() == 0; });
    ASSERT_EQ(done.result, 0);
    operation.offset = {65536};
  }
  std::vector<char> now(1 << 20);
  ASSERT_EQ(pread(file.fd(), now.data(), now.size(), 0), 1 << 20);
  for (std::size_t at = 0; at < now.size(); ++at) {
    const bool zeroed = (at >= 4096 && at < 12288) || (at >= 65536 && at < 73728);
    ASSERT_EQ(now[at], zeroed ? 0 : 1) << at;
  }
}

TEST_F(LaneTest, ErrorsArriveAsNegativeErrno) {
  Done done;
  std::array<std::byte, 512> bytes{};
  FileOperation operation{.kind = FileOperation::Kind::read, .fd = -1, .buffer = bytes};
  operation.done = note_done;
  operation.context = &done;
  lane->start(operation);
  drive_until(*lane, [&] { return lane->in_flight() == 0; });
  EXPECT_EQ(done.result, -EBADF);
}

TEST_F(LaneTest, MoreThanTheRingsHoldWaitsInsideAndAllEnd) {
  lane = make({.submission_entries = 4,
               .completion_entries = 8,
               .backings = 1,
               .spare_workers = 64,
               .caps = {}});
  const ScratchFile file(1 << 20);
  std::array<std::byte, 4096> bytes{};
  std::vector<Done> done(1000);
  std::deque<FileOperation> operations;
  for (Done& one : done) {
    operations.push_back({.kind = FileOperation::Kind::read, .fd = file.fd(), .buffer = bytes});
    operations.back().done = note_done;
    operations.back().context = &one;
    lane->start(operations.back());
  }
  EXPECT_EQ(lane->in_flight(), 1000U);
  drive_until(*lane, [&] { return lane->in_flight() == 0; });
  for (const Done& one : done) {
    ASSERT_EQ(one.calls, 1);
    ASSERT_EQ(one.result, 4096);
  }
}

TEST_F(LaneTest, OperationStartedInsideDoneRuns) {
  const ScratchFile file(1 << 20);
  struct Chain {
    UringLane& lane;
    int left;
  } chain{*lane, 5};
  std::array<std::byte, 512> bytes{};
  FileOperation operation{.kind = FileOperation::Kind::read, .fd = file.fd(), .buffer = bytes};
  operation.context = &chain;
  operation.done = [](FileOperation& again, int) noexcept {
    auto& state = *static_cast<Chain*>(again.context);
    if (--state.left > 0) state.lane.start(again);
  };
  lane->start(operation);
  drive_until(*lane, [&] { return lane->in_flight() == 0; });
  EXPECT_EQ(chain.left, 0);
}

TEST_F(LaneTest, PostFromAnotherThreadWakesAndRunsHere) {
  Done done;
  FileOperation operation;
  operation.done = note_done;
  operation.context = &done;
  std::thread poster([&] { lane->post(operation); });
  pollfd wake{.fd = lane->wake_descriptor(), .events = POLLIN, .revents = 0};
  ASSERT_EQ(poll(&wake, 1, 30000), 1);
  poster.join();
  lane->clear_wake();
  EXPECT_EQ(poll(&wake, 1, 0), 0);
  lane->reap();
  EXPECT_EQ(done.calls, 1);
}

TEST_F(LaneTest, BufferGivenBackElsewhereWakesTheWaitersLane) {
  MemoryBudget small(4_KiB);
  auto other = UringLane::create(small);
  auto waiting = UringLane::create(small);
  ASSERT_TRUE(other && waiting);
  auto held = other.value()->buffers().lease(4_KiB);
  struct Waiter final : BufferWaiter {
    bool called = false;
    void buffer_available() override { called = true; }
  } waiter;
  ASSERT_FALSE(waiting.value()->buffers().lease(4_KiB).has_value());
  waiting.value()->buffers().wait(waiter);
  held->release();
  pollfd wake{.fd = waiting.value()->wake_descriptor(), .events = POLLIN, .revents = 0};
  ASSERT_EQ(poll(&wake, 1, 30000), 1);
  waiting.value()->reap();
  EXPECT_TRUE(waiter.called);
}

constexpr std::uint32_t few_workers = 8;

// 200 files of one backing hang in writes; then another backing's file is flushed.
struct HungBackingScenario {
  UringLane& lane;
  HungMemory memory;
  std::vector<int> descriptors;
  std::deque<FileOperation> stuck;
  Done hung_done;
  Done flushed;
  FileOperation flush;

  explicit HungBackingScenario(UringLane& on) : lane(on) {
    const auto hung = IoSource::new_backing();
    for (int at = 0; at < 200; ++at) {
      descriptors.push_back(memfd_create("hung", MFD_CLOEXEC));
      stuck.push_back(
          {.kind = FileOperation::Kind::write, .fd = descriptors.back(), .buffer = memory.bytes()});
      stuck.back().source = IoSource::new_file(hung);
      stuck.back().done = note_done;
      stuck.back().context = &hung_done;
      lane.start(stuck.back());
    }
    lane.submit();
    memory.await_blocked(few_workers);
    descriptors.push_back(memfd_create("good", MFD_CLOEXEC));
    flush.kind = FileOperation::Kind::sync;
    flush.fd = descriptors.back();
    flush.source = IoSource::new_file(IoSource::new_backing());
    flush.done = note_done;
    flush.context = &flushed;
    lane.start(flush);
  }
  void release() {
    memory.release();
    drive_until(lane, [&] { return lane.in_flight() == 0; });
    for (const int descriptor : descriptors) close(descriptor);
  }
};

TEST_F(LaneTest, HungBackingDoesNotStopAnotherBackingsFlush) {
  HungBackingScenario scenario(*lane);
  drive_until(*lane, [&] { return scenario.flushed.calls == 1; });
  EXPECT_EQ(scenario.flushed.result, 0);
  EXPECT_EQ(scenario.hung_done.calls, 0);
  scenario.release();
  EXPECT_EQ(scenario.hung_done.calls, 200);
}

// The same with the guard off: the scenario does hang what it says it hangs.
TEST_F(LaneTest, WithoutCapsAHungBackingStopsEverybodysFlushes) {
  // On a thread of its own: workers are a thread's, and idle ones of other tests would help out.
  std::thread([this] {
    lane = make(
        {.submission_entries = 256,
         .completion_entries = 4096,
         .backings = 0,
         .spare_workers = few_workers,
         .caps = {.transfers_per_file = 1000, .blocking_per_file = 1000, .per_backing = 1000}});
    HungBackingScenario scenario(*lane);
    for (int turn = 0; turn < 20 && scenario.flushed.calls == 0; ++turn) {
      lane->submit();
      pollfd wake{.fd = lane->wake_descriptor(), .events = POLLIN, .revents = 0};
      if (poll(&wake, 1, 20) > 0) lane->clear_wake();
      lane->reap();
    }
    EXPECT_EQ(scenario.flushed.calls, 0);
    scenario.release();
    EXPECT_EQ(scenario.flushed.calls, 1);
    lane.reset();
  }).join();
}

TEST(LaneError, EachCauseSaysWhatToChange) {
  struct Row {
    int error;
    int disabled;
    LaneError::Kind kind;
    const char* advice;
  };
  const std::array rows{
      Row{EPERM, 2, LaneError::Kind::forbidden, "sysctl -w kernel.io_uring_disabled=0"},
      Row{EPERM, 1, LaneError::Kind::forbidden, "kernel.io_uring_disabled is 1"},
      Row{EPERM, 0, LaneError::Kind::forbidden, "seccomp"},
      Row{EACCES, -1, LaneError::Kind::forbidden, "seccomp"},
      Row{ENOSYS, -1, LaneError::Kind::forbidden, "Linux 6.1 or newer"},
      Row{ENOMEM, 0, LaneError::Kind::no_resources, "LimitMEMLOCK"},
      Row{EMFILE, 0, LaneError::Kind::no_resources, "LimitNOFILE"},
      Row{EINVAL, 0, LaneError::Kind::unsupported, "Linux 6.1 or newer"},
  };
  for (const Row& row : rows) {
    const LaneError error = lane_error_of_setup(row.error, row.disabled);
    EXPECT_EQ(error.kind, row.kind) << error.text;
    EXPECT_NE(error.text.find(row.advice), std::string::npos) << error.text;
    EXPECT_EQ(error.text.find('\n'), std::string::npos);
  }
}

}  // namespace
}  // namespace engine
