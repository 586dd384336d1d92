// Several threads on one index; for TSan, and for what must hold in between.
#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

#include "engine/foundation/random.h"
#include "tests/engine/cache/index_kit.h"

namespace engine::index_kit {
namespace {

constexpr std::uint64_t volume = 12 * stripe_sectors;
constexpr int rounds = 20'000;

// Live counts as a segment table keeps them: each place has exactly as many live sectors as the
// index holds of it, whoever publishes over it.
struct Live {
  static constexpr std::uint64_t segments = 64;
  static constexpr std::uint64_t segment_sectors = std::uint64_t{1} << 20;
  std::atomic<std::int64_t> sectors[segments] = {};

  void add(Place place, std::int64_t count) {
    sectors[place.value / segment_sectors].fetch_add(count);
  }
  auto displaced() {
    return [this](const Fragment& fragment) {
      if (fragment.value.kind == ExtentKind::data) {
        add(fragment.value.place, -static_cast<std::int64_t>(fragment.range.count.value));
      }
    };
  }
};

SectorRange draw_range(SeededRandom& random, std::uint64_t begin, std::uint64_t end) {
  const std::uint64_t at = begin + random.below(end - begin);
  const std::uint64_t most = random.chance(1, 100) ? 2048 : 16;
  return sectors(at, std::min(1 + random.below(most), end - at));
}

void work(ExtentIndex& index, Live& live, std::uint64_t seed, std::uint64_t begin,
          std::uint64_t end) {
  SeededRandom random(seed);
  std::uint64_t next = seed * Live::segment_sectors;
  for (int round = 0; round < rounds; ++round) {
    const SectorRange range = draw_range(random, begin, end);
    const auto count = static_cast<std::int64_t>(range.count.value);
    switch (random.below(7)) {
      case 0: {
        std::uint64_t seen = 0;
        index.look_up(range, ExtentIndex::Heat::warm,
                      [&](const Piece& piece) { seen += piece.range.count.value; });
        ASSERT_EQ(seen, range.count.value);
        break;
      }
      case 1:
        index.mark_clean(range, Owner{.place = Place{next}}, CleanZeros::drop);
        break;
      case 2: {  // eviction of whatever is there, if it still is
        std::optional<Fragment> found;
        index.look_up(range, ExtentIndex::Heat::keep, [&](const Piece& piece) {
          if (piece.value) found = Fragment{piece.range, *piece.value};
        });
        if (!found) break;
        const Owner owner{.kind = found->value.kind, .place = found->value.place};
        index.erase_if(found->range, owner, live.displaced());
        break;
      }
      case 3: {
        auto permit = index.prepare(range);
        ASSERT_TRUE(permit);
        if (random.chance(1, 2)) {
          index.erase(*std::move(permit), live.displaced());
        }
        break;
      }
      default: {
        auto permit = index.prepare(range);
        ASSERT_TRUE(permit);
        live.add(Place{next}, count);
        index.publish(*std::move(permit), data_at(next), live.displaced());
        break;
      }
    }
    next = next + 2048 < (seed + 1) * Live::segment_sectors ? next + range.count.value
                                                            : seed * Live::segment_sectors;
  }
}

void run_threads(bool apart) {
  IndexMemory memory(64_MiB);
  ExtentIndex index(memory, SectorCount{volume});
  Live live;
  std::vector<std::thread> threads;
  constexpr std::uint64_t count = 4;
  for (std::uint64_t i = 0; i < count; ++i) {
    const std::uint64_t begin = apart ? i * volume / count : 0;
    const std::uint64_t end = apart ? (i + 1) * volume / count : volume / 4;
    threads.emplace_back([&, i, begin, end] { work(index, live, i + 1, begin, end); });
  }
  for (auto& thread : threads) thread.join();
  index.check_invariants();
  memory.check_invariants();
  std::int64_t indexed[Live::segments] = {};
  index.for_each([&](const Fragment& fragment) {
    if (fragment.value.kind == ExtentKind::data) {
      indexed[fragment.value.place.value / Live::segment_sectors] +=
          static_cast<std::int64_t>(fragment.range.count.value);
    }
  });
  for (std::uint64_t i = 0; i < Live::segments; ++i) EXPECT_EQ(indexed[i], live.sectors[i].load());
}

TEST(ExtentIndexThreads, LiveCountsAgreeOnTheSameStripes) { run_threads(false); }
TEST(ExtentIndexThreads, LiveCountsAgreeOnStripesOfTheirOwn) { run_threads(true); }

// Readers beside one writer that replaces an extent: they see the old or the new, never a mixture.
TEST(ExtentIndexThreads, ReadersSeeAnExtentWholeInsideAStripe) {
  IndexMemory memory(4_MiB);
  ExtentIndex index(memory, SectorCount{volume});
  const SectorRange range = sectors(100, 1000);
  index.publish(*index.prepare(range), data_at(0), ignore);
  std::atomic<bool> stop{false};
  std::thread writer([&] {
    for (std::uint64_t i = 1; i < rounds; ++i) {
      index.publish(*index.prepare(range), data_at(i * 4096), ignore);
    }
    stop = true;
  });
  std::uint64_t pieces = 0;
  std::uint64_t looks = 0;
  while (!stop) {
    ++looks;
    index.look_up(range, ExtentIndex::Heat::warm, [&](const Piece&) { ++pieces; });
  }
  writer.join();
  EXPECT_EQ(pieces, looks);
}

}  // namespace
}  // namespace engine::index_kit
