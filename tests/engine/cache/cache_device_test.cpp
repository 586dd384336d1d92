// Formatting, opening and growing a device: what is refused, what is healed, what is reported.
#include "engine/cache/cache_device.h"

#include <gtest/gtest.h>

#include "tests/engine/cache/cache_kit.h"

namespace engine::test {
namespace {

CacheError::Kind format_error(PmemRegion& region, const FormatOptions& options) {
  const auto done = format_cache(region, options);
  return done ? CacheError::Kind::io : done.error().kind;
}
CacheError::Kind open_error(PmemRegion& region, const CacheDevice::OpenOptions& options = {}) {
  const auto done = CacheDevice::open(region, options);
  return done ? CacheError::Kind::io : done.error().kind;
}

// An attached volume that was opened: for all the media know, it is dirty.
void make_dirty(SimPmem& pmem) {
  const auto device = open_device(pmem);
  auto writer = must(DurableWriter::make(pmem));
  must(device->volumes().attach(writer, new_volume(1)));
  must(device->volumes().begin_epoch(writer, 0, 1, 1));
}

TEST(FormatCache, BlankDeviceBecomesACache) {
  SimPmem pmem(small_size);
  EXPECT_EQ(open_error(pmem), CacheError::Kind::not_a_cache);
  must(format_cache(pmem, small_format()));
  const auto device = open_device(pmem);
  EXPECT_EQ(device->uuid(), uuid_of(0xd0));
  EXPECT_TRUE(device->findings().empty());
  EXPECT_EQ(device->segments().free_count(), 8U);
  EXPECT_FALSE(device->payload_crc());
  EXPECT_EQ(pmem.unsettled(), 0U);
}

TEST(FormatCache, ADirtyCacheIsNotFormattedOverUnlessItIsNamed) {
  const auto pmem = formatted_pmem();
  make_dirty(*pmem);
  FormatOptions options = small_format(0xd1);
  const std::vector<std::byte> before(pmem->content().begin(), pmem->content().end());
  EXPECT_EQ(format_error(*pmem, options), CacheError::Kind::holds_data);
  options.replace = uuid_of(0xee);
  EXPECT_EQ(format_error(*pmem, options), CacheError::Kind::holds_data);
  EXPECT_TRUE(std::equal(before.begin(), before.end(), pmem->content().begin()));
  options.replace = uuid_of(0xd0);
  must(format_cache(*pmem, options));
  EXPECT_EQ(open_device(*pmem)->uuid(), uuid_of(0xd1));
}

TEST(FormatCache, ACleanCacheMayBeReplaced) {
  const auto pmem = formatted_pmem();
  make_dirty(*pmem);
  {
    const auto device = open_device(*pmem);
    LogAuthor author(*device, 0);
    author.begin_epoch();
    (void)author.append();
    LogEpoch epoch = device->volumes()[0].epoch;
    epoch.clean_end = 1;
    must(device->volumes().set_epoch(author.writer(), 0, epoch));
    // Stopped clean, but kset 1 is not on the backing.
    EXPECT_EQ(format_error(*pmem, small_format(0xd1)), CacheError::Kind::holds_data);
    must(device->volumes().set_tails(author.writer(), 0, {.dirty_tail = 1}));
  }
  must(format_cache(*pmem, small_format(0xd1)));
}

TEST(FormatCache, NeverWithTheSameUuid) {
  const auto pmem = formatted_pmem();
  FormatOptions options = small_format(0xd0);
  options.replace = uuid_of(0xd0);
  EXPECT_EQ(format_error(*pmem, options), CacheError::Kind::same_uuid);
}

TEST(FormatCache, WhatCannotBeReadIsKeptToo) {
  const auto pmem = formatted_pmem();
  const MediaOffset far{small_size.value - 4096};
  flip_bit(*pmem, {700});
  flip_bit(*pmem, far + ByteCount{700});
  EXPECT_EQ(open_error(*pmem), CacheError::Kind::damaged);
  FormatOptions options = small_format(0xd1);
  EXPECT_EQ(format_error(*pmem, options), CacheError::Kind::holds_data);
  options.replace = uuid_of(0xd0);
  must(format_cache(*pmem, options));
}

TEST(FormatCache, NothingOfTheOldCacheIsBelieved) {
  const auto pmem = formatted_pmem();
  {
    const auto device = open_device(*pmem);
    (void)attached_log(*device).append();
  }
  FormatOptions options = small_format(0xd1);
  options.replace = uuid_of(0xd0);
  must(format_cache(*pmem, options));
  const auto device = open_device(*pmem);
  auto writer = must(DurableWriter::make(*pmem));
  must(device->volumes().attach(writer, new_volume(1)));
  must(device->volumes().begin_epoch(writer, 0, 1, 1));
  // The same segments with the same generation, tag and epoch: only the UUID tells them apart.
  (void)must(device->segments().allocate(writer, format::SegmentUse::log, 0));
  (void)must(device->segments().allocate(writer, format::SegmentUse::log, 0));
  const auto again = open_device(*pmem, CacheDevice::Access::inspect);
  EXPECT_TRUE(again->chunks_of(0).chunks.empty());
  EXPECT_TRUE(again->findings().empty());
}

TEST(OpenCache, RefusesWhatItShould) {
  const auto pmem = formatted_pmem();
  EXPECT_EQ(open_error(*pmem, {.access = CacheDevice::Access::write, .expected = uuid_of(1)}),
            CacheError::Kind::wrong_device);
  SimPmem smaller(std::span(pmem->content()).first(small_size.value - 4096));
  EXPECT_EQ(open_error(smaller), CacheError::Kind::too_small);
  SimPmem tiny(ByteCount{4096});
  EXPECT_EQ(open_error(tiny), CacheError::Kind::not_a_cache);
  // A cache of finer media on media of pages.
  SimPmemPages pages(small_size);
  poke(pages, {0}, pmem->content());
  EXPECT_EQ(open_error(pages), CacheError::Kind::wrong_granularity);
  EXPECT_TRUE(CacheDevice::open(pages, {.access = CacheDevice::Access::inspect, .expected = {}})
                  .has_value());
}

TEST(OpenCache, EitherSuperblockIsEnough) {
  for (const bool unreadable : {false, true}) {
    for (const std::uint64_t place : {std::uint64_t{0}, small_size.value - 4096}) {
      const auto pmem = formatted_pmem();
      if (unreadable) {
        pmem->poison({place}, ByteCount{4096});
      } else {
        flip_bit(*pmem, {place + 90});
      }
      {
        const auto device = open_device(*pmem);
        ASSERT_EQ(device->findings().size(), 1U);
        EXPECT_EQ(device->findings()[0].place.value, place);
        EXPECT_FALSE(device->findings()[0].is_damage());
      }
      EXPECT_TRUE(open_device(*pmem)->findings().empty());
    }
  }
}

// A newer version has changed one replica and lost power: the older must not win.
TEST(OpenCache, OneReplicaOfANewerVersionIsEnoughToRefuse) {
  for (const std::uint64_t place : {std::uint64_t{0}, small_size.value - 4096}) {
    const auto pmem = formatted_pmem();
    format::CacheSuperblock block;
    must(pmem->read({place}, std::as_writable_bytes(std::span(&block, 1))));
    block.version = 2;
    block.sequence = 2;
    block.crc = 0;
    block.crc = crc32c(bytes_of(block));
    poke(*pmem, {place}, bytes_of(block));
    EXPECT_EQ(open_error(*pmem), CacheError::Kind::unsupported);
  }
}

TEST(OpenCache, SuperblocksOfTwoDevicesAreRefused) {
  const auto pmem = formatted_pmem();
  SimPmem other(small_size);
  must(format_cache(other, small_format(0xd9)));
  poke(*pmem, {0}, other.content().first(4096));
  EXPECT_EQ(open_error(*pmem), CacheError::Kind::damaged);
}

TEST(OpenCache, InspectingWritesNothing) {
  const auto pmem = formatted_pmem();
  make_dirty(*pmem);
  flip_bit(*pmem, {5000});
  flip_bit(*pmem, {100});
  const std::uint64_t before = pmem->persist_points();
  const auto device = open_device(*pmem, CacheDevice::Access::inspect);
  EXPECT_EQ(pmem->persist_points(), before);
  EXPECT_EQ(device->findings().size(), 2U);
  for (const CacheFinding& finding : device->findings()) EXPECT_FALSE(finding.text().empty());
}

TEST(OpenCache, AnyBitOfOneTableIsHealed) {
  const auto pmem = formatted_pmem();
  make_dirty(*pmem);
  const auto layout = open_device(*pmem)->layout();
  for (const auto& table : {layout.volume_table, layout.segment_table}) {
    for (std::size_t replica = 0; replica < 2; ++replica) {
      for (std::uint64_t byte = 0; byte < 8 * 64; byte += 3) {
        flip_bit(*pmem, table[replica] + ByteCount{byte}, static_cast<unsigned>(byte));
        {
          const auto device = open_device(*pmem);
          ASSERT_EQ(device->findings().size(), 1U) << byte;
          EXPECT_EQ(device->findings()[0].kind, CacheFinding::Kind::replica_invalid);
          EXPECT_EQ(device->volumes().find(uuid_of(1)), 0U);
          EXPECT_EQ(device->segments().free_count(), 8U);
        }
        ASSERT_TRUE(open_device(*pmem)->findings().empty());
      }
    }
  }
}

TEST(OpenCache, AnUnreadablePageOfATableIsWrittenAgain) {
  for (std::size_t replica = 0; replica < 2; ++replica) {
    SimPmemPages pages({1U << 20});
    FormatOptions options = small_format();
    options.layout.chunk_bytes = 16U << 10;
    must(format_cache(pages, options));
    CacheLayout layout;
    {
      const auto device = open_device(pages);
      layout = device->layout();
      auto writer = must(DurableWriter::make(pages));
      must(device->volumes().attach(writer, new_volume(1)));
      (void)must(device->segments().allocate(writer, format::SegmentUse::data, 1));
    }
    pages.poison(layout.volume_table[replica], ByteCount{4096});
    pages.poison(layout.segment_table[1 - replica], ByteCount{4096});
    {
      const auto device = open_device(pages);
      EXPECT_FALSE(device->findings().empty());
      EXPECT_EQ(device->volumes().find(uuid_of(1)), 0U);
    }
    const auto device = open_device(pages);
    EXPECT_TRUE(device->findings().empty());
    EXPECT_EQ(device->segments().free_count(), layout.segment_count - 1);
  }
}

TEST(OpenCache, SegmentsOfNobodyAreReported) {
  const auto pmem = formatted_pmem();
  {
    const auto device = open_device(*pmem);
    auto writer = must(DurableWriter::make(*pmem));
    (void)must(device->segments().allocate(writer, format::SegmentUse::data, 77));
  }
  const auto device = open_device(*pmem);
  ASSERT_EQ(device->findings().size(), 1U);
  EXPECT_EQ(device->findings()[0].kind, CacheFinding::Kind::orphan_segment);
  EXPECT_EQ(device->findings()[0].tag, 77U);
}

// The region as the operator has enlarged it.
std::unique_ptr<SimPmem> enlarged(const SimPmem& pmem, std::uint64_t more) {
  std::vector<std::byte> image(pmem.content().begin(), pmem.content().end());
  image.resize(image.size() + more);
  return std::make_unique<SimPmem>(image);
}

TEST(GrowCache, TakesTheNewSegments) {
  // By less than the tables are long, so that old and new far tables overlap, and by more.
  for (const std::uint64_t more : {small_segment, 5 * small_segment}) {
    const auto before = formatted_pmem();
    make_dirty(*before);
    const auto pmem = enlarged(*before, more);
    {
      const auto device = open_device(*pmem);
      auto writer = must(DurableWriter::make(*pmem));
      must(device->grow(writer));
      EXPECT_EQ(device->segments().free_count(), 8 + more / small_segment);
      EXPECT_EQ(device->grow(writer).error().kind, CacheError::Kind::bad_options);
      device->segments().check_invariants();
    }
    const auto device = open_device(*pmem);
    EXPECT_TRUE(device->findings().empty());
    EXPECT_EQ(device->layout().device_bytes.value, small_size.value + more);
    EXPECT_EQ(device->volumes().find(uuid_of(1)), 0U);
    // Without the first superblock it is found at the new end.
    pmem->poison({0}, ByteCount{4096});
    EXPECT_EQ(open_device(*pmem)->segments().count(), 8 + more / small_segment);
  }
}

TEST(GrowCache, ADeviceThatWasEnlargedButNotGrownOpensAsItWas) {
  const auto pmem = enlarged(*formatted_pmem(), 3 * small_segment);
  const auto device = open_device(*pmem);
  EXPECT_TRUE(device->findings().empty());
  EXPECT_EQ(device->segments().count(), 8U);
}

}  // namespace
}  // namespace engine::test
