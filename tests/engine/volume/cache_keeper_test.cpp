// CacheKeeper over a real cache file and simulated disks: what comes late, fails, hangs or is cut
// off, and what ends in time all the same.
#include "engine/volume/cache_keeper.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <deque>

#include "tests/engine/volume/cached_engine_kit.h"
#include "tests/sim/sim_backing.h"
#include "tests/sim/sim_marker.h"

namespace engine {
namespace {

using Kind = VolumeIo::Kind;
using State = format::CacheBindingState;
constexpr Duration moment = std::chrono::milliseconds(300);
constexpr ByteCount disk_size = 64_MiB;

// A disk outlives the volumes that are opened over it.
class Borrowed final : public BackingDevice {
 public:
  explicit Borrowed(SimBacking& disk) : disk_(disk) {}
  [[nodiscard]] ByteCount size() const override { return disk_.size(); }
  void submit(IoLane& lane, BackingIo& io) override { disk_.submit(lane, io); }
  [[nodiscard]] bool needs_reopen() const override { return disk_.needs_reopen(); }

 private:
  SimBacking& disk_;
};

// The table of a pool: answers at once, later, or never, or with an error.
class Records final : public BindingKeeper {
 public:
  enum class Mode : std::uint8_t { write, refuse, hold };

  void bind(const std::string& volume, const CacheBinding& binding, BindDone done) override {
    std::unique_lock lock(mutex_);
    ++asked_;
    if (mode_ == Mode::hold) {
      held_.push_back(std::move(done));
      return;
    }
    const bool refused = mode_ == Mode::refuse;
    if (!refused) records_[volume] = binding;
    lock.unlock();
    if (refused) return done(std::string("the table is full"));
    done(success());
  }
  void set(Mode mode) {
    const std::lock_guard lock(mutex_);
    mode_ = mode;
  }
  [[nodiscard]] int asked() {
    const std::lock_guard lock(mutex_);
    return asked_;
  }
  [[nodiscard]] CacheBinding of(const std::string& volume) {
    const std::lock_guard lock(mutex_);
    return records_[volume];
  }

 private:
  std::mutex mutex_;
  Mode mode_ = Mode::write;
  int asked_ = 0;
  std::map<std::string, CacheBinding> records_;
  std::vector<BindDone> held_;
};

// What stays when a daemon ends.
struct Disk {
  explicit Disk(std::string called) : name(std::move(called)) {}
  const std::string name;
  const Uuid uuid = Uuid::random();
  SimBacking backing{disk_size};
};

class CacheKeeperTest : public CachedEngine {
 protected:
  Records records;
  Disk db01{"db01"};
  Disk db02{"db02"};

  // One volume in one life.
  struct Served {
    Served(CacheKeeper& keeper, Records& all, Disk& on, const VolumeSpec& spec)
        : disk(on), records(all), user(keeper.add(spec, volume, all)) {}
    void come() {
      backed.go_online(std::make_unique<Borrowed>(disk.backing), disk.uuid,
                       {disk_size.value / block}, {});
      user.backing_came({.binding = records.of(disk.name),
                         .marker = std::make_unique<SimMarker>(),
                         .promise = {}});
    }
    [[nodiscard]] std::string reason() const { return volume.condition().reason; }

    Disk& disk;
    Records& records;
    BackedVolume backed{{.name = disk.name, .uuid = {}, .block_size = {block}},
                        {disk_size.value / block},
                        "its pool has not come yet"};
    CachedVolume volume{backed, "its cache has not come yet"};
    BackingUser& user;
  };

  // What tells a volume of its backing, as a pool would.
  struct Keeping : private VolumeObserver {
    Keeping(CacheKeeperTest& test, const std::vector<VolumeSpec>& specs, const CacheSpec& device)
        : keeper(device, budget) {
      for (const VolumeSpec& spec : specs) {
        Disk& disk = spec.name == "db01" ? test.db01 : test.db02;
        volumes.emplace_back(keeper, test.records, disk, spec);
        volumes.back().backed.observe(this);
      }
    }
    ~Keeping() {
      finish(*lane);
      lane.reset();
      EXPECT_TRUE(keeper.stop(SystemClock().now() + patience));
    }
    void start() {
      keeper.start();
      for (Served& one : volumes) one.come();
      EXPECT_TRUE(keeper.await_idle(SystemClock().now() + patience));
    }
    void volume_changed(Volume& volume) noexcept override {
      for (Served& one : volumes) {
        if (&one.backed == &volume) one.user.backing_changed();
      }
    }
    [[nodiscard]] Served& operator[](std::size_t at) { return volumes[at]; }
    [[nodiscard]] bool stop(Duration within) { return keeper.stop(SystemClock().now() + within); }

    IoStatus write(std::size_t at, std::uint64_t lba, int value) {
      std::vector<std::byte> data(block, static_cast<std::byte>(value));
      return run(volumes[at].volume, *lane, Kind::write, lba, 1, data);
    }
    int read(std::size_t at, std::uint64_t lba) {
      std::vector<std::byte> data(block);
      const IoStatus status = run(volumes[at].volume, *lane, Kind::read, lba, 1, data);
      if (status != IoStatus::ok) return -static_cast<int>(status);
      return std::to_integer<int>(data.back());
    }

    MemoryBudget budget{64_MiB};
    std::deque<Served> volumes;
    CacheKeeper keeper;
    std::unique_ptr<UringLane> lane = std::move(UringLane::create(budget).value());
  };
};

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
  db01.backing.fail_syncs(false);
  db01.backing.reopen();
  now[0].backed.recover({disk_size.value / block}, {});
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
    ASSERT_EQ(now.read(1, 10'000 + lba), 0) << "from its own backing";
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
