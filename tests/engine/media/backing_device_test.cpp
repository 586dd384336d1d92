// The contract of BackingDevice, over everything that claims to be one.
#include "engine/media/backing_device.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <deque>
#include <functional>
#include <limits>
#include <vector>

#include "engine/foundation/random.h"
#include "tests/engine/media/backing_kit.h"
#include "tests/engine/pool/extent_kit.h"

namespace engine {
namespace {

using Kind = BackingIo::Kind;

constexpr ByteCount device_size{(4ULL << 20) + 512};  // ends in the middle of a 4096-byte block

struct KitMaker {
  const char* name;
  std::function<std::unique_ptr<BackingKit>(ByteCount)> make;
};

// An image is whole blocks long, so a simulated file is too.
ByteCount image_of(ByteCount size) { return {(size.value + 4095) / 4096 * 4096}; }

const std::array makers{
    KitMaker{"FileDirect", [](ByteCount size) { return std::make_unique<FileKit>(size, "."); }},
    KitMaker{"FileBuffered",
             [](ByteCount size) { return std::make_unique<FileKit>(size, "/dev/shm"); }},
    KitMaker{
        "SimFile4k",
        [](ByteCount size) { return std::make_unique<SimFileKit>(image_of(size), native_4k); }},
    KitMaker{"SimFile512",
             [](ByteCount size) { return std::make_unique<SimFileKit>(size, native_512); }},
    KitMaker{"SimFileBySync",
             [](ByteCount size) {
               FileGeometry geometry = native_4k;
               geometry.durable_by_sync = true;
               return std::make_unique<SimFileKit>(image_of(size), geometry);
             }},
    KitMaker{"SimFileShortTransfers",
             [](ByteCount size) {
               auto kit = std::make_unique<SimFileKit>(size, native_512);
               kit->lane().shorten(2);
               return kit;
             }},
    KitMaker{"Memory", [](ByteCount size) { return std::make_unique<MemoryKit>(size); }},
    KitMaker{"SimBacking", [](ByteCount size) { return std::make_unique<SimBackingKit>(size); }},
    KitMaker{"ExtentsSingle",
             [](ByteCount size) {
               return std::make_unique<SimExtentKit>(size, shape_for(size, 1, {}));
             }},
    KitMaker{"ExtentsLinear",
             [](ByteCount size) {
               return std::make_unique<SimExtentKit>(size, shape_for(size, 3, {}));
             }},
    KitMaker{"ExtentsStripe4k",
             [](ByteCount size) {
               return std::make_unique<SimExtentKit>(size, shape_for(size, 5, 4_KiB));
             }},
    KitMaker{"ExtentsLinearFiles",
             [](ByteCount size) {
               return std::make_unique<FileExtentKit>(size, shape_for(size, 3, {}));
             }},
    KitMaker{"ExtentsStripeFiles",
             [](ByteCount size) {
               return std::make_unique<FileExtentKit>(size, shape_for(size, 2, 32_KiB));
             }},
};

class BackingDeviceContract : public testing::TestWithParam<KitMaker> {
 protected:
  std::unique_ptr<BackingKit> kit = GetParam().make(device_size);
  std::vector<std::byte> memory = std::vector<std::byte>((4U << 20) + 8192);

  // `length` bytes that start `skew` bytes behind a page boundary.
  std::span<std::byte> skewed(std::size_t skew, std::size_t length) {
    auto at = reinterpret_cast<std::uintptr_t>(memory.data());
    const std::size_t pad = (4096 - at % 4096) % 4096;
    return std::span(memory).subspan(pad + skew, length);
  }
};

INSTANTIATE_TEST_SUITE_P(Backings, BackingDeviceContract, testing::ValuesIn(makers),
                         [](const auto& kit) { return std::string(kit.param.name); });

TEST_P(BackingDeviceContract, NeverWrittenBlocksReadAsZeros) {
  auto buffer = skewed(0, 65536);
  std::memset(buffer.data(), 0xff, buffer.size());
  ASSERT_EQ(kit->run(Kind::read, 4096, buffer), IoStatus::ok);
  EXPECT_TRUE(
      std::all_of(buffer.begin(), buffer.end(), [](std::byte b) { return b == std::byte{0}; }));
}

TEST_P(BackingDeviceContract, AnyOffsetLengthAndAddressRoundTrips) {
  SeededRandom random(42);
  std::vector<std::byte> model(kit->device().size().value);
  for (int round = 0; round < 150; ++round) {
    const std::uint64_t length = 512 * (1 + random.below(random.chance(1, 8) ? 600 : 20));
    const std::uint64_t offset = 512 * random.below((model.size() - length) / 512 + 1);
    const std::size_t skew = random.chance(1, 2) ? 0 : random.below(4000);
    auto buffer = skewed(skew, length);
    if (random.chance(1, 2)) {
      random.fill(buffer);
      ASSERT_EQ(kit->run(Kind::write, offset, buffer, 0, random.chance(1, 2)), IoStatus::ok);
      std::copy(buffer.begin(), buffer.end(), model.begin() + static_cast<std::ptrdiff_t>(offset));
    } else if (random.chance(1, 3)) {
      const Kind kind = random.chance(1, 2) ? Kind::zero_range : Kind::discard;
      ASSERT_EQ(kit->run(kind, offset, {}, length, random.chance(1, 2)), IoStatus::ok);
      std::fill_n(model.begin() + static_cast<std::ptrdiff_t>(offset), length, std::byte{0});
    }
    const std::uint64_t around = offset < 4096 ? 0 : offset - 4096;
    auto read = skewed(skew, std::min(length + 8192, model.size() - around));
    ASSERT_EQ(kit->run(Kind::read, around, read), IoStatus::ok);
    ASSERT_TRUE(
        std::equal(read.begin(), read.end(), model.begin() + static_cast<std::ptrdiff_t>(around)))
        << "round " << round << " offset " << offset << " length " << length << " skew " << skew;
  }
}

TEST_P(BackingDeviceContract, MebibyteAtAnOddPlaceFromOddMemoryRoundTrips) {
  constexpr std::size_t mebibyte = 1 << 20;
  SeededRandom random(3);
  auto out = skewed(3, mebibyte);
  random.fill(out);
  const std::vector<std::byte> wanted(out.begin(), out.end());
  ASSERT_EQ(kit->run(Kind::write, 1536, out, 0, true), IoStatus::ok);
  std::memset(out.data(), 0, out.size());
  auto in = skewed(511, mebibyte);
  ASSERT_EQ(kit->run(Kind::read, 1536, in), IoStatus::ok);
  EXPECT_TRUE(std::equal(in.begin(), in.end(), wanted.begin()));
}

TEST_P(BackingDeviceContract, EndOfTheDeviceIsReachableAndNothingBeyond) {
  auto buffer = skewed(0, 1024);
  const std::uint64_t size = kit->device().size().value;
  EXPECT_EQ(kit->run(Kind::write, size - 512, buffer.first(512), 0, true), IoStatus::ok);
  EXPECT_EQ(kit->run(Kind::read, size - 512, buffer.first(512)), IoStatus::ok);
  for (const Kind kind : {Kind::read, Kind::write}) {
    EXPECT_EQ(kit->run(kind, size - 512, buffer), IoStatus::out_of_range);
    EXPECT_EQ(kit->run(kind, size, buffer.first(512)), IoStatus::out_of_range);
    EXPECT_EQ(kit->run(kind, std::numeric_limits<std::uint64_t>::max() - 511, buffer),
              IoStatus::out_of_range);
  }
  for (const Kind kind : {Kind::zero_range, Kind::discard}) {
    EXPECT_EQ(kit->run(kind, size - 512, {}, 512, true), IoStatus::ok);
    EXPECT_EQ(kit->run(kind, size - 512, {}, 1024, true), IoStatus::out_of_range);
    EXPECT_EQ(kit->run(kind, 512, {}, std::numeric_limits<std::uint64_t>::max() - 511, true),
              IoStatus::out_of_range);
  }
}

TEST_P(BackingDeviceContract, NothingToDoIsDone) {
  const std::uint64_t size = kit->device().size().value;
  for (const std::uint64_t offset : {std::uint64_t{0}, size}) {
    EXPECT_EQ(kit->run(Kind::read, offset, {}), IoStatus::ok);
    EXPECT_EQ(kit->run(Kind::write, offset, {}, 0, true), IoStatus::ok);
    EXPECT_EQ(kit->run(Kind::discard, offset, {}, 0, true), IoStatus::ok);
  }
  EXPECT_EQ(kit->run(Kind::sync, 0, {}), IoStatus::ok);
}

TEST_P(BackingDeviceContract, ManyAtOnceAllEndOnceWithTheirOwnData) {
  constexpr std::size_t count = 300;
  struct One {
    BackingIo io;
    std::vector<std::byte> bytes;
    int ended = 0;
  };
  std::deque<One> all(count);
  std::size_t open = 0;
  const auto start = [&](One& one, Kind kind, std::size_t at) {
    one.io = {.kind = kind, .durable = kind == Kind::write};
    one.io.offset = {at * 4608};  // neighbours share 4096-byte blocks
    one.io.buffer = one.bytes;
    one.io.context = &one;
    one.io.done = [](BackingIo& io, IoStatus status) noexcept {
      EXPECT_EQ(status, IoStatus::ok);
      ++static_cast<One*>(io.context)->ended;
    };
    ++open;
    kit->device().submit(kit->lane(), one.io);
  };
  const auto ended = [&] {
    std::size_t sum = 0;
    for (const One& one : all) sum += static_cast<std::size_t>(one.ended);
    return sum;
  };
  for (std::size_t at = 0; at < count; ++at) {
    all[at].bytes.assign(4608, static_cast<std::byte>(at));
    start(all[at], Kind::write, at);
  }
  drive_until(kit->lane(), [&] { return ended() == count; });
  for (std::size_t at = 0; at < count; ++at) {
    all[at].bytes.assign(4608, std::byte{0xee});
    start(all[at], Kind::read, at);
  }
  drive_until(kit->lane(), [&] { return ended() == 2 * count; });
  for (std::size_t at = 0; at < count; ++at) {
    EXPECT_EQ(all[at].ended, 2);
    EXPECT_EQ(all[at].bytes, std::vector<std::byte>(4608, static_cast<std::byte>(at))) << at;
  }
}

// The same rule for the product and for the twin that others test with.
class PoisonContract : public testing::Test {
 protected:
  template <class Kit>
  void expect_poisoned(Kit& kit) {
    std::vector<std::byte> buffer(4096);
    EXPECT_TRUE(kit.device().needs_reopen());
    EXPECT_EQ(kit.run(Kind::write, 0, buffer, 0, true), IoStatus::unavailable);
    EXPECT_EQ(kit.run(Kind::write, 0, buffer, 0, false), IoStatus::unavailable);
    EXPECT_EQ(kit.run(Kind::write, 512, std::span(buffer).first(512), 0, true),
              IoStatus::unavailable);
    EXPECT_EQ(kit.run(Kind::sync, 0, {}), IoStatus::sync_failed);
    EXPECT_EQ(kit.run(Kind::discard, 0, {}, 4096, true), IoStatus::unavailable);
    EXPECT_EQ(kit.run(Kind::zero_range, 0, {}, 4096, true), IoStatus::unavailable);
    EXPECT_EQ(kit.run(Kind::read, 0, buffer), IoStatus::ok) << "reads are still served";
  }
};

TEST_F(PoisonContract, SimBackingTakesNothingAfterAFailedSyncUntilReopened) {
  SimBackingKit kit(1_MiB);
  kit.device().fail_syncs(true);
  EXPECT_EQ(kit.run(Kind::sync, 0, {}), IoStatus::sync_failed);
  kit.device().fail_syncs(false);
  expect_poisoned(kit);
  kit.device().reopen();
  std::vector<std::byte> buffer(4096);
  EXPECT_EQ(kit.run(Kind::write, 0, buffer, 0, true), IoStatus::ok);
}

TEST_F(PoisonContract, FileDeviceTakesNothingAfterAFailedSyncUntilReopened) {
  SimFileKit kit(1_MiB, native_4k);
  kit.lane().fail_next(FileOperation::Kind::sync, EIO);
  EXPECT_EQ(kit.run(Kind::sync, 0, {}), IoStatus::sync_failed);
  expect_poisoned(kit);
  ASSERT_TRUE(kit.device().reopen(OpenFile::borrowed(1001, native_4k)));
  std::vector<std::byte> buffer(4096);
  EXPECT_EQ(kit.run(Kind::write, 0, buffer, 0, true), IoStatus::ok);
}

TEST_F(PoisonContract, FileDeviceTakesNothingAfterAFailedDurableWrite) {
  SimFileKit kit(1_MiB, native_4k);
  std::vector<std::byte> buffer(8192);
  kit.lane().fail_next(FileOperation::Kind::write_durable, EIO);
  EXPECT_EQ(kit.run(Kind::write, 512, std::span(buffer).first(512), 0, true),
            IoStatus::media_error);
  expect_poisoned(kit);
}

TEST_F(PoisonContract, FileDeviceTakesNothingAfterTheSyncOfADiscardFailed) {
  SimFileKit kit(1_MiB, native_4k);
  kit.lane().fail_next(FileOperation::Kind::sync, EIO);
  EXPECT_EQ(kit.run(Kind::discard, 0, {}, 65536, true), IoStatus::sync_failed);
  expect_poisoned(kit);
}

TEST_F(PoisonContract, WriteUnderWayWhenASyncFailsIsNotAcknowledgedAfterIt) {
  int refused = 0;
  int acknowledged = 0;
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    SimFileKit kit(1_MiB, native_512, seed);
    struct Answer {
      FileDevice& device;
      IoStatus status = IoStatus::cancelled;
      bool poisoned_before = false;
    } answer{kit.device()};
    std::vector<std::byte> buffer(4096);
    BackingIo write{.kind = Kind::write, .durable = true};
    write.buffer = buffer;
    write.context = &answer;
    write.done = [](BackingIo& io, IoStatus status) noexcept {
      auto& to = *static_cast<Answer*>(io.context);
      to.poisoned_before = to.device.needs_reopen();
      to.status = status;
    };
    BackingIo sync{.kind = Kind::sync};
    sync.done = [](BackingIo&, IoStatus status) noexcept {
      EXPECT_EQ(status, IoStatus::sync_failed);
    };
    kit.lane().fail_next(FileOperation::Kind::sync, EIO);
    kit.device().submit(kit.lane(), write);
    kit.device().submit(kit.lane(), sync);
    drive_until(kit.lane(), [&] { return kit.lane().in_flight() == 0; });
    EXPECT_EQ(answer.status, answer.poisoned_before ? IoStatus::sync_failed : IoStatus::ok) << seed;
    ++(answer.poisoned_before ? refused : acknowledged);
    EXPECT_EQ(kit.run(Kind::write, 0, buffer, 0, true), IoStatus::unavailable);
  }
  EXPECT_GT(refused, 0);
  EXPECT_GT(acknowledged, 0);
}

TEST_F(PoisonContract, WriteStartedBeforeAReopenIsNotAcknowledgedAfterIt) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    SimFileKit kit(1_MiB, native_512, seed);
    std::vector<std::byte> buffer(4096);
    struct Answer {
      bool here = false;
      IoStatus status = IoStatus::ok;
    } answer;
    BackingIo write{.kind = Kind::write, .durable = true};
    write.buffer = buffer;
    write.context = &answer;
    write.done = [](BackingIo& io, IoStatus status) noexcept {
      *static_cast<Answer*>(io.context) = {.here = true, .status = status};
    };
    kit.device().submit(kit.lane(), write);
    ASSERT_TRUE(kit.device().reopen(OpenFile::borrowed(1001, native_512)));
    drive_until(kit.lane(), [&] { return answer.here; });
    EXPECT_EQ(answer.status, IoStatus::sync_failed);
  }
}

// What the kernel gave back as it was is given to it again, and nobody hears of it.
TEST_F(PoisonContract, WhatWasNotBegunIsRepeatedWithoutPoison) {
  std::vector<std::byte> buffer(4096, std::byte{7});
  for (const int error : {EAGAIN, ECANCELED, ENOMEM}) {
    SimFileKit kit(1_MiB, native_4k);
    for (int times = 0; times < 3; ++times) {
      kit.lane().fail_next(FileOperation::Kind::write_durable, error);
    }
    EXPECT_EQ(kit.run(Kind::write, 0, buffer, 0, true), IoStatus::ok) << error;
    EXPECT_EQ(kit.disk().durable()[4095], std::byte{7});
    kit.lane().fail_next(FileOperation::Kind::write_durable, error);
    EXPECT_EQ(kit.run(Kind::write, 512, std::span(buffer).first(512), 0, true), IoStatus::ok);
    kit.lane().fail_next(FileOperation::Kind::punch_hole, error);
    EXPECT_EQ(kit.run(Kind::discard, 0, {}, 65536, true), IoStatus::ok);
    EXPECT_FALSE(kit.device().needs_reopen());
  }
  for (const int error : {EAGAIN, ECANCELED}) {
    SimFileKit kit(1_MiB, native_4k);
    kit.lane().fail_next(FileOperation::Kind::sync, error);
    EXPECT_EQ(kit.run(Kind::sync, 0, {}), IoStatus::ok);
    kit.lane().fail_next(FileOperation::Kind::sync, error);
    EXPECT_EQ(kit.run(Kind::discard, 0, {}, 65536, true), IoStatus::ok);
    EXPECT_FALSE(kit.device().needs_reopen());
  }
}

TEST_F(PoisonContract, WhatIsNeverBegunEndsAndMayBeTriedAgain) {
  std::vector<std::byte> buffer(4096);
  for (const int error : {EAGAIN, ENOMEM, ECANCELED}) {
    SimFileKit kit(1_MiB, native_4k);
    kit.lane().fail_all(FileOperation::Kind::write_durable, error);
    EXPECT_EQ(kit.run(Kind::write, 0, buffer, 0, true), IoStatus::unavailable) << error;
    EXPECT_EQ(kit.run(Kind::write, 512, std::span(buffer).first(512), 0, true),
              IoStatus::unavailable);
    EXPECT_FALSE(kit.device().needs_reopen());
    kit.lane().fail_all(FileOperation::Kind::write_durable, 0);
    EXPECT_EQ(kit.run(Kind::write, 0, buffer, 0, true), IoStatus::ok);
  }
}

// Of a flush nobody knows what it has lost, whatever the error; nor of a write that may have gone
// through the page cache.
TEST_F(PoisonContract, NoSpaceOrMemoryPoisonsWhereSomethingMayBeLost) {
  std::vector<std::byte> buffer(4096);
  for (const int error : {ENOSPC, EDQUOT, ENOMEM}) {
    SimFileKit flushed(1_MiB, native_4k);
    flushed.lane().fail_next(FileOperation::Kind::sync, error);
    EXPECT_EQ(flushed.run(Kind::sync, 0, {}), IoStatus::sync_failed);
    expect_poisoned(flushed);
    SimFileKit discarded(1_MiB, native_4k);
    discarded.lane().fail_next(FileOperation::Kind::sync, error);
    EXPECT_EQ(discarded.run(Kind::discard, 0, {}, 65536, true), IoStatus::sync_failed);
    expect_poisoned(discarded);
    FileGeometry sometimes_buffered = native_4k;
    sometimes_buffered.never_buffered = false;
    SimFileKit written(1_MiB, sometimes_buffered);
    written.lane().fail_next(FileOperation::Kind::write_durable, error);
    EXPECT_NE(written.run(Kind::write, 0, buffer, 0, true), IoStatus::ok);
    expect_poisoned(written);
  }
}

TEST_F(PoisonContract, NoSpaceOnADirectFileRefusesTheWriteAndNothingElse) {
  SimFileKit kit(1_MiB, native_4k);
  std::vector<std::byte> buffer(4096);
  kit.lane().fail_next(FileOperation::Kind::write_durable, ENOSPC);
  EXPECT_EQ(kit.run(Kind::write, 0, buffer, 0, true), IoStatus::capacity_exceeded);
  EXPECT_FALSE(kit.device().needs_reopen());
  EXPECT_EQ(kit.run(Kind::write, 0, buffer, 0, true), IoStatus::ok);
}

}  // namespace
}  // namespace engine
