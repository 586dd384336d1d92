// Reactors with lanes of their own hand commands to a real commit thread; what it completes reaches
// them through their lanes, and log and index agree about the outcome.
#include <gtest/gtest.h>
#include <poll.h>

#include <array>
#include <memory>
#include <thread>

#include "engine/foundation/clock.h"
#include "engine/foundation/random.h"
#include "engine/media/uring_lane.h"
#include "tests/engine/cache/volume_cache_kit.h"
#include "tests/engine/media/pmem_kit.h"

namespace engine::test {
namespace {

constexpr std::uint64_t places = 64;  // 4 KiB each
constexpr std::uint64_t turns = 40;
constexpr std::uint64_t depth = 8;
constexpr ByteCount region_size = 32_MiB;

// Of one reactor; completed by the commit thread, counted by its own.
struct Command final : CompletionSink {
  Command(IoLane& of, std::uint64_t& open_commands) : lane(of), open(open_commands) {
    posted.context = this;
    posted.done = [](FileOperation& operation, int) noexcept {
      auto& self = *static_cast<Command*>(operation.context);
      EXPECT_EQ(self.record.outcome(), CommitOutcome::committed);
      --self.open;
    };
  }
  void complete(CommitRecord& /*record*/) override { lane.post(posted); }

  IoLane& lane;
  std::uint64_t& open;
  FileOperation posted;
  CommitRecord record{*this};
  std::vector<std::byte> data = std::vector<std::byte>(4096);
};

void write_much(PageCommitter& committer, IoLane& lane, std::array<VolumeCache*, 2> volumes,
                std::uint64_t seed) {
  const auto actor = CacheActor::make(committer);
  SeededRandom random(seed);
  std::uint64_t open = 0;
  std::vector<std::unique_ptr<Command>> commands;
  for (std::uint64_t at = 0; at < depth; ++at) {
    commands.push_back(std::make_unique<Command>(lane, open));
  }
  for (std::uint64_t turn = 0; turn < turns; ++turn) {
    for (auto& command : commands) {
      random.fill(command->data);
      VolumeCache& volume = *volumes[random.below(2)];
      const SectorRange range{{random.below(places) * 8}, {8}};
      if (volume.write(*actor, command->record, range, command->data)) ++open;
    }
    EXPECT_FALSE(actor->end_turn());
    while (open > 0) {
      pollfd wake{.fd = lane.wake_descriptor(), .events = POLLIN, .revents = 0};
      ASSERT_EQ(poll(&wake, 1, 30000), 1) << "nothing completes";
      lane.clear_wake();
      (void)lane.reap();
    }
  }
}

std::vector<std::byte> content_of(VolumeCache& volume) {
  std::vector<std::byte> bytes(places * 4096);
  volume.read({{0}, {places * 8}}, bytes, ExtentIndex::Heat::keep,
              [](const CacheGap& gap) { EXPECT_EQ(gap.kind, CacheGap::Kind::hole); });
  return bytes;
}

struct Volumes {
  explicit Volumes(PmemRegion& region)
      : device(open_device(region)), writer(must(DurableWriter::make(region))) {
    for (std::uint32_t slot = 0; slot < 2; ++slot) {
      const auto number = static_cast<std::uint8_t>(slot + 1);
      if (!device->volumes().find(uuid_of(number))) {
        (void)must(device->volumes().attach(writer, new_volume(number)));
      }
      auto recovered = must(recover_volume(*device, slot, memory, clock, writer));
      EXPECT_FALSE(recovered.report.damaged());
      caches[slot] = std::move(recovered.cache);
    }
  }
  const SystemClock clock;
  IndexMemory memory{64_MiB};
  const std::unique_ptr<CacheDevice> device;
  DurableWriter writer;
  std::array<std::unique_ptr<VolumeCache>, 2> caches;
};

void log_and_index_agree(PmemRegion& region) {
  format_for_threads(region);
  std::array<std::vector<std::byte>, 2> before;
  {
    Volumes volumes(region);
    MemoryBudget budget(64_MiB);
    std::array<std::unique_ptr<UringLane>, 3> lanes;  // outlive who posts to them
    for (auto& lane : lanes) lane = std::move(UringLane::create(budget).value());
    PageCommitter committer(*volumes.device);
    committer.start();
    const std::array<VolumeCache*, 2> both{volumes.caches[0].get(), volumes.caches[1].get()};
    std::vector<std::jthread> threads;
    for (std::uint64_t at = 0; at < lanes.size(); ++at) {
      threads.emplace_back([&, at] { write_much(committer, *lanes[at], both, at + 1); });
    }
    // And one that reads: every byte that it is given is published, so nobody writes it.
    for (int look = 0; look < 20; ++look) (void)content_of(*both[look % 2]);
    threads.clear();
    committer.stop();
    for (std::size_t slot = 0; slot < 2; ++slot) {
      before[slot] = content_of(*both[slot]);
      EXPECT_GT(both[slot]->commit().published(), 0U);
    }
    volumes.device->segments().check_invariants();
    volumes.device->chunks().check_invariants();
  }
  Volumes again(region);
  for (std::size_t slot = 0; slot < 2; ++slot) {
    EXPECT_EQ(content_of(*again.caches[slot]), before[slot]);
    again.caches[slot]->index().check_invariants();
  }
}

TEST(PageCommitterThreads, LogAndIndexAgree) {
  SimPmemPages pages(region_size);
  log_and_index_agree(pages);
}

TEST(PageCommitterThreads, LogAndIndexAgreeInAnOrdinaryFile) {
  FilePmemKit file(region_size, ".", nullptr);
  ASSERT_EQ(file.region().guarantee().granularity, PmemGranularity::page);
  log_and_index_agree(file.region());
}

TEST(PageCommitterThreads, StopDoesWhatIsQueuedAndStartGoesOn) {
  SimPmemPages pages(region_size);
  format_for_threads(pages);
  Volumes volumes(pages);
  PageCommitter committer(*volumes.device);
  const auto actor = CacheActor::make(committer);
  CountingSink sink;
  const std::vector<std::byte> data(4096, std::byte{1});
  for (int life = 1; life <= 3; ++life) {
    CommitRecord record(sink);
    must(volumes.caches[0]->write(*actor, record, {{0}, {8}}, data));
    EXPECT_FALSE(actor->end_turn());
    committer.start();
    committer.stop();
    EXPECT_EQ(sink.completed, life);
    EXPECT_EQ(sink.failed, 0);
  }
}

}  // namespace
}  // namespace engine::test
