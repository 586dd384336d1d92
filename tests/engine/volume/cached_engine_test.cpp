// Volumes behind their caches: what is served, what survives, and what is never served without
// what its cache has (docs/pool-format.md, "Cache binding").
#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

#include "engine/cache/cache_device.h"
#include "tests/engine/volume/cached_engine_kit.h"

namespace engine {
namespace {

namespace fs = std::filesystem;
using About = Finding::About;
using State = format::CacheBindingState;

TEST_P(CachedEngine, ServesWhatWasWrittenAlsoInTheNextLife) {
  for (const int life : {1, 2, 3}) {
    Life now(*this, {cached("db01", 8_MiB)}, {cache()});
    ASSERT_EQ(now.condition("db01").state, VolumeState::online) << now.reason("db01");
    if (life == 1) {
      EXPECT_EQ(now.read("db01", 7), 0);
      EXPECT_EQ(now.write("db01", 7, 1, 0x42), IoStatus::ok);
      EXPECT_EQ(now.write("db01", 100, 256, 0x43), IoStatus::ok);
    }
    EXPECT_EQ(now.read("db01", 7), 0x42);
    EXPECT_EQ(now.read("db01", 355), 0x43);
    EXPECT_EQ(now.read("db01", 356), 0);
    EXPECT_TRUE(now.engine->findings().empty());
  }
}

// With a cache and without one: as the pool has it, through restarts; and what is dirty is written
// back all the same.
TEST_P(CachedEngine, AWriteProtectedVolumeRefusesWritesUntilThatIsTakenBack) {
  using Kind = VolumeIo::Kind;
  const auto protect = [](const Life& now, const char* name, WriteProtection protection) {
    std::promise<bool> kept;
    now.engine->find(name)->protect(
        protection, [&kept](const auto& result) { kept.set_value(result.has_value()); });
    return kept.get_future().get();
  };
  const auto expect_refused = [](Life& now, const char* name) {
    SCOPED_TRACE(name);
    EXPECT_EQ(now.write(name, 7, 1, 0x66), IoStatus::read_only);
    for (const Kind kind : {Kind::write_zeroes, Kind::deallocate}) {
      EXPECT_EQ(run(*now.engine->find(name), *now.lane, kind, 7, 1), IoStatus::read_only);
    }
    EXPECT_EQ(run(*now.engine->find(name), *now.lane, Kind::flush, 0, 0), IoStatus::ok);
    EXPECT_EQ(run(*now.engine->find(name), *now.lane, Kind::verify, 7, 1), IoStatus::ok);
    EXPECT_EQ(now.read(name, 7), 0x42);
    EXPECT_FALSE(now.condition(name).promise.writable);
    EXPECT_TRUE(contains(now.condition(name).promise.note, "write-protected"));
  };
  const std::vector<VolumeSpec> volumes{cached("db01", 8_MiB, "pmem0", soon),
                                        direct("db02", 8_MiB)};
  {
    Life now(*this, volumes, {cache()});
    for (const char* name : {"db01", "db02"}) {
      ASSERT_EQ(now.write(name, 7, 1, 0x42), IoStatus::ok);
      const std::uint64_t before = now.engine->find(name)->changes();
      ASSERT_TRUE(protect(now, name, WriteProtection::kept));
      EXPECT_GT(now.engine->find(name)->changes(), before) << "hosts are told";
      expect_refused(now, name);
    }
    now.wait_until_clean();
  }
  {
    Life now(*this, volumes, {cache()});
    for (const char* name : {"db01", "db02"}) {
      EXPECT_EQ(now.engine->find(name)->write_protection(), WriteProtection::kept);
      expect_refused(now, name);
      ASSERT_TRUE(protect(now, name, WriteProtection::none));
      EXPECT_EQ(now.write(name, 7, 1, 0x42), IoStatus::ok);
      EXPECT_TRUE(now.condition(name).promise.writable);
      ASSERT_TRUE(protect(now, name, WriteProtection::until_restart));
      ASSERT_TRUE(protect(now, name, WriteProtection::none));
      EXPECT_EQ(now.engine->find(name)->write_protection(), WriteProtection::until_restart);
      expect_refused(now, name);
    }
  }
  Life now(*this, volumes, {cache()});
  for (const char* name : {"db01", "db02"}) EXPECT_EQ(now.write(name, 7, 1, 0x43), IoStatus::ok);
}

TEST_P(CachedEngine, MoreThanTheCacheHoldsIsWrittenBackAndReadFromTheBacking) {
  const std::uint64_t blocks = (128_MiB).value / block;
  {
    Life now(*this, {cached("db01", 128_MiB)}, {cache()});
    for (std::uint64_t lba = 0; lba < blocks; lba += 64) {
      ASSERT_EQ(now.write("db01", lba, 64, static_cast<int>(lba / 64 % 251)), IoStatus::ok) << lba;
    }
    for (std::uint64_t lba = 0; lba < blocks; lba += 32) {
      ASSERT_EQ(now.read("db01", lba), static_cast<int>(lba / 64 % 251)) << lba;
    }
  }
  Life again(*this, {cached("db01", 128_MiB)}, {cache()});
  for (std::uint64_t lba = 0; lba < blocks; lba += 32) {
    ASSERT_EQ(again.read("db01", lba), static_cast<int>(lba / 64 % 251)) << lba;
  }
}

// ---- what is not served

TEST_P(CachedEngine, WithoutItsDirtyCacheAVolumeIsLateAndSaysWhichOneItMisses) {
  {
    Life first(*this, {cached("db01", 8_MiB)}, {cache()});
    ASSERT_EQ(first.write("db01", 7, 1, 0x42), IoStatus::ok);
  }
  EXPECT_EQ(binding("db01").state, State::dirty);
  move("pmem0", "away");
  Life now(*this, {cached("db01", 8_MiB)}, {cache()});
  EXPECT_EQ(now.condition("db01").state, VolumeState::late);
  EXPECT_TRUE(contains(now.reason("db01"), cache_uuid.text())) << now.reason("db01");
  EXPECT_EQ(now.finding(About::volume, "db01"), now.reason("db01"));
  EXPECT_FALSE(now.finding(About::cache_device, "pmem0").empty());
  EXPECT_EQ(now.read("db01", 7), -static_cast<int>(IoStatus::unavailable));
  now.retry();
  EXPECT_EQ(now.condition("db01").state, VolumeState::late);
  move("away", "pmem0");
  now.retry();
  ASSERT_EQ(now.condition("db01").state, VolumeState::online) << now.reason("db01");
  EXPECT_EQ(now.read("db01", 7), 0x42);
  EXPECT_TRUE(now.engine->findings().empty());
}

// What the image had when its cache was lost, and no more.
TEST_P(CachedEngine, ALostCacheIsAbandonedOnlyByItsName) {
  {
    Life first(*this, {cached("db01", 8_MiB, "pmem0", soon)}, {cache()});
    ASSERT_EQ(first.write("db01", 3, 1, 0x41), IoStatus::ok);
    first.wait_until_clean();
  }
  {
    Life second(*this, {cached("db01", 8_MiB)}, {cache()});
    ASSERT_EQ(second.write("db01", 7, 1, 0x42), IoStatus::ok);
  }
  move("pmem0", "lost");
  const Uuid other = make_cache("pmem0");
  {
    Life now(*this, {cached("db01", 8_MiB)}, {cache()});
    EXPECT_TRUE(now.condition("db01").lacks_cache);
    EXPECT_TRUE(contains(now.reason("db01"), "abandon db01 --cache " + cache_uuid.text()))
        << now.reason("db01");
    EXPECT_TRUE(contains(now.reason("db01"), "the volume is then as it was at 20"))
        << now.reason("db01");
    EXPECT_TRUE(contains(now.reason("db01"), "Lost with it: up to 4.0 KiB as of 20"))
        << now.reason("db01");
    EXPECT_TRUE(contains(now.give_up_cache(other), "not " + other.text()));
    EXPECT_EQ(now.read("db01", 7), -static_cast<int>(IoStatus::unavailable));
    std::string left;
    EXPECT_EQ(now.give_up_cache(cache_uuid, &left), "");
    EXPECT_TRUE(left.starts_with("as it was at 20")) << left;
    EXPECT_TRUE(contains(left, "Lost with it: up to 4.0 KiB as of 20")) << left;
    ASSERT_TRUE(now.engine->settle(patience));
    ASSERT_EQ(now.condition("db01").state, VolumeState::online) << now.reason("db01");
    EXPECT_EQ(now.read("db01", 3), 0x41);
    EXPECT_EQ(now.read("db01", 7), 0);
    EXPECT_EQ(now.write("db01", 9, 1, 0x43), IoStatus::ok);
    EXPECT_TRUE(contains(now.give_up_cache(cache_uuid), "its cache is there"));
  }
  // It is not part of the volume any more, also when it comes back.
  move("pmem0", "pmem1");
  move("lost", "pmem0");
  Life back(*this, {cached("db01", 8_MiB)}, {cache()});
  EXPECT_TRUE(contains(back.reason("db01"), other.text())) << back.reason("db01");
}

TEST_P(CachedEngine, ALostCacheIsAbandonedAlsoByAVolumeThatHasNoneNow) {
  {
    Life first(*this, {cached("db01", 8_MiB)}, {cache()});
    ASSERT_EQ(first.write("db01", 7, 1, 0x42), IoStatus::ok);
  }
  Life now(*this, {direct("db01", 8_MiB)}, {});
  EXPECT_TRUE(now.condition("db01").lacks_cache) << now.reason("db01");
  EXPECT_TRUE(contains(now.reason("db01"),
                       "The volume is then as it was before it was cached. Lost with it: up to 4.0 "
                       "KiB as of 20"))
      << now.reason("db01");
  std::string left;
  ASSERT_EQ(now.give_up_cache(cache_uuid, &left), "");
  EXPECT_TRUE(contains(left, "before it was cached. Lost with it: up to 4.0 KiB")) << left;
  ASSERT_TRUE(now.engine->settle(patience));
  ASSERT_EQ(now.condition("db01").state, VolumeState::online) << now.reason("db01");
  EXPECT_FALSE(now.condition("db01").lacks_cache);
  EXPECT_EQ(now.read("db01", 7), 0);
}

TEST_P(CachedEngine, AnotherCacheIsNotTakenForTheOneThatHasItsWrites) {
  {
    Life first(*this, {cached("db01", 8_MiB)}, {cache()});
    ASSERT_EQ(first.write("db01", 7, 1, 0x42), IoStatus::ok);
  }
  const Uuid other = make_cache("pmem1");
  const auto expect_missing = [&](const std::string& device) {
    Life now(*this, {cached("db01", 8_MiB, device)}, {cache(device)});
    EXPECT_EQ(now.condition("db01").state, VolumeState::late);
    EXPECT_TRUE(contains(now.reason("db01"), cache_uuid.text())) << now.reason("db01");
    EXPECT_TRUE(contains(now.reason("db01"), other.text())) << now.reason("db01");
    EXPECT_EQ(now.finding(About::volume, "db01"), now.reason("db01"));
    EXPECT_EQ(now.read("db01", 7), -static_cast<int>(IoStatus::unavailable));
  };
  expect_missing("pmem1");
  move("pmem0", "away");
  move("pmem1", "pmem0");
  expect_missing("pmem0");
  move("pmem0", "pmem1");
  move("away", "pmem0");
  Life now(*this, {cached("db01", 8_MiB)}, {cache()});
  EXPECT_EQ(now.read("db01", 7), 0x42);
}

TEST_P(CachedEngine, AnEmptyCacheOfTheSameIdentityIsNotTakenEither) {
  copy("pmem0", "blank");
  {
    Life first(*this, {cached("db01", 8_MiB)}, {cache()});
    ASSERT_EQ(first.write("db01", 7, 1, 0x42), IoStatus::ok);
  }
  move("pmem0", "away");
  move("blank", "pmem0");
  Life now(*this, {cached("db01", 8_MiB)}, {cache()});
  EXPECT_EQ(now.condition("db01").state, VolumeState::late);
  EXPECT_TRUE(contains(now.reason("db01"), "nothing of the volume is on it")) << now.reason("db01");
}

// Every life counts, also one in which nothing was written back: the copy would be served as if the
// writes of that life had never been.
TEST_P(CachedEngine, AnOlderCopyOfTheCacheIsRefused) {
  {
    Life first(*this, {cached("db01", 8_MiB)}, {cache()});
    ASSERT_EQ(first.write("db01", 7, 1, 0x42), IoStatus::ok);
  }
  copy("pmem0", "copy");
  {
    Life second(*this, {cached("db01", 8_MiB)}, {cache()});
    ASSERT_EQ(second.write("db01", 7, 1, 0x43), IoStatus::ok);
  }
  move("pmem0", "newer");
  move("copy", "pmem0");
  {
    Life now(*this, {cached("db01", 8_MiB)}, {cache()});
    EXPECT_EQ(now.condition("db01").state, VolumeState::late);
    EXPECT_TRUE(contains(now.reason("db01"), "what is there now is older")) << now.reason("db01");
    EXPECT_TRUE(contains(now.reason("db01"), cache_uuid.text())) << now.reason("db01");
    EXPECT_EQ(now.finding(About::volume, "db01"), now.reason("db01"));
    EXPECT_EQ(now.read("db01", 7), -static_cast<int>(IoStatus::unavailable));
  }
  move("newer", "pmem0");
  Life now(*this, {cached("db01", 8_MiB)}, {cache()});
  EXPECT_EQ(now.read("db01", 7), 0x43);
}

TEST_P(CachedEngine, AnOlderCopyOfTheImageIsRefused) {
  {
    Life first(*this, {cached("db01", 8_MiB, "pmem0", soon)}, {cache()});
    ASSERT_EQ(first.write("db01", 7, 1, 0x42), IoStatus::ok);
    first.wait_until_clean();
    ASSERT_EQ(first.write("db01", 8, 1, 0x42), IoStatus::ok);
  }
  copy("bulk", "copy");
  {
    // Written back in this life: the copy lacks it, and the cache may have given it up.
    Life second(*this, {cached("db01", 8_MiB, "pmem0", soon)}, {cache()});
    ASSERT_EQ(second.write("db01", 7, 1, 0x43), IoStatus::ok);
    second.wait_until_clean();
    ASSERT_EQ(second.write("db01", 9, 1, 0x44), IoStatus::ok);
  }
  move("bulk", "newer");
  move("copy", "bulk");
  {
    Life now(*this, {cached("db01", 8_MiB)}, {cache()});
    EXPECT_EQ(now.condition("db01").state, VolumeState::late);
    EXPECT_TRUE(contains(now.reason("db01"), "one of the two is an old copy"))
        << now.reason("db01");
    EXPECT_EQ(now.finding(About::volume, "db01"), now.reason("db01"));
  }
  fs::remove_all(path_of("bulk"));
  move("newer", "bulk");
  Life now(*this, {cached("db01", 8_MiB)}, {cache()});
  EXPECT_EQ(now.read("db01", 7), 0x43);
  EXPECT_EQ(now.read("db01", 9), 0x44);
}

TEST_P(CachedEngine, ABackupOfTheImageGoesOnWithoutTheNewerCacheOnceThatIsNamed) {
  {
    Life first(*this, {cached("db01", 8_MiB, "pmem0", soon)}, {cache()});
    ASSERT_EQ(first.write("db01", 7, 1, 0x42), IoStatus::ok);
    first.wait_until_clean();
  }
  copy("bulk", "backup");
  {
    Life second(*this, {cached("db01", 8_MiB, "pmem0", soon)}, {cache()});
    ASSERT_EQ(second.write("db01", 7, 1, 0x43), IoStatus::ok);
    second.wait_until_clean();
    ASSERT_EQ(second.write("db01", 9, 1, 0x44), IoStatus::ok);
  }
  fs::remove_all(path_of("bulk"));
  move("backup", "bulk");
  {
    Life now(*this, {cached("db01", 8_MiB)}, {cache()});
    ASSERT_TRUE(
        contains(now.reason("db01"), "forebayctl abandon db01 --cache " + cache_uuid.text()))
        << now.reason("db01");
    ASSERT_EQ(now.give_up_cache(cache_uuid), "");
    ASSERT_TRUE(now.engine->settle(patience));
    ASSERT_EQ(now.condition("db01").state, VolumeState::online) << now.reason("db01");
    EXPECT_EQ(now.read("db01", 7), 0x42);
    EXPECT_EQ(now.read("db01", 9), 0);
    ASSERT_EQ(now.write("db01", 9, 1, 0x45), IoStatus::ok);
  }
  Life again(*this, {cached("db01", 8_MiB)}, {cache()});
  EXPECT_EQ(again.read("db01", 9), 0x45);
}

TEST_P(CachedEngine, AConfigurationThatDropsADirtyCacheIsRefused) {
  {
    Life first(*this, {cached("db01", 8_MiB)}, {cache()});
    ASSERT_EQ(first.write("db01", 7, 1, 0x42), IoStatus::ok);
  }
  {
    Life now(*this, {direct("db01", 8_MiB)}, {});
    EXPECT_NE(now.condition("db01").state, VolumeState::online);
    EXPECT_TRUE(contains(now.reason("db01"), cache_uuid.text())) << now.reason("db01");
    EXPECT_EQ(now.finding(About::volume, "db01"), now.reason("db01"));
    EXPECT_EQ(now.read("db01", 7), -static_cast<int>(IoStatus::unavailable));
  }
  Life now(*this, {cached("db01", 8_MiB)}, {cache()});
  EXPECT_EQ(now.read("db01", 7), 0x42);
}

TEST_P(CachedEngine, AfterACleanDetachmentNothingOfTheCacheAppearsAgain) {
  {
    Life first(*this, {cached("db01", 8_MiB, "pmem0", soon)}, {cache()});
    ASSERT_EQ(first.write("db01", 7, 2, 0x42), IoStatus::ok);
    first.wait_until_clean();
  }
  EXPECT_EQ(binding("db01").state, State::clean);
  {
    Life without(*this, {direct("db01", 8_MiB)}, {});
    ASSERT_EQ(without.condition("db01").state, VolumeState::online) << without.reason("db01");
    EXPECT_EQ(without.read("db01", 7), 0x42) << "it was written back";
    ASSERT_EQ(without.write("db01", 7, 1, 0x43), IoStatus::ok);
  }
  EXPECT_EQ(binding("db01").state, State::none);
  Life again(*this, {cached("db01", 8_MiB)}, {cache()});
  ASSERT_EQ(again.condition("db01").state, VolumeState::online) << again.reason("db01");
  EXPECT_EQ(again.read("db01", 7), 0x43) << "not what the cache had";
  EXPECT_EQ(again.read("db01", 8), 0x42);
}

// A clean cache that stays in the configuration keeps what it has, and the image may be read
// without it.
TEST_P(CachedEngine, ACleanCacheMayBeLostButIsWaitedFor) {
  {
    Life first(*this, {cached("db01", 8_MiB, "pmem0", soon)}, {cache()});
    ASSERT_EQ(first.write("db01", 7, 1, 0x42), IoStatus::ok);
    first.wait_until_clean();
  }
  move("pmem0", "away");
  const Uuid other = make_cache("pmem0");
  EXPECT_NE(other, cache_uuid);
  {
    Life now(*this, {cached("db01", 8_MiB)}, {cache()});
    ASSERT_EQ(now.condition("db01").state, VolumeState::online) << now.reason("db01");
    EXPECT_EQ(now.read("db01", 7), 0x42);
    ASSERT_EQ(now.write("db01", 7, 1, 0x43), IoStatus::ok);
  }
  EXPECT_EQ(binding("db01").device, other);
  move("pmem0", "other");
  move("away", "pmem0");
  Life now(*this, {cached("db01", 8_MiB)}, {cache()});
  EXPECT_EQ(now.condition("db01").state, VolumeState::late) << "the other one has the newer write";
  EXPECT_TRUE(contains(now.reason("db01"), other.text())) << now.reason("db01");
}

// ---- space

TEST_P(CachedEngine, WhatCannotBeGuaranteedIsRefusedAndItsRecordLeftAlone) {
  VolumeSpec first = cached("db01", 8_MiB);
  VolumeSpec second = cached("db02", 8_MiB);
  first.cache->guaranteed = second.cache->guaranteed = 20_MiB;
  {
    Life now(*this, {first, second}, {cache()});
    const bool is_first = now.condition("db01").state == VolumeState::online;
    const std::string late = is_first ? "db02" : "db01";
    EXPECT_EQ(now.condition(is_first ? "db01" : "db02").state, VolumeState::online);
    EXPECT_EQ(now.condition(late).state, VolumeState::late);
    EXPECT_TRUE(contains(now.reason(late), "lower a `guaranteed`")) << now.reason(late);
    EXPECT_EQ(now.finding(About::volume, late), now.reason(late));
  }
  Life direct_now(*this, {direct("db02", 8_MiB)}, {});
  (void)direct_now.read("db02", 0);
}

TEST_P(CachedEngine, AMaximumBoundsWhatAVolumeTakesFromAnother) {
  VolumeSpec first = cached("db01", 64_MiB);
  first.cache->maximum = 8_MiB;
  first.cache->dirty_high_percent = 90;
  Life now(*this, {first, cached("db02", 64_MiB)}, {cache()});
  ASSERT_EQ(now.condition("db01").state, VolumeState::online) << now.reason("db01");
  for (std::uint64_t lba = 0; lba < (64_MiB).value / block; lba += 64) {
    ASSERT_EQ(now.write("db01", lba, 64, 7), IoStatus::ok);
    ASSERT_GE(now.engine->caches()[0].free + 14_MiB, 32_MiB - 4_MiB) << "at " << lba;
  }
  for (std::uint64_t lba = 0; lba < (12_MiB).value / block; lba += 64) {
    ASSERT_EQ(now.write("db02", lba, 64, 8), IoStatus::ok);
  }
  EXPECT_EQ(now.read("db01", 0), 7);
  EXPECT_EQ(now.read("db02", 0), 8);
}

// Two segments, which commands of as much go through beside their checksums.
TEST_P(CachedEngine, TheLargestCommandsGetThroughTheLeastMaximum) {
  VolumeSpec least = cached("db01", 64_MiB);
  least.cache->maximum = 2_MiB;
  Life now(*this, {least}, {cache()});
  ASSERT_EQ(now.condition("db01").state, VolumeState::online) << now.reason("db01");
  constexpr std::uint64_t largest = BufferPool::largest.value / block;
  for (std::uint64_t at = 0; at < 4; ++at) {
    ASSERT_EQ(now.write("db01", 1 + at * largest, largest, static_cast<int>(at + 1)), IoStatus::ok);
  }
  for (std::uint64_t at = 0; at < 4; ++at) {
    EXPECT_EQ(now.read("db01", 1 + at * largest), static_cast<int>(at + 1));
    EXPECT_EQ(now.read("db01", (1 + at) * largest), static_cast<int>(at + 1));
  }
}

TEST_P(CachedEngine, AMaximumThatHoldsNoCommandIsRefusedWithTheLeastThatDoes) {
  (void)make_cache("pmem1", 64_MiB, 4U << 20);
  VolumeSpec small = cached("db01", 8_MiB, "pmem1");
  small.cache->maximum = 3_MiB;
  {
    Life now(*this, {small}, {cache("pmem1")});
    EXPECT_EQ(now.condition("db01").state, VolumeState::late);
    EXPECT_TRUE(contains(now.reason("db01"), "`maximum` must be at least 4096 KiB"))
        << now.reason("db01");
  }
  small.cache->maximum = 4_MiB;
  Life now(*this, {small}, {cache("pmem1")});
  EXPECT_EQ(now.condition("db01").state, VolumeState::online) << now.reason("db01");
}

TEST_P(CachedEngine, GrowsOnlineAndKeepsWhatWasWrittenBehindTheOldEnd) {
  const std::uint64_t old_end = (8_MiB).value / block;
  {
    Life now(*this, {cached("db01", 8_MiB)}, {cache()});
    ASSERT_EQ(now.write("db01", old_end - 1, 1, 1), IoStatus::ok);
    EXPECT_EQ(now.write("db01", old_end, 1, 2), IoStatus::out_of_range);
    ASSERT_TRUE(now.grow("db01", 16_MiB));
    EXPECT_EQ(now.engine->find("db01")->size(), BlockCount{2 * old_end});
    EXPECT_EQ(now.read("db01", old_end), 0);
    EXPECT_EQ(now.write("db01", old_end - 1, 2, 3), IoStatus::ok);
    EXPECT_EQ(now.write("db01", 2 * old_end - 1, 1, 4), IoStatus::ok);
  }
  Life again(*this, {cached("db01", 8_MiB)}, {cache()});
  ASSERT_EQ(again.condition("db01").state, VolumeState::online) << again.reason("db01");
  EXPECT_EQ(again.read("db01", old_end - 1), 3);
  EXPECT_EQ(again.read("db01", old_end), 3);
  EXPECT_EQ(again.read("db01", 2 * old_end - 1), 4);
}

// A crash between the growth of the image and the cache's: what a pool does by itself.
TEST_P(CachedEngine, AnImageThatHasGrownBeforeItsCacheIsServedWhole) {
  {
    Life now(*this, {cached("db01", 8_MiB)}, {cache()});
    ASSERT_EQ(now.write("db01", 0, 1, 1), IoStatus::ok);
  }
  {
    auto pool = FilePool::open(directory + "/bulk");
    ASSERT_TRUE(pool);
    ASSERT_TRUE(pool.value()->grow("db01", 16_MiB, 8_MiB));
  }
  const std::uint64_t last = (16_MiB).value / block - 1;
  {
    Life now(*this, {cached("db01", 8_MiB)}, {cache()});
    ASSERT_EQ(now.condition("db01").state, VolumeState::online) << now.reason("db01");
    EXPECT_EQ(now.write("db01", last, 1, 2), IoStatus::ok);
  }
  Life now(*this, {cached("db01", 8_MiB)}, {cache()});
  EXPECT_EQ(now.read("db01", 0), 1);
  EXPECT_EQ(now.read("db01", last), 2);
}

// ---- damage

// Both copies of a volume's first kset, of which later ones are whole.
void rot_first_kset(const std::string& path) {
  MediaOffset places[2];
  {
    auto region = open_pmem_region(path, {});
    ASSERT_TRUE(region);
    auto device = CacheDevice::open(*region.value(),
                                    {.access = CacheDevice::Access::inspect, .expected = {}});
    ASSERT_TRUE(device);
    const LogChunk& chunk = device.value()->chunks_of(0).chunks.front();
    for (int copy : {0, 1}) {
      places[copy] = chunk.places[copy] + ByteCount{device.value()->layout().first_kset()};
    }
  }
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  for (const MediaOffset entry : places) {
    file.seekp(static_cast<std::streamoff>(entry.value + 16));
    file.write("rotten", 6);
  }
}

TEST_P(CachedEngine, ADamagedLogIsServedAsItWasBeforeAndSaysSo) {
  {
    Life first(*this, {cached("db01", 8_MiB)}, {cache()});
    for (int value : {1, 2, 3}) ASSERT_EQ(first.write("db01", 7, 1, value), IoStatus::ok);
  }
  rot_first_kset(path_of("pmem0"));
  for (const int life : {1, 2}) {
    SCOPED_TRACE(life);
    Life now(*this, {cached("db01", 8_MiB)}, {cache()});
    EXPECT_EQ(now.condition("db01").state, VolumeState::failed);
    EXPECT_TRUE(contains(now.reason("db01"), "forebay-media check")) << now.reason("db01");
    EXPECT_EQ(now.read("db01", 7), 0) << "as it was before its first write";
    EXPECT_EQ(now.write("db01", 7, 1, 4), IoStatus::read_only);
  }
  EXPECT_EQ(binding("db01").state, State::dirty);
}

// The image has what lies behind the damage: with what lies before, it is of no moment at all.
TEST_P(CachedEngine, ALogThatIsDamagedBehindTheImageIsNotServed) {
  {
    Life first(*this, {cached("db01", 8_MiB, "pmem0", soon)}, {cache()});
    for (int value : {1, 2, 3}) ASSERT_EQ(first.write("db01", 7, 1, value), IoStatus::ok);
    first.wait_until_clean();
    ASSERT_EQ(first.write("db01", 8, 1, 4), IoStatus::ok);
  }
  rot_first_kset(path_of("pmem0"));
  Life now(*this, {cached("db01", 8_MiB)}, {cache()});
  EXPECT_EQ(now.condition("db01").state, VolumeState::late);
  EXPECT_TRUE(contains(now.reason("db01"), "forebay-media check")) << now.reason("db01");
  EXPECT_EQ(now.finding(About::volume, "db01"), now.reason("db01"));
  EXPECT_EQ(now.read("db01", 7), -static_cast<int>(IoStatus::unavailable));
}

// An entry that is lost in both replicas: its index would be empty, and the image is not enough.
TEST_P(CachedEngine, ALostEntryIsNotServed) {
  {
    Life first(*this, {cached("db01", 8_MiB)}, {cache()});
    ASSERT_EQ(first.write("db01", 7, 1, 1), IoStatus::ok);
  }
  std::array<MediaOffset, 2> places;
  {
    auto region = open_pmem_region(path_of("pmem0"), {});
    ASSERT_TRUE(region);
    auto device = CacheDevice::open(*region.value());
    ASSERT_TRUE(device);
    places = device.value()->layout().volume_entry(0, format::EntryType::volume_tails);
  }
  std::fstream file(path_of("pmem0"), std::ios::in | std::ios::out | std::ios::binary);
  for (const MediaOffset entry : places) {
    file.seekp(static_cast<std::streamoff>(entry.value + 16));
    file.write("rotten", 6);
  }
  file.close();
  Life now(*this, {cached("db01", 8_MiB)}, {cache()});
  EXPECT_EQ(now.condition("db01").state, VolumeState::late);
  EXPECT_TRUE(contains(now.reason("db01"), "forebay-media check")) << now.reason("db01");
  EXPECT_EQ(now.read("db01", 7), -static_cast<int>(IoStatus::unavailable));
}

INSTANTIATE_TEST_SUITE_P(Granularities, CachedEngine, testing::Values("PAGE", "CACHE_LINE"),
                         [](const auto& granularity) { return std::string(granularity.param); });

}  // namespace
}  // namespace engine
