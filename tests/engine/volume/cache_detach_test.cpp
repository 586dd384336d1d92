// A volume leaves its cache and joins one again while hosts go on.
#include <gtest/gtest.h>

#include <atomic>

#include "engine/cache/cache_device.h"
#include "engine/foundation/check.h"
#include "tests/engine/volume/cache_keeper_kit.h"

namespace engine {
namespace {

using BindingState = format::CacheBindingState;
constexpr Duration while_nothing_happens = std::chrono::milliseconds(400);

// One command that is under way for as long as the test wants.
struct Pending : VolumeIo {
  Pending(VolumeIo::Kind what, std::uint64_t at, int value)
      : bytes(4096, static_cast<std::byte>(value)) {
    kind = what;
    lba = {at};
    blocks = {1};
    data = bytes;
    done = [](VolumeIo& io, IoStatus status) noexcept {
      static_cast<Pending&>(io).outcome = status;
    };
  }
  std::vector<std::byte> bytes;
  std::optional<IoStatus> outcome;
};

class CacheDetach : public CacheKeeperTest {
 protected:
  [[nodiscard]] static int on_disk(Disk& disk, std::uint64_t lba) {
    return std::to_integer<int>(disk.backing.disk().durable()[lba * block]);
  }
  // While nobody has it open.
  [[nodiscard]] PmemGuarantee guarantee() const {
    const auto region = open_pmem_region(path_of("pmem0"), {});
    CHECK(region);
    return region.value()->guarantee();
  }
  // What is posted to the lane is done; its turn does not end.
  static void work(Keeping& now, Duration time) {
    const auto until = std::chrono::steady_clock::now() + time;
    while (std::chrono::steady_clock::now() < until) {
      (void)now.lane->reap();
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  }
};

TEST_P(CacheDetach, TheImageIsTheVolumeAndTheCacheHasNothingOfIt) {
  {
    Keeping now(*this, {cached("db01", disk_size), cached("db02", disk_size)}, cache());
    now.start();
    ASSERT_EQ(now.write(0, 7, 0x42), IoStatus::ok);
    ASSERT_EQ(now.write(1, 7, 0x24), IoStatus::ok);
    ASSERT_TRUE(now.detach(0));
    ASSERT_TRUE(now.await_detached(0));
    EXPECT_EQ(now[0].volume.state(), VolumeState::online);
    EXPECT_EQ(on_disk(db01, 7), 0x42);
    EXPECT_EQ(records.of("db01").state, BindingState::none);
    EXPECT_EQ(now.read(0, 7), 0x42);
    ASSERT_EQ(now.write(0, 8, 0x43), IoStatus::ok);
    EXPECT_EQ(on_disk(db01, 8), 0x43);
    EXPECT_EQ(now.detach(0).error(), "it is served without a cache");
    // Its neighbour has not noticed.
    EXPECT_EQ(now.read(1, 7), 0x24);
    EXPECT_EQ(on_disk(db02, 7), 0);
  }
  auto region = open_pmem_region(path_of("pmem0"), {});
  ASSERT_TRUE(region);
  const auto device = CacheDevice::open(*region.value());
  ASSERT_TRUE(device);
  EXPECT_FALSE(device.value()->volumes().find(db01.uuid));
  EXPECT_TRUE(device.value()->volumes().find(db02.uuid));
}

TEST_P(CacheDetach, ARecordThatCannotBeWrittenKeepsTheCache) {
  Keeping now(*this, {cached("db01", disk_size)}, cache());
  now.start();
  ASSERT_EQ(now.write(0, 7, 0x42), IoStatus::ok);
  records.set(Records::Mode::refuse);
  ASSERT_TRUE(now.detach(0));
  ASSERT_TRUE(Life::wait_for([&] {
    (void)now.lane->reap();
    const auto status = now.keeper.status_of("db01");
    return !status || !status->detach_error.empty();
  }));
  ASSERT_TRUE(now.has_cache(0));
  EXPECT_EQ(now.keeper.status_of("db01")->detach_error,
            "its pool cannot write down that it has no cache: the table is full");
  EXPECT_EQ(records.of("db01").state, BindingState::dirty);
  // In the cache, as before.
  db01.backing.hold(true);
  EXPECT_EQ(now.write(0, 9, 0x43), IoStatus::ok);
  db01.backing.hold(false);
  db01.backing.release_all();
  records.set(Records::Mode::write);
  ASSERT_TRUE(now.detach(0));
  EXPECT_TRUE(now.await_detached(0));
  EXPECT_EQ(on_disk(db01, 9), 0x43);
}

TEST_P(CacheDetach, WhatIsOnItsWayIntoTheCacheReachesTheImageFirst) {
  Keeping now(*this, {cached("db01", disk_size)}, cache());
  now.start();
  ASSERT_EQ(now.write(0, 1, 0x41), IoStatus::ok);
  const int asked = records.asked();
  Pending write(VolumeIo::Kind::write, 7, 0x42);
  now[0].volume.submit(*now.lane, write);  // and its turn is not over
  ASSERT_TRUE(now.detach(0));
  work(now, while_nothing_happens);
  EXPECT_EQ(records.asked(), asked) << "a write would be answered that is in the cache alone";
  ASSERT_TRUE(now.await_detached(0));
  EXPECT_EQ(write.outcome, IoStatus::ok);
  EXPECT_EQ(on_disk(db01, 7), 0x42);
}

TEST_P(CacheDetach, ADetachmentThatWasGivenUpIsNotForgottenByTheNext) {
  Keeping now(*this, {cached("db01", disk_size)}, cache());
  now.start();
  const int asked = records.asked();
  Pending write(VolumeIo::Kind::write, 7, 0x42);
  now[0].volume.submit(*now.lane, write);  // and its turn is not over
  ASSERT_TRUE(now.detach(0));
  work(now, while_nothing_happens);
  EXPECT_TRUE(now.cancel(0));
  ASSERT_TRUE(now.detach(0));
  work(now, while_nothing_happens);
  EXPECT_EQ(records.asked(), asked) << "a write would be answered that is in the cache alone";
  ASSERT_TRUE(now.await_detached(0));
  EXPECT_EQ(write.outcome, IoStatus::ok);
  EXPECT_EQ(on_disk(db01, 7), 0x42);
}

TEST_P(CacheDetach, TheCacheStaysUntilWhatIsUnderWayHasEnded) {
  Keeping now(*this, {cached("db01", disk_size)}, cache());
  now.start();
  ASSERT_EQ(now.write(0, 1, 0x41), IoStatus::ok);
  const int asked = records.asked();
  records.set(Records::Mode::hold);
  ASSERT_TRUE(now.detach(0));
  ASSERT_TRUE(Life::wait_for([&] {
    (void)now.lane->reap();
    return records.asked() > asked;
  }));
  db01.backing.hold(true);
  Pending read(VolumeIo::Kind::read, 7, 0xff);
  now[0].volume.submit(*now.lane, read);
  now.lane->finish_turn();
  records.write_held();
  work(now, while_nothing_happens);
  EXPECT_TRUE(now.has_cache(0));
  EXPECT_FALSE(read.outcome);
  db01.backing.hold(false);
  db01.backing.release_all();
  ASSERT_TRUE(now.await_detached(0));
  EXPECT_EQ(read.outcome, IoStatus::ok);
  EXPECT_EQ(std::to_integer<int>(read.bytes[0]), 0);
}

// A host that does not take its data from the socket keeps the cache for a while.
TEST_P(CacheDetach, TheCacheStaysUntilWhatIsPinnedIsLetGoOf) {
  Keeping now(*this, {cached("db01", disk_size)}, cache());
  now.start();
  constexpr std::uint64_t run_blocks = 256;
  std::vector<std::byte> data(run_blocks * block, std::byte{0x41});
  for (std::uint64_t at = 0; at < 10; ++at) {  // enough to have a segment pinned
    ASSERT_EQ(
        run(now[0].volume, *now.lane, VolumeIo::Kind::write, at * run_blocks, run_blocks, data),
        IoStatus::ok);
  }
  PinnedRead read;
  ASSERT_TRUE(Life::wait_for([&] {
    read = now[0].volume.read_in_place(*now.lane, {.lba = {7}, .blocks = {8}});
    return static_cast<bool>(read);
  }));
  ASSERT_TRUE(now.detach(0));
  work(now, while_nothing_happens);
  EXPECT_TRUE(now.has_cache(0));
  for (const auto piece : read.pieces()) EXPECT_EQ(piece.back(), std::byte{0x41});
  read.release();
  ASSERT_TRUE(now.await_detached(0));
  EXPECT_FALSE(now[0].volume.read_in_place(*now.lane, {.lba = {7}, .blocks = {8}}));
  EXPECT_EQ(now.read(0, 7), 0x41);
  // What the device has done stays counted.
  EXPECT_TRUE(Life::wait_for([&] { return now.keeper.status().reads_in_place == 1; }));
  EXPECT_GT(now.keeper.status().stores.fences, 0U);
}

TEST_P(CacheDetach, ItIsGivenUpWhenCancelled) {
  Keeping now(*this, {cached("db01", disk_size)}, cache());
  now.start();
  ASSERT_EQ(now.write(0, 7, 0x42), IoStatus::ok);
  db01.backing.hold(true);
  ASSERT_TRUE(now.detach(0));
  EXPECT_TRUE(now.keeper.status_of("db01")->detaching);
  EXPECT_TRUE(now.keeper.status_of("db01")->draining);
  EXPECT_TRUE(now.cancel(0));
  EXPECT_FALSE(now.keeper.status_of("db01")->detaching);
  EXPECT_EQ(now.keeper.status_of("db01")->detach_error, "it was cancelled");
  EXPECT_EQ(now.write(0, 8, 0x43), IoStatus::ok) << "not answered by the cache";
  db01.backing.hold(false);
  db01.backing.release_all();
  EXPECT_EQ(now.read(0, 7), 0x42);
  EXPECT_EQ(records.of("db01").state, BindingState::dirty);
}

TEST_P(CacheDetach, JoinsAgainAndIsGoneAroundWhileTheImageIsWrittenAlone) {
  Keeping now(*this, {cached("db01", disk_size)}, cache());
  now.start();
  EXPECT_EQ(now.join(0).get().error(), "it has a cache: detach it first");
  ASSERT_EQ(now.write(0, 7, 0x42), IoStatus::ok);
  ASSERT_TRUE(now.detach(0));
  ASSERT_TRUE(now.await_detached(0));
  const std::uint64_t epoch = records.of("db01").epoch;
  db01.backing.hold(true);
  Pending alone(VolumeIo::Kind::write, 8, 0x43);
  now[0].volume.submit(*now.lane, alone);
  now.lane->finish_turn();
  auto joined = now.join(0);
  ASSERT_TRUE(Life::wait_for([&] { return now.has_cache(0); }));
  Pending around(VolumeIo::Kind::write, 9, 0x44);
  now[0].volume.submit(*now.lane, around);
  const auto until = std::chrono::steady_clock::now() + while_nothing_happens;
  while (std::chrono::steady_clock::now() < until) {
    now.lane->finish_turn();
    (void)now.lane->reap();
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  EXPECT_FALSE(around.outcome) << "answered by a cache beside which the image is written";
  EXPECT_EQ(joined.wait_for(Duration{}), std::future_status::timeout);
  db01.backing.hold(false);
  db01.backing.release_all();
  ASSERT_TRUE(Life::wait_for([&] {
    now.lane->finish_turn();
    (void)now.lane->reap();
    return alone.outcome && around.outcome;
  }));
  ASSERT_TRUE(joined.get());
  EXPECT_EQ(records.of("db01").state, BindingState::dirty);
  EXPECT_GT(records.of("db01").epoch, epoch);
  for (const int at : {7, 8, 9}) EXPECT_EQ(now.read(0, static_cast<std::uint64_t>(at)), 0x3b + at);
  // By the cache now.
  db01.backing.hold(true);
  EXPECT_EQ(now.write(0, 8, 0x55), IoStatus::ok);
  EXPECT_EQ(now.read(0, 8), 0x55);
  db01.backing.hold(false);
  db01.backing.release_all();
}

TEST_P(CacheDetach, WhereItCannotJoinItGoesOnWithout) {
  Keeping now(*this, {cached("db01", disk_size)}, cache());
  now.start();
  ASSERT_TRUE(now.detach(0));
  ASSERT_TRUE(now.await_detached(0));
  records.set(Records::Mode::refuse);
  EXPECT_EQ(now.join(0).get().error(),
            "its pool cannot write down that it is cached: the table is full");
  EXPECT_FALSE(now.has_cache(0));
  ASSERT_EQ(now.write(0, 7, 0x42), IoStatus::ok);
  EXPECT_EQ(on_disk(db01, 7), 0x42);
  records.set(Records::Mode::write);
  EXPECT_TRUE(now.join(0).get());
  EXPECT_EQ(now.read(0, 7), 0x42);
}

// What is promised follows the mode, and is told.
TEST_P(CacheDetach, WritesOfSeveralBlocksAreWholeAsLongAsTheyGoThroughTheLog) {
  const bool survives = guarantee().survives_power_loss();
  Keeping now(*this, {cached("db01", disk_size)}, cache());
  now.start();
  const auto promised = [&] { return now[0].volume.condition().promise; };
  EXPECT_EQ(promised().is_atomic_anywhere, survives);
  EXPECT_EQ(promised().atomic_write_bytes, survives ? 1U << 20 : 0U) << "else the disk's own";
  for (const CacheMode mode : {CacheMode::write_around, CacheMode::write_through,
                               CacheMode::pass_through, CacheMode::write_back}) {
    const std::uint64_t changes = now[0].volume.changes();
    ASSERT_TRUE(now.set_mode(0, mode));
    EXPECT_EQ(promised().is_atomic_anywhere, survives && !goes_around(mode)) << text(mode);
    EXPECT_GT(now[0].volume.changes(), changes);
  }
  ASSERT_TRUE(now.detach(0));
  EXPECT_FALSE(promised().is_atomic_anywhere) << "from the beginning of it on";
  ASSERT_TRUE(now.await_detached(0));
  EXPECT_FALSE(promised().is_atomic_anywhere);
}

TEST_P(CacheDetach, AVolumeThatNeedsAtomicWritesStaysInTheLog) {
  const PmemGuarantee media = guarantee();
  VolumeSpec needs = cached("db01", disk_size);
  needs.needs_atomic_writes = true;
  Keeping now(*this, {needs, cached("db02", disk_size)}, cache());
  now.start();
  if (!media.survives_power_loss()) {
    EXPECT_EQ(now[0].volume.state(), VolumeState::late);
    EXPECT_EQ(now[0].reason(),
              "its configuration says atomic: required, and cache device pmem0 is " + media.text() +
                  ": take another cache device, or `atomic` out of the "
                  "configuration");
    EXPECT_EQ(now[1].volume.state(), VolumeState::online);
    return;
  }
  const std::string because =
      " a write of several blocks may be torn when power fails; take `atomic` out of it first";
  const std::string without =
      "its configuration says atomic: required, and without its cache" + because;
  for (const CacheMode mode : {CacheMode::write_around, CacheMode::pass_through}) {
    EXPECT_EQ(now.set_mode(0, mode).error(),
              "its configuration says atomic: required, and in mode " + std::string(text(mode)) +
                  because);
  }
  EXPECT_EQ(now.detach(0).error(), without);
  std::promise<Result<void, std::string>> retired;
  now.keeper.retire([&retired](auto result) { retired.set_value(result); });
  EXPECT_EQ(retired.get_future().get().error(), "volume db01: " + without);
  EXPECT_TRUE(now[0].volume.condition().promise.is_atomic_anywhere);
  EXPECT_TRUE(now.has_cache(1)) << "nothing has begun";
  for (const CacheMode mode :
       {CacheMode::write_through, CacheMode::read_only, CacheMode::write_back}) {
    EXPECT_TRUE(now.set_mode(0, mode)) << text(mode);
  }
  ASSERT_TRUE(now.detach(1));
  EXPECT_TRUE(now.await_detached(1));
}

template <class Value>
[[nodiscard]] bool has_come(const std::future<Value>& value) {
  return value.wait_for(std::chrono::milliseconds(0)) == std::future_status::ready;
}

class CacheRemoval : public CacheDetach {
 protected:
  // While the lane works.
  static std::string end_of(Keeping& now, std::future<std::string> removed) {
    const bool has_ended = Life::wait_for([&] {
      now.lane->finish_turn();
      (void)now.lane->reap();
      return has_come(removed);
    });
    return has_ended ? removed.get() : "it hangs";
  }
  [[nodiscard]] std::size_t come_back(Keeping& now) {
    now.keeper.erase(now[0].user);
    const std::size_t at = now.add(*this, db01, cached("db01", disk_size));
    EXPECT_TRUE(Life::wait_for([&] { return now[at].volume.state() == VolumeState::online; }))
        << now[at].reason();
    return at;
  }
};

TEST_P(CacheRemoval, EndsWhatIsUnderWayAndKeepsIt) {
  Keeping now(*this, {cached("db01", disk_size), cached("db02", disk_size)}, cache());
  now.start();
  ASSERT_EQ(now.write(0, 1, 0x41), IoStatus::ok);
  Pending write(VolumeIo::Kind::write, 7, 0x42);
  now[0].volume.submit(*now.lane, write);  // and its turn is not over
  auto removed = now.remove(0);
  work(now, while_nothing_happens);
  EXPECT_FALSE(has_come(removed)) << "its cache would be taken away beneath a write";
  Pending late(VolumeIo::Kind::read, 1, 0);
  now[0].volume.submit(*now.lane, late);
  EXPECT_EQ(late.outcome, IoStatus::unavailable);
  EXPECT_EQ(now.remove(0).get(), "volume db01 is being removed already");
  EXPECT_EQ(now.detach(0).error(), "it is being removed");
  ASSERT_EQ(end_of(now, std::move(removed)), "");
  EXPECT_EQ(write.outcome, IoStatus::ok);
  EXPECT_EQ(records.of("db01").state, BindingState::dirty);
  EXPECT_EQ(on_disk(db01, 7), 0);
  const std::size_t again = come_back(now);
  EXPECT_EQ(now.read(again, 7), 0x42);
  EXPECT_EQ(now.read(again, 1), 0x41);
}

TEST_P(CacheRemoval, WaitsForItsOwnDiskAlone) {
  Keeping now(*this, {cached("db01", disk_size), cached("db02", disk_size)}, cache());
  now.start();
  ASSERT_EQ(now.write(0, 7, 0x42), IoStatus::ok);
  db01.backing.hold(true);
  now.keeper.drain("db01", [](const auto&) {});
  ASSERT_TRUE(Life::wait_for([&] { return db01.backing.held() > 0; }));
  auto removed = now.remove(0);
  for (int value = 1; value <= 100; ++value) {
    ASSERT_EQ(now.write(1, 3, value), IoStatus::ok);
    ASSERT_EQ(now.read(1, 3), value);
  }
  work(now, while_nothing_happens);
  EXPECT_FALSE(has_come(removed)) << "its disk still writes";
  db01.backing.hold(false);
  db01.backing.release_all();
  ASSERT_EQ(end_of(now, std::move(removed)), "");
  EXPECT_EQ(now.read(come_back(now), 7), 0x42);
}

TEST_P(CacheRemoval, ARecordThatCannotBeWrittenKeepsTheCache) {
  Keeping now(*this, {cached("db01", disk_size)}, cache());
  now.start();
  const auto is_dirty = [&] { return now.keeper.status_of("db01")->dirty != ByteCount{}; };
  ASSERT_EQ(now.write(0, 7, 0x42), IoStatus::ok);
  ASSERT_TRUE(Life::wait_for(is_dirty));
  now.keeper.drain("db01", [](const auto&) {});
  ASSERT_TRUE(Life::wait_for([&] { return !is_dirty(); }));
  const int asked = records.asked();
  records.set(Records::Mode::refuse);
  ASSERT_EQ(end_of(now, now.remove(0)), "");
  EXPECT_EQ(records.asked(), asked + 1);
  EXPECT_EQ(records.of("db01").state, BindingState::dirty);
  records.set(Records::Mode::write);
  EXPECT_EQ(now.read(come_back(now), 7), 0x42);
}

INSTANTIATE_TEST_SUITE_P(Granularities, CacheRemoval, testing::Values("PAGE", "CACHE_LINE"),
                         [](const auto& granularity) { return std::string(granularity.param); });
INSTANTIATE_TEST_SUITE_P(Granularities, CacheDetach, testing::Values("PAGE", "CACHE_LINE"),
                         [](const auto& granularity) { return std::string(granularity.param); });

// ---- whole engines

class CacheMove : public CachedEngine {
 protected:
  template <class Ask>
  [[nodiscard]] static Result<void, std::string> answer(const Ask& ask) {
    std::promise<Result<void, std::string>> answered;
    ask([&answered](auto result) { answered.set_value(std::move(result)); });
    return answered.get_future().get();
  }
  // The lane works meanwhile.
  static void detach(Life& life, const std::string& name) {
    const auto begun = answer([&](auto done) { life.engine->detach_cache(name, std::move(done)); });
    ASSERT_TRUE(begun) << begun.error();
    ASSERT_TRUE(Life::wait_for([&] {
      (void)life.lane->reap();
      return !life.engine->cache_of(name);
    }));
  }
  static void attach(Life& life, const std::string& name, const std::string& device) {
    const auto joined =
        answer([&](auto done) { life.engine->attach_cache(name, device, std::move(done)); });
    ASSERT_TRUE(joined) << joined.error();
  }
};

// Each writer has blocks of its own, and knows what it has last been told is there.
TEST_P(CacheMove, WritersLoseNothingWhileTheirVolumeGoesFromCacheToCache) {
  make_cache("pmem1");
  constexpr int writers = 2;
  constexpr std::uint64_t blocks = 512;
  std::vector<std::vector<int>> told(writers, std::vector<int>(blocks, 0));
  {
    Life life(*this, {cached("db01", 64_MiB), cached("db02", 64_MiB, "pmem1")},
              {cache(), cache("pmem1")});
    std::atomic<bool> ends{false};
    std::atomic<int> wrong{0};
    std::vector<std::thread> threads;
    for (int writer = 0; writer < writers; ++writer) {
      threads.emplace_back([&, writer] {
        const auto lane = std::move(UringLane::create(life.budget).value());
        Volume& volume = *life.engine->find("db01");
        SeededRandom random(static_cast<std::uint64_t>(writer) + 1);
        std::vector<std::byte> data(block);
        while (!ends) {
          const std::uint64_t at = random.below(blocks);
          const std::uint64_t lba = at + static_cast<std::uint64_t>(writer) * blocks;
          int& value = told[static_cast<std::size_t>(writer)][at];
          if (run(volume, *lane, VolumeIo::Kind::read, lba, 1, data) != IoStatus::ok ||
              std::to_integer<int>(data[100]) != value) {
            ++wrong;
          }
          value = value % 255 + 1;
          data.assign(block, static_cast<std::byte>(value));
          if (run(volume, *lane, VolumeIo::Kind::write, lba, 1, data) != IoStatus::ok) ++wrong;
        }
        finish(*lane);
      });
    }
    for (const char* const next : {"pmem0", "pmem1", "pmem0", "pmem1"}) {
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
      detach(life, "db01");
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
      attach(life, "db01", next);
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    ends = true;
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(wrong, 0);
  }
  // The file still says pmem0: what only pmem1 has is not passed over.
  {
    Life stale(*this, {cached("db01", 64_MiB)}, {cache()});
    EXPECT_EQ(stale.condition("db01").state, VolumeState::late);
    EXPECT_TRUE(stale.condition("db01").lacks_cache) << stale.reason("db01");
  }
  Life after(*this, {cached("db01", 64_MiB, "pmem1")}, {cache("pmem1")});
  ASSERT_EQ(after.condition("db01").state, VolumeState::online) << after.reason("db01");
  for (int writer = 0; writer < writers; ++writer) {
    for (std::uint64_t at = 0; at < blocks; ++at) {
      ASSERT_EQ(after.read("db01", at + static_cast<std::uint64_t>(writer) * blocks),
                told[static_cast<std::size_t>(writer)][at]);
    }
  }
}

TEST_P(CacheMove, AVolumeThatHasNeverHadACacheGetsOne) {
  const VolumeSpec plain = direct("db01", 64_MiB);
  const auto join = [](Life& life, const std::string& device) {
    return answer([&](auto done) { life.engine->attach_cache("db01", device, std::move(done)); });
  };
  {
    Life life(*this, {plain}, {cache()});
    ASSERT_EQ(life.write("db01", 7, 1, 0x42), IoStatus::ok);
    ASSERT_EQ(life.write("db01", 8, 1, 0x43), IoStatus::ok);
    EXPECT_EQ(join(life, "pmem9").error(), "there is no cache device pmem9");
    EXPECT_FALSE(life.engine->cache_of("db01"));
    attach(life, "db01", "pmem0");
    ASSERT_TRUE(life.engine->cache_of("db01"));
    EXPECT_EQ(join(life, "pmem0").error().substr(0, 12), "volume db01:");
    EXPECT_EQ(life.read("db01", 7), 0x42);
    ASSERT_EQ(life.write("db01", 8, 1, 0x44), IoStatus::ok);
    EXPECT_EQ(life.read("db01", 8), 0x44);
    EXPECT_TRUE(
        Life::wait_for([&] { return life.engine->cache_of("db01")->dirty != ByteCount{}; }));
  }
  {
    Life forgotten(*this, {plain}, {cache()});
    EXPECT_EQ(forgotten.engine->find("db01")->state(), VolumeState::late);
    EXPECT_TRUE(forgotten.engine->find("db01")->condition().lacks_cache);
    EXPECT_NE(join(forgotten, "pmem0").error().find("it is not online"), std::string::npos);
  }
  Life life(*this, {cached("db01", 64_MiB)}, {cache()});
  EXPECT_EQ(life.read("db01", 7), 0x42);
  EXPECT_EQ(life.read("db01", 8), 0x44);
}

TEST_P(CacheMove, ARetiredDeviceIsClosedAndItsVolumesGoOn) {
  make_cache("pmem1");
  Life life(*this, {cached("db01", 64_MiB), cached("db02", 64_MiB)}, {cache(), cache("pmem1")});
  ASSERT_EQ(life.write("db01", 7, 1, 0x42), IoStatus::ok);
  ASSERT_EQ(life.write("db02", 7, 1, 0x43), IoStatus::ok);
  EXPECT_EQ(answer([&](auto done) { life.engine->retire_cache("pmem9", std::move(done)); }).error(),
            "there is no cache device pmem9");
  ASSERT_TRUE(answer([&](auto done) { life.engine->retire_cache("pmem0", std::move(done)); }));
  ASSERT_TRUE(Life::wait_for([&] {
    (void)life.lane->reap();
    return life.engine->caches()[0].retired;
  }));
  EXPECT_FALSE(life.engine->caches()[0].open);
  EXPECT_TRUE(life.engine->findings().empty());
  EXPECT_EQ(life.read("db01", 7), 0x42);
  EXPECT_EQ(life.read("db02", 7), 0x43);
  // Nobody holds it any more.
  {
    auto region = open_pmem_region(path_of("pmem0"), {});
    ASSERT_TRUE(region);
    FormatOptions options;
    options.uuid = Uuid::random();
    options.replace = cache_uuid;
    EXPECT_TRUE(format_cache(*region.value(), options));
  }
  const auto back =
      answer([&](auto done) { life.engine->attach_cache("db01", "pmem0", std::move(done)); });
  EXPECT_EQ(back.error(), "cache device pmem0 has been retired, until the next start");
  attach(life, "db01", "pmem1");
  EXPECT_EQ(life.read("db01", 7), 0x42);
  EXPECT_TRUE(life.engine->cache_of("db01"));
  EXPECT_FALSE(life.engine->cache_of("db02"));
}

INSTANTIATE_TEST_SUITE_P(Granularities, CacheMove, testing::Values("PAGE", "CACHE_LINE"),
                         [](const auto& granularity) { return std::string(granularity.param); });

}  // namespace
}  // namespace engine
