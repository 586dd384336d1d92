// The contract of PmemRegion, over everything that claims to be one.
#include "engine/media/pmem_region.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <limits>
#include <thread>
#include <vector>

#include "engine/foundation/crc32c.h"
#include "engine/foundation/random.h"
#include "tests/engine/media/pmem_kit.h"

namespace engine {
namespace {

constexpr ByteCount region_size = 1_MiB;
constexpr std::uint64_t region_page = PmemRegion::page_bytes;

struct KitMaker {
  const char* name;
  std::function<std::unique_ptr<PmemKit>()> make;
};

const KitMaker anonymous{
    "Anonymous",
    [] { return std::make_unique<AnonymousPmemKit>(region_size, PmemGranularity::cache_line); }};
const KitMaker anonymous_bytes{
    "AnonymousByte",
    [] { return std::make_unique<AnonymousPmemKit>(region_size, PmemGranularity::byte); }};
const KitMaker tmpfs_lines{
    "TmpfsForcedLines",
    [] { return std::make_unique<FilePmemKit>(region_size, "/dev/shm", "CACHE_LINE"); }};
const KitMaker sim_lines{"SimPmem",
                         [] { return std::make_unique<SimPmemKit<SimPmem>>(region_size); }};
const KitMaker file_pages{"FilePages",
                          [] { return std::make_unique<FilePmemKit>(region_size, ".", nullptr); }};
const KitMaker tmpfs_pages{
    "TmpfsPages", [] { return std::make_unique<FilePmemKit>(region_size, "/dev/shm", nullptr); }};
const KitMaker sim_pages{"SimPmemPages",
                         [] { return std::make_unique<SimPmemKit<SimPmemPages>>(region_size); }};

std::string name_of(const testing::TestParamInfo<KitMaker>& kit) { return kit.param.name; }

std::vector<std::byte> random_bytes(std::size_t count, std::uint64_t seed) {
  std::vector<std::byte> bytes(count);
  SeededRandom random(seed);
  random.fill(bytes);
  return bytes;
}

class PmemContract : public testing::TestWithParam<KitMaker> {
 protected:
  std::unique_ptr<PmemKit> kit = GetParam().make();
  PmemRegion& region = kit->region();
};
INSTANTIATE_TEST_SUITE_P(Regions, PmemContract,
                         testing::Values(anonymous, anonymous_bytes, tmpfs_lines, sim_lines,
                                         file_pages, tmpfs_pages, sim_pages),
                         name_of);

TEST_P(PmemContract, AnyOffsetAndLengthRoundTripsAndTouchesNothingElse) {
  SeededRandom random(7);
  std::vector<std::byte> model(region.size().value);
  const auto source = random_bytes(40000, 3);
  for (int round = 0; round < 200; ++round) {
    const std::uint64_t length = random.chance(1, 2) ? random.below(300) : random.below(20000);
    const std::uint64_t offset = random.below(model.size() - length + 1);
    const auto bytes = std::span(source).subspan(random.below(20000), length);
    ASSERT_TRUE(kit->put(offset, bytes));
    std::copy(bytes.begin(), bytes.end(), model.begin() + static_cast<std::ptrdiff_t>(offset));
  }
  std::vector<std::byte> seen(model.size());
  ASSERT_TRUE(region.read({0}, seen));
  EXPECT_TRUE(seen == model);
  const auto view = region.view({0}, region.size()).value();
  EXPECT_TRUE(std::equal(view.begin(), view.end(), model.begin()));
  EXPECT_EQ(region.checksum({12345}, {54321}).value(),
            crc32c(std::span(model).subspan(12345, 54321)));
  EXPECT_EQ(region.checksum({22345}, {44321}, region.checksum({12345}, {10000}).value()).value(),
            region.checksum({12345}, {54321}).value());
}

TEST_P(PmemContract, NothingOutsideTheRegionIsTouched) {
  const std::uint64_t size = region.size().value;
  constexpr std::uint64_t huge = std::numeric_limits<std::uint64_t>::max();
  std::vector<std::byte> two(2);
  for (const std::uint64_t offset : {size - 1, size, size + 1, huge - 1, huge}) {
    EXPECT_EQ(region.view({offset}, {2}).error(), PmemError::out_of_range) << offset;
    EXPECT_EQ(region.read({offset}, two).error(), PmemError::out_of_range) << offset;
    EXPECT_EQ(region.checksum({offset}, {2}).error(), PmemError::out_of_range) << offset;
    EXPECT_EQ(kit->put(offset, two).error(), PmemError::out_of_range) << offset;
  }
  EXPECT_EQ(region.view({1}, {huge}).error(), PmemError::out_of_range);
}

TEST_P(PmemContract, NothingAtTheVeryEndIsNothing) {
  EXPECT_TRUE(kit->put(region.size().value, {}));
  EXPECT_TRUE(region.view({region.size().value}, {0}).value().empty());
  EXPECT_TRUE(region.read({region.size().value}, {}));
}

TEST_P(PmemContract, OnlyTheWayOfItsGranularityStores) {
  EXPECT_EQ(static_cast<bool>(region.make_writer()), !kit->paged());
  EXPECT_EQ(static_cast<bool>(region.write_pages({})), kit->paged());
  EXPECT_EQ(static_cast<bool>(region.sync()), kit->paged());
  if (kit->paged()) {
    EXPECT_EQ(region.make_writer().error(), PmemError::not_supported);
  } else {
    EXPECT_EQ(region.write_pages({}).error(), PmemError::not_supported);
    EXPECT_EQ(region.sync().error(), PmemError::not_supported);
  }
  EXPECT_FALSE(region.needs_reopen());
}

TEST_P(PmemContract, CountsAddUp) {
  const auto bytes = random_bytes(100, 1);
  const PmemCounts before = region.counts();
  ASSERT_TRUE(kit->put(0, bytes));
  ASSERT_TRUE(kit->put(5000, bytes));
  const PmemCounts after = region.counts();
  EXPECT_EQ(after.copies - before.copies, 2U);
  EXPECT_EQ(after.bytes - before.bytes, 200U);
  EXPECT_EQ(after.fences - before.fences, 2U);
}

class StoreContract : public PmemContract {};
INSTANTIATE_TEST_SUITE_P(Regions, StoreContract,
                         testing::Values(anonymous, anonymous_bytes, tmpfs_lines, sim_lines),
                         name_of);

TEST_P(StoreContract, CountsOutliveTheirWriter) {
  const auto bytes = random_bytes(64, 1);
  auto first = std::move(region.make_writer().value());
  auto second = std::move(region.make_writer().value());
  ASSERT_TRUE(first->copy({0}, bytes));
  ASSERT_TRUE(second->copy({64}, bytes));
  second->fence();
  first.reset();
  EXPECT_EQ(region.counts(), (PmemCounts{.copies = 2, .bytes = 128, .fences = 1}));
  EXPECT_EQ(second->counts(), (PmemCounts{.copies = 1, .bytes = 64, .fences = 1}));
}

TEST_P(StoreContract, CopyIsSeenBeforeItsFence) {
  const auto bytes = random_bytes(100, 1);
  ASSERT_TRUE(kit->writer().copy({1000}, bytes));
  const auto seen = region.view({1000}, {100}).value();
  EXPECT_TRUE(std::equal(seen.begin(), seen.end(), bytes.begin()));
}

TEST_P(StoreContract, CopyWithChecksumsGivesOneForEachPiece) {
  const auto bytes = random_bytes(2 * region_page + 100, 5);
  std::array<std::uint32_t, 3> crcs{};
  ASSERT_TRUE(kit->writer().copy_crc({12}, bytes, crcs));
  kit->writer().fence();
  EXPECT_EQ(crcs[0], crc32c(std::span(bytes).first(region_page)));
  EXPECT_EQ(crcs[1], crc32c(std::span(bytes).subspan(region_page, region_page)));
  EXPECT_EQ(crcs[2], crc32c(std::span(bytes).subspan(2 * region_page)));
  EXPECT_EQ(region.checksum({12}, {bytes.size()}).value(), crc32c(bytes));
  EXPECT_EQ(kit->writer().copy_crc({region.size().value - region_page}, bytes, crcs).error(),
            PmemError::out_of_range);
}

TEST_P(StoreContract, FlushTakesAnyRangeInside) {
  EXPECT_TRUE(kit->writer().flush({0}, region.size()));
  EXPECT_TRUE(kit->writer().flush({63}, {2}));
  EXPECT_TRUE(kit->writer().flush(MediaOffset{region.size().value}, {0}));
  EXPECT_EQ(kit->writer().flush({1}, region.size()).error(), PmemError::out_of_range);
  kit->writer().fence();
}

class PageContract : public PmemContract {};
INSTANTIATE_TEST_SUITE_P(Regions, PageContract, testing::Values(file_pages, tmpfs_pages, sim_pages),
                         name_of);

TEST_P(PageContract, GatheredWritesLandInTheirOrder) {
  const auto bytes = random_bytes(200 * 100, 9);
  std::vector<PmemRegion::PageWrite> writes;
  for (std::size_t at = 0; at < 200; ++at) {  // longer than one system call takes
    writes.push_back({.offset = {at * 100}, .bytes = std::span(bytes).subspan(at * 100, 100)});
  }
  writes.push_back({.offset = {700000}, .bytes = std::span(bytes).first(50)});
  writes.push_back({.offset = {700010}, .bytes = std::span(bytes).last(5)});  // over the last one
  ASSERT_TRUE(region.write_pages(writes));
  ASSERT_TRUE(region.sync());
  EXPECT_EQ(region.checksum({0}, {bytes.size()}).value(), crc32c(bytes));
  EXPECT_EQ(region.checksum({700000}, {10}).value(), crc32c(std::span(bytes).first(10)));
  EXPECT_EQ(region.checksum({700010}, {5}).value(), crc32c(std::span(bytes).last(5)));
}

TEST_P(PageContract, OneWriteOutsideRefusesAllOfThem) {
  const auto bytes = random_bytes(64, 9);
  const std::array writes{PmemRegion::PageWrite{.offset = {0}, .bytes = bytes},
                          PmemRegion::PageWrite{.offset = {region_size.value}, .bytes = bytes}};
  EXPECT_EQ(region.write_pages(writes).error(), PmemError::out_of_range);
  const std::vector<std::byte> zeros(64);
  EXPECT_EQ(region.checksum({0}, {64}).value(), crc32c(zeros));
}

// What the kernel could not write it takes for written from then on: a sync that succeeds again
// says nothing of it.
TEST_P(PageContract, AFailedSyncIsFinalThoughTheNextOneWouldSucceed) {
  const auto bytes = random_bytes(region_page, 9);
  const std::array writes{PmemRegion::PageWrite{.offset = {region_page}, .bytes = bytes}};
  ASSERT_TRUE(region.write_pages(writes));
  ASSERT_TRUE(region.sync());
  EXPECT_FALSE(region.needs_reopen());
  kit->fail_one_sync([this] { EXPECT_EQ(region.sync().error(), PmemError::sync_failed); });
  EXPECT_TRUE(region.needs_reopen());
  EXPECT_EQ(region.sync().error(), PmemError::sync_failed);
  EXPECT_EQ(region.write_pages(writes).error(), PmemError::sync_failed);
  std::vector<std::byte> seen(region_page);
  EXPECT_TRUE(region.read({region_page}, seen)) << "what is there can still be read";
  EXPECT_EQ(seen, bytes);
}

class MediaErrorContract : public PmemContract {};
INSTANTIATE_TEST_SUITE_P(Regions, MediaErrorContract,
                         testing::Values(tmpfs_lines, sim_lines, file_pages, tmpfs_pages,
                                         sim_pages),
                         name_of);

TEST_P(MediaErrorContract, BadPageAnswersMediaErrorAndItsNeighboursAnswer) {
  const std::uint64_t broken = region_size.value - 2 * region_page;
  kit->break_page(broken);
  std::vector<std::byte> byte(1);
  for (const std::uint64_t at : {broken, broken + region_page - 1}) {
    EXPECT_EQ(region.read({at}, byte).error(), PmemError::media_error);
    EXPECT_EQ(region.view({at}, {1}).error(), PmemError::media_error);
    EXPECT_EQ(region.checksum({at}, {1}).error(), PmemError::media_error);
  }
  EXPECT_EQ(region.view({0}, region.size()).error(), PmemError::media_error);
  EXPECT_TRUE(region.read({broken - 1}, byte));
  EXPECT_TRUE(region.read({broken + region_page}, byte));
  EXPECT_EQ(region.bad_ranges(), (std::vector<PmemRange>{{{broken}, {region_page}}}));
}

TEST_P(MediaErrorContract, OnlyAnOverwriteOfTheWholeBadPageHealsIt) {
  const std::uint64_t broken = region_size.value - region_page;
  kit->break_page(broken);
  const auto bytes = random_bytes(3 * region_page, 2);
  EXPECT_EQ(kit->put(broken + 1, std::span(bytes).first(region_page - 1)).error(),
            PmemError::media_error);
  EXPECT_EQ(kit->put(broken - 64, std::span(bytes).first(region_page + 63)).error(),
            PmemError::media_error);
  EXPECT_EQ(region.view({broken + region_page - 1}, {1}).error(), PmemError::media_error);
  ASSERT_TRUE(kit->put(broken - 2 * region_page, bytes));
  EXPECT_TRUE(region.bad_ranges().empty());
  EXPECT_EQ(region.checksum({broken - 2 * region_page}, {bytes.size()}).value(), crc32c(bytes));
}

}  // namespace
}  // namespace engine
