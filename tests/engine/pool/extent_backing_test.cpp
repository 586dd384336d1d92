// A volume over several members: cut at every boundary, whole in its answers, and after a power
// loss on all of them what it was told to be.
#include "engine/pool/extent_backing.h"

#include <gtest/gtest.h>

#include <cstring>
#include <deque>
#include <map>
#include <numeric>
#include <optional>

#include "tests/engine/pool/extent_kit.h"
#include "tests/sim/rounds.h"

namespace engine {
namespace {

using IoKind = BackingIo::Kind;

struct Asked : BackingIo {
  std::vector<std::byte> bytes;
  bool has_ended = false;
  IoStatus status = IoStatus::ok;
};

class ExtentBackingTest : public testing::Test {
 protected:
  Asked& submit(SimExtentKit& kit, IoKind kind, std::uint64_t offset, std::uint64_t length,
                bool durable = false) {
    Asked& io = ios.emplace_back();
    io.kind = kind;
    io.durable = durable;
    io.offset = {offset};
    if (kind == IoKind::read || kind == IoKind::write) {
      io.bytes.assign(length, std::byte{7});
      io.buffer = io.bytes;
    } else {
      io.length = {length};
    }
    io.done = [](BackingIo& ended, IoStatus status) noexcept {
      auto& self = static_cast<Asked&>(ended);
      EXPECT_FALSE(self.has_ended);
      self.has_ended = true;
      self.status = status;
    };
    kit.device().submit(kit.lane(), io);
    return io;
  }
  static void turn(SimExtentKit& kit) {
    for (int times = 0; times < 3; ++times) {
      kit.lane().finish_turn();
      (void)kit.lane().reap();
    }
  }
  IoStatus run(SimExtentKit& kit, IoKind kind, std::uint64_t offset, std::uint64_t length,
               bool durable = false) {
    Asked& io = submit(kit, kind, offset, length, durable);
    drive_until(kit.lane(), [&io] { return io.has_ended; });
    return io.status;
  }
  static std::size_t count(SimExtentKit& kit, IoKind kind) {
    std::size_t sum = 0;
    for (std::size_t at = 0; at < kit.members(); ++at) sum += kit.member(at).count(kind);
    return sum;
  }

  std::deque<Asked> ios;
};

// A stripe of two, 64 KiB chunks, whose volume is the pool in order.
class OrderedStripe : public ExtentBackingTest {
 protected:
  OrderedStripe() {
    PoolShape shape = stripe_shape(2, 64_KiB, 16);
    kit = std::make_unique<SimExtentKit>(2_MiB, shape);
    const ExtentRun whole{.volume_unit = 0, .pool_unit = 0, .count = 16};
    kit->device().grow(ExtentMap(shape, {&whole, 1}), 2_MiB, {});
  }
  std::unique_ptr<SimExtentKit> kit;
  static constexpr std::uint64_t chunk = 64 << 10;
};

TEST_F(OrderedStripe, IsCutAtChunksAndNowhereElse) {
  ASSERT_EQ(run(*kit, IoKind::write, 0, chunk), IoStatus::ok);
  EXPECT_EQ(kit->member(0).count(IoKind::write), 1U);
  EXPECT_EQ(kit->member(1).count(IoKind::write), 0U);
  ASSERT_EQ(run(*kit, IoKind::write, chunk - 512, 1024), IoStatus::ok);
  EXPECT_EQ(kit->member(0).count(IoKind::write), 2U);
  EXPECT_EQ(kit->member(1).count(IoKind::write), 1U);
  ASSERT_EQ(run(*kit, IoKind::read, 0, 4 * chunk), IoStatus::ok);
  EXPECT_EQ(count(*kit, IoKind::read), 4U);
}

TEST_F(OrderedStripe, WhatIsZeroedIsOnePieceOnEachMember) {
  ASSERT_EQ(run(*kit, IoKind::discard, 512, 2048U * 1024 - 1024), IoStatus::ok);
  EXPECT_EQ(kit->member(0).count(IoKind::discard), 1U);
  EXPECT_EQ(kit->member(1).count(IoKind::discard), 1U);
}

TEST_F(OrderedStripe, TheFirstErrorInAddressOrderCountsWhoeverFailsFirst) {
  for (const bool first_ends_first : {true, false}) {
    for (std::size_t at : {0, 1}) kit->member(at).hold(true);
    kit->member(0).fail_nth(2, IoStatus::timed_out);    // chunk 2
    kit->member(1).fail_nth(1, IoStatus::media_error);  // chunk 1
    Asked& io = submit(*kit, IoKind::read, 0, 4 * chunk);
    const std::size_t order[] = {first_ends_first ? 0U : 1U, first_ends_first ? 1U : 0U};
    for (const std::size_t at : order) {
      kit->member(at).release_all();
      turn(*kit);
    }
    ASSERT_TRUE(io.has_ended);
    EXPECT_EQ(io.status, IoStatus::media_error);
  }
}

TEST_F(OrderedStripe, NothingIsAnsweredBeforeAllPiecesHaveEnded) {
  kit->member(1).hold(true);
  kit->member(0).fail_nth(1, IoStatus::media_error);
  Asked& io = submit(*kit, IoKind::write, 0, 2 * chunk);
  turn(*kit);
  EXPECT_FALSE(io.has_ended) << "its buffer is in use";
  kit->member(1).release_all();
  turn(*kit);
  EXPECT_TRUE(io.has_ended);
  EXPECT_EQ(io.status, IoStatus::media_error);
}

TEST_F(OrderedStripe, ALongOneHasOnlySoManyPiecesUnderWay) {
  auto long_one = std::make_unique<SimExtentKit>(4_MiB, stripe_shape(2, 4_KiB, 64));
  for (std::size_t at : {0, 1}) long_one->member(at).hold(true);
  Asked& io = submit(*long_one, IoKind::read, 0, 1 << 20);  // 256 pieces
  std::size_t ended = 0;
  while (!io.has_ended) {
    const std::size_t held = long_one->member(0).held() + long_one->member(1).held();
    ASSERT_LE(held, ExtentBacking::most_pieces);
    ASSERT_GT(held, 0U);
    ended += held;
    for (std::size_t at : {0, 1}) long_one->member(at).release_all();
    turn(*long_one);
  }
  EXPECT_EQ(ended, 256U);
  // After an error nothing more begins.
  long_one->member(1).fail_nth(1, IoStatus::media_error);
  for (std::size_t at : {0, 1}) long_one->member(at).hold(false);
  const std::size_t before = count(*long_one, IoKind::read);
  EXPECT_EQ(run(*long_one, IoKind::read, 0, 1 << 20), IoStatus::media_error);
  EXPECT_EQ(count(*long_one, IoKind::read), before + ExtentBacking::most_pieces);
}

TEST_F(OrderedStripe, ASyncGoesToWhoeverWasWrittenSinceTheLast) {
  const auto syncs = [this] {
    return std::pair(kit->member(0).count(IoKind::sync), kit->member(1).count(IoKind::sync));
  };
  using Pair = std::pair<std::size_t, std::size_t>;
  EXPECT_EQ(run(*kit, IoKind::sync, 0, 0), IoStatus::ok);
  EXPECT_EQ(syncs(), Pair(0, 0));
  ASSERT_EQ(run(*kit, IoKind::write, 0, 512, /*durable=*/true), IoStatus::ok);
  ASSERT_EQ(run(*kit, IoKind::read, 0, 512), IoStatus::ok);
  EXPECT_EQ(run(*kit, IoKind::sync, 0, 0), IoStatus::ok);
  EXPECT_EQ(syncs(), Pair(0, 0)) << "nothing that is not durable";
  ASSERT_EQ(run(*kit, IoKind::discard, 0, 512), IoStatus::ok);
  EXPECT_EQ(run(*kit, IoKind::sync, 0, 0), IoStatus::ok);
  EXPECT_EQ(run(*kit, IoKind::sync, 0, 0), IoStatus::ok);
  EXPECT_EQ(syncs(), Pair(1, 0));
  ASSERT_EQ(run(*kit, IoKind::write, 0, 2 * chunk), IoStatus::ok);
  EXPECT_EQ(run(*kit, IoKind::sync, 0, 0), IoStatus::ok);
  EXPECT_EQ(syncs(), Pair(2, 1));
  // What was under way when it began it does not have.
  kit->member(0).hold(true);
  ASSERT_EQ(run(*kit, IoKind::write, chunk, 512), IoStatus::ok);
  Asked& late = submit(*kit, IoKind::write, 0, 512);
  EXPECT_EQ(run(*kit, IoKind::sync, 0, 0), IoStatus::ok);
  EXPECT_EQ(syncs(), Pair(2, 2));
  kit->member(0).release_all();
  turn(*kit);
  EXPECT_TRUE(late.has_ended);
  kit->member(0).hold(false);
  EXPECT_EQ(run(*kit, IoKind::sync, 0, 0), IoStatus::ok);
  EXPECT_EQ(syncs(), Pair(3, 2));
}

// The disk has done the sync, and then the write; their lanes hear of them the other way round.
TEST_F(OrderedStripe, ASyncDoesNotHaveWhatAnotherLaneWroteBehindIt) {
  ASSERT_EQ(run(*kit, IoKind::write, 0, 512), IoStatus::ok);
  MemoryBudget budget{1_MiB};
  SimLane other(budget, 2);
  struct Answer {
    bool here = false;
    IoStatus status = IoStatus::cancelled;
  } answer;
  BackingIo sync{.kind = IoKind::sync};
  sync.context = &answer;
  sync.done = [](BackingIo& io, IoStatus status) noexcept {
    *static_cast<Answer*>(io.context) = {.here = true, .status = status};
  };
  kit->device().submit(other, sync);
  ASSERT_EQ(run(*kit, IoKind::write, 512, 512), IoStatus::ok);
  EXPECT_FALSE(answer.here);
  drive_until(other, [&answer] { return answer.here; });
  EXPECT_EQ(answer.status, IoStatus::ok);
  ASSERT_EQ(run(*kit, IoKind::sync, 0, 0), IoStatus::ok);
  kit->member(0).crash();
  Asked& read = submit(*kit, IoKind::read, 512, 512);
  turn(*kit);
  EXPECT_EQ(read.bytes, std::vector<std::byte>(512, std::byte{7}));
}

TEST_F(OrderedStripe, AFailedSyncIsTheWholeVolumesUntilThatMemberIsReopened) {
  ASSERT_EQ(run(*kit, IoKind::write, 0, 2 * chunk), IoStatus::ok);
  kit->member(1).fail_syncs(true);
  EXPECT_EQ(run(*kit, IoKind::sync, 0, 0), IoStatus::sync_failed);
  EXPECT_TRUE(kit->device().needs_reopen());
  EXPECT_FALSE(kit->device().disk(0)->needs_reopen());
  EXPECT_TRUE(kit->device().disk(1)->needs_reopen());
  EXPECT_EQ(kit->device().disk(2), nullptr);
  kit->member(1).fail_syncs(false);
  EXPECT_EQ(run(*kit, IoKind::sync, 0, 0), IoStatus::sync_failed);
  EXPECT_EQ(run(*kit, IoKind::write, chunk, 512, true), IoStatus::unavailable);
  EXPECT_EQ(run(*kit, IoKind::write, 0, 2 * chunk, true), IoStatus::unavailable);
  EXPECT_EQ(run(*kit, IoKind::write, chunk, 0, true), IoStatus::unavailable);
  EXPECT_EQ(run(*kit, IoKind::read, 0, 2 * chunk), IoStatus::ok);
  EXPECT_EQ(run(*kit, IoKind::write, 0, 512, true), IoStatus::ok) << "the other is well";
  kit->member(1).reopen();
  EXPECT_FALSE(kit->device().needs_reopen());
  EXPECT_EQ(run(*kit, IoKind::write, 0, 2 * chunk, true), IoStatus::ok);
  const std::size_t before = kit->member(1).count(IoKind::sync);
  EXPECT_EQ(run(*kit, IoKind::sync, 0, 0), IoStatus::ok);
  EXPECT_EQ(kit->member(1).count(IoKind::sync), before + 1) << "what failed is not taken for done";
}

TEST_F(OrderedStripe, NoSyncSucceedsBesideAMemberWhoseDurableWriteHasFailed) {
  kit->member(1).fail_syncs(true);
  EXPECT_EQ(run(*kit, IoKind::write, chunk, 512, true), IoStatus::sync_failed);
  kit->member(1).fail_syncs(false);
  const std::size_t before = kit->member(1).count(IoKind::sync);
  EXPECT_EQ(run(*kit, IoKind::sync, 0, 0), IoStatus::sync_failed);
  EXPECT_EQ(kit->member(1).count(IoKind::sync), before);
}

TEST_F(OrderedStripe, ASyncThatASingleMemberCouldNotBeginMayBeTriedAgain) {
  ASSERT_EQ(run(*kit, IoKind::write, 0, 2 * chunk), IoStatus::ok);
  kit->member(0).fail_nth(1, IoStatus::unavailable);
  EXPECT_EQ(run(*kit, IoKind::sync, 0, 0), IoStatus::unavailable);
  EXPECT_FALSE(kit->device().needs_reopen());
  EXPECT_EQ(run(*kit, IoKind::sync, 0, 0), IoStatus::ok);
  EXPECT_EQ(kit->member(0).count(IoKind::sync), 2U);
  EXPECT_EQ(kit->member(1).count(IoKind::sync), 1U) << "that one has it";
}

// Linear: each member has the half of the volume.
TEST_F(ExtentBackingTest, AMemberThatHangsHoldsUpWhatTouchesItAndNothingElse) {
  const PoolShape shape = linear_shape({8, 8});
  SimExtentKit kit(1_MiB, shape);
  const ExtentRun whole{.volume_unit = 0, .pool_unit = 0, .count = 16};
  kit.device().grow(ExtentMap(shape, {&whole, 1}), 1_MiB, {});
  constexpr std::uint64_t border = 8 * kit_slice.value;
  kit.member(1).hang(true);
  Asked& on_it = submit(kit, IoKind::write, border, 4096, true);
  Asked& over_it = submit(kit, IoKind::read, border - 4096, 8192);
  for (int times = 0; times < 100; ++times) {
    ASSERT_EQ(run(kit, IoKind::write, 0, 4096), IoStatus::ok);
    ASSERT_EQ(run(kit, IoKind::sync, 0, 0), IoStatus::ok) << "nothing of it waits there";
    ASSERT_EQ(run(kit, IoKind::read, 0, border), IoStatus::ok);
  }
  EXPECT_FALSE(on_it.has_ended || over_it.has_ended);
  kit.member(1).hang(false);
  turn(kit);
  EXPECT_TRUE(on_it.has_ended && over_it.has_ended);
  EXPECT_EQ(on_it.status, IoStatus::ok);
  EXPECT_EQ(over_it.status, IoStatus::ok);
}

TEST_F(ExtentBackingTest, GrowsOntoAMemberThatWasAddedToThePool) {
  PoolShape shape = linear_shape({4});
  shape.layout = format::MemberLayout::linear;
  SimExtentKit kit(256_KiB, shape);
  EXPECT_EQ(run(kit, IoKind::write, 0, 256 << 10), IoStatus::ok);
  EXPECT_EQ(run(kit, IoKind::read, 256 << 10, 512), IoStatus::out_of_range);
  ExtentMap map(shape, scattered_runs(shape, 1));
  const std::vector<std::uint64_t> more{4};
  map.add_members(more);
  const ExtentRun added{.volume_unit = 4, .pool_unit = 4, .count = 4};
  map.append({&added, 1});
  auto disk = std::make_unique<SimBacking>(ByteCount{kit_data_offset.value + 4 * kit_slice.value});
  SimBacking& second = *disk;
  std::vector<MemberDisk> disks;
  disks.push_back({.member = 1, .disk = std::move(disk)});
  kit.device().grow(std::move(map), 400_KiB, std::move(disks));
  EXPECT_EQ(kit.device().size(), 400_KiB);
  EXPECT_EQ(run(kit, IoKind::write, (256 << 10) - 512, 1024), IoStatus::ok);
  EXPECT_EQ(second.count(IoKind::write), 1U);
  EXPECT_EQ(run(kit, IoKind::write, (400 << 10) - 512, 1024), IoStatus::out_of_range)
      << "its size, not the map's";
  Asked& back = submit(kit, IoKind::read, 0, 512);
  turn(kit);
  EXPECT_EQ(back.bytes, std::vector<std::byte>(512, std::byte{7}));
}

// Every operation is whole or an error, on whichever members it lies, in any order of their
// answers.
void run_model(PoolShape shape, std::uint64_t seed) {
  const ByteCount size{shape.units() * shape.unit().value - 512};
  SimExtentKit kit(size, std::move(shape), seed);
  SeededRandom random(seed);
  std::vector<std::byte> model(size.value);
  bool is_armed = false;  // some piece will fail
  for (std::size_t at = 0; at < kit.members(); ++at) kit.member(at).hold(true);
  for (int round = 0; round < 40; ++round) {
    std::deque<Asked> asked;
    std::uint64_t from = 512 * random.below(64);
    while (from < size.value && asked.size() < 8) {  // apart from each other
      const std::uint64_t sectors = 1 + random.below(random.chance(1, 3) ? 700 : 20);
      const std::uint64_t length = std::min(512 * sectors, size.value - from);
      Asked& io = asked.emplace_back();
      const std::uint64_t choice = random.below(8);
      io.kind = choice < 4 ? IoKind::write : choice < 6 ? IoKind::read : IoKind::discard;
      io.durable = random.chance(1, 2);
      io.offset = {from};
      io.bytes.resize(length);
      if (io.kind == IoKind::write) random.fill(io.bytes);
      if (io.kind == IoKind::discard) {
        io.length = {length};
      } else {
        io.buffer = io.bytes;
      }
      io.done = [](BackingIo& ended, IoStatus status) noexcept {
        auto& self = static_cast<Asked&>(ended);
        self.has_ended = true;
        self.status = status;
      };
      from += length + 512 * random.below(900);
    }
    if (!is_armed && random.chance(1, 2)) {
      is_armed = true;
      kit.member(random.below(kit.members())).fail_nth(1 + random.below(4), IoStatus::media_error);
    }
    for (Asked& io : asked) kit.device().submit(kit.lane(), io);
    drive_until(kit.lane(), [&] {
      (void)kit.member(random.below(kit.members())).release_any();
      return std::ranges::all_of(asked, [](const Asked& io) { return io.has_ended; });
    });
    for (Asked& io : asked) {
      const auto place = model.begin() + static_cast<std::ptrdiff_t>(io.offset.value);
      if (io.status != IoStatus::ok) {
        ASSERT_TRUE(std::exchange(is_armed, false)) << "one piece fails, and one operation with it";
        ASSERT_EQ(io.status, IoStatus::media_error);
        if (io.kind == IoKind::read) continue;
        // Any part of it may be there: written anew.
        io.kind = IoKind::write;
        io.buffer = io.bytes;
        io.has_ended = false;
        kit.device().submit(kit.lane(), io);
        drive_until(kit.lane(), [&] {
          for (std::size_t at = 0; at < kit.members(); ++at) kit.member(at).release_all();
          return io.has_ended;
        });
        ASSERT_EQ(io.status, IoStatus::ok);
      }
      if (io.kind == IoKind::read) {
        ASSERT_TRUE(std::equal(io.bytes.begin(), io.bytes.end(), place)) << "round " << round;
      } else {
        std::copy(io.bytes.begin(), io.bytes.end(), place);
      }
    }
  }
  for (std::size_t at = 0; at < kit.members(); ++at) kit.member(at).hold(false);
}

TEST_F(ExtentBackingTest, AgreesWithAModelWhateverFailsAndInWhateverOrder) {
  for (std::uint64_t seed = 1; seed <= rounds(30); ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    run_model(linear_shape({3}), seed);
    run_model(linear_shape({2, 1, 4, 3}), seed);
    run_model(stripe_shape(2, 4_KiB, 4), seed);
    run_model(stripe_shape(3, 16_KiB, 4), seed);
    run_model(stripe_shape(5, 64_KiB, 2), seed);
    if (HasFatalFailure()) return;
  }
}

TEST_F(ExtentBackingTest, EveryBoundaryIsMetFromBothSides) {
  for (const PoolShape& shape :
       {linear_shape({2, 1, 2}), stripe_shape(2, 4_KiB, 2), stripe_shape(3, 32_KiB, 2)}) {
    const ByteCount size{shape.units() * shape.unit().value};
    SimExtentKit kit(size, shape, 5);
    const std::uint64_t step = shape.is_stripe() ? shape.chunk.value : kit_slice.value;
    std::byte tag{1};
    for (std::uint64_t border = step; border < size.value; border += step) {
      for (const auto& [before, behind] :
           {std::pair{0, 512}, {512, 0}, {512, 512}, {1536, 1024}, {1024, 3584}}) {
        Asked& written = ios.emplace_back();
        written.kind = IoKind::write;
        written.offset = {border - static_cast<std::uint64_t>(before)};
        written.bytes.assign(static_cast<std::size_t>(before + behind), tag);
        written.buffer = written.bytes;
        ASSERT_EQ(kit.run(written), IoStatus::ok);
        Asked& read = submit(kit, IoKind::read, border - 2048, 6144);
        drive_until(kit.lane(), [&read] { return read.has_ended; });
        const auto at = read.bytes.begin() + 2048 - before;
        ASSERT_TRUE(std::all_of(at, at + before + behind, [tag](std::byte b) { return b == tag; }));
        ASSERT_NE(*(at - 1), tag);
        ASSERT_NE(*(at + before + behind), tag);
        tag = tag == std::byte{250} ? std::byte{1}
                                    : static_cast<std::byte>(std::to_integer<int>(tag) + 1);
      }
      ios.clear();
    }
  }
}

// Each sector says by which write it was written last.
class SectorHistory {
 public:
  explicit SectorHistory(std::uint64_t sectors) : written_(sectors, {0}), floor_(sectors, 0) {}

  void acknowledged(std::uint64_t sector, std::uint64_t tag, bool durable) {
    written_[sector].push_back(tag);
    if (durable) floor_[sector] = written_[sector].size() - 1;
  }
  // Of each sector, how much a sync that begins now has if it succeeds.
  [[nodiscard]] std::vector<std::size_t> now() const {
    std::vector<std::size_t> all;
    for (const auto& tags : written_) all.push_back(tags.size() - 1);
    return all;
  }
  void synced(const std::vector<std::size_t>& had) {
    for (std::size_t at = 0; at < had.size(); ++at) floor_[at] = std::max(floor_[at], had[at]);
  }
  // `under_way`: by a write that has not been answered; 0: none.
  [[nodiscard]] bool may_hold(std::uint64_t sector, std::uint64_t tag,
                              std::uint64_t under_way) const {
    const auto& tags = written_[sector];
    return (under_way != 0 && tag == under_way) ||
           std::find(tags.begin() + static_cast<std::ptrdiff_t>(floor_[sector]), tags.end(), tag) !=
               tags.end();
  }

 private:
  std::vector<std::vector<std::uint64_t>> written_;
  std::vector<std::size_t> floor_;  // the oldest that it may hold after a power loss
};

void lose_power(PoolShape shape, std::uint64_t seed) {
  const ByteCount size{shape.units() * shape.unit().value};
  SimExtentKit kit(size, std::move(shape), seed);
  SeededRandom random(seed);
  const std::uint64_t sectors = size.value / 512;
  SectorHistory history(sectors);
  struct Write : Asked {
    std::uint64_t tag = 0;
    SectorHistory* history = nullptr;
    std::vector<std::size_t> had;  // of a sync
  };
  std::deque<Write> writes;
  std::map<std::uint64_t, std::uint64_t> under_way;  // sector: tag
  for (std::size_t at = 0; at < kit.members(); ++at) kit.member(at).hold(true);
  const std::uint64_t steps = 20 + random.below(60);
  for (std::uint64_t step = 1; step <= steps; ++step) {
    const bool is_sync = random.chance(1, 5);
    const std::uint64_t length = 1 + random.below(300);
    const std::uint64_t begin = random.below(sectors);
    const std::uint64_t end = std::min(sectors, begin + length);
    bool is_free = true;
    for (std::uint64_t at = begin; at < end; ++at) is_free = is_free && !under_way.contains(at);
    if (is_sync || is_free) {
      Write& io = writes.emplace_back();
      io.kind = is_sync ? IoKind::sync : IoKind::write;
      io.history = &history;
      if (is_sync) {
        io.had = history.now();
      } else {
        io.tag = step;
        io.durable = random.chance(1, 4);
        io.offset = {begin * 512};
        io.bytes.resize((end - begin) * 512);
        for (std::uint64_t at = begin; at < end; ++at) {
          std::memcpy(io.bytes.data() + (at - begin) * 512, &io.tag, sizeof(io.tag));
          under_way[at] = io.tag;
        }
        io.buffer = io.bytes;
      }
      io.context = &under_way;
      io.done = [](BackingIo& ended, IoStatus status) noexcept {
        auto& self = static_cast<Write&>(ended);
        self.has_ended = true;
        if (status != IoStatus::ok) return;
        if (self.kind == IoKind::sync) return self.history->synced(self.had);
        auto& open = *static_cast<std::map<std::uint64_t, std::uint64_t>*>(self.context);
        for (std::uint64_t at = 0; at < self.bytes.size() / 512; ++at) {
          const std::uint64_t sector = self.offset.value / 512 + at;
          open.erase(sector);
          self.history->acknowledged(sector, self.tag, self.durable);
        }
      };
      kit.device().submit(kit.lane(), io);
    }
    for (std::uint64_t times = random.below(6); times != 0; --times) {
      (void)kit.member(random.below(kit.members())).release_any();
    }
    kit.lane().finish_turn();
    (void)kit.lane().reap();
  }
  // What has been released by now may be answered; what is held is torn.
  for (Write& io : writes) {
    if (!io.has_ended) {
      io.done = [](BackingIo& ended, IoStatus) noexcept {
        static_cast<Write&>(ended).has_ended = true;
      };
    }
  }
  for (std::size_t at = 0; at < kit.members(); ++at) {
    kit.member(at).hold(false);
    kit.member(at).crash();
  }
  drive_until(kit.lane(), [&writes] {
    return std::ranges::all_of(writes, [](const Write& io) { return io.has_ended; });
  });
  std::vector<std::byte> all(size.value);
  ASSERT_EQ(kit.run(IoKind::read, 0, all), IoStatus::ok);
  for (std::uint64_t at = 0; at < sectors; ++at) {
    std::uint64_t tag = 0;
    std::memcpy(&tag, all.data() + at * 512, sizeof(tag));
    const auto open = under_way.find(at);
    ASSERT_TRUE(history.may_hold(at, tag, open == under_way.end() ? 0 : open->second))
        << "seed " << seed << " sector " << at << " holds write " << tag;
  }
}

TEST_F(ExtentBackingTest, PowerLossLeavesOnEveryMemberWhatWasSynced) {
  for (std::uint64_t seed = 1; seed <= rounds(150); ++seed) {
    lose_power(linear_shape({2, 2, 2}), seed);
    lose_power(stripe_shape(3, 16_KiB, 2), seed);
    if (HasFatalFailure()) return;
  }
}

TEST(AtomicWriteBytes, IsTheLeastOfTheMembersAndNeverLiesOnTwo) {
  const std::vector<std::uint32_t> disks{4096, 512, 16384};
  EXPECT_EQ(atomic_write_bytes(linear_shape({1, 1, 1}), disks), 512U);
  const std::vector<std::uint32_t> one_unknown{4096, 0};
  EXPECT_EQ(atomic_write_bytes(linear_shape({1, 1}), one_unknown), 0U);
  EXPECT_EQ(atomic_write_bytes(linear_shape({1}), {}), 0U);
  const std::vector<std::uint32_t> large{16384, 16384};
  EXPECT_EQ(atomic_write_bytes(stripe_shape(2, 64_KiB, 1), large), 16384U);
  EXPECT_EQ(atomic_write_bytes(stripe_shape(2, 4_KiB, 1), large), 4096U) << "no more than a chunk";
  PoolShape shape = linear_shape({1, 1});
  shape.data_offset = {12 << 10};
  EXPECT_EQ(atomic_write_bytes(shape, large), 4096U) << "slices begin at its multiples";
  const std::vector<std::uint32_t> huge{1 << 20};
  EXPECT_EQ(atomic_write_bytes(linear_shape({1}), huge), kit_slice.value);
}

}  // namespace
}  // namespace engine
