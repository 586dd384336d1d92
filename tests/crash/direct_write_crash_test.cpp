// Power fails while writes go into the cache and around it, and blocks are lost because a host
// wants it so, in modes that change under them: whatever was answered is read afterwards, each
// block whole.
#include <gtest/gtest.h>

#include <deque>
#include <list>

#include "engine/pool/lossy_backing.h"
#include "tests/crash/crash_form.h"
#include "tests/engine/volume/cache_front_kit.h"

namespace engine {
namespace {

using Kind = VolumeIo::Kind;
using test::CrashCounts;
using test::CrashKind;
using test::FrontLife;
using test::FrontUpkeep;
using test::HostIo;

constexpr std::uint64_t sectors = 24;
constexpr int lost_value = -2;

// Values of sectors, as hosts may read them.
class Allowed {
 public:
  Allowed() : settled_(FrontLife::of_backing(0, sectors)) {}

  void begin(const HostIo& io, int value) { under_way_.push_back({&io, value}); }
  [[nodiscard]] bool is_free(std::uint64_t at, std::uint64_t count) {
    settle();
    return std::ranges::none_of(under_way_, [&](const Write& write) {
      const std::uint64_t begin = write.io->lba.value;
      return begin < at + count && at < begin + write.io->blocks.value;
    });
  }
  // Empty: all are.
  [[nodiscard]] std::string complaint(const std::vector<int>& found) {
    settle();
    for (std::uint64_t sector = 0; sector < sectors; ++sector) {
      if (found[sector] == settled_[sector]) continue;
      const bool is_new = std::ranges::any_of(under_way_, [&](const Write& write) {
        const std::uint64_t begin = write.io->lba.value;
        return sector >= begin && sector < begin + write.io->blocks.value &&
               found[sector] == write.value;
      });
      if (is_new) continue;
      return "sector " + std::to_string(sector) + " is " + std::to_string(found[sector]) +
             ", not " + std::to_string(settled_[sector]);
    }
    return {};
  }

 private:
  struct Write {
    const HostIo* io;
    int value;
  };
  void settle() {
    under_way_.remove_if([this](const Write& write) {
      if (!write.io->has_ended) return false;
      const bool is_refused =
          write.value == lost_value && write.io->status == IoStatus::capacity_exceeded;
      if (is_refused) return true;
      EXPECT_EQ(write.io->status, IoStatus::ok);
      const auto begin = settled_.begin() + static_cast<std::ptrdiff_t>(write.io->lba.value);
      std::fill_n(begin, write.io->blocks.value, write.value);
      return true;
    });
  }

  std::vector<int> settled_;
  std::list<Write> under_way_;
};

// As the device says it.
struct Mode {
  CacheMode mode;
  format::CacheMode on_media;
};
constexpr Mode modes[] = {{CacheMode::write_back, format::CacheMode::write_back},
                          {CacheMode::write_around, format::CacheMode::write_around},
                          {CacheMode::pass_through, format::CacheMode::pass_through},
                          {CacheMode::write_through, format::CacheMode::write_through}};

// The disk of somebody else.
class SomebodysDisk final : public BackingDevice {
 public:
  explicit SomebodysDisk(BackingDevice& disk) : disk_(disk) {}
  [[nodiscard]] ByteCount size() const override { return disk_.size(); }
  void submit(IoLane& lane, BackingIo& io) override { disk_.submit(lane, io); }

 private:
  BackingDevice& disk_;
};

// The volume's record in its pool, which changes when the pool's thread comes to it.
class PoolRecord final : public LostKeeper {
 public:
  void set_lost(const std::string& /*volume*/, const LostRanges& lost, LostDone done) override {
    asked_.emplace_back(lost, std::move(done));
    if (!holds) settle();
  }
  void settle() {
    while (!asked_.empty()) {
      auto [lost, done] = std::move(asked_.front());
      asked_.pop_front();
      durable_ = lost;
      done(success());
    }
  }
  // A change on its way may be there.
  [[nodiscard]] LostRanges after_crash(SeededRandom& random) const {
    return asked_.empty() || random.chance(1, 2) ? durable_ : asked_.front().first;
  }

  bool holds = false;

 private:
  LostRanges durable_;
  std::deque<std::pair<LostRanges, LostDone>> asked_;
};

// A volume from its beginning to its end, looked at wherever a crash can leave something new.
class CrashedLife {
 public:
  CrashedLife(std::uint64_t seed, CrashCounts& counts)
      : counts_(counts), random_(seed), crash_random_(seed + 1000) {
    life_.backing.inner.disk().sync();
    life_.front = std::make_unique<CacheFront>(life_.cache, *life_.volume, lossy_, BlockSize{512},
                                               life_.clock);
    upkeep_.emplace(life_);
    record_.holds = random_.chance(2, 3);
    life_.lines->on_persist_point([this](PersistPoint) { look(is_switching() ? 2 : 4); });
    upkeep_->beside = [this] { go_on_beside(); };
    life_.backing.inner.hold(random_.chance(2, 3));
  }
  ~CrashedLife() {
    life_.lines->on_persist_point({});
    upkeep_->beside = {};
    record_.holds = false;
    record_.settle();
    life_.backing.inner.hold(false);
    life_.backing.inner.release_all();
  }

  void step() {
    if (random_.chance(1, 5)) switch_mode();
    for (std::uint64_t commands = 1 + random_.below(3); commands > 0; --commands) command();
    if (random_.chance(1, 3)) upkeep_->drain();
    upkeep_->work();
    look(1);
  }

 private:
  // Disks answer, hosts write and read, and modes change, while write-back is at work.
  void go_on_beside() {
    if (life_.backing.inner.release_any()) look(2);
    if (record_.holds && random_.chance(1, 3)) {
      record_.settle();
      look(2);
    }
    if (random_.chance(1, 12)) command();
    if (random_.chance(1, 40)) switch_mode();
  }

  // As the keeper's thread does it.
  void switch_mode() {
    const Mode& next = modes[random_.below(std::size(modes))];
    if (next.on_media == settled_mode_) return;
    new_mode_ = next.on_media;
    CacheVolumeTable& volumes = life_.cache.device->volumes();
    CacheVolumeBinding binding = volumes[0].binding;
    binding.mode = next.on_media;
    ASSERT_TRUE(volumes.set_binding(*life_.writer, 0, binding));
    settled_mode_ = next.on_media;
    new_mode_.reset();
    life_.front->set_mode(next.mode);
    upkeep_->follow_mode();
    begun_before_ = life_.commands.size();
    published_before_ = life_.volume->commit().published();
  }

  // What has begun in the mode before is under way, or is not yet where the new one wants it.
  [[nodiscard]] bool is_switching() {
    if (new_mode_) return true;
    while (ended_before_ < begun_before_ && life_.commands[ended_before_].has_ended) {
      ++ended_before_;
    }
    if (ended_before_ < begun_before_) return true;
    const CacheMode mode = life_.front->mode();
    if (goes_around(mode)) return life_.front->write_way() != CacheFront::WriteWay::backing;
    return mode == CacheMode::write_through &&
           life_.cache.device->volumes()[0].tails.dirty_tail < published_before_;
  }

  void command() {
    const std::uint64_t count = 1 + random_.below(8);
    const std::uint64_t at = random_.below(sectors - count + 1);
    const auto lane = static_cast<std::size_t>(random_.below(2));
    if (random_.chance(1, 3)) {
      (void)life_.submit(Kind::read, at, count, 0, lane);  // may fill the cache
    } else if (allowed_.is_free(at, count) && random_.chance(1, 5)) {
      allowed_.begin(life_.submit(Kind::lose, at, count, 0, lane), lost_value);
    } else if (allowed_.is_free(at, count)) {
      const auto value = static_cast<std::uint8_t>(101 + next_++ % 150);
      allowed_.begin(life_.submit(Kind::write, at, count, value, lane), value);
    }
  }

  // At one of so many.
  void look(std::uint64_t one_in) {
    if (testing::Test::HasFailure() || !crash_random_.chance(1, one_in)) return;
    counts_.count(is_switching() ? CrashKind::mode_switch : CrashKind::settled_mode);
    RandomChooser choose(crash_random_);
    const auto after = life_.lines->crash(choose);
    test::OpenVolume recovered(*after);
    EXPECT_FALSE(recovered.report.damaged());
    const format::CacheMode mode = recovered.device->volumes()[0].binding.mode;
    EXPECT_TRUE(mode == settled_mode_ || mode == new_mode_);
    const auto disk = disk_after_crash();
    const LostRanges lost = record_.after_crash(crash_random_);
    std::vector<int> found = recovered.read(0, sectors);
    for (std::uint64_t sector = 0; sector < sectors; ++sector) {
      if (found[sector] != -1) continue;
      const bool is_lost = lost.touches({.begin = {sector}, .count = {1}});
      found[sector] = is_lost ? lost_value : std::to_integer<int>(disk[sector * 512]);
    }
    const std::string complaint = allowed_.complaint(found);
    if (testing::Test::HasFailure() || !complaint.empty()) ++counts_.violations;
    EXPECT_EQ(complaint, "");
  }

  // What the disk has been given and has not done may be there in part.
  [[nodiscard]] std::vector<std::byte> disk_after_crash() {
    auto left = life_.backing.inner.disk().after_crash({0}, {sectors * 512}, crash_random_);
    for (const BackingIo* io : life_.backing.inner.held_operations()) {
      if (io->kind != BackingIo::Kind::write) continue;
      for (std::uint64_t at = 0; at < io->buffer.size(); at += 512) {
        if (crash_random_.chance(1, 2)) continue;
        std::ranges::copy(io->buffer.subspan(at, 512),
                          left.begin() + static_cast<std::ptrdiff_t>(io->offset.value + at));
      }
    }
    return left;
  }

  CrashCounts& counts_;
  SeededRandom random_;        // the workload
  SeededRandom crash_random_;  // what power failure leaves
  FrontLife life_{test::Media::lines, 64};
  PoolRecord record_;
  LossyBacking lossy_{std::make_unique<SomebodysDisk>(life_.backing), "db01", {}, record_};
  std::optional<FrontUpkeep> upkeep_;
  Allowed allowed_;
  std::uint64_t next_ = 0;
  format::CacheMode settled_mode_ = format::CacheMode::write_back;
  std::optional<format::CacheMode> new_mode_;  // is being written down
  // When the mode changed last.
  std::size_t begun_before_ = 0;  // commands
  std::size_t ended_before_ = 0;  // of those, at least
  std::uint64_t published_before_ = 0;
};

TEST(DirectWriteCrash, WhatWasAnsweredIsReadWhicheverWayItWent) {
  const std::uint64_t wanted = test::wanted_states(20);
  CrashCounts counts;
  for (std::uint64_t seed = 1; counts.total() < wanted && !testing::Test::HasFailure(); ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    CrashedLife life(seed, counts);
    for (int steps = 0; steps < 60 && !testing::Test::HasFailure(); ++steps) life.step();
  }
  constexpr CrashKind kinds[] = {CrashKind::mode_switch, CrashKind::settled_mode};
  test::expect_spread(counts, wanted, kinds, 500);
}

}  // namespace
}  // namespace engine
