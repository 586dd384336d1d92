// Power fails at every persist point of every operation on the tables: what was there before is
// there, or what should be; and both replicas of everything are equal after the next open.
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <iostream>

#include "tests/engine/cache/cache_kit.h"

namespace engine::test {
namespace {

std::uint64_t states_seen = 0;

// Everything that opening finds, in words: two devices in the same state say the same.
std::string state_of(CacheDevice& device) {
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

std::string open_state(SimPmem& pmem) {
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

void expect_replicas_equal(SimPmem& pmem) {
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
void check_crash(SimPmem& after, const std::vector<std::string>& allowed, SeededRandom& random,
                 bool again) {
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
void crash_everywhere(std::span<const std::byte> image, const std::function<void(SimPmem&)>& act,
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
    for (int sample = 0; sample < 40; ++sample) {
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

// A device with a volume that has a log, and a data segment.
std::vector<std::byte> prepared_image() {
  const auto pmem = formatted_pmem();
  {
    const auto device = open_device(*pmem);
    auto writer = must(DurableWriter::make(*pmem));
    must(device->volumes().attach(writer, new_volume(1)));
    LogAuthor author(*device, 0);
    author.begin_epoch();
    for (int kset = 0; kset < 3; ++kset) (void)author.append(128);
    (void)must(device->segments().allocate(writer, format::SegmentUse::data, 1));
  }
  return {pmem->content().begin(), pmem->content().end()};
}

// `act` on the opened device.
std::function<void(SimPmem&)> opened(const std::function<void(CacheDevice&, DurableWriter&)>& act) {
  return [act](SimPmem& pmem) {
    const auto device = open_device(pmem);
    auto writer = must(DurableWriter::make(pmem));
    act(*device, writer);
  };
}

class CacheCrash : public testing::Test {
 protected:
  void TearDown() override { std::cout << states_seen << " crash states so far\n"; }
};

TEST_F(CacheCrash, FormatBlank) {
  const std::vector<std::byte> blank(small_size.value);
  crash_everywhere(blank, [](SimPmem& pmem) { must(format_cache(pmem, small_format())); });
}

TEST_F(CacheCrash, FormatOverAnotherCache) {
  crash_everywhere(prepared_image(),
                   [](SimPmem& pmem) {
                     FormatOptions options = small_format(0xd1);
                     options.replace = uuid_of(0xd0);
                     must(format_cache(pmem, options));
                   },
                   {"no cache"});
}

TEST_F(CacheCrash, SegmentAllocate) {
  for (const auto use : {format::SegmentUse::data, format::SegmentUse::log}) {
    crash_everywhere(prepared_image(), opened([use](CacheDevice& device, DurableWriter& writer) {
                       (void)must(device.segments().allocate(
                           writer, use, use == format::SegmentUse::data ? 1 : 0));
                     }));
  }
}

TEST_F(CacheCrash, SegmentFree) {
  crash_everywhere(prepared_image(), opened([](CacheDevice& device, DurableWriter& writer) {
                     for (std::uint32_t segment = 0; segment < 8; ++segment) {
                       if (device.segments().info(segment).use == format::SegmentUse::data) {
                         must(device.segments().free(writer, segment));
                       }
                     }
                   }));
}

TEST_F(CacheCrash, Attach) {
  crash_everywhere(prepared_image(), opened([](CacheDevice& device, DurableWriter& writer) {
                     (void)must(device.volumes().attach(writer, new_volume(2)));
                   }));
}

TEST_F(CacheCrash, AttachIntoAUsedSlot) {
  auto pmem = std::make_unique<SimPmem>(prepared_image());
  opened([](CacheDevice& device, DurableWriter& writer) {
    must(device.volumes().leave(writer, 0));
    must(device.finish_leaving(writer, 0));
  })(*pmem);
  crash_everywhere(pmem->content(), opened([](CacheDevice& device, DurableWriter& writer) {
                     (void)must(device.volumes().attach(writer, new_volume(2)));
                   }));
}

TEST_F(CacheCrash, Leave) {
  // The chunks are nobody's as soon as the volume leaves, and their segments free.
  crash_everywhere(prepared_image(), opened([](CacheDevice& device, DurableWriter& writer) {
                     must(device.volumes().leave(writer, 0));
                   }));
}

TEST_F(CacheCrash, TailsEpochBindingAndSize) {
  const auto image = prepared_image();
  crash_everywhere(image, opened([](CacheDevice& device, DurableWriter& writer) {
                     must(device.volumes().set_tails(
                         writer, 0, {.key_tail = 1, .dirty_tail = 2, .writeback_target = 3}));
                   }));
  crash_everywhere(image, opened([](CacheDevice& device, DurableWriter& writer) {
                     must(device.volumes().begin_epoch(writer, 0, 4, device.next_ordinal(0)));
                   }));
  crash_everywhere(image, opened([](CacheDevice& device, DurableWriter& writer) {
                     LogEpoch epoch = device.volumes()[0].epoch;
                     epoch.known_durable = epoch.clean_end = 3;
                     must(device.volumes().set_epoch(writer, 0, epoch));
                   }));
  crash_everywhere(image, opened([](CacheDevice& device, DurableWriter& writer) {
                     CacheVolumeBinding binding = device.volumes()[0].binding;
                     binding.name = "renamed";
                     must(device.volumes().set_binding(writer, 0, binding));
                   }));
  crash_everywhere(image, opened([](CacheDevice& device, DurableWriter& writer) {
                     must(device.volumes().set_size(writer, 0, 2_GiB));
                   }));
}

TEST_F(CacheCrash, NewChunk) {
  // Both with room in the log segments that are there and without.
  for (const int before : {0, 1, 2}) {
    SimPmem pmem(prepared_image());
    opened([before](CacheDevice& device, DurableWriter& writer) {
      LogAuthor author(device, 0);
      author.begin_epoch(4);
      for (int chunk = 0; chunk < before; ++chunk) (void)author.new_chunk();
      (void)writer;
    })(pmem);
    const std::uint32_t segments_before = open_device(pmem)->segments().free_count();
    crash_everywhere(pmem.content(), opened([&](CacheDevice& device, DurableWriter& writer) {
                       const auto places = must(device.chunks().reserve(writer));
                       (void)must(device.chunks().begin(writer, places, 1, device.next_ordinal(0),
                                                        4, device.volumes()[0].epoch.epoch));
                     }));
    EXPECT_LE(segments_before, 8U);
  }
}

TEST_F(CacheCrash, ReleaseChunks) {
  SimPmem pmem(prepared_image());
  opened([](CacheDevice& device, DurableWriter& writer) {
    must(device.volumes().set_tails(
        writer, 0, {.key_tail = 2, .key_tail_chunk = 3, .dirty_tail = 2, .dirty_tail_chunk = 3}));
  })(pmem);
  // Opening gives back what is below the tails: that itself is crashed here.
  crash_everywhere(pmem.content(), opened([](CacheDevice&, DurableWriter&) {}));
}

TEST_F(CacheCrash, Grow) {
  for (const std::uint32_t segments : {1U, 4U}) {
    auto image = prepared_image();
    image.resize(image.size() + std::size_t{segments} * small_segment);
    crash_everywhere(image, opened([](CacheDevice& device, DurableWriter& writer) {
                       must(device.grow(writer));
                     }));
  }
}

// S4: kill -9 leaves what was never settled, to be read; recovery accepts it; then power fails.
TEST_F(CacheCrash, OpenSettlesWhatAKilledProcessHasLeft) {
  for (const int written : {1, 2}) {
    SimPmem pmem(prepared_image());
    std::string opened_state;
    {
      const auto device = open_device(pmem, CacheDevice::Access::inspect);
      auto entry = std::bit_cast<format::VolumeTailsEntry>(next_entry(
          device->seal(), format::VolumeTailsEntry{}, format::EntryType::volume_tails, 0, 99));
      entry.key_tail_chunk = entry.dirty_tail_chunk = 1;
      entry.dirty_tail = 3;
      device->seal().seal(entry, format::EntryType::volume_tails, 0);
      const auto places = device->layout().volume_entry(0, format::EntryType::volume_tails);
      auto writer = must(DurableWriter::make(pmem));
      for (int replica = 0; replica < written; ++replica) {
        must(writer.write(places[static_cast<std::size_t>(replica)], bytes_of(entry)));
      }
    }
    pmem.kill_process();
    pmem.on_persist_point([&](PersistPoint) {
      // Whatever is lost while it opens: never both replicas.
      for (int sample = 0; sample < 20; ++sample) {
        SeededRandom random(static_cast<std::uint64_t>(sample) + 1);
        RandomChooser choose(random);
        const auto after = pmem.crash(choose);
        open_state(*after);
        expect_replicas_equal(*after);
      }
    });
    opened_state = open_state(pmem);
    pmem.on_persist_point({});
    LoseEverything lose;
    const auto after = pmem.crash(lose);
    EXPECT_EQ(open_state(*after), opened_state) << written;
    EXPECT_EQ(open_device(*after)->volumes()[0].tails.dirty_tail, 3U);
  }
}

TEST_F(CacheCrash, OpenSettlesChunkHeadersToo) {
  SimPmem pmem(prepared_image());
  LogChunk chunk;
  {
    const auto device = open_device(pmem);
    auto writer = must(DurableWriter::make(pmem));
    chunk = device->chunks_of(0).chunks.back();
    chunk.places = must(device->chunks().reserve(writer));
    for (std::size_t copy = 0; copy < 2; ++copy) {
      chunk.generations[copy] = static_cast<std::uint32_t>(
          device->segments().info(*device->layout().segment_of(chunk.places[copy])).generation);
    }
    ++chunk.ordinal;
    chunk.first_sequence = 4;
    for (std::size_t copy = 0; copy < 2; ++copy) {
      const auto header = encode_chunk_header(device->seal(), chunk, copy);
      must(writer.write(chunk.places[copy], bytes_of(header)));
    }
  }
  pmem.kill_process();
  EXPECT_EQ(open_device(pmem)->chunks_of(0).chunks.back(), chunk);
  LoseEverything lose;
  const auto after = pmem.crash(lose);
  EXPECT_EQ(open_device(*after)->chunks_of(0).chunks.back(), chunk);
}

// A page that a failed sync has forgotten is read back, and written again before it is believed.
TEST_F(CacheCrash, OpenWritesAgainWhatAFailedSyncForgot) {
  SimPmemPages pages({1U << 20});
  FormatOptions options = small_format();
  options.layout.chunk_bytes = 16U << 10;
  must(format_cache(pages, options));
  {
    const auto device = open_device(pages);
    auto writer = must(DurableWriter::make(pages));
    must(device->volumes().attach(writer, new_volume(1)));
    must(device->volumes().begin_epoch(writer, 0, 1, 1));
    const auto places = must(device->chunks().reserve(writer));
    pages.fail_next_sync();
    const auto begun = device->chunks().begin(writer, places, 1, 1, 1, 1);
    EXPECT_EQ(begun.error().kind, CacheError::Kind::io);
    // Final, for everything, until the region is opened anew.
    const auto after = device->segments().allocate(writer, format::SegmentUse::data, 1);
    EXPECT_EQ(after.error().kind, CacheError::Kind::io);
  }
  pages.reopen();
  EXPECT_EQ(open_device(pages)->chunks_of(0).chunks.size(), 1U);
  LoseEverything lose;
  const auto after = pages.crash(lose);
  EXPECT_EQ(open_device(*after)->chunks_of(0).chunks.size(), 1U);
}

TEST_F(CacheCrash, PageGranularity) {
  SimPmemPages pages({1U << 20});
  FormatOptions options = small_format();
  options.layout.chunk_bytes = 16U << 10;
  must(format_cache(pages, options));
  const auto device = open_device(pages);
  auto writer = must(DurableWriter::make(pages));
  must(device->volumes().attach(writer, new_volume(1)));
  must(device->volumes().begin_epoch(writer, 0, 1, 1));
  SeededRandom random(7);
  std::uint64_t allocated = 0;
  std::uint64_t begun = 0;
  pages.on_persist_point([&](PersistPoint) {
    for (int sample = 0; sample < 8; ++sample) {
      RandomChooser choose(random);
      const auto after = pages.crash(choose);
      const auto again = open_device(*after);
      ++states_seen;
      for (const CacheFinding& finding : again->findings()) {
        EXPECT_FALSE(finding.is_damage()) << finding.text();
      }
      EXPECT_GE(again->chunks_of(0).chunks.size(), begun);
      EXPECT_LE(again->chunks_of(0).chunks.size(), begun + 1);
      EXPECT_TRUE(open_device(*after)->findings().empty());
    }
  });
  for (; begun < 5; ++begun) {
    const auto places = must(device->chunks().reserve(writer));
    (void)must(device->chunks().begin(writer, places, 1, begun + 1, 1, 1));
    (void)must(device->segments().allocate(writer, format::SegmentUse::data, 1));
    ++allocated;
  }
  EXPECT_EQ(allocated, 5U);
}

}  // namespace
}  // namespace engine::test
