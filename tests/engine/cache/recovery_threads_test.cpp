// Several volumes are recovered beside each other by real threads, while another one is written to.
#include <dirent.h>
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <future>
#include <string>
#include <thread>

#include "engine/cache/recovery_workers.h"
#include "engine/foundation/clock.h"
#include "engine/foundation/random.h"
#include "tests/engine/cache/volume_cache_kit.h"

namespace engine::test {
namespace {

constexpr std::uint32_t volumes = 4;
constexpr std::uint64_t recovered_places = 1'500;  // 4 KiB each

struct Done final : CompletionSink {
  void complete(CommitRecord& /*record*/) override { ++count; }
  std::atomic<std::uint64_t> count{0};
};

void write_much(CacheDevice& device, VolumeCache& volume, std::uint64_t seed, std::uint64_t turns) {
  const auto actor = must(CacheActor::make(device));
  SeededRandom random(seed);
  Done done;
  std::vector<std::unique_ptr<CommitRecord>> records;
  for (int depth = 0; depth < 16; ++depth) records.push_back(std::make_unique<CommitRecord>(done));
  std::vector<std::byte> data(4096);
  for (std::uint64_t turn = 0; turn < turns; ++turn) {
    const std::uint64_t before = done.count;
    std::uint64_t taken = 0;
    for (auto& record : records) {
      random.fill(std::span(data).first(16));
      taken +=
          volume.write(*actor, *record, {{random.below(recovered_places) * 8}, {8}}, data) ? 1 : 0;
    }
    while (actor->end_turn() || done.count < before + taken) std::this_thread::yield();
  }
}

std::vector<Fragment> index_of(VolumeCache& volume) {
  std::vector<Fragment> all;
  volume.index().for_each([&all](const Fragment& part) { all.push_back(part); });
  return all;
}

// Volume 0 has nearly nothing, the last one most.
std::unique_ptr<PmemRegion> written_pmem() {
  auto region = std::move(make_anonymous_pmem(160_MiB).value());
  format_for_threads(*region);
  const SystemClock clock;
  IndexMemory memory(64_MiB);
  const auto device = open_device(*region);
  auto writer = must(DurableWriter::make(*region));
  for (std::uint32_t slot = 0; slot < volumes; ++slot) {
    must(device->volumes().attach(writer, new_volume(static_cast<std::uint8_t>(slot + 1))));
    const auto volume = must(recover_volume(*device, slot, memory, clock, writer)).cache;
    write_much(*device, *volume, slot, 3 + 200 * slot);
  }
  return region;
}

TEST(RecoveryThreads, VolumesBesideEachOtherAreWhatOneAfterTheOtherGives) {
  const auto region = written_pmem();
  const SystemClock clock;
  std::array<std::vector<Fragment>, volumes> expected;
  {
    InlineTasks alone;
    IndexMemory memory(64_MiB);
    const auto device = open_device(*region, CacheDevice::Access::inspect);
    for (std::uint32_t slot = 0; slot < volumes; ++slot) {
      expected[slot] = index_of(*must(read_volume(*device, slot, memory, clock, alone)).cache);
    }
  }
  IndexMemory memory(64_MiB);
  const auto device = open_device(*region);
  auto writer = must(DurableWriter::make(*region));
  RecoveryWorkers workers(3);
  std::array<std::promise<Result<RecoveredVolume, CacheError>>, volumes> promises;
  for (std::uint32_t slot = 0; slot < volumes; ++slot) {
    workers.begin(device->chunks_of(slot).chunks.size(), [&, slot] {
      promises[slot].set_value(read_volume(*device, slot, memory, clock, workers));
    });
  }
  // Served as they come, and written to while the others are still read.
  std::vector<std::jthread> writers;
  std::array<RecoveredVolume, volumes> served;
  for (std::uint32_t slot = 0; slot < volumes; ++slot) {
    served[slot] = must(promises[slot].get_future().get());
    EXPECT_EQ(index_of(*served[slot].cache), expected[slot]) << slot;
    must(finish_recovery(served[slot], writer));
    EXPECT_TRUE(served[slot].cache->is_writable());
    writers.emplace_back([&, slot] { write_much(*device, *served[slot].cache, 100 + slot, 20); });
  }
  writers.clear();
  for (const RecoveredVolume& one : served) one.cache->index().check_invariants();
  std::uint64_t live = 0;
  for (std::uint32_t at = 0; at < device->segments().count(); ++at) {
    live += device->segments().counters(at).live_sectors;
  }
  std::uint64_t held = 0;
  for (const RecoveredVolume& one : served) {
    for (const Fragment& part : index_of(*one.cache)) held += part.range.count.value;
  }
  EXPECT_EQ(live, held);
}

// ---- the workers themselves

std::size_t threads_of_process() {
  std::size_t count = 0;
  DIR* const directory = opendir("/proc/self/task");
  while (const dirent* const entry = readdir(directory)) count += entry->d_name[0] != '.' ? 1 : 0;
  closedir(directory);
  return count;
}

TEST(RecoveryWorkers, EachPartRunsOnceAndBesideOthers) {
  RecoveryWorkers workers(3);
  std::array<std::atomic<int>, 500> runs{};
  std::atomic<int> inside{0};
  std::promise<void> ended;
  workers.begin(1, [&] {
    // Each waits for a second one.
    const auto meet = [&](std::size_t) {
      ++inside;
      while (inside < 2) std::this_thread::yield();
    };
    workers.run(2, meet);
    const auto count = [&](std::size_t at) { ++runs[at]; };
    workers.run(runs.size(), count);
    workers.run(0, count);
    ended.set_value();
  });
  ended.get_future().get();
  for (const auto& count : runs) EXPECT_EQ(count, 1);
}

TEST(RecoveryWorkers, SmallJobsComeFirst) {
  RecoveryWorkers workers(1);
  std::promise<void> go;
  std::promise<void> last;
  std::vector<int> order;
  workers.begin(0, [&] { go.get_future().get(); });
  for (const int size : {3, 1, 4, 2}) {
    workers.begin(static_cast<std::uint64_t>(size), [&, size] {
      order.push_back(size);
      if (order.size() == 4) last.set_value();
    });
  }
  go.set_value();
  last.get_future().get();
  EXPECT_EQ(order, (std::vector{1, 2, 3, 4}));
}

TEST(RecoveryWorkers, ThreadsAreThereOnlyWhileThereIsWork) {
  std::thread([] {}).join();  // a sanitizer begins one of its own beside the first
  const std::size_t before = threads_of_process();
  RecoveryWorkers workers(3);
  for (int time = 0; time < 3; ++time) {
    EXPECT_EQ(threads_of_process(), before);
    std::promise<void> begun;
    std::promise<void> go;
    workers.begin(1, [&] {
      begun.set_value();
      go.get_future().get();
    });
    begun.get_future().get();
    EXPECT_EQ(threads_of_process(), before + 3);
    go.set_value();
    while (threads_of_process() > before) std::this_thread::yield();
  }
}

TEST(RecoveryWorkers, WhatIsGivenUpEndsBeforeTheyDo) {
  std::atomic<int> ended{0};
  {
    RecoveryWorkers workers(2);
    for (int job = 0; job < 5; ++job) {
      workers.begin(1, [&] {
        while (!workers.given_up()) std::this_thread::yield();
        ++ended;
      });
    }
  }
  EXPECT_EQ(ended, 5);
}

}  // namespace
}  // namespace engine::test
