// What a disk has done, counted; and counted in everything that a file asks of the kernel.
#include "engine/media/disk_health.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <thread>
#include <vector>

#include "engine/foundation/random.h"
#include "tests/engine/media/backing_kit.h"

namespace engine {
namespace {

using namespace std::chrono_literals;
using OperationKind = FileOperation::Kind;

FileOperation operation_of(OperationKind kind, std::uint64_t offset = 0) {
  static std::vector<std::byte> memory(512);
  FileOperation operation;
  operation.kind = kind;
  operation.offset = {offset};
  if (kind == OperationKind::read || kind == OperationKind::write ||
      kind == OperationKind::write_durable) {
    operation.buffer = memory;
  }
  return operation;
}

TEST(LatencyHistogram, StepsFollowEachOtherWithoutAGap) {
  std::size_t last = 0;
  for (std::int64_t micros = 0; micros < 5'000'000; micros += 1 + micros / 50) {
    const std::size_t step = LatencyHistogram::step_of(std::chrono::microseconds(micros));
    ASSERT_TRUE(step == last || step == last + 1) << micros;
    last = step;
    ASSERT_GT(LatencyHistogram::end_of(step), std::chrono::microseconds(micros));
    if (step != 0) {
      ASSERT_LE(LatencyHistogram::end_of(step - 1), std::chrono::microseconds(micros));
    }
    ASSERT_LE(LatencyHistogram::end_of(step).count(), micros * 1250 + 1000);
  }
  EXPECT_EQ(LatencyHistogram::step_of(-5ns), 0U);
  EXPECT_EQ(LatencyHistogram::step_of(std::chrono::hours(1000)), LatencyHistogram::steps - 1);
  EXPECT_GT(LatencyHistogram::end_of(LatencyHistogram::steps - 1), 30s) << "late answers differ";
}

TEST(LatencyHistogram, QuantilesAreOfWhatWasSorted) {
  SeededRandom random(3);
  std::vector<std::chrono::nanoseconds> all;
  LatencyHistogram histogram;
  EXPECT_EQ(histogram.quantile(990), 0ns);
  for (int times = 0; times < 5000; ++times) {
    const auto took = std::chrono::microseconds(1 + random.below(1 + random.below(200'000)));
    all.push_back(took);
    histogram.add(LatencyHistogram::step_of(took), 1);
  }
  std::sort(all.begin(), all.end());
  for (const unsigned per_mille : {1U, 500U, 990U, 999U, 1000U}) {
    const auto exact = all[std::max<std::size_t>(all.size() * per_mille / 1000, 1) - 1];
    EXPECT_GT(histogram.quantile(per_mille), exact);
    EXPECT_LE(histogram.quantile(per_mille).count(), exact.count() * 5 / 4 + 1000) << per_mille;
  }
}

TEST(DiskHealth, CountsEachKindForItself) {
  DiskHealth health;
  health.begins(OperationKind::read);
  health.begins(OperationKind::write);
  health.begins(OperationKind::write_durable);
  health.begins(OperationKind::sync);
  health.begins(OperationKind::zero_range);
  health.begins(OperationKind::punch_hole);
  EXPECT_EQ(health.counts().in_flight(), 6U);
  health.ended(operation_of(OperationKind::read), 512, 1ms);
  health.ended(operation_of(OperationKind::write), 512, 2ms);
  health.ended(operation_of(OperationKind::write_durable), 512, 4ms);
  health.ended(operation_of(OperationKind::sync), 0, 8ms);
  health.ended(operation_of(OperationKind::zero_range), 0, 16ms);
  const DiskHealthCounts counts = health.counts();
  EXPECT_EQ(counts.in_flight(), 1U);
  EXPECT_EQ(counts.of(DiskWork::read).took, 1ms);
  EXPECT_EQ(counts.of(DiskWork::write).took, 6ms);
  EXPECT_EQ(counts.of(DiskWork::write).ended(), 2U);
  EXPECT_EQ(counts.of(DiskWork::sync).ended(), 1U);
  EXPECT_EQ(counts.of(DiskWork::zero).in_flight(), 1U);
  EXPECT_EQ(counts.errors(), 0U);
  EXPECT_FALSE(counts.last_fault);
}

TEST(DiskHealth, TheMeanFollowsWhatIsNew) {
  DiskHealth health;
  const auto run = [&health](int times, std::chrono::nanoseconds took) {
    for (int time = 0; time < times; ++time) {
      health.begins(OperationKind::read);
      health.ended(operation_of(OperationKind::read), 512, took);
    }
    return health.counts().of(DiskWork::read).mean;
  };
  EXPECT_EQ(run(1, 10ms), 10ms);
  EXPECT_EQ(run(1000, 10ms), 10ms);
  const auto soon = run(64, 100ms);
  EXPECT_GT(soon, 60ms);
  EXPECT_LT(soon, 75ms);
  EXPECT_GT(run(1000, 100ms), 99ms);
}

TEST(DiskHealth, FaultsAreTheDisksOwn) {
  DiskHealth health;
  const auto fail = [&health](OperationKind kind, int result, std::uint64_t offset = 0) {
    health.begins(kind);
    health.ended(operation_of(kind, offset), result, 1ms);
    return health.counts();
  };
  for (const int error :
       {EAGAIN, ECANCELED, EINTR, ENOMEM, ENOSPC, EDQUOT, EFBIG, EOPNOTSUPP, ENOSYS, EINVAL}) {
    EXPECT_EQ(fail(OperationKind::write, -error).errors(), 0U) << error;
  }
  EXPECT_EQ(fail(OperationKind::sync, 0).errors(), 0U);
  EXPECT_EQ(fail(OperationKind::read, -EIO, 4096).of(DiskWork::read).errors, 1U);
  const auto last = fail(OperationKind::write_durable, -EREMOTEIO, 1 << 20);
  EXPECT_EQ(last.of(DiskWork::write).errors, 1U);
  ASSERT_TRUE(last.last_fault);
  EXPECT_EQ(last.last_fault->work, DiskWork::write);
  EXPECT_EQ(last.last_fault->error, EREMOTEIO);
  EXPECT_EQ(last.last_fault->offset.value, 1U << 20);
  EXPECT_GT(last.last_fault->wall, std::chrono::hours(24 * 365 * 50));
  EXPECT_EQ(last.timeouts(), 0U);
  EXPECT_EQ(fail(OperationKind::sync, -ETIMEDOUT).timeouts(), 1U);
  EXPECT_EQ(fail(OperationKind::read, 0).last_fault->error, EIO) << "the file has become shorter";
  EXPECT_EQ(health.counts().errors(), 4U);
}

TEST(DiskHealth, AnAnswerThatComesTooLateIsATimeOutAndNoError) {
  DiskHealth health;
  health.begins(OperationKind::read);
  health.ended(operation_of(OperationKind::read), 512, 31s);
  EXPECT_EQ(health.counts().timeouts(), 1U);
  EXPECT_EQ(health.counts().errors(), 0U);
  health.begins(OperationKind::read);
  health.ended(operation_of(OperationKind::read), -EIO, 31s);
  EXPECT_EQ(health.counts().timeouts(), 2U);
  EXPECT_EQ(health.counts().errors(), 1U);
}

TEST(DiskHealth, ManyThreadsLoseNothing) {
  DiskHealth health;
  constexpr std::uint64_t each = 20000;
  std::vector<std::thread> threads;
  for (int number = 0; number < 3; ++number) {
    threads.emplace_back([&health] {
      for (std::uint64_t time = 0; time < each; ++time) {
        health.begins(OperationKind::write);
        health.ended(operation_of(OperationKind::write), time % 100 == 0 ? -EIO : 512, 1us);
      }
    });
  }
  for (int times = 0; times < 50; ++times) {
    const DiskHealthCounts counts = health.counts();
    EXPECT_LE(counts.of(DiskWork::write).ended(), counts.of(DiskWork::write).begun);
  }
  for (std::thread& thread : threads) thread.join();
  const DiskHealthCounts counts = health.counts();
  EXPECT_EQ(counts.of(DiskWork::write).ended(), 3 * each);
  EXPECT_EQ(counts.errors(), 3 * each / 100);
  EXPECT_EQ(counts.of(DiskWork::write).took, 3 * each * 1us);
}

// Direct operations, and all that read-modify-write, zeroing and repeating make of one.
class CountedFile : public testing::Test {
 protected:
  IoStatus run(BackingIo::Kind kind, std::uint64_t offset, std::uint64_t length,
               bool durable = false) {
    const bool has_data = kind == BackingIo::Kind::read || kind == BackingIo::Kind::write;
    BackingIo io{.kind = kind, .durable = durable, .offset = {offset}};
    if (has_data) io.buffer = std::span(memory).first(length);
    io.length = {length};
    return run_to_end(device, lane, io);
  }

  MemoryBudget budget{16_MiB};
  SimDisk disk{1_MiB, 1};
  SimLane lane{budget, 1};
  std::shared_ptr<DiskHealth> health = std::make_shared<DiskHealth>();
  FileDevice device{OpenFile::borrowed(lane.attach(disk), native_4k),
                    1_MiB,
                    IoSource::new_file(IoSource::new_backing()),
                    FileSpace::as_asked,
                    nullptr,
                    health};
  std::vector<std::byte> memory = std::vector<std::byte>(65536);
};

TEST_F(CountedFile, EverythingThatIsAskedOfTheKernelIsCounted) {
  ASSERT_EQ(run(BackingIo::Kind::write, 512, 512), IoStatus::ok);
  EXPECT_EQ(health->counts().of(DiskWork::read).ended(), 1U) << "read, modify, write";
  EXPECT_EQ(health->counts().of(DiskWork::write).ended(), 1U);
  ASSERT_EQ(run(BackingIo::Kind::sync, 0, 0), IoStatus::ok);
  ASSERT_EQ(run(BackingIo::Kind::discard, 0, 65536, true), IoStatus::ok);
  EXPECT_EQ(health->counts().of(DiskWork::sync).ended(), 2U);
  EXPECT_EQ(health->counts().of(DiskWork::zero).ended(), 1U);
  lane.fail_next(FileOperation::Kind::sync, EAGAIN);
  ASSERT_EQ(run(BackingIo::Kind::sync, 0, 0), IoStatus::ok);
  EXPECT_EQ(health->counts().of(DiskWork::sync).ended(), 4U) << "asked again";
  EXPECT_EQ(health->counts().errors(), 0U);
  EXPECT_EQ(health->counts().in_flight(), 0U);
  EXPECT_LT(health->counts().of(DiskWork::sync).mean, 20s) << "since it was handed over";
  lane.fail_next(FileOperation::Kind::read, EIO);
  ASSERT_EQ(run(BackingIo::Kind::read, 8192, 4096), IoStatus::media_error);
  ASSERT_TRUE(health->counts().last_fault);
  EXPECT_EQ(health->counts().last_fault->offset.value, 8192U);
}

TEST(DiskSilence, IsOfADiskThatHasTransfersToDoAndEndsNothing) {
  DiskHealth health;
  const Instant begin{1h};
  const auto read = operation_of(OperationKind::read);
  EXPECT_EQ(health.silent_since(begin), std::nullopt);
  health.begins(OperationKind::read);
  health.begins(OperationKind::write);
  EXPECT_EQ(health.silent_since(begin + 1s), std::nullopt);
  EXPECT_EQ(health.silent_since(begin + 2s), std::nullopt);
  EXPECT_EQ(health.silent_since(begin + 3s), begin) << "the last look before it was asked";
  EXPECT_EQ(health.silent_since(begin + 3s), begin) << "asked of it by another volume";
  EXPECT_EQ(health.silent_since(begin + 60s), begin);
  // Whatever it answers, it answers.
  health.ended(read, -EIO, 60s);
  EXPECT_EQ(health.silent_since(begin + 61s), std::nullopt);
  EXPECT_EQ(health.silent_since(begin + 64s), begin + 61s) << "the other one is still there";
  health.ended(operation_of(OperationKind::write), 512, 64s);
  EXPECT_EQ(health.silent_since(begin + 65s), std::nullopt);
}

TEST(DiskSilence, ADiskThatOnlySyncsOrZeroesMayTakeItsTime) {
  DiskHealth health;
  health.begins(OperationKind::sync);
  const Instant begin{1h};
  for (int second = 0; second < 20; ++second) {
    EXPECT_EQ(health.silent_since(begin + std::chrono::seconds(second)), std::nullopt);
  }
}

// The kernel itself, in which something may wait before it is handed over.
TEST(CountedUring, TimesAreOfTheKernelAlone) {
  FileKit kit(1_MiB, ".");
  auto health = std::make_shared<DiskHealth>();
  auto file = OpenFile::open(kit.path(), 1_MiB);
  ASSERT_TRUE(file) << file.error();
  FileDevice device(std::move(file.value()), 1_MiB, IoSource::new_file(IoSource::new_backing()),
                    FileSpace::as_asked, nullptr, health);
  std::vector<std::byte> memory(4096);
  bool has_ended = false;
  BackingIo io{.kind = BackingIo::Kind::write, .durable = true, .buffer = memory};
  io.context = &has_ended;
  io.done = [](BackingIo& ended, IoStatus) noexcept { *static_cast<bool*>(ended.context) = true; };
  const Instant before = SystemClock().now();
  device.submit(kit.lane(), io);
  drive_until(kit.lane(), [&has_ended] { return has_ended; });
  const auto took = SystemClock().now() - before;
  const DiskHealthCounts counts = health->counts();
  EXPECT_GT(counts.of(DiskWork::write).took + counts.of(DiskWork::read).took, 0ns);
  EXPECT_LE(counts.of(DiskWork::write).took, took);
}

}  // namespace
}  // namespace engine
