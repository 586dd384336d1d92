// P7 for device pools: whenever the power goes, the daemon is killed or a disk refuses, what was
// answered is there, what was not is finished or forgotten by the next start, no volume shows what
// another one has written, and none shows anything but zeros where nothing was written.
#include <gtest/gtest.h>

#include <cerrno>
#include <map>
#include <optional>
#include <set>
#include <string>

#include "tests/engine/pool/device_pool_kit.h"
#include "tests/engine/pool/kept_registrants.h"
#include "tests/sim/rounds.h"

namespace engine {
namespace {

using ErrorKind = PoolError::Kind;
using Layout = format::MemberLayout;

constexpr BlockSize block{4096};

// What the daemon has been told and may rely on, and what hosts have written.
struct Told {
  std::optional<Uuid> pool;
  bool added = false;
  bool reserved = false;
  std::map<std::string, VolumeRecord> volumes;
  std::map<Uuid, std::uint64_t> written;  // so many bytes from the first hold pattern_of() it
  std::set<Uuid> destroyed;
};

std::byte pattern_of(const Uuid& uuid) { return uuid.bytes[0] | std::byte{1}; }

// An answer is shown to hosts, which write to all of it.
void note(SimDisks& disks, const DevicePool& pool, const Result<VolumeRecord, PoolError>& answer,
          Told& told) {
  if (!answer) return;
  const VolumeRecord& record = answer.value();
  EXPECT_TRUE(holds_only(disks, pool, record, told.written[record.uuid], record.size.value, {}))
      << record.name << " shows what nobody has written";
  told.volumes[record.name] = record;
  fill_volume(disks, pool, record, pattern_of(record.uuid));
  told.written[record.uuid] = record.size.value;
}

// All disks, or those that have been made members: an adding that was cut off may have left one
// without a label.
Result<std::unique_ptr<DevicePool>, PoolError> open_what_is_there(SimDisks& disks) {
  auto opened = DevicePool::open(disks.candidates());
  if (opened || opened.error().kind != ErrorKind::not_labelled) return opened;
  return DevicePool::open(disks.candidates({0, 1}));
}

// Makes a pool of two disks and volumes, grows, binds, destroys, and, if linear, adds a third disk;
// goes on as far as errors let it. Throws SimCrash.
void live(SimDisks& disks, Layout layout, Told& told) {
  if (!told.pool) {
    const auto made = init_device_pool(disks.candidates({0, 1}), small_form(layout), any_content);
    if (made) told.pool = made.value();
    if (!made && made.error().kind != ErrorKind::already_labelled) return;
  }
  auto opened = layout == Layout::linear ? open_what_is_there(disks)
                                         : DevicePool::open(disks.candidates({0, 1}));
  if (!opened) return;
  DevicePool& pool = *opened.value();
  const std::uint64_t unit = pool.shape().unit().value;
  const VolumeWish first[] = {{"a", {2 * unit}, block}, {"b", {unit + 4096}, block}};
  if (!told.volumes.contains("a")) {
    for (const auto& answer : pool.ensure(first)) note(disks, pool, answer, told);
  }
  note(disks, pool, pool.grow("a", {3 * unit}), told);
  if (const VolumeRecord* b = volume_called(pool, "b"); b != nullptr && b->ready) {
    const Uuid uuid = b->uuid;
    told.volumes.erase("b");  // from now on either is right
    if (pool.destroy("b", uuid)) told.destroyed.insert(uuid);
  }
  const VolumeWish second[] = {{"a", {3 * unit}, block}, {"c", {2 * unit}, block}};
  for (const auto& answer : pool.ensure(second)) {
    if (answer && !told.volumes.contains(answer.value().name)) note(disks, pool, answer, told);
  }
  CacheBinding cache;
  if (const VolumeRecord* c = volume_called(pool, "c")) cache = c->cache;
  if (cache.state == format::CacheBindingState::none) cache = attached(cache, pool.uuid(), {});
  cache.state = format::CacheBindingState::dirty;
  told.reserved = pool.set_reservations("a", kept_reservations(3)).has_value() || told.reserved;
  if (const auto bound = pool.bind("c", cache)) told.volumes["c"] = bound.value();
  if (layout == Layout::linear && pool.shape().member_slices.size() == 2) {
    told.added = pool.add_member(disks.candidate(2), any_content).has_value() || told.added;
  }
  note(disks, pool, pool.grow("a", {4 * unit}), told);
}

// The consistency check: reads the disks after a crash, changes them as every start does.
void expect_legal(SimDisks& disks, Layout layout, Told& told, const std::string& where) {
  SCOPED_TRACE(where);
  disks.begin({});
  if (!told.pool) {
    const auto made = init_device_pool(disks.candidates({0, 1}), small_form(layout), any_content);
    if (!made) {
      ASSERT_EQ(made.error().kind, ErrorKind::already_labelled) << made.error().text;
    }
  }
  auto opened = layout == Layout::linear ? open_what_is_there(disks)
                                         : DevicePool::open(disks.candidates({0, 1}));
  ASSERT_TRUE(opened) << opened.error().text;
  DevicePool& pool = *opened.value();
  EXPECT_EQ(pool.healed().rotten, 0U) << "what a crash leaves is not called so";
  if (told.pool) {
    EXPECT_EQ(pool.uuid(), *told.pool);
  }
  if (told.reserved) {
    ASSERT_NE(volume_called(pool, "a"), nullptr);
    EXPECT_EQ(volume_called(pool, "a")->reservations, kept_reservations(3));
  }
  if (told.added) {
    EXPECT_EQ(pool.shape().member_slices.size(), 3U);
  }
  for (const auto& [name, wanted] : told.volumes) {
    const VolumeRecord* const record = volume_called(pool, name);
    ASSERT_NE(record, nullptr) << name << " was answered and is gone";
    EXPECT_TRUE(record->ready) << name;
    EXPECT_EQ(record->uuid, wanted.uuid) << name;
    EXPECT_GE(record->size, wanted.size) << name;
    EXPECT_GE(record->cache.epoch, wanted.cache.epoch) << name;
    if (wanted.cache.state == format::CacheBindingState::dirty) {
      EXPECT_EQ(record->cache, wanted.cache) << name << ": the cache is forgotten";
    }
  }
  const auto expect_contents = [&](const VolumeRecord& record) {
    const std::uint64_t written = told.written[record.uuid];
    ASSERT_LE(written, record.size.value) << record.name;
    EXPECT_TRUE(holds_only(disks, pool, record, 0, written, pattern_of(record.uuid)))
        << record.name << " has lost what was written";
    EXPECT_TRUE(holds_only(disks, pool, record, written, record.size.value, {}))
        << record.name << " shows what nobody has written";
  };
  for (const VolumeRecord& record : pool.volumes()) {
    EXPECT_FALSE(told.destroyed.contains(record.uuid)) << record.name << " is back";
    if (record.ready) expect_contents(record);
  }
  const std::uint64_t unit = pool.shape().unit().value;
  const VolumeWish wishes[] = {
      {"a", {4 * unit}, block, {}, true}, {"c", {2 * unit}, block, {}, true}, {"d", {unit}, block}};
  for (const auto& answer : pool.ensure(wishes)) {
    ASSERT_TRUE(answer) << answer.error().text;
    expect_contents(answer.value());
  }
}

enum class Ending { by_itself, power_loss, killed };

// One life that ends at `step`, or by itself before.
Ending live_until(SimDisks& disks, Layout layout, std::uint64_t step, std::uint64_t seed,
                  Told& told) {
  disks.begin({.step = step, .error = 0});
  try {
    live(disks, layout, told);
  } catch (const SimCrash&) {
    SeededRandom random(seed * 1000 + step);
    if (random.chance(1, 4)) {
      for (const auto& disk : disks.disks) disk->held = false;
      return Ending::killed;  // what it has handed to the kernel is there, but not durable
    }
    disks.crash(random);
    return Ending::power_loss;
  }
  return Ending::by_itself;
}

void prepare(SimDisks& disks, Layout layout) {
  add_disks(disks, 3, layout == Layout::stripe ? 10 : 5);
}

void crash_everywhere(Layout layout, std::uint64_t seeds, std::uint64_t least) {
  std::uint64_t states = 0;
  for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
    for (std::uint64_t step = first_step(seed);; step += stride()) {
      SimDisks disks;
      prepare(disks, layout);
      Told told;
      if (live_until(disks, layout, step, seed, told) == Ending::by_itself) break;
      ++states;
      expect_legal(disks, layout, told,
                   "seed " + std::to_string(seed) + " step " + std::to_string(step));
      if (testing::Test::HasFailure()) return;
    }
  }
  testing::Test::RecordProperty("crash_states", std::to_string(states));
  EXPECT_GT(states, least / stride());
}

TEST(DevicePoolCrash, EveryStepOfALinearPoolLeavesALegalOne) {
  crash_everywhere(Layout::linear, 6, 800);
}

TEST(DevicePoolCrash, EveryStepOfAStripeLeavesALegalOne) {
  crash_everywhere(Layout::stripe, 6, 600);
}

TEST(DevicePoolCrash, ASecondCrashDuringTheNextStartLeavesALegalPool) {
  constexpr Layout layout = Layout::linear;
  std::uint64_t states = 0;
  for (std::uint64_t first = 1;; first += stride()) {
    for (std::uint64_t second = 1 + first % 3;; second += 3 * stride()) {
      SimDisks disks;
      prepare(disks, layout);
      Told told;
      if (live_until(disks, layout, first, first + second, told) == Ending::by_itself) {
        testing::Test::RecordProperty("crash_states", std::to_string(states));
        EXPECT_GT(states, 3000 / stride() / stride());
        return;
      }
      // The last steps of the start before are repeated anyhow; what heals comes first.
      const Ending ended = live_until(disks, layout, second, first * 7 + second, told);
      if (ended == Ending::killed) {
        SeededRandom random(first + second);
        disks.crash(random);
      }
      ++states;
      expect_legal(disks, layout, told,
                   "steps " + std::to_string(first) + ", " + std::to_string(second));
      if (HasFailure()) return;
      if (ended == Ending::by_itself || second > 60) break;
    }
  }
}

TEST(DevicePoolCrash, ARefusedOperationAtEveryStepLeavesALegalPool) {
  for (const Layout layout : {Layout::linear, Layout::stripe}) {
    for (std::uint64_t step = 1;; step += stride()) {
      SimDisks disks;
      prepare(disks, layout);
      Told told;
      disks.begin({.step = step, .error = EIO});
      live(disks, layout, told);
      if (disks.steps < step) {
        EXPECT_GT(step, 100U);
        break;
      }
      if (step % 2 == 0) {
        SeededRandom random(step);
        disks.crash(random);
      }
      expect_legal(disks, layout, told, "error at step " + std::to_string(step));
      if (HasFailure()) return;
    }
  }
}

// A pool of the first two disks with a volume takes the third; power fails at `step`, and is there
// again. False: it had ended by then.
bool adding_is_cut_off(SimDisks& disks, std::uint64_t step, std::uint64_t seed,
                       const InitPermission& permission) {
  EXPECT_TRUE(init_device_pool(disks.candidates({0, 1}), small_form(Layout::linear), any_content));
  {
    const auto opened = DevicePool::open(disks.candidates({0, 1}));
    const VolumeWish wish[] = {{"a", sim_slice, block}};
    EXPECT_TRUE(opened.value()->ensure(wish)[0]);
    disks.begin({.step = step, .error = 0});
    try {
      EXPECT_TRUE(opened.value()->add_member(disks.candidate(2), permission));
      return false;
    } catch (const SimCrash&) {
      // What the process held goes with it.
    }
  }
  SeededRandom random(seed * 1000 + step);
  disks.crash(random);
  disks.begin({});
  return true;
}

// Whoever does not name the new disk after an adding that was cut off, and goes on without it, can
// name it later: it has no table that the others do not have.
TEST(DevicePoolCrash, ANewcomerThatStaysAwayHasNoTableOfItsOwn) {
  std::uint64_t without = 0;
  for (std::uint64_t seed = 1; seed <= rounds(24); ++seed) {
    for (std::uint64_t step = 1;; ++step) {
      SCOPED_TRACE("seed " + std::to_string(seed) + " step " + std::to_string(step));
      SimDisks disks;
      add_disks(disks, 3, 5);
      if (!adding_is_cut_off(disks, step, seed, any_content)) break;
      {
        const auto opened = DevicePool::open(disks.candidates({0, 1}));
        if (!opened) {
          ASSERT_EQ(opened.error().kind, ErrorKind::member_missing) << opened.error().text;
          ASSERT_TRUE(DevicePool::open(disks.candidates()));
          continue;
        }
        ++without;
        LostRanges lost;  // one change, as adding would have been
        ASSERT_TRUE(lost.add({.begin = {8}, .count = {8}}));
        ASSERT_TRUE(opened.value()->set_lost("a", lost));
      }
      const auto opened = open_what_is_there(disks);
      ASSERT_TRUE(opened) << opened.error().text;
      ASSERT_NE(volume_called(*opened.value(), "a"), nullptr);
    }
  }
  EXPECT_GT(without, rounds(100));
}

// Nobody has permitted to destroy anything, and nothing of what the crash has left asks for that.
TEST(DevicePoolCrash, AskedForAgainABlankDiskBecomesAMemberWithoutPermission) {
  std::uint64_t labelled = 0;
  for (std::uint64_t seed = 1; seed <= rounds(16); ++seed) {
    for (std::uint64_t step = 1;; ++step) {
      SCOPED_TRACE("seed " + std::to_string(seed) + " step " + std::to_string(step));
      SimDisks disks;
      add_disks(disks, 3, 5);
      std::ranges::fill(disks.disks[2]->bytes, std::byte{});
      if (!adding_is_cut_off(disks, step, seed, {})) break;
      const auto opened = open_what_is_there(disks);
      ASSERT_TRUE(opened) << opened.error().text;
      DevicePool& pool = *opened.value();
      if (pool.shape().member_slices.size() == 3) continue;
      labelled += pool.notes().empty() ? 0 : 1;
      const auto added = pool.add_member(disks.candidate(2));
      ASSERT_TRUE(added) << added.error().text;
      EXPECT_TRUE(pool.notes().empty());
      EXPECT_EQ(pool.shape().member_slices, (std::vector<std::uint64_t>{5, 5, 5}));
    }
  }
  EXPECT_GT(labelled, rounds(50));
}

// A disk that fails, and then the power: the slot that the failed write has spoiled is not the only
// one that counts.
TEST(DevicePoolCrash, PowerLossInTheNextChangeAfterAFailedOneLeavesALegalPool) {
  std::uint64_t states = 0;
  for (std::uint64_t failed = 1; failed <= 16; ++failed) {
    for (std::uint64_t step = 1;; ++step) {
      for (std::uint64_t seed = 1; seed <= 3; ++seed) {
        SCOPED_TRACE("failed " + std::to_string(failed) + " step " + std::to_string(step));
        SimDisks disks;
        add_disks(disks, 1, 8);
        ASSERT_TRUE(init_device_pool(disks.candidates(), small_form(Layout::single), any_content));
        bool crashed = false;
        LostRanges lost;
        {
          auto opened = DevicePool::open(disks.candidates());
          DevicePool& pool = *opened.value();
          const VolumeWish wish[] = {{"a", sim_slice, block}};
          ASSERT_TRUE(pool.ensure(wish)[0]);
          disks.begin({.step = failed, .error = EIO});
          ASSERT_TRUE(lost.add({.begin = {8}, .count = {8}}));
          const auto refused = pool.set_lost("a", lost);
          if (!refused) {
            // What the disk has of the write that it refused is any part of it.
            SeededRandom random(failed * 100 + seed);
            disks.crash(random);
            for (const auto& disk : disks.disks) disk->held = true;
          }
          disks.begin({.step = step, .error = 0});
          ASSERT_TRUE(lost.add({.begin = {64}, .count = {8}}));
          try {
            (void)pool.set_lost("a", lost);
          } catch (const SimCrash&) {
            crashed = true;
          }
        }
        if (!crashed) {
          if (seed == 3) step = 1000;
          continue;
        }
        SeededRandom random(step * 100 + seed);
        disks.crash(random);
        ++states;
        disks.begin({});
        const auto again = DevicePool::open(disks.candidates());
        ASSERT_TRUE(again) << again.error().text;
        ASSERT_NE(volume_called(*again.value(), "a"), nullptr);
      }
      if (step >= 1000) break;
    }
  }
  EXPECT_GT(states, 60U);
}

}  // namespace
}  // namespace engine
