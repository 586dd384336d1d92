// What tests of CacheFront share: one volume over a small cache and a simulated backing, two lanes
// that the test turns, and hosts that see when, where and how their commands end.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "engine/cache/recovery.h"
#include "engine/volume/cache_front.h"
#include "engine/volume/cache_lane.h"
#include "engine/volume/cached_read.h"
#include "engine/volume/volume_upkeep.h"
#include "tests/engine/cache/volume_cache_kit.h"
#include "tests/sim/sim_backing.h"
#include "tests/sim/sim_clock.h"
#include "tests/sim/sim_lane.h"
#include "tests/sim/sim_marker.h"

namespace engine::test {

// A backing that counts what it is asked, and may keep answers back: what it read is then as old as
// the answer is late.
class CountedBacking final : public BackingDevice {
 public:
  CountedBacking() {
    std::vector<std::byte> content(inner.size().value);
    for (std::uint64_t sector = 0; sector < content.size() / 512; ++sector) {
      std::fill_n(content.begin() + static_cast<std::ptrdiff_t>(sector * 512), 512,
                  std::byte{value_of(sector)});
    }
    inner.disk().write({0}, content);
  }
  // Of each byte of a sector that nobody has written yet: 1 to 100.
  static std::uint8_t value_of(std::uint64_t sector) {
    return static_cast<std::uint8_t>(1 + sector % 100);
  }

  [[nodiscard]] ByteCount size() const override { return inner.size(); }
  [[nodiscard]] bool needs_reopen() const override { return inner.needs_reopen(); }
  void submit(IoLane& lane, BackingIo& io) override {
    if (io.kind == BackingIo::Kind::read) ++reads;
    if (!keeps_answers) return inner.submit(lane, io);
    Kept& kept = kept_.emplace_back(Kept{.io = &io, .done = io.done, .context = io.context});
    io.context = &kept;
    io.done = [](BackingIo& ended, IoStatus status) noexcept {
      auto& self = *static_cast<Kept*>(ended.context);
      self.status = status;
      self.has_ended = true;
    };
    inner.submit(lane, io);
  }
  // Those that have come are given, on their lanes.
  void give_answers() {
    for (Kept& kept : kept_) {
      if (!kept.has_ended || std::exchange(kept.is_given, true)) continue;
      kept.io->file.context = &kept;
      kept.io->file.done = [](FileOperation& operation, int) noexcept {
        auto& self = *static_cast<Kept*>(operation.context);
        self.io->done = self.done;
        self.io->context = self.context;
        self.io->done(*self.io, self.status);
      };
      kept.io->lane->post(kept.io->file);
    }
  }

  SimBacking inner{8_MiB};
  int reads = 0;
  bool keeps_answers = false;

 private:
  struct Kept {
    BackingIo* io;
    void (*done)(BackingIo&, IoStatus) noexcept;
    void* context;
    IoStatus status = IoStatus::ok;
    bool has_ended = false;
    bool is_given = false;
  };
  std::deque<Kept> kept_;
};

enum class Media : std::uint8_t { lines, pages };

class FrontLife;

// One command of a host. Its buffer is the host's again when it has ended, and is used for
// something else at once.
struct HostIo : VolumeIo {
  FrontLife* life = nullptr;
  IoLane* lane = nullptr;
  std::vector<std::byte> buffer;
  std::vector<std::byte> got;  // read
  bool has_ended = false;
  IoStatus status = IoStatus::ok;
  unsigned order = 0;  // of its end among all

  // The first byte of each sector, which all others are like; empty unless it ended well.
  [[nodiscard]] std::vector<int> sectors() const {
    if (!has_ended || status != IoStatus::ok) return {};
    std::vector<int> found;
    for (std::size_t at = 0; at < got.size(); at += 512) {
      const auto sector = std::span(got).subspan(at, 512);
      EXPECT_TRUE(std::ranges::all_of(sector, [&](std::byte b) { return b == sector[0]; }));
      found.push_back(std::to_integer<int>(sector[0]));
    }
    return found;
  }
};

// Blocks of 512 bytes, so that a place in it is a sector.
class FrontLife {
 public:
  using Kind = VolumeIo::Kind;

  explicit FrontLife(Media media, std::uint32_t segments = 24, ByteCount index_memory = 16_MiB) {
    if (media == Media::lines) {
      auto pmem = cache_pmem(true, segments);
      lines = pmem.get();
      cache.region = std::move(pmem);
    } else {
      auto pmem = page_pmem(true, segments);
      pages = pmem.get();
      cache.region = std::move(pmem);
    }
    cache.device = open_device(*cache.region);
    cache.memory = std::make_unique<IndexMemory>(index_memory);
    cache.wake = [this] { ++wakes; };
    writer = std::make_unique<DurableWriter>(must(DurableWriter::make(*cache.region)));
    auto wish = new_volume(1);
    wish.size = 4_GiB;
    (void)must(cache.device->volumes().attach(*writer, wish));
    auto recovered = must(recover_volume(*cache.device, 0, *cache.memory, clock, *writer));
    volume = std::move(recovered.cache);
    if (media == Media::pages) cache.committer = std::make_unique<PageCommitter>(*cache.device);
    front = std::make_unique<CacheFront>(cache, *volume, backing, BlockSize{512}, clock);
  }
  ~FrontLife() {
    backing.keeps_answers = false;
    backing.give_answers();
    go_on();
    for (const auto& lane : lanes) EXPECT_TRUE(lane->guests_are_quiet());
  }

  // ---- commands
  HostIo& submit(Kind kind, std::uint64_t at, std::uint64_t sectors, std::uint8_t value = 0,
                 std::size_t lane = 0) {
    return on_lane(
        kind, at, sectors, value, [this](IoLane& on, HostIo& io) { front->submit(on, io); }, lane);
  }
  template <class Start>
  HostIo& on_lane(Kind kind, std::uint64_t at, std::uint64_t sectors, std::uint8_t value,
                  Start start, std::size_t lane = 0) {
    HostIo& io = begin(kind, at, sectors, value, lane);
    turning_ = lanes[lane].get();
    start(*lanes[lane], io);
    turning_ = nullptr;
    return io;
  }
  // The way of a read whose look at the cache has found all of it missing, and some time has gone
  // by since.
  HostIo& miss(std::uint64_t at, std::uint64_t sectors, std::size_t lane = 0) {
    const auto start = [&](IoLane& on, HostIo& io) {
      CachedRead::Gaps gaps;
      gaps.push_back({.range = {{at}, {sectors}}, .kind = CacheGap::Kind::hole});
      CacheLane& here = *CacheLane::of(cache, on);
      here.take_read(here.ticket_for(*front)).start(*front, io, gaps);
    };
    return on_lane(Kind::read, at, sectors, 0, start, lane);
  }
  [[nodiscard]] IoStatus write(std::uint64_t at, std::uint64_t sectors, std::uint8_t value,
                               std::size_t lane = 0) {
    return end(submit(Kind::write, at, sectors, value, lane));
  }
  [[nodiscard]] std::vector<int> read(std::uint64_t at, std::uint64_t sectors,
                                      std::size_t lane = 0) {
    HostIo& io = submit(Kind::read, at, sectors, 0, lane);
    EXPECT_EQ(end(io), IoStatus::ok);
    return io.sectors();
  }
  IoStatus end(HostIo& io) {
    go_on();
    EXPECT_TRUE(io.has_ended);
    return io.status;
  }
  static std::vector<int> of_backing(std::uint64_t at, std::uint64_t sectors) {
    std::vector<int> values;
    for (; sectors > 0; --sectors) values.push_back(CountedBacking::value_of(at++));
    return values;
  }

  // ---- time
  // True: something has happened.
  bool turn(std::size_t lane) {
    turning_ = lanes[lane].get();
    const bool ended = turning_->reap() > 0;
    turning_->finish_turn();
    const bool more = turning_->has_tasks();
    turning_ = nullptr;
    return ended || more;
  }
  // How many of the lane's operations have ended, posted ones among them.
  std::size_t reap(std::size_t lane) {
    turning_ = lanes[lane].get();
    const std::size_t ended = turning_->reap();
    turning_ = nullptr;
    return ended;
  }
  bool commit() { return cache.committer != nullptr && cache.committer->step(); }
  void go_on() {
    // What one hands to the other at the end of a quiet round is seen in the next.
    for (int turns = 0, quiet = 0; turns < 10'000; ++turns) {
      bool more = turn(0);
      more = turn(1) || more;
      more = commit() || more;
      quiet = more ? 0 : quiet + 1;
      if (quiet == 2) return;
    }
    ADD_FAILURE() << "it goes round in circles";
  }

  // ---- what lies in the cache
  [[nodiscard]] std::optional<ExtentValue> extent_of(std::uint64_t sector) {
    std::optional<ExtentValue> value;
    volume->index().look_up({{sector}, {1}}, ExtentIndex::Heat::keep,
                            [&value](const Piece& piece) { value = piece.value; });
    return value;
  }
  void rot(std::uint64_t sector) {
    flip_bit(*cache.region, {extent_of(sector).value().place.value * 512 + 100});
  }
  // As when it has been written back and reclaimed; the backing must have it.
  void evict(std::uint64_t at, std::uint64_t sectors) {
    const auto whole = extent_of(at).value();
    volume->index().erase_if(
        {{at}, {sectors}}, {.kind = whole.kind, .place = whole.place},
        [this](const Fragment& part) {
          const auto segment = cache.device->layout().segment_of({part.value.place.value * 512});
          cache.device->segments().counters(*segment).live_sectors -=
              static_cast<std::uint32_t>(part.range.count.value);
        });
  }

  SimPmem* lines = nullptr;  // one of the two
  SimPmemPages* pages = nullptr;
  CountedBacking backing;
  target::SimClock clock;
  OpenCache cache;
  std::unique_ptr<DurableWriter> writer;
  std::unique_ptr<VolumeCache> volume;
  std::unique_ptr<CacheFront> front;
  int wakes = 0;
  MemoryBudget budget{8_MiB};
  std::deque<HostIo> commands;
  std::array<std::unique_ptr<SimLane>, 2> lanes{std::make_unique<SimLane>(budget, 1),
                                                std::make_unique<SimLane>(budget, 2)};

 private:
  HostIo& begin(Kind kind, std::uint64_t at, std::uint64_t sectors, std::uint8_t value,
                std::size_t lane) {
    HostIo& io = commands.emplace_back();
    io.life = this;
    io.lane = lanes[lane].get();
    io.kind = kind;
    io.lba = {at};
    io.blocks = {sectors};
    if (kind == Kind::read || kind == Kind::write) {
      io.buffer.assign(sectors * 512, std::byte{value});
      io.data = io.buffer;
    }
    io.done = [](VolumeIo& ended, IoStatus status) noexcept {
      auto& self = static_cast<HostIo&>(ended);
      EXPECT_FALSE(std::exchange(self.has_ended, true)) << "it ends twice";
      EXPECT_EQ(self.life->turning_, self.lane) << "not on its own lane's thread";
      self.status = status;
      self.order = ++self.life->ended_;
      if (self.kind == Kind::read) self.got = self.buffer;
      std::ranges::fill(self.buffer, std::byte{0xee});
    };
    return io;
  }

  SimLane* turning_ = nullptr;  // the test is this one's thread
  unsigned ended_ = 0;
};

// What the thread of the cache's keeper does.
class FrontUpkeep {
 public:
  explicit FrontUpkeep(FrontLife& life)
      : life_(life),
        actor_(life.cache.committer != nullptr
                   ? CacheActor::make_for_committer(*life.cache.committer)
                   : life.cache.make_actor()),
        upkeep_(*life.front, std::make_unique<SimMarker>(), lane_, *life.writer, *actor_,
                life.clock, {}, limits()) {}
  ~FrontUpkeep() {
    upkeep_.stop();
    work();
    EXPECT_TRUE(upkeep_.is_quiet());
  }

  // Until nothing happens any more.
  void work() {
    for (int turns = 0, quiet = 0; turns < 10'000; ++turns) {
      if (beside) beside();
      bool more = upkeep_.turn();
      if (more) life_.front->space().tell_first();
      more = actor_->end_turn() || more;
      lane_.finish_turn();
      more = lane_.reap() > 0 || lane_.has_tasks() || more;
      more = life_.commit() || more;
      more = life_.turn(0) || more;
      more = life_.turn(1) || more;
      quiet = more ? 0 : quiet + 1;
      if (quiet == 2) return;
    }
    ADD_FAILURE() << "it goes round in circles";
  }
  // What hosts do meanwhile, in each turn.
  std::function<void()> beside;

  [[nodiscard]] std::string trouble() const { return upkeep_.trouble(); }
  [[nodiscard]] const VolumeUpkeep& upkeep() const { return upkeep_; }
  void tick(Duration by = std::chrono::milliseconds(100)) {
    life_.clock.advance(by);
    upkeep_.tick();
    work();
  }
  void follow_mode() { upkeep_.follow_mode(); }
  void drain() { upkeep_.drain(); }
  void cancel_drain() { upkeep_.cancel_drain(); }
  [[nodiscard]] bool is_draining() const { return upkeep_.is_draining(); }

 private:
  static WriteBackLimits limits() {
    WriteBackLimits limits;
    limits.high_percent = 100;  // only what waits for space asks for it
    return limits;
  }

  FrontLife& life_;
  SimLane lane_{life_.budget, 3};
  std::unique_ptr<CacheActor> actor_;
  VolumeUpkeep upkeep_;
};

// Sectors that read the same, and such behind each other.
inline std::vector<int> all(std::size_t sectors, int value) {
  return std::vector<int>(sectors, value);
}
inline std::vector<int> operator+(std::vector<int> front, const std::vector<int>& back) {
  front.insert(front.end(), back.begin(), back.end());
  return front;
}

}  // namespace engine::test
