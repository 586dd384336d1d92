// CacheKeeper: what comes late, fails, hangs or is cut off, and what ends in time all the same.
#include "tests/engine/volume/cache_keeper_kit.h"

namespace engine {
namespace {

using Kind = VolumeIo::Kind;
using State = format::CacheBindingState;
constexpr Duration moment = std::chrono::milliseconds(300);

// ---- joining

TEST_P(CacheKeeperTest, TheRecordIsDirtyBeforeAnythingIsServed) {
  records.set(Records::Mode::hold);
  {
    Keeping now(*this, {cached("db01", disk_size)}, cache());
    now.keeper.start();
    now[0].come();
    ASSERT_TRUE(Life::wait_for([this] { return records.asked() == 1; }));
    std::this_thread::sleep_for(moment);
    EXPECT_EQ(now[0].volume.state(), VolumeState::late);
    EXPECT_EQ(now.read(0, 0), -static_cast<int>(IoStatus::unavailable));
    EXPECT_TRUE(now.stop(patience)) << "nobody waits for the pool";
  }
  // Cut off there: nothing is known of it but the cache's entry.
  records.set(Records::Mode::write);
  Keeping now(*this, {cached("db01", disk_size)}, cache());
  now.start();
  EXPECT_EQ(now[0].volume.state(), VolumeState::online) << now[0].reason();
  EXPECT_EQ(records.of("db01").state, State::dirty);
}

// The start of the next life is cut off between the cache's entry and the pool's record, once and
// again, or right behind it: what the cache has is still the volume's.
TEST_P(CacheKeeperTest, AStartThatIsCutOffWhileResumingLosesNothing) {
  {
    Keeping now(*this, {cached("db01", disk_size)}, cache());
    now.start();
    ASSERT_EQ(now.write(0, 7, 0x42), IoStatus::ok);
  }
  const CacheBinding before = records.of("db01");
  ASSERT_EQ(before.state, State::dirty);
  for (int time = 0; time < 3; ++time) {
    records.set(Records::Mode::hold);
    Keeping now(*this, {cached("db01", disk_size)}, cache());
    now.keeper.start();
    now[0].come();
    ASSERT_TRUE(Life::wait_for([&] { return records.asked() == 2 + time; }));
    EXPECT_TRUE(now.stop(patience));
  }
  EXPECT_EQ(records.of("db01"), before);
  records.set(Records::Mode::write);
  Keeping now(*this, {cached("db01", disk_size)}, cache());
  now.start();
  ASSERT_EQ(now[0].volume.state(), VolumeState::online) << now[0].reason();
  EXPECT_EQ(now.read(0, 7), 0x42);
  EXPECT_EQ(records.of("db01").epoch, before.epoch + 1);
}

TEST_P(CacheKeeperTest, ARecordThatCannotBeWrittenIsTriedAgain) {
  records.set(Records::Mode::refuse);
  Keeping now(*this, {cached("db01", disk_size)}, cache());
  now.start();
  EXPECT_EQ(now[0].volume.state(), VolumeState::late);
  EXPECT_TRUE(contains(now[0].reason(), "the table is full")) << now[0].reason();
  ASSERT_EQ(now.keeper.findings().size(), 1U);
  EXPECT_EQ(now.keeper.findings()[0].text, now[0].reason());
  now.keeper.try_now();
  EXPECT_TRUE(now.keeper.await_idle(SystemClock().now() + patience));
  EXPECT_GE(records.asked(), 2);
  records.set(Records::Mode::write);
  EXPECT_TRUE(Life::wait_for([&] { return now[0].volume.state() == VolumeState::online; }));
  EXPECT_TRUE(now.keeper.findings().empty());
}

TEST_P(CacheKeeperTest, VolumesThatFindNoSlotAreLateAndTheOthersServed) {
  std::filesystem::remove(path_of("pmem0"));
  ASSERT_TRUE(create_pmem_file(path_of("pmem0"), 32_MiB));
  {
    auto region = open_pmem_region(path_of("pmem0"), {});
    ASSERT_TRUE(region);
    FormatOptions options;
    options.uuid = Uuid::random();
    options.layout.volume_slots = 1;
    ASSERT_TRUE(format_cache(*region.value(), options));
  }
  Keeping now(*this, {cached("db01", disk_size), cached("db02", disk_size)}, cache());
  now.start();
  EXPECT_EQ(now[0].volume.state(), VolumeState::online) << now[0].reason();
  EXPECT_EQ(now[1].volume.state(), VolumeState::late);
  EXPECT_TRUE(contains(now[1].reason(), "volume slots are taken")) << now[1].reason();
  EXPECT_EQ(records.of("db02").state, State::none);
}

// ---- what is late

TEST_P(CacheKeeperTest, ADeviceThatComesLateIsFoundWithoutBeingAsked) {
  move("pmem0", "away");
  Keeping now(*this, {cached("db01", disk_size)}, cache());
  now.start();
  EXPECT_EQ(now[0].volume.state(), VolumeState::late);
  EXPECT_TRUE(contains(now[0].reason(), "pmem0")) << now[0].reason();
  EXPECT_FALSE(now.keeper.status().open);
  ASSERT_EQ(now.keeper.findings().size(), 1U);
  EXPECT_EQ(now.keeper.findings()[0].about, Finding::About::cache_device);
  move("away", "pmem0");
  EXPECT_TRUE(Life::wait_for([&] { return now[0].volume.state() == VolumeState::online; }));
  EXPECT_TRUE(now.keeper.status().open);
  EXPECT_EQ(now.write(0, 7, 0x42), IoStatus::ok);
  EXPECT_TRUE(now.keeper.findings().empty());
}

TEST_P(CacheKeeperTest, WithoutMemoryForItsIndexADeviceIsLateAndSaysHowMuchItTakes) {
  Keeping now(*this, {cached("db01", disk_size)}, cache(), 20_MiB);
  now.start();
  EXPECT_FALSE(now.keeper.status().open);
  EXPECT_EQ(now[0].volume.state(), VolumeState::late);
  ASSERT_EQ(now.keeper.findings().size(), 1U);
  const Finding finding = now.keeper.findings()[0];
  EXPECT_EQ(finding.about, Finding::About::memory);
  EXPECT_EQ(finding.name, "pmem0");
  EXPECT_EQ(finding.text,
            "cache device pmem0 needs 17MiB for its index; with transfers and the other caches "
            "that makes 21MiB, and there are 20MiB. Write memory: 21MiB or more. (Until then its "
            "volumes are not served.)");
  EXPECT_TRUE(contains(now[0].reason(), "Write memory: 21MiB")) << now[0].reason();
  EXPECT_EQ(now.budget.reserved(), ByteCount{});
  EXPECT_EQ(records.of("db01").state, State::none) << "nothing was begun";
}

TEST_P(CacheKeeperTest, TheIndexIsReservedWhileTheDeviceIsOpen) {
  MemoryBudget* budget = nullptr;
  {
    Keeping now(*this, {cached("db01", disk_size)}, cache(), 21_MiB);
    now.start();
    ASSERT_EQ(now[0].volume.state(), VolumeState::online) << now[0].reason();
    budget = &now.budget;
    EXPECT_GT(budget->reserved(), 16_MiB);
    EXPECT_EQ(now.write(0, 7, 0x42), IoStatus::ok);
    EXPECT_EQ(now.read(0, 7), 0x42);
  }
}

TEST_P(CacheKeeperTest, ABackingThatComesLateJoinsADeviceThatIsThere) {
  Keeping now(*this, {cached("db01", disk_size), cached("db02", disk_size)}, cache());
  now.keeper.start();
  now[0].come();
  EXPECT_TRUE(Life::wait_for([&] { return now[0].volume.state() == VolumeState::online; }));
  EXPECT_EQ(now[1].volume.state(), VolumeState::late);
  EXPECT_EQ(now[1].reason(), "its pool has not come yet");
  EXPECT_TRUE(now.keeper.findings().empty()) << "that is its pool's to tell";
  ASSERT_EQ(now.write(0, 7, 0x42), IoStatus::ok);
  now[1].come();
  EXPECT_TRUE(Life::wait_for([&] { return now[1].volume.state() == VolumeState::online; }));
  EXPECT_EQ(now.write(1, 7, 0x43), IoStatus::ok);
  EXPECT_EQ(now.read(0, 7), 0x42);
}

// In page granularity its writes are committed by the very thread that waits for the log.
TEST_P(CacheKeeperTest, AVolumeIsServedWhileTheLogOfAnotherIsRead) {
  Keeping now(*this, {cached("db01", disk_size), cached("db02", disk_size)}, cache());
  now.keeper.start();
  now[0].come();
  ASSERT_TRUE(Life::wait_for([&] { return now[0].volume.state() == VolumeState::online; }));
  std::promise<void> go;
  const auto gone = go.get_future().share();
  for (std::size_t busy = 0; busy < now.workers.width(); ++busy) {
    now.workers.begin(0, [gone] { gone.wait(); });
  }
  now[1].come();
  ASSERT_TRUE(Life::wait_for([&] { return contains(now[1].reason(), "is being read"); }));
  EXPECT_EQ(now[1].volume.state(), VolumeState::late);
  EXPECT_FALSE(now.keeper.await_idle(SystemClock().now() + moment));
  for (std::uint64_t lba = 0; lba < 50; ++lba) {
    ASSERT_EQ(now.write(0, lba, static_cast<int>(lba)), IoStatus::ok);
    ASSERT_EQ(now.read(0, lba), static_cast<int>(lba));
  }
  EXPECT_EQ(now.write(1, 7, 1), IoStatus::unavailable);
  go.set_value();
  EXPECT_TRUE(Life::wait_for([&] { return now[1].volume.state() == VolumeState::online; }));
  EXPECT_EQ(now.write(1, 7, 1), IoStatus::ok);
  EXPECT_TRUE(now.keeper.findings().empty());
}

// Somebody still looks at the device: it must stay.
TEST_P(CacheKeeperTest, TheEndWaitsForWhoReadsALog) {
  Keeping now(*this, {cached("db01", disk_size)}, cache());
  std::promise<void> go;
  const auto gone = go.get_future().share();
  for (std::size_t busy = 0; busy < now.workers.width(); ++busy) {
    now.workers.begin(0, [gone] { gone.wait(); });
  }
  now.keeper.start();
  now[0].come();
  ASSERT_TRUE(Life::wait_for([&] { return contains(now[0].reason(), "is being read"); }));
  now.workers.give_up();
  EXPECT_FALSE(now.stop(moment));
  go.set_value();
  EXPECT_TRUE(now.stop(patience));
  EXPECT_EQ(now[0].volume.state(), VolumeState::late);
  EXPECT_EQ(records.of("db01").state, State::dirty);
}

TEST_P(CacheKeeperTest, StopsInEveryPhase) {
  const std::vector<VolumeSpec> specs{cached("db01", disk_size)};
  {
    Keeping now(*this, specs, cache());
    now.keeper.start();
    EXPECT_TRUE(now.stop(patience)) << "at once";
  }
  {
    Keeping now(*this, specs, cache());
    now.keeper.start();
    EXPECT_TRUE(now.keeper.await_idle(SystemClock().now() + patience));
    EXPECT_TRUE(now.stop(patience)) << "no backing has come";
    now[0].come();  // too late
    EXPECT_EQ(now[0].volume.state(), VolumeState::late);
  }
  for (int delay = 0; delay < 20; ++delay) {
    Keeping now(*this, specs, cache());
    now.keeper.start();
    now[0].come();
    std::this_thread::sleep_for(std::chrono::microseconds(delay * delay * 100));
    EXPECT_TRUE(now.stop(patience)) << delay;
  }
  move("pmem0", "away");
  {
    Keeping now(*this, specs, cache());
    now.start();
    EXPECT_TRUE(now.stop(patience)) << "the device is late";
  }
  move("away", "pmem0");
  Keeping now(*this, specs, cache());
  now.start();
  EXPECT_EQ(now[0].volume.state(), VolumeState::online) << now[0].reason();
}

// ---- backings that fail or hang

TEST_P(CacheKeeperTest, ABackingThatFailsLeavesTheVolumeDegradedUntilItWorksAgain) {
  db01.backing.fail_syncs(true);
  Keeping now(*this, {cached("db01", disk_size, "pmem0", soon)}, cache());
  now.start();
  ASSERT_EQ(now.write(0, 7, 0x42), IoStatus::ok);
  ASSERT_TRUE(Life::wait_for([&] { return now[0].volume.state() == VolumeState::degraded; }));
  ASSERT_TRUE(Life::wait_for([&] { return contains(now[0].reason(), "1 MiB of writes are kept"); }))
      << now[0].reason();
  EXPECT_EQ(now[0].backed.state(), VolumeState::failed) << "so that its pool reopens it";
  EXPECT_EQ(now.write(0, 8, 0x43), IoStatus::ok) << "the cache takes them";
  EXPECT_EQ(now.read(0, 7), 0x42);
  EXPECT_EQ(now.read(0, 9), 0);
  // A try that has no answer yet does not make it well.
  db01.backing.hang(true);
  db01.backing.fail_syncs(false);
  db01.backing.reopen();
  now[0].backed.recover({disk_size.value / block}, {});
  ASSERT_TRUE(Life::wait_for([&] { return db01.backing.held() > 0; }));
  for (std::uint64_t lba = 10; lba < 10 + (1U << 20) / block; ++lba) {
    ASSERT_EQ(now.write(0, lba, 0x44), IoStatus::ok);
  }
  EXPECT_TRUE(Life::wait_for([&] { return contains(now[0].reason(), "fails; 2 MiB of writes"); }))
      << now[0].reason();
  db01.backing.hang(false);
  ASSERT_TRUE(Life::wait_for([&] { return now[0].volume.state() == VolumeState::online; }))
      << now[0].reason();
  ASSERT_TRUE(Life::wait_for([&] { return now.keeper.status().dirty == ByteCount{}; }));
  EXPECT_EQ(now[0].reason(), "");
  EXPECT_EQ(std::to_integer<int>(db01.backing.disk().durable()[7 * block]), 0x42);
  EXPECT_EQ(std::to_integer<int>(db01.backing.disk().durable()[8 * block]), 0x43);
}

// Writes of the volume that hangs fill all that it may have, and wait; the other one goes on.
TEST_P(CacheKeeperTest, AHungBackingHoldsUpOnlyItsOwnVolume) {
  VolumeSpec hung = cached("db01", disk_size);
  hung.cache->maximum = 12_MiB;
  Keeping now(*this, {hung, cached("db02", disk_size)}, cache());
  now.start();
  db01.backing.hang(true);
  std::atomic<int> answered{0};
  auto writer = std::thread([&] {
    auto lane = std::move(UringLane::create(now.budget).value());
    std::vector<std::byte> data(256 * 1024, std::byte{7});
    for (std::uint64_t at = 0; at < 96; ++at) {
      EXPECT_EQ(run(now[0].volume, *lane, Kind::write, at * 64, 64, data), IoStatus::ok);
      answered.fetch_add(1);
    }
    finish(*lane);
  });
  // It has filled its share when nothing more is answered.
  int before = -1;
  EXPECT_TRUE(Life::wait_for([&] {
    std::this_thread::sleep_for(moment);
    return std::exchange(before, answered.load()) == answered.load();
  }));
  EXPECT_LT(answered.load(), 60);
  const auto begin = std::chrono::steady_clock::now();
  for (std::uint64_t lba = 0; lba < 300; ++lba) {
    ASSERT_EQ(now.write(1, lba, static_cast<int>(lba % 251)), IoStatus::ok);
    ASSERT_EQ(now.read(1, lba), static_cast<int>(lba % 251));
    ASSERT_EQ(now.read(1, 7'000 + lba), 0) << "from its own backing";
  }
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(10));
  EXPECT_EQ(now.read(0, 0), 7) << "what the cache has";
  ASSERT_TRUE(Life::wait_for([&] { return now[0].volume.state() == VolumeState::degraded; }));
  EXPECT_TRUE(contains(now[0].reason(), "does not answer")) << now[0].reason();
  EXPECT_EQ(now[1].volume.state(), VolumeState::online) << now[1].reason();
  db01.backing.hang(false);
  writer.join();
}

// Nothing may be answered any more once the device could not be written.
TEST_P(CacheKeeperTest, ADeviceThatFailsInServiceTakesNoMoreWrites) {
  if (!in_pages()) return;  // lines of memory fail by themselves only
  Keeping now(*this, {cached("db01", disk_size)}, cache());
  now.start();
  ASSERT_EQ(now.write(0, 7, 0x42), IoStatus::ok);
  ASSERT_EQ(::truncate(path_of("pmem0").c_str(), 31 << 20), 0);
  EXPECT_EQ(now.write(0, 8, 0x43), IoStatus::sync_failed);
  EXPECT_EQ(now.write(0, 9, 0x43), IoStatus::sync_failed);
  ASSERT_TRUE(Life::wait_for([&] { return now[0].volume.state() == VolumeState::failed; }));
  EXPECT_TRUE(contains(now[0].reason(), "writes are refused")) << now[0].reason();
  ASSERT_EQ(now.keeper.findings().size(), 1U);
  EXPECT_EQ(now.keeper.findings()[0].about, Finding::About::cache_device);
  EXPECT_EQ(now.read(0, 7), 0x42);
  EXPECT_TRUE(now.stop(patience));
  EXPECT_EQ(records.of("db01").state, State::dirty);
}

// Stopped in the middle of a batch: it ends, and nothing more is begun.
TEST_P(CacheKeeperTest, ABatchThatIsUnderWayEndsBeforeTheStop) {
  Keeping now(*this, {cached("db01", disk_size, "pmem0", soon)}, cache());
  now.start();
  db01.backing.hold(true);
  // One command, so that all of it is in the batch.
  constexpr std::uint64_t blocks = 64;
  std::vector<std::byte> data(blocks * block);
  for (std::uint64_t at = 0; at < data.size(); ++at) data[at] = std::byte(at / block);
  ASSERT_EQ(run(now.volumes[0].volume, *now.lane, Kind::write, 0, blocks, data), IoStatus::ok);
  ASSERT_TRUE(Life::wait_for([&] { return db01.backing.held() > 0; }));
  EXPECT_FALSE(now.stop(moment));
  db01.backing.hold(false);
  db01.backing.release_all();
  EXPECT_TRUE(now.stop(patience));
  EXPECT_EQ(records.of("db01").state, State::clean);
  for (std::uint64_t lba = 0; lba < blocks; ++lba) {
    ASSERT_EQ(std::to_integer<std::uint64_t>(db01.backing.disk().durable()[lba * block]), lba);
  }
}

INSTANTIATE_TEST_SUITE_P(Granularities, CacheKeeperTest, testing::Values("PAGE", "CACHE_LINE"),
                         [](const auto& granularity) { return std::string(granularity.param); });

}  // namespace
}  // namespace engine
