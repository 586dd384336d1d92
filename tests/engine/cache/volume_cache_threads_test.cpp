// Several threads write to two volumes at once; the log and the index agree about the outcome.
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <thread>

#include "engine/foundation/clock.h"
#include "engine/foundation/random.h"
#include "engine/media/open_pmem.h"
#include "tests/engine/cache/volume_cache_kit.h"

namespace engine::test::volume_cache_threads {
namespace {

constexpr std::uint64_t places = 64;  // 4 KiB each
constexpr std::uint64_t turns = 150;
constexpr std::uint64_t depth = 8;

// The owner's thread waits for it; any thread completes.
struct Done final : CompletionSink {
  void complete(CommitRecord& /*record*/) override { ++count; }
  std::atomic<std::uint64_t> count{0};
};

void write_much(CacheDevice& device, std::array<VolumeCache*, 2> volumes, std::uint64_t seed) {
  const auto actor = must(CacheActor::make(device));
  SeededRandom random(seed);
  Done done;
  std::vector<std::unique_ptr<CommitRecord>> records;
  for (std::uint64_t at = 0; at < depth; ++at) {
    records.push_back(std::make_unique<CommitRecord>(done));
  }
  std::vector<std::byte> data(4096);
  for (std::uint64_t turn = 0; turn < turns; ++turn) {
    std::uint64_t taken = 0;
    const std::uint64_t before = done.count;
    for (auto& record : records) {
      random.fill(data);
      VolumeCache& volume = *volumes[random.below(2)];
      const SectorRange range{{random.below(places) * 8}, {8}};
      if (volume.write(*actor, *record, range, data)) ++taken;
    }
    while (actor->end_turn() || done.count < before + taken) std::this_thread::yield();
  }
}

std::vector<std::byte> content_of(VolumeCache& volume) {
  std::vector<std::byte> bytes(places * 4096);
  volume.read({{0}, {places * 8}}, bytes, ExtentIndex::Heat::keep,
              [](const CacheGap& gap) { EXPECT_EQ(gap.kind, CacheGap::Kind::hole); });
  return bytes;
}

TEST(VolumeCacheThreads, LogAndIndexAgree) {
  const auto region = threads_pmem();
  const SystemClock clock;
  IndexMemory memory(64_MiB);
  std::array<std::vector<std::byte>, 2> before;
  {
    const auto device = open_device(*region);
    auto writer = must(DurableWriter::make(*region));
    std::array<std::unique_ptr<VolumeCache>, 2> volumes;
    for (std::uint32_t slot = 0; slot < 2; ++slot) {
      (void)must(device->volumes().attach(writer, new_volume(static_cast<std::uint8_t>(slot + 1))));
      volumes[slot] = must(recover_volume(*device, slot, memory, clock, writer)).cache;
    }
    const std::array<VolumeCache*, 2> both{volumes[0].get(), volumes[1].get()};
    std::vector<std::jthread> threads;
    for (std::uint64_t seed = 1; seed <= 3; ++seed) {
      threads.emplace_back([&device, both, seed] { write_much(*device, both, seed); });
    }
    // And one that reads.
    for (int look = 0; look < 20; ++look) (void)content_of(*volumes[look % 2]);
    threads.clear();
    for (std::size_t slot = 0; slot < 2; ++slot) before[slot] = content_of(*volumes[slot]);
  }
  // Two volumes, recovered by two threads.
  const auto device = open_device(*region);
  std::array<std::unique_ptr<VolumeCache>, 2> volumes;
  {
    std::vector<std::jthread> threads;
    for (std::uint32_t slot = 0; slot < 2; ++slot) {
      threads.emplace_back([&, slot] {
        auto writer = must(DurableWriter::make(*region));
        auto recovered = must(recover_volume(*device, slot, memory, clock, writer));
        EXPECT_FALSE(recovered.report.damaged());
        volumes[slot] = std::move(recovered.cache);
      });
    }
  }
  for (std::size_t slot = 0; slot < 2; ++slot) {
    EXPECT_EQ(content_of(*volumes[slot]), before[slot]);
    volumes[slot]->index().check_invariants();
  }
  device->segments().check_invariants();
  device->chunks().check_invariants();
}

}  // namespace
}  // namespace engine::test::volume_cache_threads
