// Power fails at every persist point of every operation on the tables: what was there before is
// there, or what should be; and both replicas of everything are equal after the next open.
#include <gtest/gtest.h>

#include <functional>
#include <iostream>

#include "tests/engine/cache/crash_everywhere.h"
#include "tests/sim/rounds.h"

namespace engine::test {
namespace {

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

TEST_F(CacheCrash, EndOfALeaving) {
  SimPmem pmem(prepared_image());
  opened([](CacheDevice& device, DurableWriter& writer) {
    (void)must(device.segments().allocate(writer, format::SegmentUse::data, 1));
    must(device.volumes().leave(writer, 0));
  })(pmem);
  // Between: some of its segments are free already.
  std::vector<std::string> between;
  for (const unsigned freed : {1U, 2U, 3U}) {
    SimPmem some(pmem.content());
    opened([freed](CacheDevice& device, DurableWriter& writer) {
      unsigned bit = 1;
      for (std::uint32_t segment = 0; segment < 8; ++segment) {
        if (device.segments().info(segment).use != format::SegmentUse::data) continue;
        if ((freed & bit) != 0) must(device.segments().free(writer, segment));
        bit *= 2;
      }
      CHECK(bit == 4);
    })(some);
    between.push_back(open_state(some));
  }
  crash_everywhere(pmem.content(), opened([](CacheDevice& device, DurableWriter& writer) {
                     must(device.finish_leaving(writer, 0));
                     CHECK(device.volumes()[0].identity.state == format::VolumeSlotState::free);
                   }),
                   between);
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
      for (unsigned sample = 0; sample < rounds(400); ++sample) {
        SeededRandom random(sample + 1);
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

// Media of pages with a cache whose chunks are whole pages.
void format_pages(SimPmemPages& pages) {
  FormatOptions options = small_format();
  options.layout.chunk_bytes = 16U << 10;
  must(format_cache(pages, options));
}

// With volume 1 attached and an epoch of its log begun.
DurableWriter writer_of_first_epoch(CacheDevice& device) {
  auto writer = must(DurableWriter::make(device.region()));
  must(device.volumes().attach(writer, new_volume(1)));
  must(device.volumes().begin_epoch(writer, 0, 1, 1));
  return writer;
}

// A page that a failed sync has forgotten is read back, and written again before it is believed.
TEST_F(CacheCrash, OpenWritesAgainWhatAFailedSyncForgot) {
  SimPmemPages pages({1U << 20});
  format_pages(pages);
  {
    const auto device = open_device(pages);
    auto writer = writer_of_first_epoch(*device);
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
  format_pages(pages);
  const auto device = open_device(pages);
  auto writer = writer_of_first_epoch(*device);
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
