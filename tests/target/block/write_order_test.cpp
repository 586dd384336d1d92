#include "target/block/write_order.h"

#include <gtest/gtest.h>

#include <atomic>
#include <deque>
#include <memory>
#include <thread>
#include <vector>

#include "engine/foundation/random.h"

namespace target::block {
namespace {

using engine::Lba;
using engine::SeededRandom;

struct Write : OrderedWrite {
  Write(std::uint64_t first, std::uint64_t last_plus_one) {
    begin = Lba{first};
    end = Lba{last_plus_one};
    admitted = [](OrderedWrite& write) noexcept { static_cast<Write&>(write).started = true; };
  }
  // The ranges of one deallocation.
  explicit Write(std::vector<Extent> list)
      : Write(list.front().begin.value, list.back().end.value) {
    extents = std::move(list);
    pieces = extents;
  }
  std::vector<Extent> extents;
  bool started = false;
};

TEST(WriteOrder, DisjointWritesDoNotWait) {
  WriteOrder order;
  Write a(0, 8);
  Write b(8, 16);
  EXPECT_TRUE(order.enter(a));
  EXPECT_TRUE(order.enter(b));
  order.leave(a);
  order.leave(b);
  EXPECT_TRUE(order.idle());
}

TEST(WriteOrder, EveryKindOfOverlapWaits) {
  const std::pair<std::uint64_t, std::uint64_t> overlapping[] = {
      {10, 20}, {5, 11}, {19, 25}, {12, 15}, {0, 100}};
  for (const auto& [begin, end] : overlapping) {
    WriteOrder order;
    Write first(10, 20);
    Write second(begin, end);
    ASSERT_TRUE(order.enter(first));
    EXPECT_FALSE(order.enter(second)) << begin;
    EXPECT_FALSE(second.started);
    order.leave(first);
    EXPECT_TRUE(second.started) << begin;
    order.leave(second);
    EXPECT_TRUE(order.idle());
  }
}

TEST(WriteOrder, NobodyOvertakesAWaitingWrite) {
  WriteOrder order;
  Write first(0, 10);
  Write wide(5, 30);
  Write late(20, 25);  // disjoint from the first, but behind the wide one
  ASSERT_TRUE(order.enter(first));
  ASSERT_FALSE(order.enter(wide));
  ASSERT_FALSE(order.enter(late));
  order.leave(first);
  EXPECT_TRUE(wide.started);
  EXPECT_FALSE(late.started);
  order.leave(wide);
  EXPECT_TRUE(late.started);
  order.leave(late);
}

TEST(WriteOrder, ACancelledWriteNeverStartsAndUnblocksThoseBehindIt) {
  WriteOrder order;
  Write held(0, 10);
  Write dead(5, 30);
  Write fresh(20, 25);
  ASSERT_TRUE(order.enter(held));
  ASSERT_FALSE(order.enter(dead));
  ASSERT_FALSE(order.enter(fresh));
  EXPECT_TRUE(order.cancel(dead));
  EXPECT_TRUE(fresh.started);
  order.leave(held);
  EXPECT_FALSE(dead.started);
  EXPECT_FALSE(order.cancel(fresh)) << "an admitted write cannot be cancelled";
  order.leave(fresh);
  EXPECT_TRUE(order.idle());
}

// A model on one thread: at any moment the writes in flight are disjoint, and of two overlapping
// writes the one that entered first starts first.
bool overlap(const OrderedWrite& a, const OrderedWrite& b) {
  const auto list = [](const OrderedWrite& write) {
    return write.pieces.empty() ? std::vector<Extent>{{write.begin, write.end}}
                                : std::vector<Extent>(write.pieces.begin(), write.pieces.end());
  };
  for (const Extent& one : list(a)) {
    for (const Extent& other : list(b)) {
      if (one.begin < other.end && other.begin < one.end) return true;
    }
  }
  return false;
}

TEST(WriteOrder, AWriteInPiecesHoldsAllOfThemAndNothingBetween) {
  WriteOrder order;
  Write first({{Lba{0}, Lba{4}}, {Lba{8}, Lba{12}}, {Lba{100}, Lba{101}}});
  Write between(4, 8);
  Write second_piece(11, 20);
  Write last_piece(100, 101);
  Write beside({{Lba{20}, Lba{30}}, {Lba{90}, Lba{100}}});
  Write across({{Lba{50}, Lba{60}}, {Lba{99}, Lba{110}}});
  ASSERT_TRUE(order.enter(first));
  EXPECT_TRUE(order.enter(between));
  EXPECT_FALSE(order.enter(second_piece));
  EXPECT_FALSE(order.enter(last_piece));
  EXPECT_TRUE(order.enter(beside));
  EXPECT_FALSE(order.enter(across));
  EXPECT_FALSE(order.idle());
  order.leave(first);
  EXPECT_TRUE(second_piece.started);
  EXPECT_TRUE(last_piece.started);
  EXPECT_FALSE(across.started);
  order.leave(between);
  order.leave(second_piece);
  order.leave(beside);
  order.leave(last_piece);
  EXPECT_TRUE(across.started);
  order.leave(across);
  EXPECT_TRUE(order.idle());
}

TEST(WriteOrder, RandomWritesStartInOrderAndNeverOverlap) {
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    SeededRandom random(seed);
    WriteOrder order;
    std::deque<std::unique_ptr<Write>> entered;  // in order of entry, not yet left
    for (int step = 0; step < 400; ++step) {
      if (entered.size() < 32 && random.chance(1, 2)) {
        auto begin = random.below(64);
        if (random.chance(1, 3)) {
          std::vector<Extent> extents;
          for (auto left = 1 + random.below(4); left != 0; --left) {
            const auto end = begin + 1 + random.below(4);
            extents.push_back({Lba{begin}, Lba{end}});
            begin = end + 1 + random.below(8);
          }
          entered.push_back(std::make_unique<Write>(std::move(extents)));
        } else {
          entered.push_back(std::make_unique<Write>(begin, begin + 1 + random.below(16)));
        }
        Write& write = *entered.back();
        write.started = order.enter(write);
      } else if (!entered.empty()) {
        const auto at = random.below(entered.size());
        Write& write = *entered[at];
        if (write.started) {
          order.leave(write);
        } else if (!order.cancel(write)) {
          FAIL() << "a waiting write could not be cancelled, seed " << seed;
        }
        entered.erase(entered.begin() + static_cast<std::ptrdiff_t>(at));
      }
      for (std::size_t i = 0; i < entered.size(); ++i) {
        bool blocked = false;
        for (std::size_t j = 0; j < i; ++j) {
          blocked |= overlap(*entered[j], *entered[i]);
        }
        ASSERT_EQ(entered[i]->started, !blocked) << "seed " << seed << " step " << step;
      }
    }
    while (!entered.empty()) {
      ASSERT_TRUE(entered.front()->started) << "nothing stands before the oldest, seed " << seed;
      order.leave(*entered.front());
      entered.pop_front();
    }
    EXPECT_TRUE(order.idle());
  }
}

// For TSan, and for the invariant under real threads: a per-block owner counter sees two writers at
// once.
TEST(WriteOrder, ThreadsNeverWriteTheSameBlockTogether) {
  struct Waited : OrderedWrite {
    std::atomic<bool> go{false};
  };
  constexpr std::uint64_t blocks = 16;
  WriteOrder order;
  std::vector<std::atomic<int>> owners(blocks);
  std::atomic<bool> clash{false};
  const auto worker = [&](std::uint64_t seed) {
    SeededRandom random(seed);
    for (int i = 0; i < 5000; ++i) {
      Waited write;
      const auto begin = random.below(blocks);
      write.begin = Lba{begin};
      write.end = Lba{begin + 1 + random.below(blocks - begin)};
      write.admitted = [](OrderedWrite& self) noexcept {
        static_cast<Waited&>(self).go.store(
            true);  // the last touch: its owner may be gone after this
      };
      if (!order.enter(write)) {
        while (!write.go.load()) std::this_thread::yield();
      }
      for (auto at = write.begin.value; at < write.end.value; ++at) {
        if (owners[at].fetch_add(1) != 0) clash = true;
      }
      for (auto at = write.begin.value; at < write.end.value; ++at) owners[at].fetch_sub(1);
      order.leave(write);
    }
  };
  std::vector<std::thread> threads;
  for (std::uint64_t seed = 1; seed <= 4; ++seed) threads.emplace_back(worker, seed);
  for (auto& thread : threads) thread.join();
  EXPECT_FALSE(clash);
  EXPECT_TRUE(order.idle());
}

}  // namespace
}  // namespace target::block
