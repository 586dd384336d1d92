// Disks of pools that are slow, fail or hang: named, once, until they are well again.
#include "engine/volume/disk_keeper.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cerrno>
#include <utility>

#include "tests/engine/volume/volume_kit.h"
#include "tests/sim/sim_clock.h"

namespace engine {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;

constexpr FileGeometry direct_geometry{
    .offset_alignment = 4096, .memory_alignment = 4096, .direct = true, .never_buffered = true};

// A simulated disk that answers after as long as it is told to, by the clock that counts.
class SlowDisk {
 public:
  SlowDisk(SimLane& lane, std::string path, bool is_rotational = true, bool is_whole = true)
      : lane_(lane),
        disk_{.path = path,
              .device = std::move(path),
              .model = "ST8000",
              .serial = "WRQ0",
              .is_rotational = is_rotational,
              .is_whole = is_whole,
              .health = std::make_shared<DiskHealth>()} {}

  void run(BackingIo::Kind kind, std::chrono::nanoseconds took, int times = 1) {
    for (int time = 0; time < times; ++time) {
      bool has_ended = false;
      const bool has_data = kind != BackingIo::Kind::sync;
      BackingIo io{.kind = kind, .offset = {has_data ? 8192U : 0U}};
      if (has_data) io.buffer = memory_.bytes;
      io.context = &has_ended;
      io.done = [](BackingIo& ended, IoStatus) noexcept {
        *static_cast<bool*>(ended.context) = true;
      };
      device_.submit(lane_, io);
      lane_.submit();
      io.file.handed = {io.file.handed.since_start - took};
      drive_until(lane_, [&has_ended] { return has_ended; });
    }
  }
  // Has been asked something, and does not answer.
  void begin() { disk_.health->begins(FileOperation::Kind::read); }
  void answer() { disk_.health->ended({}, -ETIMEDOUT, 50s); }

  [[nodiscard]] const PoolDisk& disk() const { return disk_; }
  [[nodiscard]] const FileDevice& device() const { return device_; }

 private:
  struct Memory {
    alignas(4096) std::array<std::byte, 4096> bytes{};
  };
  SimLane& lane_;
  PoolDisk disk_;
  Memory memory_;
  SimDisk media_{1_MiB, 1};
  FileDevice device_{OpenFile::borrowed(lane_.attach(media_), direct_geometry),
                     1_MiB,
                     IoSource::new_file(IoSource::new_backing()),
                     FileSpace::as_asked,
                     nullptr,
                     disk_.health};
};

class DiskKeeperTest : public testing::Test {
 protected:
  void look() {
    clock.advance(DiskKeeper::period);
    keeper.look();
  }
  // Each of the pool's disks reads a hundred times, the first as slowly as told.
  void read_all(std::chrono::nanoseconds first, std::chrono::nanoseconds others) {
    a.run(BackingIo::Kind::read, first, 100);
    b.run(BackingIo::Kind::read, others, 100);
    c.run(BackingIo::Kind::read, others, 100);
  }
  [[nodiscard]] std::vector<std::string> told() const {
    std::vector<std::string> texts;
    for (const Finding& finding : keeper.findings()) {
      EXPECT_EQ(finding.about, Finding::About::pool_disk);
      EXPECT_EQ(finding.name, "fast");
      texts.push_back(finding.text);
    }
    return texts;
  }
  [[nodiscard]] DiskStatus status(const SlowDisk& disk) const {
    return keeper.status_of({disk.disk()}).at(0);
  }

  MemoryBudget budget{16_MiB};
  SimLane lane{budget, 1};
  SlowDisk a{lane, "/dev/sda"};
  SlowDisk b{lane, "/dev/sdb"};
  SlowDisk c{lane, "/dev/sdc"};
  SlowDisk image{lane, "/srv/pool", true, false};
  std::vector<DiskKeeper::PoolDisks> pools{
      {.pool = "fast", .disks = {a.disk(), b.disk(), c.disk()}}};
  target::SimClock clock;
  DiskKeeper keeper{[this] { return pools; }, clock};
};

TEST_F(DiskKeeperTest, AMemberThatIsTenTimesAsSlowAsItsPeersIsNamedUntilItIsNot) {
  for (int looks = 0; looks < 5; ++looks) {
    read_all(20ms, 20ms);
    look();
  }
  EXPECT_THAT(told(), IsEmpty());
  for (int looks = 0; looks < 3; ++looks) {
    EXPECT_THAT(told(), IsEmpty()) << looks;
    read_all(200ms, 20ms);
    look();
  }
  const auto first = told();
  ASSERT_EQ(first.size(), 1U);
  EXPECT_THAT(first[0], StartsWith("/dev/sda (ST8000, serial WRQ0) is slow since "));
  EXPECT_THAT(first[0], HasSubstr("99 of 100 reads take up to 2"));
  EXPECT_THAT(first[0], HasSubstr(" on its peers"));
  EXPECT_THAT(status(a).outlier, HasSubstr("99 of 100 reads"));
  EXPECT_GE(status(a).p99[0], 200ms);
  EXPECT_EQ(status(b).outlier, "");
  EXPECT_THAT(status(b).troubles, IsEmpty());
  read_all(250ms, 20ms);
  look();
  EXPECT_EQ(told(), first) << "the same line is no news";
  for (unsigned looks = 0; looks < DiskJudge::calm_looks; ++looks) {
    EXPECT_EQ(told(), first) << looks;
    read_all(20ms, 20ms);
    look();
  }
  EXPECT_THAT(told(), IsEmpty());
  EXPECT_EQ(status(a).outlier, "");
}

TEST_F(DiskKeeperTest, AnErrorIsNamedWithItsBlock) {
  lane.fail_next(FileOperation::Kind::read, EIO);
  b.run(BackingIo::Kind::read, 1ms);
  look();
  EXPECT_THAT(told(), ElementsAre("/dev/sdb (ST8000, serial WRQ0) reports errors since 1970-01-01 "
                                  "01:00:10 UTC: a read at LBA 16 failed: Input/output error"));
  EXPECT_EQ(status(b).counts.errors(), 1U);
  EXPECT_EQ(b.device().errors(), 1U);
  lane.fail_next(FileOperation::Kind::sync, EIO);
  b.run(BackingIo::Kind::sync, 1ms);
  for (unsigned looks = 0; looks < DiskJudge::calm_looks; ++looks) {
    look();
    EXPECT_EQ(told().size(), 1U) << looks;
  }
  look();
  EXPECT_THAT(told(), IsEmpty());
  lane.fail_next(FileOperation::Kind::sync, EIO);
  c.run(BackingIo::Kind::sync, 1ms);
  look();
  EXPECT_THAT(told(), ElementsAre(HasSubstr(": a sync failed: Input/output error")));
  EXPECT_EQ(status(b).counts.errors(), 2U) << "what has been stays counted";
}

TEST_F(DiskKeeperTest, InAnImageAnErrorHasAPlaceInThat) {
  pools = {{.pool = "fast", .disks = {image.disk()}}};
  lane.fail_next(FileOperation::Kind::write, EIO);
  image.run(BackingIo::Kind::write, 1ms);
  look();
  EXPECT_THAT(told(), ElementsAre(HasSubstr("a write at byte 8192 of a file there failed")));
}

TEST_F(DiskKeeperTest, ADiskThatDoesNotAnswerIsNamedAndThenSaidToBeLate) {
  look();
  a.begin();
  for (int looks = 0; looks < 4; ++looks) look();
  EXPECT_THAT(told(), ElementsAre(HasSubstr("/dev/sda (ST8000, serial WRQ0) has not answered since "
                                            "1970-01-01 01:00:")));
  a.answer();
  look();
  EXPECT_THAT(told(), ElementsAre(HasSubstr("reports errors"), HasSubstr("answers too late")));
  EXPECT_EQ(status(a).counts.timeouts(), 1U);
}

// Of two pools with one disk each: a rotating disk is slower than an SSD by nature.
TEST_F(DiskKeeperTest, PeersInOtherPoolsAreOfItsKind) {
  SlowDisk ssd(lane, "/dev/nvme0n1", false);
  pools = {{.pool = "fast", .disks = {a.disk()}}, {.pool = "flash", .disks = {ssd.disk()}}};
  const auto look_at = [&](SlowDisk& other) {
    a.run(BackingIo::Kind::read, 200ms, 100);
    other.run(BackingIo::Kind::read, 10ms, 100);
    look();
  };
  for (int looks = 0; looks < 6; ++looks) look_at(ssd);
  EXPECT_THAT(told(), IsEmpty());
  pools[1].disks = {b.disk()};
  for (int looks = 0; looks < 6; ++looks) look_at(b);
  EXPECT_THAT(told(), ElementsAre(HasSubstr("is slow")));
}

TEST_F(DiskKeeperTest, OneThatNoPoolHasAnyMoreIsForgotten) {
  lane.fail_next(FileOperation::Kind::read, EIO);
  b.run(BackingIo::Kind::read, 1ms);
  look();
  EXPECT_EQ(told().size(), 1U);
  pools[0].disks = {a.disk(), c.disk()};
  look();
  EXPECT_THAT(told(), IsEmpty());
  EXPECT_EQ(status(b).counts.errors(), 1U) << "of whoever asks for it nevertheless";
}

TEST_F(DiskKeeperTest, ItsThreadEndsWhenItIsTold) {
  keeper.start();
  keeper.stop();
  EXPECT_THAT(told(), IsEmpty());
}

}  // namespace
}  // namespace engine
