// The journal beside an image: its bytes, what damage leaves of it, and how it comes to its image
// under power loss.
#include "engine/pool/journal_file.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>

#include "engine/format/journal_format.h"
#include "engine/media/uring_lane.h"
#include "engine/pool/checked_struct.h"
#include "engine/pool/file_pool.h"
#include "tests/engine/media/lane_driver.h"
#include "tests/engine/pool/sim_directory.h"
#include "tests/sim/rounds.h"
#include "tests/sim/sim_lane.h"

namespace engine {
namespace {

using Bytes = std::vector<std::byte>;
using ErrorKind = PoolError::Kind;
using MarkState = BackingMark::State;

constexpr ByteCount image_size = 1_MiB;

Uuid uuid_filled(std::uint8_t number) {
  Uuid uuid;
  uuid.bytes.fill(std::byte{number});
  return uuid;
}

// A batch of two frames, 8 KiB and 4 KiB, behind another one.
BackingMark batch_mark() {
  return {.state = MarkState::journalled,
          .volume = uuid_filled(1),
          .cache = uuid_filled(2),
          .from = 3,
          .to = 9,
          .from_time_ms = 1003,
          .to_time_ms = 1009,
          .journal = {.offset = {4096}, .bytes = {12288}, .epoch = 7}};
}
const std::vector<JournalPiece> first_pieces{
    {.kind = JournalPiece::Kind::data, .offset = {8 * 512}, .length = {2 * 512}},
    {.kind = JournalPiece::Kind::zeros, .offset = {16 * 512}, .length = {512}},
    {.kind = JournalPiece::Kind::data, .offset = {24 * 512}, .length = {512}}};
const std::vector<JournalPiece> second_pieces{
    {.kind = JournalPiece::Kind::zeros, .offset = {32 * 512}, .length = {4 * 512}}};

Bytes frame_of(const BackingMark& mark, std::uint32_t number) {
  Bytes bytes(number == 0 ? 8192 : 4096);
  if (number == 0) {
    std::fill_n(bytes.begin() + 4096, 2 * 512, std::byte{0xaa});
    std::fill_n(bytes.begin() + 4096 + 2 * 512, 512, std::byte{0xbb});
  }
  encode_journal_head({.frame = {.mark = mark, .number = number, .count = 2},
                       .pieces = number == 0 ? first_pieces : second_pieces,
                       .buffer = bytes});
  return bytes;
}

Bytes journal_of(const BackingMark& mark) {
  Bytes bytes(mark.journal.offset.value, std::byte{0x55});
  for (std::uint32_t number = 0; number < 2; ++number) {
    const Bytes frame = frame_of(mark, number);
    bytes.insert(bytes.end(), frame.begin(), frame.end());
  }
  return bytes;
}

// The volume before the batch, some of which has reached it already.
Bytes image_before() {
  Bytes image(image_size.value, std::byte{0x11});
  std::fill_n(image.begin() + 9 * 512, 512, std::byte{0xaa});
  return image;
}
Bytes image_after() {
  Bytes image = image_before();
  std::fill_n(image.begin() + 8 * 512, 2 * 512, std::byte{0xaa});
  std::fill_n(image.begin() + 16 * 512, 512, std::byte{0});
  std::fill_n(image.begin() + 24 * 512, 512, std::byte{0xbb});
  std::fill_n(image.begin() + 32 * 512, 4 * 512, std::byte{0});
  return image;
}

struct Applied {
  std::optional<PoolError> error;
  Bytes image;
};

Applied applied_over(const Bytes& journal, const BackingMark& mark, ByteCount size = image_size) {
  SimDirectoryDisk disk;
  SimDirectory directory(disk, {}, 1);
  EXPECT_TRUE(directory.write("journal", journal));
  EXPECT_TRUE(directory.write("image", image_before()));
  const auto from = std::move(directory.open("journal").value());
  const auto to = std::move(directory.open("image").value());
  const auto applied = apply_journal(*from, *to, size, mark);
  return {.error = applied ? std::nullopt : std::optional(applied.error()),
          .image = directory.read("image", image_size.value).value()};
}

TEST(JournalFile, GoldenBytesOfAHead) {
  const Bytes bytes = frame_of(batch_mark(), 0);
  const auto u8 = [&bytes](std::size_t at) { return std::to_integer<unsigned>(bytes[at]); };
  const auto u16 = [&u8](std::size_t at) { return u8(at) + 256 * u8(at + 1); };
  EXPECT_EQ(std::string(reinterpret_cast<const char*>(bytes.data()), 8), "FBYJRNL\n");
  EXPECT_EQ(u8(12), 1U);
  for (std::size_t at = 0; at < 16; ++at) {
    EXPECT_EQ(u8(40 + at), 1U);
    EXPECT_EQ(u8(56 + at), 2U);
  }
  EXPECT_EQ(u8(72), 7U);
  EXPECT_EQ(u8(80), 3U);
  EXPECT_EQ(u8(88), 9U);
  EXPECT_EQ(u16(96), 1003U);
  EXPECT_EQ(u16(104), 1009U);
  EXPECT_EQ(u16(112), 4096U);
  EXPECT_EQ(u16(120), 12288U);
  EXPECT_EQ(u8(128), 0U);
  EXPECT_EQ(u8(132), 2U);
  EXPECT_EQ(u16(136), 8192U);
  EXPECT_EQ(u8(144), 3U);
  EXPECT_EQ(u8(152), 8U) << "entries: sector, sectors, kind";
  EXPECT_EQ(u8(160), 2U);
  EXPECT_EQ(u8(164), 1U);
  EXPECT_EQ(u8(168), 16U);
  EXPECT_EQ(u8(176), 1U);
  EXPECT_EQ(u8(180), 2U);
  for (std::size_t at = 152 + 3 * 16; at < 4096; ++at) ASSERT_EQ(u8(at), 0U);
  const auto head = *ByteReader(bytes).read<format::JournalHead>();
  EXPECT_TRUE(is_sealed(head));
  EXPECT_EQ(head.data_crc, crc32c(std::span(bytes).subspan(4096)));
}

TEST(JournalFile, BringsItsImageToTheMomentOfItsMark) {
  const Applied done = applied_over(journal_of(batch_mark()), batch_mark());
  EXPECT_FALSE(done.error) << done.error->text;
  EXPECT_TRUE(done.image == image_after());
}

TEST(JournalFile, NothingIsChangedByOneThatIsDamagedAnywhere) {
  const Bytes journal = journal_of(batch_mark());
  for (std::size_t at = batch_mark().journal.offset.value; at < journal.size();
       at += 61 * stride()) {
    Bytes damaged = journal;
    damaged[at] ^= std::byte{0x10};
    const Applied done = applied_over(damaged, batch_mark());
    ASSERT_TRUE(done.error) << at;
    EXPECT_EQ(done.error->kind, ErrorKind::damaged) << done.error->text;
    ASSERT_TRUE(done.image == image_before()) << at;
  }
  Bytes shorter = journal;
  shorter.resize(shorter.size() - 512);
  EXPECT_EQ(applied_over(shorter, batch_mark()).error->kind, ErrorKind::damaged);
}

// Whole frames of anything but what the marker speaks of.
TEST(JournalFile, OnlyTheBatchOfTheMarkCounts) {
  const Bytes journal = journal_of(batch_mark());
  const auto refused = [&journal](void (*change)(BackingMark&)) {
    BackingMark mark = batch_mark();
    change(mark);
    const Applied done = applied_over(journal, mark);
    return done.error && done.error->kind == ErrorKind::damaged && done.image == image_before();
  };
  EXPECT_TRUE(refused([](BackingMark& mark) { mark.volume = uuid_filled(3); }));
  EXPECT_TRUE(refused([](BackingMark& mark) { mark.cache = uuid_filled(3); }));
  EXPECT_TRUE(refused([](BackingMark& mark) { mark.from = 2; }));
  EXPECT_TRUE(refused([](BackingMark& mark) { mark.to = 10; }));
  EXPECT_TRUE(refused([](BackingMark& mark) { mark.to_time_ms = 1010; }));
  EXPECT_TRUE(refused([](BackingMark& mark) { mark.journal.epoch = 8; }));
  EXPECT_TRUE(refused([](BackingMark& mark) { mark.journal.bytes = {8192}; }));
  EXPECT_TRUE(refused([](BackingMark& mark) { mark.journal.bytes = {16384}; }));
  EXPECT_TRUE(refused([](BackingMark& mark) { mark.journal.offset = {0}; }));
  // One of its frames twice, and the last one missing.
  Bytes twice = journal_of(batch_mark());
  const Bytes first = frame_of(batch_mark(), 0);
  std::copy_n(first.begin(), 4096, twice.begin() + 4096 + 8192);
  EXPECT_EQ(applied_over(twice, batch_mark()).error->kind, ErrorKind::damaged);
}

TEST(JournalFile, ImpossibleValuesAreRefused) {
  const auto with = [](void (*change)(format::JournalHead&)) {
    Bytes journal = journal_of(batch_mark());
    const auto at = static_cast<std::ptrdiff_t>(batch_mark().journal.offset.value);
    auto head = *ByteReader(std::span(journal).subspan(4096)).read<format::JournalHead>();
    change(head);
    seal(head);
    std::ranges::copy(bytes_of(head), journal.begin() + at);
    const Applied done = applied_over(journal, batch_mark());
    EXPECT_TRUE(done.image == image_before());
    return done.error ? done.error->kind : ErrorKind::in_use;
  };
  using Head = format::JournalHead;
  EXPECT_EQ(with([](Head& head) { head.version = 2; }), ErrorKind::unsupported);
  EXPECT_EQ(with([](Head& head) { head.features.incompatible = 1; }), ErrorKind::unsupported);
  EXPECT_EQ(with([](Head& head) { head.entries = 241; }), ErrorKind::damaged);
  EXPECT_EQ(with([](Head& head) { head.frame_bytes = 0; }), ErrorKind::damaged);
  EXPECT_EQ(with([](Head& head) { head.frame_bytes = 16384; }), ErrorKind::damaged);
  EXPECT_EQ(with([](Head& head) { head.frames = 3; }), ErrorKind::damaged);
  EXPECT_EQ(with([](Head& head) { head.entry[0].kind = 3; }), ErrorKind::damaged);
  EXPECT_EQ(with([](Head& head) { head.entry[0].sectors = 0; }), ErrorKind::damaged);
  EXPECT_EQ(with([](Head& head) { head.entry[0].sectors = 100; }), ErrorKind::damaged);
  EXPECT_EQ(with([](Head& head) { head.entry[0].sector = ~std::uint64_t{0}; }), ErrorKind::damaged);
  EXPECT_EQ(with([](Head& head) { head.entry[0].sector = image_size.value / 512 - 1; }),
            ErrorKind::damaged)
      << "beyond the end of the volume";
}

// ---- in its pool

struct JournalledPool {
  JournalledPool() {
    SimDirectory directory(disk, {}, 1);
    EXPECT_TRUE(init_file_pool(directory));
    const auto pool = open({});
    const VolumeWish wish[] = {{.name = "v", .size = image_size, .block_size = {512}}};
    record = pool->ensure(wish)[0].value();
    EXPECT_TRUE(pool->bind(
        "v", {.device = uuid_filled(2), .epoch = 7, .state = format::CacheBindingState::dirty}));
    mark = batch_mark();
    mark.volume = record.uuid;
  }
  std::unique_ptr<FilePool> open(SimDirectory::Fault fault) {
    return std::move(FilePool::open(std::make_unique<SimDirectory>(disk, fault, 1)).value());
  }
  void put(const Bytes& journal) {
    SimDirectory directory(disk, {}, 1);
    EXPECT_TRUE(directory.write("v.raw.journal", journal));
    EXPECT_TRUE(directory.write("v.raw", image_before()));
    EXPECT_TRUE(make_marker(directory, "v.raw", {.mark = mark, .sequence = 5}));
    EXPECT_TRUE(directory.sync());
  }
  [[nodiscard]] Bytes image() {
    SimDirectory directory(disk, {}, 1);
    return directory.read("v.raw", image_size.value).value();
  }
  [[nodiscard]] BackingMark marker() {
    SimDirectory directory(disk, {}, 1);
    return read_marker(directory, "v.raw", record.uuid).value()->mark;
  }

  SimDirectoryDisk disk;
  VolumeRecord record;
  BackingMark mark;
};

TEST(JournalInItsPool, IsSettledWhereverPowerFails) {
  for (std::uint64_t step = 1;; ++step) {
    JournalledPool pool;
    pool.put(journal_of(pool.mark));
    bool crashed = false;
    try {
      ASSERT_TRUE(pool.open({.step = step})->settle_journal("v"));
    } catch (const SimCrash&) {
      crashed = true;
    }
    SeededRandom random(step);
    pool.disk.crash(random);
    const BackingMark now = pool.marker();
    if (now.state == MarkState::clean) {
      ASSERT_TRUE(pool.image() == image_after()) << "step " << step;
    } else {
      ASSERT_EQ(now, pool.mark) << "step " << step;
    }
    ASSERT_TRUE(pool.open({})->settle_journal("v"));
    pool.disk.crash(random);
    ASSERT_TRUE(pool.image() == image_after()) << "step " << step;
    ASSERT_EQ(pool.marker().state, MarkState::clean);
    ASSERT_EQ(pool.marker().to, 9U);
    ASSERT_EQ(pool.marker().to_time_ms, 1009U);
    if (!crashed) return;
  }
}

TEST(JournalInItsPool, ADiskThatFailsChangesNothingThatCounts) {
  JournalledPool pool;
  const std::uint64_t steps = [] {
    JournalledPool measured;
    measured.put(journal_of(measured.mark));
    EXPECT_TRUE(measured.open({})->settle_journal("v"));
    return measured.disk.steps;
  }();
  int failed = 0;
  for (std::uint64_t step = 1; step <= steps; ++step) {
    pool.put(journal_of(pool.mark));
    const auto opened = FilePool::open(
        std::make_unique<SimDirectory>(pool.disk, SimDirectory::Fault{step, EIO}, 1));
    if (!opened || opened.value()->settle_journal("v")) continue;
    ++failed;
    const bool is_settled = pool.marker().state == MarkState::clean;
    EXPECT_TRUE(is_settled ? pool.image() == image_after() : pool.marker() == pool.mark) << step;
  }
  EXPECT_GT(failed, 5);
}

TEST(JournalInItsPool, OneThatIsDamagedCountsNoMoreAndItsMarkerSaysSo) {
  JournalledPool pool;
  Bytes journal = journal_of(pool.mark);
  journal[5000] ^= std::byte{1};
  pool.put(journal);
  const auto settled = pool.open({})->settle_journal("v");
  ASSERT_FALSE(settled);
  EXPECT_EQ(settled.error().kind, ErrorKind::damaged);
  EXPECT_NE(settled.error().text.find("abandon the cache again"), std::string::npos);
  EXPECT_TRUE(pool.image() == image_before());
  EXPECT_EQ(pool.marker().state, MarkState::in_progress);
  EXPECT_EQ(pool.marker().from, 3U);
  EXPECT_EQ(pool.marker().to, 9U);
  EXPECT_TRUE(pool.open({})->settle_journal("v")) << "none counts any more";
}

// What the image gets of the backlog is not lost with the cache; without the journal all of it is.
TEST(JournalInItsPool, WhatItHasOfTheBacklogIsNotLostAnyMore) {
  JournalledPool pool;
  pool.mark.backlog = BacklogNote{.bytes = {5120}, .journalled = {2048}, .time_ms = 2000};
  pool.put(journal_of(pool.mark));
  EXPECT_NE(pool.open({})->what_is_left(pool.record, uuid_filled(2)).find("up to 3.0 KiB"),
            std::string::npos);
  ASSERT_TRUE(pool.open({})->settle_journal("v"));
  EXPECT_EQ(pool.marker().backlog,
            (BacklogNote{.bytes = {3072}, .journalled = {}, .time_ms = 2000}));
  Bytes journal = journal_of(pool.mark);
  journal[5000] ^= std::byte{1};
  pool.put(journal);
  ASSERT_FALSE(pool.open({})->settle_journal("v"));
  EXPECT_EQ(pool.marker().state, MarkState::in_progress);
  EXPECT_EQ(pool.marker().backlog,
            (BacklogNote{.bytes = {5120}, .journalled = {}, .time_ms = 2000}));
}

TEST(JournalInItsPool, OneThatIsMissingOrOfAnotherCacheIsAsGoodAsDamaged) {
  JournalledPool pool;
  pool.put(journal_of(pool.mark));
  {
    SimDirectory directory(pool.disk, {}, 1);
    ASSERT_TRUE(directory.remove("v.raw.journal"));
  }
  EXPECT_EQ(pool.open({})->settle_journal("v").error().kind, ErrorKind::damaged);
  pool.mark.cache = uuid_filled(9);
  pool.put(journal_of(pool.mark));
  EXPECT_EQ(pool.open({})->settle_journal("v").error().kind, ErrorKind::damaged);
  EXPECT_TRUE(pool.image() == image_before());
}

TEST(JournalInItsPool, WhatItBringsIsNotLostAnyMore) {
  JournalledPool pool;
  pool.put(journal_of(pool.mark));
  const auto opened = pool.open({});
  LostRanges lost;
  ASSERT_TRUE(lost.add({.begin = {8}, .count = {1}}));
  ASSERT_TRUE(lost.add({.begin = {15}, .count = {3}}));
  ASSERT_TRUE(lost.add({.begin = {100}, .count = {1}}));
  ASSERT_TRUE(opened->set_lost("v", lost));
  ASSERT_TRUE(opened->settle_journal("v"));
  LostRanges left;
  ASSERT_TRUE(left.add({.begin = {15}, .count = {1}}));
  ASSERT_TRUE(left.add({.begin = {17}, .count = {1}}));
  ASSERT_TRUE(left.add({.begin = {100}, .count = {1}}));
  EXPECT_EQ(opened->volumes()[0].lost, left);
}

// ---- through a lane

IoStatus submit(BackingJournal& journal, IoLane& lane, JournalIo& io) {
  std::optional<IoStatus> answer;
  io.context = &answer;
  io.done = [](JournalIo& ended, IoStatus status) noexcept {
    *static_cast<std::optional<IoStatus>*>(ended.context) = status;
  };
  journal.submit(lane, io);
  drive_until(lane, [&answer] { return answer.has_value(); });
  return *answer;
}

JournalIo frame_write(const BackingMark& mark, BufferLease& space) {
  std::ranges::fill(space.bytes(), std::byte{});
  std::fill_n(space.bytes().begin() + 4096, 2 * 512, std::byte{0xaa});
  std::fill_n(space.bytes().begin() + 4096 + 2 * 512, 512, std::byte{0xbb});
  return {.frame = {.mark = mark, .number = 0, .count = 2},
          .place = mark.journal.offset,
          .pieces = first_pieces,
          .buffer = space.bytes().first(8192)};
}

struct FileJournalOnADisk : testing::Test {
  MemoryBudget budget{1_MiB};
  SimDisk disk{64_KiB, 1};
  SimLane lane{budget};
  FileJournal journal{OpenFile::borrowed(lane.attach(disk), {}),
                      IoSource::new_file(IoSource::new_backing())};
  BufferLease space = std::move(*lane.buffers().lease(8_KiB));
  JournalIo io = frame_write(batch_mark(), space);
};

TEST_F(FileJournalOnADisk, WhatASyncHasAnsweredIsDurable) {
  ASSERT_EQ(submit(journal, lane, io), IoStatus::ok);
  JournalIo sync{.kind = JournalIo::Kind::sync};
  ASSERT_EQ(submit(journal, lane, sync), IoStatus::ok);
  const Bytes expected = frame_of(batch_mark(), 0);
  EXPECT_TRUE(std::ranges::equal(disk.durable().subspan(4096, 8192), expected));
}

TEST_F(FileJournalOnADisk, AFullPoolIsAnsweredAsSuch) {
  lane.fail_next(FileOperation::Kind::write, ENOSPC);
  EXPECT_EQ(submit(journal, lane, io), IoStatus::capacity_exceeded);
  lane.shorten(1);
  EXPECT_EQ(submit(journal, lane, io), IoStatus::capacity_exceeded);
  lane.shorten(0);
  JournalIo sync{.kind = JournalIo::Kind::sync};
  lane.fail_next(FileOperation::Kind::sync, EIO);
  EXPECT_EQ(submit(journal, lane, sync), IoStatus::media_error);
  EXPECT_EQ(submit(journal, lane, io), IoStatus::ok);
}

TEST(FileJournal, OnARealFileSystemHasRoomAndGrows) {
  std::string path = testing::TempDir() + "/forebay-journal-XXXXXX";
  ASSERT_NE(mkdtemp(path.data()), nullptr);
  const auto directory = std::move(open_pool_directory(path).value());
  MemoryBudget budget(1_MiB);
  const auto lane = std::move(UringLane::create(budget).value());
  const IoSource source = IoSource::new_file(IoSource::new_backing());
  BackingMark mark = batch_mark();
  mark.journal.offset = {journal_room.value};
  for (int time = 0; time < 2; ++time) {
    const auto journal = std::move(FileJournal::open(*directory, "a.raw", source).value());
    EXPECT_GE(directory->allocated("a.raw.journal").value(), journal_room);
    BufferLease space = std::move(*lane->buffers().lease(8_KiB));
    JournalIo io = frame_write(mark, space);
    ASSERT_EQ(submit(*journal, *lane, io), IoStatus::ok);
    JournalIo sync{.kind = JournalIo::Kind::sync};
    ASSERT_EQ(submit(*journal, *lane, sync), IoStatus::ok);
  }
  EXPECT_EQ(directory->size_of("a.raw.journal").value()->value, journal_room.value + 8192);
  const auto file = std::move(directory->open("a.raw.journal").value());
  Bytes found(8192);
  EXPECT_EQ(file->read(mark.journal.offset, found).value(), 8192U);
  EXPECT_EQ(found, frame_of(mark, 0));
  std::filesystem::remove_all(path);
}

// The image of a volume, as abandoning a cache changes it.
TEST(PoolFile, ChangesARealFileInPlace) {
  std::string path = testing::TempDir() + "/forebay-in-place-XXXXXX";
  ASSERT_NE(mkdtemp(path.data()), nullptr);
  const auto directory = std::move(open_pool_directory(path).value());
  ASSERT_TRUE(directory->write("image", image_before()));
  ASSERT_TRUE(directory->write("journal", journal_of(batch_mark())));
  const auto image = std::move(directory->open("image").value());
  const auto journal = std::move(directory->open("journal").value());
  ASSERT_TRUE(apply_journal(*journal, *image, image_size, batch_mark()));
  EXPECT_TRUE(directory->read("image", image_size.value + 1).value() == image_after());
  EXPECT_EQ(directory->open("nothing").error().code, ENOENT);
  std::filesystem::remove_all(path);
}

}  // namespace
}  // namespace engine
