// What an operation of the cache's index costs, and what an extent costs in DRAM.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <memory>
#include <numeric>
#include <optional>
#include <utility>
#include <vector>

#include "engine/cache/extent_index.h"
#include "engine/foundation/check.h"
#include "engine/foundation/random.h"

namespace engine {
namespace {

constexpr std::uint64_t block_sectors = 8;  // 4 KiB
constexpr std::size_t turn = 32;            // commands parsed before the first is executed

constexpr auto nothing = [](const Fragment&) {};

// The n-th extent of a volume of which only every `spread`-th block is cached, in mixed-up places.
SectorRange block_at(std::uint64_t block) {
  return {Sector{block * block_sectors}, SectorCount{block_sectors}};
}
ExtentValue value_at(std::uint64_t place) {
  return {.place = Place{place * block_sectors},
          .crc = static_cast<std::uint32_t>(place),
          .dirty = true};
}

std::vector<ReplayKey> keys_of(const std::vector<std::uint32_t>& blocks) {
  std::vector<ReplayKey> keys;
  keys.reserve(blocks.size());
  for (const std::uint32_t block : blocks) {
    keys.push_back({.range = block_at(block), .value = value_at(keys.size())});
  }
  return keys;
}

// `count` different blocks out of `volume` ones, in random order.
std::vector<std::uint32_t> random_blocks(std::uint64_t count, std::uint64_t volume) {
  SeededRandom random(count);
  std::vector<std::uint32_t> blocks(volume);
  std::iota(blocks.begin(), blocks.end(), 0U);
  for (std::uint64_t i = 0; i < count; ++i) {
    std::swap(blocks[i], blocks[i + random.below(volume - i)]);
  }
  blocks.resize(count);
  return blocks;
}

struct Filled {
  explicit Filled(std::uint64_t extents, std::uint64_t volume_blocks)
      : memory(8_GiB), index(memory, SectorCount{volume_blocks * block_sectors}) {
    const auto keys = keys_of(random_blocks(extents, volume_blocks));
    const ReplayKeys all(keys);
    CHECK(index.replay({&all, 1}, {}, nothing));
  }
  IndexMemory memory;
  ExtentIndex index;
};

// One of several sizes is kept, because filling takes longer than measuring.
Filled& dense(std::uint64_t extents) {
  static std::unique_ptr<Filled> kept;
  static std::uint64_t kept_extents = 0;
  if (kept_extents != extents) {
    kept.reset();
    kept = std::make_unique<Filled>(extents, extents);
    kept_extents = extents;
  }
  return *kept;
}

void publish_one_by_one(benchmark::State& state) {
  const auto extents = static_cast<std::uint64_t>(state.range(0));
  ExtentIndex& index = dense(extents).index;
  SeededRandom random(1);
  std::uint64_t place = 0;
  for (auto _ : state) {
    auto permit = index.prepare(block_at(random.below(extents)));
    index.publish(*std::move(permit), value_at(++place & 0xffff'ffff), nothing);
  }
  state.SetItemsProcessed(state.iterations());
}

// As a turn does it: permits at admission, then all are published.
void publish_in_turns(benchmark::State& state) {
  const auto extents = static_cast<std::uint64_t>(state.range(0));
  ExtentIndex& index = dense(extents).index;
  SeededRandom random(1);
  std::uint64_t place = 0;
  std::vector<PublishPermit> permits;
  permits.reserve(turn);
  for (auto _ : state) {
    for (std::size_t at = 0; at < turn; ++at) {
      permits.push_back(*index.prepare(block_at(random.below(extents))));
    }
    for (PublishPermit& permit : permits) {
      index.publish(std::move(permit), value_at(++place & 0xffff'ffff), nothing);
    }
    permits.clear();
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(turn));
}

void look_up(benchmark::State& state) {
  const auto extents = static_cast<std::uint64_t>(state.range(0));
  ExtentIndex& index = dense(extents).index;
  SeededRandom random(2);
  std::uint64_t sum = 0;
  for (auto _ : state) {
    index.look_up(block_at(random.below(extents)), ExtentIndex::Heat::warm,
                  [&](const Piece& piece) { sum += piece.value->place.value; });
  }
  benchmark::DoNotOptimize(sum);
  state.SetItemsProcessed(state.iterations());
}

// The floor: one read of a random 64-byte line in as much memory. It is waited for before the next
// begins, as an operation's are, which go from one line to the next under a lock.
void bare_random_line(benchmark::State& state) {
  const auto extents = static_cast<std::uint64_t>(state.range(0));
  IndexMemory memory(8_GiB);
  std::vector<IndexMemory::Handle> blocks;
  for (std::uint64_t i = 0; i < extents / 128; ++i) {
    CHECK(memory.promise(1));
    blocks.push_back(memory.allocate(IndexMemory::slab_units));
    memory.unpromise(1);
  }
  SeededRandom random(3);
  std::uint64_t read = 0;
  for (auto _ : state) {
    // It is zero, but only whoever has read it knows.
    const std::uint64_t at = random.below(extents) ^ read;
    read = *memory.as<const std::uint64_t>(blocks[0] + static_cast<std::uint32_t>(at));
  }
  CHECK(read == 0);
  state.SetItemsProcessed(state.iterations());
}

// Times `fill`, which puts `extents` into an empty index of a volume of so many blocks; not the
// index's making and end.
template <class Fill>
void time_filling(benchmark::State& state, std::uint64_t extents, std::uint64_t volume, Fill fill) {
  for (auto _ : state) {
    state.PauseTiming();
    auto memory = std::make_unique<IndexMemory>(8_GiB);
    auto index = std::make_unique<ExtentIndex>(*memory, SectorCount{volume * block_sectors});
    state.ResumeTiming();
    fill(*index);
    state.PauseTiming();
    index.reset();
    memory.reset();
    state.ResumeTiming();
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(extents));
}

// Into an empty index, key by key in random order, until `extents` are in.
void insert_unsorted(benchmark::State& state) {
  const auto extents = static_cast<std::uint64_t>(state.range(0));
  const std::uint64_t volume = extents * static_cast<std::uint64_t>(state.range(1));
  const auto blocks = random_blocks(extents, volume);
  time_filling(state, extents, volume, [&](ExtentIndex& index) {
    for (std::uint64_t i = 0; i < extents; ++i) {
      index.publish(*index.prepare(block_at(blocks[i])), value_at(i), nothing);
    }
  });
}

void replay(benchmark::State& state) {
  const auto extents = static_cast<std::uint64_t>(state.range(0));
  const std::uint64_t volume = extents * static_cast<std::uint64_t>(state.range(1));
  const auto keys = keys_of(random_blocks(extents, volume));
  time_filling(state, extents, volume, [&](ExtentIndex& index) {
    const ReplayKeys all(keys);
    CHECK(index.replay({&all, 1}, {}, nothing));
  });
}

// Bytes for each extent of 4 KiB: the highest while the index fills, and at the end. `extents` of a
// volume `spread / 10` times as large.
void memory_of_extents(benchmark::State& state) {
  const auto extents = static_cast<std::uint64_t>(state.range(0));
  const std::uint64_t volume = extents * static_cast<std::uint64_t>(state.range(1)) / 10;
  const auto blocks = random_blocks(extents, volume);
  double highest = 0;
  double last = 0;
  double exact = 0;
  for (auto _ : state) {
    IndexMemory memory(8_GiB);
    ExtentIndex index(memory, SectorCount{volume * block_sectors});
    for (std::uint64_t i = 0; i < extents; ++i) {
      index.publish(*index.prepare(block_at(blocks[i])), value_at(i), nothing);
      if ((i + 1) % (extents / 20) != 0) continue;
      const std::uint64_t bytes = memory.used_bytes().value + index.table_bytes().value;
      last = static_cast<double>(bytes) / static_cast<double>(i + 1);
      highest = std::max(highest, last);
    }
    exact = static_cast<double>(index.memory_bytes().value) / static_cast<double>(extents);
  }
  state.counters["highest"] = highest;
  state.counters["full"] = last;
  state.counters["index_only"] = exact;
}

constexpr std::int64_t gib_of_extents = 262'144;
constexpr std::int64_t two_million = 8 * gib_of_extents;
constexpr std::int64_t sixteen_million = 64 * gib_of_extents;

BENCHMARK(bare_random_line)->Arg(gib_of_extents)->Arg(two_million)->Arg(sixteen_million);
void sizes(benchmark::internal::Benchmark* bench) {
  bench->Arg(gib_of_extents)->Arg(two_million)->Arg(sixteen_million);
}
BENCHMARK(publish_one_by_one)->Apply(sizes);
BENCHMARK(publish_in_turns)->Apply(sizes);
BENCHMARK(look_up)->Apply(sizes);
BENCHMARK(insert_unsorted)
    ->Args({two_million, 1})
    ->Args({two_million, 10})
    ->Unit(benchmark::kMillisecond);
BENCHMARK(replay)
    ->Args({two_million, 1})
    ->Args({two_million, 10})
    ->Args({two_million, 100})
    ->Unit(benchmark::kMillisecond);
BENCHMARK(memory_of_extents)
    ->Args({1'000'000, 10})
    ->Args({1'000'000, 20})
    ->Args({1'000'000, 100})
    ->Args({1'000'000, 300})
    ->Args({1'000'000, 1'000})
    ->Args({300'000, 10'000})
    ->Iterations(1)
    ->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace engine

BENCHMARK_MAIN();
