// A volume whose write-back keeps a journal, over real files: what is there of it without its
// cache.
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>

#include "engine/format/journal_format.h"
#include "engine/foundation/byte_cursor.h"
#include "engine/pool/journal_file.h"
#include "engine/pool/marker_file.h"
#include "tests/engine/volume/cached_engine_kit.h"

namespace engine {
namespace {

using MarkState = BackingMark::State;

class JournalledEngine : public CachedEngine {
 protected:
  static constexpr std::uint64_t lba = 7;
  static constexpr int older = 0x41;   // on the image
  static constexpr int newest = 0x42;  // in the cache, and its journal
  static constexpr int torn = 0x66;    // on the image, of a batch that was cut off
  static constexpr std::uint64_t batch_time_ms = 4'102'444'800'000;  // in 2100
  const std::string image = "db01.raw";

  [[nodiscard]] VolumeSpec volume(Duration age = std::chrono::hours(1)) const {
    VolumeSpec spec = cached("db01", 8_MiB, "pmem0", age);
    spec.cache->ordered = WriteBackOrder::journal;
    return spec;
  }
  [[nodiscard]] std::unique_ptr<PoolDirectory> bulk() const {
    return std::move(open_pool_directory(path_of("bulk")).value());
  }
  [[nodiscard]] VolumeRecord record() const {
    return FilePool::open(path_of("bulk")).value()->volumes().front();
  }
  [[nodiscard]] StoredMark marker() const {
    return *read_marker(*bulk(), image, record().uuid).value();
  }
  [[nodiscard]] int on_image() const {
    std::ifstream file(path_of("bulk/" + image), std::ios::binary);
    file.seekg(static_cast<std::streamoff>(lba * block));
    return file.get();
  }

  // The cache has lba, newest; a batch with it was cut off when the journal counted and the image
  // had a part.
  void cut_off_a_batch() {
    {
      Life first(*this, {volume(soon)}, {cache()});
      ASSERT_EQ(first.write("db01", lba, 1, older), IoStatus::ok);
      first.wait_until_clean();
    }
    {
      Life second(*this, {volume()}, {cache()});
      ASSERT_EQ(second.write("db01", lba, 1, newest), IoStatus::ok);
    }
    StoredMark stored = marker();
    ASSERT_EQ(stored.mark.state, MarkState::clean);
    stored.mark.state = MarkState::journalled;
    ++stored.mark.to;
    stored.mark.to_time_ms = batch_time_ms;
    stored.mark.journal = {.offset = {}, .bytes = {2 * block}, .epoch = record().cache.epoch};
    ++stored.sequence;
    const auto pool_files = bulk();
    const JournalPiece piece{.offset = {lba * block}, .length = {block}};
    std::vector<std::byte> frame(2 * block, static_cast<std::byte>(newest));
    encode_journal_head({.frame = {.mark = stored.mark}, .pieces = {&piece, 1}, .buffer = frame});
    const auto journal = std::move(pool_files->open(journal_name(image)).value());
    ASSERT_TRUE(journal->write({}, frame));
    const auto file = std::move(pool_files->open(image).value());
    const std::vector<std::byte> part(512, static_cast<std::byte>(torn));
    ASSERT_TRUE(file->write({lba * block}, part));
    ASSERT_TRUE(make_marker(*pool_files, image, stored));
  }
  [[nodiscard]] std::string abandon(const Life& life, std::string* left = nullptr) const {
    const std::string error = life.give_up_cache(cache_uuid, left);
    EXPECT_TRUE(life.engine->settle(patience));
    return error;
  }
  // Of the cache's attachment, in the first frame.
  [[nodiscard]] std::uint64_t epoch_in_journal() const {
    const auto bytes = bulk()->read(journal_name(image), block).value();
    return ByteReader(bytes).read<format::JournalHead>()->epoch;
  }
  template <class Ask>
  [[nodiscard]] static Result<void, std::string> answer_of(const Ask& ask) {
    std::promise<Result<void, std::string>> promise;
    ask([&promise](auto result) { promise.set_value(std::move(result)); });
    return promise.get_future().get();
  }
  void damage_journal() const {
    const auto journal = std::move(bulk()->open(journal_name(image)).value());
    const std::vector<std::byte> rot(16, std::byte{0x77});
    ASSERT_TRUE(journal->write({block + 100}, rot));
  }
};

TEST_P(JournalledEngine, WritesBackThroughItsJournal) {
  {
    Life life(*this, {volume(soon)}, {cache()});
    ASSERT_EQ(life.write("db01", lba, 300, newest), IoStatus::ok);
    life.wait_until_clean();
    const auto status = life.engine->cache_of("db01");
    ASSERT_TRUE(status.has_value());
    EXPECT_FALSE(status->backing_mixed);
    EXPECT_NE(status->consistent_time_ms, 0U);
    EXPECT_EQ(life.read("db01", lba + 299), newest);
  }
  EXPECT_EQ(on_image(), newest);
  EXPECT_EQ(marker().mark.state, MarkState::clean);
  const auto journal = bulk()->read(journal_name(image), block).value();
  EXPECT_EQ(std::string(reinterpret_cast<const char*>(journal.data()), 7), "FBYJRNL");
  EXPECT_GE(bulk()->allocated(journal_name(image)).value(), journal_room);
}

TEST_P(JournalledEngine, ALostCacheLeavesWhatItsJournalHas) {
  cut_off_a_batch();
  move("pmem0", "lost");
  make_cache("pmem0");
  Life now(*this, {volume()}, {cache()});
  EXPECT_TRUE(now.condition("db01").lacks_cache);
  EXPECT_TRUE(contains(now.reason("db01"), "the volume is then as it was at 2100-01-01 00:00:00"))
      << now.reason("db01");
  EXPECT_FALSE(contains(now.reason("db01"), "besides")) << now.reason("db01");
  EXPECT_EQ(on_image(), torn) << "only when somebody has decided";
  ASSERT_EQ(abandon(now), "");
  ASSERT_EQ(now.condition("db01").state, VolumeState::online) << now.reason("db01");
  EXPECT_EQ(now.read("db01", lba), newest);
  EXPECT_EQ(on_image(), newest);
  EXPECT_EQ(now.write("db01", lba, 1, 0x43), IoStatus::ok);
  EXPECT_EQ(now.read("db01", lba), 0x43);
}

TEST_P(JournalledEngine, TheSameWhereItIsServedWithoutACacheThen) {
  cut_off_a_batch();
  Life now(*this, {direct("db01", 8_MiB)}, {});
  EXPECT_TRUE(now.condition("db01").lacks_cache) << now.reason("db01");
  EXPECT_TRUE(contains(now.reason("db01"), "The volume is then as it was at 2100-01-01 00:00:00"))
      << now.reason("db01");
  ASSERT_EQ(abandon(now), "");
  ASSERT_EQ(now.condition("db01").state, VolumeState::online) << now.reason("db01");
  EXPECT_EQ(now.read("db01", lba), newest);
}

// Nothing counts any more of what the image is written without.
TEST_P(JournalledEngine, WhatWasAbandonedOnceDoesNotComeBack) {
  cut_off_a_batch();
  {
    Life now(*this, {direct("db01", 8_MiB)}, {});
    ASSERT_EQ(abandon(now), "");
    ASSERT_EQ(now.write("db01", lba, 1, 0x43), IoStatus::ok);
  }
  EXPECT_EQ(marker().mark.state, MarkState::clean);
  EXPECT_EQ(marker().mark.to_time_ms, batch_time_ms);
  Life again(*this, {volume()}, {cache()});
  ASSERT_EQ(again.condition("db01").state, VolumeState::online) << again.reason("db01");
  EXPECT_EQ(again.read("db01", lba), 0x43);
}

TEST_P(JournalledEngine, ADamagedJournalIsToldBeforeAnythingIsGivenUp) {
  cut_off_a_batch();
  damage_journal();
  move("pmem0", "lost");
  Life now(*this, {volume()}, {cache()});
  EXPECT_TRUE(contains(abandon(now), "its journal is damaged")) << now.reason("db01");
  EXPECT_TRUE(now.condition("db01").lacks_cache);
  EXPECT_TRUE(contains(now.reason("db01"), "and besides a part of what was written up to 2100"))
      << now.reason("db01");
  EXPECT_EQ(on_image(), torn);
  ASSERT_EQ(abandon(now), "");
  EXPECT_FALSE(now.condition("db01").lacks_cache);
}

TEST_P(JournalledEngine, WithItsCacheItNeedsNoJournal) {
  cut_off_a_batch();
  damage_journal();
  {
    Life now(*this, {volume(soon)}, {cache()});
    ASSERT_EQ(now.condition("db01").state, VolumeState::online) << now.reason("db01");
    EXPECT_EQ(now.read("db01", lba), newest);
    now.wait_until_clean();
  }
  EXPECT_EQ(on_image(), newest);
  EXPECT_EQ(marker().mark.state, MarkState::clean);
}

TEST_P(JournalledEngine, StaysWithAVolumeThatLeavesItsCacheAndJoinsAgain) {
  Life life(*this, {volume(soon)}, {cache()});
  ASSERT_EQ(life.write("db01", lba, 1, older), IoStatus::ok);
  life.wait_until_clean();
  const std::uint64_t before = epoch_in_journal();
  ASSERT_TRUE(answer_of([&](auto done) { life.engine->detach_cache("db01", done); }));
  ASSERT_TRUE(life.wait_for([&] {
    (void)life.lane->reap();
    return !life.engine->cache_of("db01");
  }));
  ASSERT_EQ(life.write("db01", lba + 1, 1, older), IoStatus::ok);
  ASSERT_TRUE(answer_of([&](auto done) { life.engine->attach_cache("db01", "pmem0", done); }));
  ASSERT_EQ(life.write("db01", lba, 1, newest), IoStatus::ok);
  life.wait_until_clean();
  EXPECT_EQ(on_image(), newest);
  EXPECT_GT(epoch_in_journal(), before);
}

TEST_P(JournalledEngine, TheOrderMayChangeFromLifeToLife) {
  cut_off_a_batch();
  {
    Life batch(*this, {cached("db01", 8_MiB, "pmem0", soon)}, {cache()});
    batch.wait_until_clean();
    EXPECT_EQ(on_image(), newest);
    ASSERT_EQ(batch.write("db01", lba, 1, 0x43), IoStatus::ok);
    batch.wait_until_clean();
  }
  EXPECT_EQ(marker().mark.state, MarkState::clean);
  Life journal(*this, {volume(soon)}, {cache()});
  ASSERT_EQ(journal.write("db01", lba, 1, 0x44), IoStatus::ok);
  journal.wait_until_clean();
  EXPECT_EQ(on_image(), 0x44);
}

// Finer media: the crash suite, and the durability test from end to end.
INSTANTIATE_TEST_SUITE_P(Granularities, JournalledEngine, testing::Values("PAGE"));

}  // namespace
}  // namespace engine
