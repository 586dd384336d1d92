// Several threads, each with its own lane, read and write one cached volume, while another one
// writes back and reclaims: every block that is read is one that could be there at that time.
#include <gtest/gtest.h>
#include <poll.h>

#include <array>
#include <atomic>
#include <cstring>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "engine/foundation/clock.h"
#include "engine/foundation/random.h"
#include "engine/media/memory_device.h"
#include "engine/media/uring_lane.h"
#include "engine/volume/cache_front.h"
#include "engine/volume/volume_upkeep.h"
#include "tests/engine/cache/volume_cache_kit.h"
#include "tests/sim/sim_marker.h"

namespace engine::test {
namespace {

constexpr std::uint64_t blocks = 6144;  // 24 MiB, of which the cache holds two thirds
constexpr std::uint64_t block_bytes = 4096;
constexpr std::uint64_t region_blocks = 8;  // that one thread writes
constexpr std::uint64_t thread_count = 3;
constexpr std::uint64_t depth = 8;
constexpr std::uint64_t commands = 2000;      // of each thread
constexpr std::uint64_t hot_blocks = 64;      // that half of the reads go to
constexpr std::uint32_t pinned_segments = 8;  // half of the cache: more than is usual

// Blocks have versions, counted by the thread that writes them: one that is read is not older than
// the last that was acknowledged before, and not newer than the last that was begun.
struct Versions {
  std::vector<std::atomic<std::uint32_t>> begun = std::vector<std::atomic<std::uint32_t>>(blocks);
  std::vector<std::atomic<std::uint32_t>> acknowledged =
      std::vector<std::atomic<std::uint32_t>>(blocks);

  // These are zeros; version 0 is what the volume was made with.
  static constexpr std::uint32_t zero_period = 8;
  static bool is_zero(std::uint32_t version) { return version % zero_period == 0; }
  static std::uint64_t word_of(std::uint64_t block, std::uint32_t version) {
    return is_zero(version) ? 0 : block << 32 | version;
  }
  static void fill(std::span<std::byte> bytes, std::uint64_t block, std::uint32_t version) {
    const std::uint64_t word = word_of(block, version);
    for (std::size_t at = 0; at < bytes.size(); at += 8) std::memcpy(&bytes[at], &word, 8);
  }
  // `oldest`: was acknowledged when the read began.
  void look_at(std::span<const std::byte> bytes, std::uint64_t block, std::uint32_t oldest) const {
    std::uint64_t word = 0;
    std::memcpy(&word, bytes.data(), 8);
    ASSERT_EQ(std::memcmp(bytes.data(), bytes.data() + 8, bytes.size() - 8), 0) << "torn";
    const std::uint32_t newest = begun[block].load();
    if (word == 0) {
      const std::uint32_t zero = (oldest + zero_period - 1) / zero_period * zero_period;
      EXPECT_LE(zero, newest) << "block " << block << " was never zero since " << oldest;
      return;
    }
    const auto version = static_cast<std::uint32_t>(word);
    EXPECT_EQ(word >> 32, block);
    EXPECT_GE(version, oldest) << "block " << block;
    EXPECT_LE(version, newest) << "block " << block;
  }
};

class CountedMemory final : public BackingDevice {
 public:
  CountedMemory() : memory_(std::move(MemoryDevice::create({blocks * block_bytes}).value())) {}
  [[nodiscard]] ByteCount size() const override { return memory_->size(); }
  void submit(IoLane& lane, BackingIo& io) override {
    if (io.kind == BackingIo::Kind::read) reads.fetch_add(1, std::memory_order_relaxed);
    memory_->submit(lane, io);
  }
  std::atomic<std::uint64_t> reads{0};

 private:
  const std::unique_ptr<MemoryDevice> memory_;
};

// The volume, and the thread that keeps its cache.
class Served {
 public:
  explicit Served(std::unique_ptr<PmemRegion> region) {
    format_for_threads(*region);
    cache.region = std::move(region);
    cache.device = open_device(*cache.region);
    cache.memory = std::make_unique<IndexMemory>(64_MiB);
    cache.wake = [] {};  // it looks every millisecond
    writer_ = std::make_unique<DurableWriter>(must(DurableWriter::make(*cache.region)));
    (void)must(cache.device->volumes().attach(*writer_, new_volume(1)));
    volume = must(recover_volume(*cache.device, 0, *cache.memory, clock, *writer_)).cache;
    if (cache.region->guarantee().granularity == PmemGranularity::page) {
      cache.committer = std::make_unique<PageCommitter>(*cache.device);
    }
    front = std::make_unique<CacheFront>(cache, *volume, backing, BlockSize{block_bytes}, clock);
    front->pins().set_segments(pinned_segments * PinBudget::parts);
  }

  void start() {
    keeper_ = std::jthread([this] { keep(); });
  }
  void stop() {
    stopping_ = true;
    keeper_.join();
  }

  SystemClock clock;
  CountedMemory backing;
  OpenCache cache;
  std::unique_ptr<VolumeCache> volume;
  std::unique_ptr<CacheFront> front;

 private:
  void keep() {
    const auto lane = std::move(UringLane::create(budget_).value());
    const auto actor = cache.committer != nullptr ? CacheActor::make_for_committer(*cache.committer)
                                                  : cache.make_actor();
    WriteBackLimits limits;
    limits.most_age = std::chrono::milliseconds(50);
    VolumeUpkeep upkeep(*front, std::make_unique<SimMarker>(), *lane, *writer_, *actor, clock, {},
                        limits);
    Instant next = clock.now();
    for (;;) {
      bool more = cache.committer != nullptr && cache.committer->step();
      if (upkeep.turn()) {
        front->space().tell_first();
        more = true;
      }
      if (clock.now() >= next) {
        next = clock.now() + std::chrono::milliseconds(5);
        upkeep.tick();
        front->pins().set_segments(pinned_segments * PinBudget::parts);
      }
      more = actor->end_turn() || more;
      lane->finish_turn();
      more = lane->reap() > 0 || lane->has_tasks() || more;
      if (stopping_) {
        upkeep.stop();
        if (!more && upkeep.is_quiet()) return;
      }
      if (!more) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  }

  MemoryBudget budget_{16_MiB};
  std::unique_ptr<DurableWriter> writer_;
  std::atomic<bool> stopping_{false};
  std::jthread keeper_;
};

// One thread: its lane and its commands.
class Host {
 public:
  Host(Served& served, Versions& versions, std::uint64_t number)
      : served_(served), versions_(versions), number_(number), random_(number + 1) {
    for (auto& command : commands_) command = std::make_unique<Command>(*this);
  }

  void run() {
    thread_ = std::this_thread::get_id();
    std::uint64_t left = commands;
    while (left > 0 || open_ > 0 || !lane_->guests_are_quiet()) {
      bool is_stuck = true;
      for (auto& command : commands_) {
        if (left == 0 || command->is_open) continue;
        --left;
        begin(*command);
        is_stuck = false;
      }
      if (is_stuck) let_go();  // perhaps the others wait for what is below it
      turn();
    }
  }
  // What the whole volume holds when nobody writes any more.
  void look_at_everything() {
    thread_ = std::this_thread::get_id();
    Command& command = *commands_[0];
    for (std::uint64_t block = 0; block < blocks; ++block) {
      begin_read(command, block, 1);
      while (command.is_open) turn();
      EXPECT_EQ(command.oldest[0], versions_.begun[block].load()) << "not all was acknowledged";
    }
    while (!lane_->guests_are_quiet()) turn();
  }

 private:
  static constexpr std::uint64_t most_blocks = 16;  // of a read
  struct Command : VolumeIo {
    explicit Command(Host& of) : host(of), buffer(most_blocks * block_bytes) {
      done = [](VolumeIo& io, IoStatus status) noexcept {
        auto& self = static_cast<Command&>(io);
        self.host.ended(self, status);
      };
    }
    Host& host;
    std::vector<std::byte> buffer;
    std::array<std::uint32_t, most_blocks> oldest{};  // read
    bool is_open = false;
  };

  [[nodiscard]] std::span<std::byte> block_of(Command& command, std::uint64_t at) {
    return std::span(command.buffer).subspan(at * block_bytes, block_bytes);
  }

  void begin(Command& command) {
    if (random_.chance(1, 2)) {
      const std::uint64_t block =
          random_.below((random_.chance(1, 2) ? hot_blocks : blocks) - most_blocks);
      const std::uint64_t count = random_.chance(1, 4) ? 1 : 1 + random_.below(most_blocks);
      if (keep_in_place(block, count)) return;
      return begin_read(command, block, count);
    }
    const std::uint64_t regions = blocks / region_blocks / thread_count;
    const std::uint64_t region =
        (random_.chance(1, 8) ? 0 : random_.below(regions)) * thread_count + number_;
    const std::uint64_t first = random_.below(region_blocks);
    const std::uint64_t count = 1 + random_.below(region_blocks - first);
    begin_write(command, region * region_blocks + first, count);
  }

  void begin_read(Command& command, std::uint64_t block, std::uint64_t count) {
    for (std::uint64_t at = 0; at < count; ++at) {
      command.oldest[at] = versions_.acknowledged[block + at].load();
    }
    command.kind = VolumeIo::Kind::read;
    submit(command, block, count);
  }

  // What the cache gives out where it lies stays as it is until the next such read.
  [[nodiscard]] bool keep_in_place(std::uint64_t block, std::uint64_t count) {
    let_go();
    std::array<std::uint32_t, most_blocks> oldest{};
    for (std::uint64_t at = 0; at < count; ++at) {
      oldest[at] = versions_.acknowledged[block + at].load();
    }
    kept_ = served_.front->read_in_place(*lane_, {.lba = {block}, .blocks = {count}});
    if (!kept_) return false;
    as_it_was_ = bytes_of(kept_);
    for (std::uint64_t at = 0; at < count; ++at) {
      versions_.look_at(std::span(as_it_was_).subspan(at * block_bytes, block_bytes), block + at,
                        oldest[at]);
    }
    return true;
  }
  void let_go() {
    if (!kept_) return;
    EXPECT_TRUE(bytes_of(kept_) == as_it_was_) << "somebody has written there";
    kept_.release();
  }
  static std::vector<std::byte> bytes_of(const PinnedRead& read) {
    std::vector<std::byte> bytes;
    for (const auto piece : read.pieces()) bytes.insert(bytes.end(), piece.begin(), piece.end());
    return bytes;
  }

  // Nothing that overlaps another write of ours: those would have no order. They are all of one
  // version, so that they are all zeros or none.
  void begin_write(Command& command, std::uint64_t block, std::uint64_t count) {
    std::uint32_t version = 0;
    for (std::uint64_t at = block; at < block + count; ++at) {
      const std::uint32_t begun = versions_.begun[at].load();
      if (begun != versions_.acknowledged[at].load()) return;
      version = std::max(version, begun + 1);
    }
    for (std::uint64_t at = 0; at < count; ++at) {
      versions_.begun[block + at].store(version);
      Versions::fill(block_of(command, at), block + at, version);
    }
    command.oldest[0] = version;
    command.kind = !Versions::is_zero(version) ? VolumeIo::Kind::write
                   : random_.chance(1, 2)      ? VolumeIo::Kind::deallocate
                                               : VolumeIo::Kind::write_zeroes;
    submit(command, block, count);
  }

  void submit(Command& command, std::uint64_t block, std::uint64_t count) {
    command.lba = {block};
    command.blocks = {count};
    command.data = std::span(command.buffer).first(count * block_bytes);
    command.is_open = true;
    ++open_;
    served_.front->submit(*lane_, command);
  }

  void ended(Command& command, IoStatus status) {
    EXPECT_EQ(std::this_thread::get_id(), thread_);
    EXPECT_EQ(status, IoStatus::ok);
    for (std::uint64_t at = 0; at < command.blocks.value; ++at) {
      const std::uint64_t block = command.lba.value + at;
      if (command.kind == VolumeIo::Kind::read) {
        versions_.look_at(block_of(command, at), block, command.oldest[at]);
      } else {
        versions_.acknowledged[block].store(command.oldest[0]);
      }
    }
    // It is ours again, and used for something else.
    std::ranges::fill(command.buffer, std::byte{0xee});
    command.is_open = false;
    --open_;
  }

  void turn() {
    const std::uint64_t open = open_;
    const std::size_t ended = lane_->reap();
    lane_->finish_turn();
    if (ended != 0 || lane_->has_tasks() || open_ != open) return;
    pollfd wake{.fd = lane_->wake_descriptor(), .events = POLLIN, .revents = 0};
    if (poll(&wake, 1, 100) > 0) lane_->clear_wake();
    ASSERT_LT(++idle_turns_, 100'000U) << "nothing completes";
  }

  Served& served_;
  Versions& versions_;
  const std::uint64_t number_;
  SeededRandom random_;
  MemoryBudget budget_{16_MiB};
  std::array<std::unique_ptr<Command>, depth> commands_;
  std::uint64_t open_ = 0;
  std::uint64_t idle_turns_ = 0;
  std::thread::id thread_;
  const std::unique_ptr<UringLane> lane_ = std::move(UringLane::create(budget_).value());
  PinnedRead kept_;
  std::vector<std::byte> as_it_was_;
};

void every_block_is_one_that_can_be_there(std::unique_ptr<PmemRegion> region) {
  Versions versions;
  Served served(std::move(region));
  {
    std::vector<std::unique_ptr<Host>> hosts;
    for (std::uint64_t at = 0; at < thread_count; ++at) {
      hosts.push_back(std::make_unique<Host>(served, versions, at));
    }
    served.start();
    std::vector<std::jthread> threads;
    for (auto& host : hosts) threads.emplace_back([&host] { host->run(); });
    threads.clear();
    EXPECT_GT(served.backing.reads.load(), 0U) << "nothing was missed";
    hosts[0]->look_at_everything();
    served.stop();
  }
  EXPECT_TRUE(served.front->space().empty());
  EXPECT_EQ(served.front->lost_reads(), 0U);
  EXPECT_GT(served.front->reads_in_place(), 0U) << "nothing was given out where it lies";
  EXPECT_EQ(served.front->pins().taken(), 0U);
  served.volume->misses().check_invariants();
  served.volume->index().check_invariants();
  served.cache.device->segments().check_invariants();
}

TEST(CacheFrontThreads, EveryBlockIsOneThatCanBeThere) {
  every_block_is_one_that_can_be_there(std::move(make_anonymous_pmem(16_MiB).value()));
}

TEST(CacheFrontThreads, EveryBlockIsOneThatCanBeThereInPages) {
  every_block_is_one_that_can_be_there(std::make_unique<SimPmemPages>(16_MiB));
}

}  // namespace
}  // namespace engine::test
