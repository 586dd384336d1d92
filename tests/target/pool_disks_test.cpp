// What the status tells of a pool's disks, and that the end of a disk's troubles is told once.
#include "target/pool_disks.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>

namespace target {
namespace {

using engine::DiskWork;
using testing::ElementsAre;
using testing::IsEmpty;
using namespace std::chrono_literals;

engine::DiskStatus disk_called(const std::string& path) {
  return {.disk = {.path = path, .device = path, .serial = "WRQ0", .is_whole = true}, .counts = {}};
}

TEST(PoolDisks, CountsAreGivenByKind) {
  engine::DiskStatus disk = disk_called("/dev/sdb");
  engine::DiskWorkCounts& writes = disk.counts.works[static_cast<std::size_t>(DiskWork::write)];
  writes.begun = 5;
  writes.latency.add(engine::LatencyHistogram::step_of(1ms), 3);
  writes.errors = 2;
  writes.timeouts = 1;
  writes.mean = 1500us;
  disk.p99[static_cast<std::size_t>(DiskWork::write)] = 2ms;
  disk.counts.last_fault = {
      .work = DiskWork::write, .error = EIO, .offset = {1024}, .wall = 1234ms};
  const control::DiskStatus status = status_of_disk(disk);
  EXPECT_EQ(status.writes.count, 3U);
  EXPECT_EQ(status.writes.in_flight, 2U);
  EXPECT_EQ(status.writes.errors, 2U);
  EXPECT_EQ(status.writes.timeouts, 1U);
  EXPECT_EQ(status.writes.mean_us, 1500U);
  EXPECT_EQ(status.writes.p99_us, 2000U);
  EXPECT_EQ(status.reads.count + status.syncs.count + status.zeroings.count, 0U);
  ASSERT_TRUE(status.last_error);
  EXPECT_EQ(status.last_error->kind, "write");
  EXPECT_EQ(status.last_error->error, "Input/output error");
  EXPECT_EQ(status.last_error->lba, 2);
  EXPECT_EQ(status.last_error->offset_bytes, 1024U);
  EXPECT_EQ(status.last_error->time_ms, 1234U);
  disk.disk.is_whole = false;
  EXPECT_EQ(status_of_disk(disk).last_error->lba, -1);
}

TEST(PoolDisks, OneIsWellAgainOnce) {
  AilingDisks ailing;
  engine::PoolStatus pool;
  pool.name = "fast";
  pool.disks = {disk_called("/dev/sda"), disk_called("/dev/sdb")};
  EXPECT_THAT(ailing.well_again(pool), IsEmpty());
  pool.disks[1].troubles = {"is slow", "reports errors"};
  EXPECT_THAT(ailing.well_again(pool), IsEmpty());
  pool.disks[1].troubles = {"is slow"};
  EXPECT_THAT(ailing.well_again(pool), IsEmpty()) << "not of everything";
  pool.disks[1].troubles.clear();
  EXPECT_THAT(ailing.well_again(pool), ElementsAre("/dev/sdb (serial WRQ0)"));
  EXPECT_THAT(ailing.well_again(pool), IsEmpty());
}

TEST(PoolDisks, OneThatIsGoneIsNotWell) {
  AilingDisks ailing;
  engine::PoolStatus pool;
  pool.name = "fast";
  pool.disks = {disk_called("/dev/sda")};
  pool.disks[0].troubles = {"is slow"};
  EXPECT_THAT(ailing.well_again(pool), IsEmpty());
  pool.disks.clear();
  EXPECT_THAT(ailing.well_again(pool), IsEmpty());
}

}  // namespace
}  // namespace target
