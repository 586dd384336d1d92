// The marker beside an image: its bytes, what damage leaves of it, and its writes under power loss.
#include "engine/pool/file_marker.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <cstdlib>

#include "engine/format/pool_format.h"
#include "engine/media/uring_lane.h"
#include "engine/pool/checked_struct.h"
#include "tests/engine/media/lane_driver.h"
#include "tests/engine/pool/sim_directory.h"
#include "tests/sim/sim_lane.h"

namespace engine {
namespace {

using MarkState = BackingMark::State;

Uuid uuid_of(std::uint8_t number) {
  Uuid uuid;
  uuid.bytes.fill(std::byte{number});
  return uuid;
}

BackingMark clean(std::uint64_t to) {
  return {.state = MarkState::clean,
          .volume = uuid_of(1),
          .cache = uuid_of(2),
          .from = to,
          .to = to,
          .from_time_ms = 1000 + to,
          .to_time_ms = 1000 + to};
}
BackingMark in_progress(std::uint64_t from, std::uint64_t to) {
  BackingMark mark = clean(from);
  mark.state = MarkState::in_progress;
  mark.to = to;
  mark.to_time_ms = 1000 + to;
  return mark;
}

BackingMark journalled(std::uint64_t from, std::uint64_t to) {
  BackingMark mark = in_progress(from, to);
  mark.state = MarkState::journalled;
  mark.journal = {.offset = {8192}, .bytes = {12288}, .epoch = 7};
  return mark;
}

std::vector<std::byte> file_of(const StoredMark& first, const StoredMark& second) {
  std::vector<std::byte> bytes = encode_marker_slot(first, 0);
  const auto slot = encode_marker_slot(second, 1);
  bytes.insert(bytes.end(), slot.begin(), slot.end());
  return bytes;
}

// Starts a write and turns the lane until it has ended.
IoStatus write(FileMarker& marker, IoLane& lane, const BackingMark& mark) {
  std::optional<IoStatus> answer;
  MarkerWrite request{.mark = mark,
                      .done =
                          [](MarkerWrite& ended, IoStatus status) noexcept {
                            *static_cast<std::optional<IoStatus>*>(ended.context) = status;
                          },
                      .context = &answer};
  marker.write(lane, request);
  drive_until(lane, [&answer] { return answer.has_value(); });
  return *answer;
}

TEST(MarkerFile, GoldenBytes) {
  const auto bytes = encode_marker_slot({.mark = in_progress(3, 9), .sequence = 5}, 1);
  ASSERT_EQ(bytes.size(), 4096U);
  const auto u8 = [&bytes](std::size_t at) { return std::to_integer<unsigned>(bytes[at]); };
  EXPECT_EQ(std::string(reinterpret_cast<const char*>(bytes.data()), 8), "FBYMARK\n");
  EXPECT_EQ(u8(12), 1U);
  for (std::size_t at = 0; at < 16; ++at) {
    EXPECT_EQ(u8(40 + at), 1U);
    EXPECT_EQ(u8(56 + at), 2U);
  }
  EXPECT_EQ(u8(72), 5U);
  EXPECT_EQ(u8(80), 2U);
  EXPECT_EQ(u8(84), 1U);
  EXPECT_EQ(u8(88), 3U);
  EXPECT_EQ(u8(96), 9U);
  EXPECT_EQ(u8(104) + 256 * u8(105), 1003U);
  EXPECT_EQ(u8(112) + 256 * u8(113), 1009U);
  for (std::size_t at = 120; at < bytes.size(); ++at) ASSERT_EQ(u8(at), 0U);
}

TEST(MarkerFile, GoldenBytesOfOneThatSpeaksOfAJournal) {
  const auto bytes = encode_marker_slot({.mark = journalled(3, 9), .sequence = 5}, 0);
  const auto u8 = [&bytes](std::size_t at) { return std::to_integer<unsigned>(bytes[at]); };
  EXPECT_EQ(u8(32), 1U) << "an incompatible feature";
  EXPECT_EQ(u8(80), 3U);
  EXPECT_EQ(u8(120) + 256 * u8(121), 8192U);
  EXPECT_EQ(u8(128) + 256 * u8(129), 12288U);
  EXPECT_EQ(u8(136), 7U);
  for (std::size_t at = 144; at < bytes.size(); ++at) ASSERT_EQ(u8(at), 0U);
  const StoredMark stored{.mark = journalled(3, 9), .sequence = 5};
  EXPECT_EQ(decode_marker(file_of(stored, stored), uuid_of(1)).value(), stored);
}

TEST(MarkerFile, GoldenBytesOfOneThatSaysWhatOnlyTheCacheHad) {
  StoredMark stored{.mark = journalled(3, 9), .sequence = 5};
  stored.mark.backlog =
      BacklogNote{.bytes = {0x010203}, .journalled = {0x0405}, .time_ms = 0x0607080910ULL};
  const auto bytes = encode_marker_slot(stored, 0);
  const auto number_at = [&bytes](std::size_t at) {
    std::uint64_t value = 0;
    for (std::size_t i = 8; i-- > 0;)
      value = value << 8 | std::to_integer<std::uint64_t>(bytes[at + i]);
    return value;
  };
  EXPECT_EQ(number_at(16), 1U) << "a compatible feature";
  EXPECT_EQ(number_at(24), 0U);
  EXPECT_EQ(number_at(144), 0x010203U);
  EXPECT_EQ(number_at(152), 0x0405U);
  EXPECT_EQ(number_at(160), 0x0607080910U);
  for (std::size_t at = 168; at < bytes.size(); ++at) ASSERT_EQ(bytes[at], std::byte{0});
  EXPECT_EQ(decode_marker(file_of(stored, stored), uuid_of(1)).value(), stored);

  // Nothing is another thing than not known.
  stored.mark = clean(3);
  EXPECT_FALSE(decode_marker(file_of(stored, stored), uuid_of(1)).value().mark.backlog);
  stored.mark.backlog = BacklogNote{};
  EXPECT_EQ(decode_marker(file_of(stored, stored), uuid_of(1)).value().mark.backlog, BacklogNote{});
}

TEST(MarkerFile, SaysWhatIsLeftAndWhatIsLost) {
  constexpr std::uint64_t at = 4'102'444'800'000;  // 2100-01-01
  BackingMark mark = clean(3);
  mark.from_time_ms = mark.to_time_ms = at;
  const std::string moment = "as it was at 2100-01-01 00:00:00 UTC. ";
  const std::string unknown = "How much is lost with it, only the cache knew.";
  EXPECT_EQ(what_is_left(mark, uuid_of(2)), moment + unknown);
  mark.backlog = BacklogNote{.bytes = {13'200'000'000}, .journalled = {}, .time_ms = at + 61'000};
  const std::string as_of = " as of 2100-01-01 00:01:01 UTC, and whatever was written later.";
  EXPECT_EQ(what_is_left(mark, uuid_of(2)), moment + "Lost with it: up to 12.3 GiB" + as_of);
  EXPECT_EQ(what_is_left(mark, uuid_of(3)), moment + unknown) << "another cache's";
  mark.backlog->bytes = {};
  EXPECT_EQ(what_is_left(mark, uuid_of(2)), moment + "Lost with it: no data" + as_of);
  mark.state = MarkState::journalled;
  mark.from_time_ms = 0;
  mark.backlog->bytes = {3072};
  mark.backlog->journalled = {2048};
  EXPECT_EQ(what_is_left(mark, uuid_of(2)), moment + "Lost with it: up to 1.0 KiB" + as_of);
  mark.state = MarkState::in_progress;
  mark.backlog->journalled = {};
  EXPECT_EQ(what_is_left(mark, uuid_of(2)),
            "as it was before it was cached, and besides a part of what was written up to "
            "2100-01-01 00:00:00 UTC. Lost with it: up to 3.0 KiB" +
                as_of);
}

TEST(MarkerFile, TheNewerWholeSlotCounts) {
  const StoredMark old{.mark = clean(3), .sequence = 5};
  const StoredMark young{.mark = in_progress(3, 9), .sequence = 6};
  auto bytes = file_of(young, old);
  EXPECT_EQ(decode_marker(bytes, uuid_of(1)).value(), young);
  bytes[200] ^= std::byte{1};  // torn, so nothing depended on it
  EXPECT_EQ(decode_marker(bytes, uuid_of(1)).value(), old);
  bytes = file_of(young, young);
  bytes[100] ^= std::byte{1};  // rotted: the other one is as new
  EXPECT_EQ(decode_marker(bytes, uuid_of(1)).value(), young);
  bytes[4096 + 100] ^= std::byte{1};
  EXPECT_EQ(decode_marker(bytes, uuid_of(1)).error().kind, PoolError::Kind::damaged);
}

TEST(MarkerFile, AnyFlippedBitLeavesTheOtherSlot) {
  const StoredMark old{.mark = clean(3), .sequence = 5};
  const StoredMark young{.mark = in_progress(3, 9), .sequence = 6};
  auto bytes = file_of(young, old);
  for (std::size_t bit = 0; bit < 8 * sizeof(format::BackingMarkerSlot); ++bit) {
    const auto mask = std::byte{1} << (bit % 8);
    bytes[bit / 8] ^= mask;
    const auto read = decode_marker(bytes, uuid_of(1));
    ASSERT_TRUE(read && read.value() == old) << "bit " << bit;
    bytes[bit / 8] ^= mask;
  }
}

TEST(MarkerFile, WhatIsNotThisVolumesMarkerIsRefused) {
  const StoredMark stored{.mark = clean(3), .sequence = 5};
  const auto bytes = file_of(stored, stored);
  const auto kind_of = [](std::span<const std::byte> file) {
    return decode_marker(file, uuid_of(1)).error().kind;
  };
  EXPECT_EQ(decode_marker(bytes, uuid_of(7)).error().kind, PoolError::Kind::damaged);
  EXPECT_EQ(kind_of({}), PoolError::Kind::damaged);
  EXPECT_EQ(kind_of(std::span(bytes).first(8191)), PoolError::Kind::damaged);
  using Slot = format::BackingMarkerSlot;
  const auto changed = [&bytes](void (*change)(Slot&)) {
    Slot slot = *ByteReader(std::span(bytes).first(4096)).read<Slot>();
    change(slot);
    seal(slot);
    std::vector<std::byte> copy = bytes;
    std::ranges::copy(bytes_of(slot), copy.begin());
    return copy;
  };
  EXPECT_EQ(kind_of(changed([](Slot& slot) { slot.version = 2; })), PoolError::Kind::unsupported);
  EXPECT_EQ(kind_of(changed([](Slot& slot) { slot.features.incompatible = 2; })),
            PoolError::Kind::unsupported);
  EXPECT_EQ(kind_of(changed([](Slot& slot) { slot.features.incompatible = 1; })),
            PoolError::Kind::damaged);
  EXPECT_EQ(kind_of(changed([](Slot& slot) { slot.journal_bytes = 4096; })),
            PoolError::Kind::damaged);
  const auto without_a_journal = [](Slot& slot) {
    slot.state = 3;
    slot.features.incompatible = 1;
  };
  EXPECT_EQ(kind_of(changed(without_a_journal)), PoolError::Kind::damaged);
  EXPECT_EQ(kind_of(changed([](Slot& slot) { slot.state = 3; })), PoolError::Kind::damaged);
  EXPECT_EQ(kind_of(changed([](Slot& slot) { slot.state = 0; })), PoolError::Kind::damaged);
  EXPECT_EQ(kind_of(changed([](Slot& slot) { slot.from = 4; })), PoolError::Kind::damaged);
  EXPECT_EQ(kind_of(changed([](Slot& slot) { slot.backlog_bytes = 4096; })),
            PoolError::Kind::damaged)
      << "without its feature";
  EXPECT_EQ(kind_of(changed([](Slot& slot) { slot.backlog_time_ms = 1; })),
            PoolError::Kind::damaged);
  const auto more_than_can_be = [](Slot& slot) {
    slot.features.compatible = 1;
    slot.backlog_bytes = ~std::uint64_t{0};
  };
  EXPECT_EQ(kind_of(changed(more_than_can_be)), PoolError::Kind::damaged);
  const auto in_no_journal = [](Slot& slot) {
    slot.features.compatible = 1;
    slot.backlog_bytes = slot.backlog_journalled = 4096;
  };
  EXPECT_EQ(kind_of(changed(in_no_journal)), PoolError::Kind::damaged);
  EXPECT_TRUE(decode_marker(changed([](Slot& slot) { slot.features.compatible = 6; }), uuid_of(1)))
      << "who does not know a compatible bit goes on";
}

// Wherever power fails: the mark before, or this one; and once it is answered, this one even if one
// slot cannot be read any more.
TEST(FileMarker, PowerLossLeavesTheMarkBeforeOrThisOne) {
  for (std::uint64_t seed = 1; seed <= 400; ++seed) {
    SeededRandom random(seed);
    MemoryBudget budget(1_MiB);
    SimDisk disk(ByteCount{marker_bytes}, seed);
    SimLane lane(budget, seed);
    const StoredMark first{.mark = clean(1), .sequence = 1};
    disk.write({0}, file_of(first, first));
    disk.sync();
    FileMarker marker(OpenFile::borrowed(lane.attach(disk), {}), 1,
                      IoSource::new_file(IoSource::new_backing()));
    ASSERT_EQ(write(marker, lane, in_progress(1, 5)), IoStatus::ok);
    std::vector<std::byte> bytes(disk.durable().begin(), disk.durable().end());
    bytes[random.below(2) * 4096 + random.below(100)] ^= std::byte{4};
    ASSERT_EQ(decode_marker(bytes, uuid_of(1)).value().mark, in_progress(1, 5)) << seed;

    lane.hold(true);
    lane.release(random.below(2));
    bool ended = false;
    MarkerWrite request{
        .mark = clean(5),
        .done = [](MarkerWrite& write,
                   IoStatus) noexcept { *static_cast<bool*>(write.context) = true; },
        .context = &ended};
    marker.write(lane, request);
    for (int turn = 0; turn < 3; ++turn) {
      lane.submit();
      lane.reap();
    }
    lane.crash();
    ASSERT_TRUE(ended);
    const StoredMark left = decode_marker(disk.durable(), uuid_of(1)).value();
    ASSERT_TRUE(left.mark == in_progress(1, 5) || left.mark == clean(5)) << seed;
  }
}

TEST(FileMarker, AFailedWriteIsAnsweredAndCanBeRepeated) {
  MemoryBudget budget(1_MiB);
  SimDisk disk(ByteCount{marker_bytes}, 1);
  SimLane lane(budget);
  FileMarker marker(OpenFile::borrowed(lane.attach(disk), {}), 0,
                    IoSource::new_file(IoSource::new_backing()));
  lane.fail_next(FileOperation::Kind::write_durable, ENOSPC);
  EXPECT_EQ(write(marker, lane, clean(1)), IoStatus::capacity_exceeded);
  EXPECT_EQ(marker.stands(), BackingMark{});
  EXPECT_EQ(write(marker, lane, clean(1)), IoStatus::ok);
  EXPECT_EQ(decode_marker(disk.durable(), uuid_of(1)).value().mark, clean(1));
}

// What has failed may be torn: the other slot is left alone until that is whole again.
TEST(FileMarker, PowerLossBehindAFailedWriteLeavesAMark) {
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    MemoryBudget budget(1_MiB);
    SimDisk disk(ByteCount{marker_bytes}, seed);
    SimLane lane(budget, seed);
    FileMarker marker(OpenFile::borrowed(lane.attach(disk), {}), 0,
                      IoSource::new_file(IoSource::new_backing()));
    ASSERT_EQ(write(marker, lane, clean(1)), IoStatus::ok);

    std::optional<IoStatus> answer;
    MarkerWrite request{.mark = in_progress(1, 5),
                        .done =
                            [](MarkerWrite& ended, IoStatus status) noexcept {
                              *static_cast<std::optional<IoStatus>*>(ended.context) = status;
                            },
                        .context = &answer};
    lane.hold(true);
    const auto end_one = [&lane] {
      lane.release();
      lane.submit();
      lane.reap();
    };
    marker.write(lane, request);
    end_one();
    lane.fail_next(FileOperation::Kind::write_durable, EIO);
    end_one();
    ASSERT_EQ(answer, IoStatus::media_error);
    disk.write({4096}, std::vector<std::byte>(512, std::byte{7}));
    disk.sync();

    marker.write(lane, request);
    lane.submit();
    lane.crash();
    const auto left = decode_marker(disk.durable(), uuid_of(1));
    ASSERT_TRUE(left) << seed;
    ASSERT_EQ(left.value().mark, in_progress(1, 5)) << seed;
    while (marker.stands() != in_progress(1, 5) && lane.in_flight() != 0) end_one();
  }
}

TEST(FileMarker, WithoutDurableWritesEachSlotIsSynced) {
  MemoryBudget budget(1_MiB);
  SimDisk disk(ByteCount{marker_bytes}, 1);
  SimLane lane(budget);
  FileMarker marker(OpenFile::borrowed(lane.attach(disk), {.durable_by_sync = true}), 0,
                    IoSource::new_file(IoSource::new_backing()));
  EXPECT_EQ(write(marker, lane, clean(1)), IoStatus::ok);
  EXPECT_EQ(lane.count(FileOperation::Kind::sync), 2U);
  EXPECT_EQ(lane.count(FileOperation::Kind::write), 2U);
  EXPECT_EQ(decode_marker(disk.durable(), uuid_of(1)).value().mark, clean(1));
}

// Made as a whole: a crash leaves none, or one.
TEST(MarkerFile, MakingItSurvivesPowerLoss) {
  for (std::uint64_t step = 1;; ++step) {
    SimDirectoryDisk disk;
    bool crashed = false;
    {
      SimDirectory directory(disk, {.step = step}, step);
      try {
        ASSERT_TRUE(make_marker(directory, "a.raw", {.mark = clean(0), .sequence = 1}));
      } catch (const SimCrash&) {
        crashed = true;
      }
    }
    SeededRandom random(step);
    disk.crash(random);
    SimDirectory after(disk, {}, 1);
    const auto found = read_marker(after, "a.raw", uuid_of(1));
    ASSERT_TRUE(found) << found.error().text;
    if (!crashed) {
      EXPECT_TRUE(found.value().has_value());
      return;
    }
  }
}

TEST(FileMarker, OnARealFileSystem) {
  std::string path = testing::TempDir() + "/forebay-marker-XXXXXX";
  ASSERT_NE(mkdtemp(path.data()), nullptr);
  const auto directory = std::move(open_pool_directory(path).value());
  MemoryBudget budget(1_MiB);
  const auto lane = std::move(UringLane::create(budget).value());
  const IoSource source = IoSource::new_file(IoSource::new_backing());
  {
    const auto marker =
        std::move(FileMarker::open(*directory, "a.raw", uuid_of(1), source).value());
    EXPECT_EQ(marker->stands().to, 0U);
    EXPECT_TRUE(marker->stands().cache.is_nil());
    EXPECT_EQ(write(*marker, *lane, in_progress(0, 4)), IoStatus::ok);
    EXPECT_EQ(write(*marker, *lane, clean(4)), IoStatus::ok);
    EXPECT_EQ(marker->stands(), clean(4));
  }
  const auto again = std::move(FileMarker::open(*directory, "a.raw", uuid_of(1), source).value());
  EXPECT_EQ(again->stands(), clean(4));
  EXPECT_FALSE(FileMarker::open(*directory, "a.raw", uuid_of(3), source));
  ASSERT_TRUE(directory->remove("a.raw.marker"));
  EXPECT_EQ(rmdir(path.c_str()), 0);
}

}  // namespace
}  // namespace engine
