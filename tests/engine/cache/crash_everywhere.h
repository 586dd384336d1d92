// Crashes an operation on a cache device at every persist point, and judges what opening makes of
// it.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "tests/engine/cache/cache_kit.h"
#include "tests/sim/rounds.h"

namespace engine::test {

inline std::uint64_t states_seen = 0;

// Everything that opening finds, in words: two devices in the same state say the same.
inline std::string state_of(CacheDevice& device) {
  std::string state = device.uuid().text() + " " + std::to_string(device.layout().segment_count);
  for (std::uint32_t segment = 0; segment < device.segments().count(); ++segment) {
    const SegmentInfo info = device.segments().info(segment);
    // Opening frees empty log segments, so how often one was free does not matter.
    state += info.use == format::SegmentUse::free  ? " free"
             : info.use == format::SegmentUse::log ? " log"
                                                   : " data." + std::to_string(info.volume_tag) +
                                                         "." + std::to_string(info.generation);
  }
  for (std::uint32_t slot = 0; slot < device.volumes().slots(); ++slot) {
    const CacheVolume& volume = device.volumes()[slot];
    state += "; " + std::to_string(static_cast<unsigned>(volume.identity.state)) + " " +
             std::to_string(volume.identity.tag);
    if (volume.identity.state == format::VolumeSlotState::free) continue;
    state += " epoch " + std::to_string(volume.epoch.epoch) + "." +
             std::to_string(volume.epoch.first_sequence) + "." +
             std::to_string(volume.epoch.clean_end) + " tails " +
             std::to_string(volume.tails.key_tail) + "." + std::to_string(volume.tails.dirty_tail) +
             "." + std::to_string(volume.tails.writeback_target) + " " + volume.binding.name +
             " chunks";
    for (const LogChunk& chunk : device.chunks_of(slot).chunks) {
      state += " " + std::to_string(chunk.ordinal);
    }
  }
  return state;
}

inline std::string open_state(SimPmem& pmem) {
  auto device = CacheDevice::open(pmem);
  if (!device) {
    return device.error().kind == CacheError::Kind::not_a_cache ? "no cache" : device.error().text;
  }
  for (const CacheFinding& finding : device.value()->findings()) {
    EXPECT_FALSE(finding.is_damage()) << finding.text();
  }
  device.value()->segments().check_invariants();
  device.value()->volumes().check_invariants();
  device.value()->chunks().check_invariants();
  return state_of(*device.value());
}

inline void expect_replicas_equal(SimPmem& pmem) {
  auto opened = CacheDevice::open(pmem, {.access = CacheDevice::Access::inspect, .expected = {}});
  if (!opened) return;
  EXPECT_TRUE(opened.value()->findings().empty()) << opened.value()->findings()[0].text();
  const CacheLayout& layout = opened.value()->layout();
  const auto same = [&](const CacheLayout::Places& places, std::uint64_t bytes) {
    const auto content = pmem.content();
    return std::ranges::equal(content.subspan(places[0].value, bytes),
                              content.subspan(places[1].value, bytes));
  };
  EXPECT_TRUE(same(layout.superblock, 4096));
  EXPECT_TRUE(same(layout.volume_table, layout.volume_slots * 256ULL));
  EXPECT_TRUE(same(layout.segment_table, layout.segment_count * 64ULL));
}

// Opens what a crash has left; crashes the opening too, a few times.
inline void check_crash(SimPmem& after, const std::vector<std::string>& allowed,
                        SeededRandom& random, bool again) {
  ++states_seen;
  if (again) {
    after.on_persist_point([&](PersistPoint) {
      if (!random.chance(1, 8)) return;
      RandomChooser choose(random);
      const auto second = after.crash(choose);
      check_crash(*second, allowed, random, false);
    });
  }
  const std::string state = open_state(after);
  after.on_persist_point({});
  EXPECT_TRUE(std::ranges::find(allowed, state) != allowed.end()) << state;
  expect_replicas_equal(after);
}

// Runs `act` on a copy of `image`, crashing it at every persist point: all combinations of lines
// where there are few, and seeded ones, torn at 8 bytes, where there are many. Afterwards there is
// the state before, the state after, or one of `between`.
inline void crash_everywhere(std::span<const std::byte> image,
                             const std::function<void(SimPmem&)>& act,
                             std::vector<std::string> between = {}, std::uint64_t seed = 1) {
  SCOPED_TRACE("seed " + std::to_string(seed));
  {
    SimPmem before(image);
    between.push_back(open_state(before));
    SimPmem after(image);
    act(after);
    between.push_back(open_state(after));
  }
  SimPmem pmem(image);
  SeededRandom random(seed);
  pmem.on_persist_point([&](PersistPoint point) {
    if (testing::Test::HasFailure()) return;
    SCOPED_TRACE("persist point " + std::to_string(point.number));
    if (pmem.crashes() <= 32) {
      ExhaustiveChooser choose;
      do {
        const auto after = pmem.crash(choose);
        check_crash(*after, between, random, true);
      } while (choose.next());
    }
    for (unsigned sample = 0; sample < rounds(40); ++sample) {
      RandomChooser choose(random);
      const auto after = pmem.crash(choose);
      check_crash(*after, between, random, true);
    }
  });
  act(pmem);
  pmem.on_persist_point({});
  // What has returned is durable.
  LoseEverything lose;
  const auto after = pmem.crash(lose);
  EXPECT_EQ(open_state(*after), between.back());
}

}  // namespace engine::test
