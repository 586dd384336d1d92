// Engine::inspect of cache devices: what a start would find amiss, by reading alone.
#include <gtest/gtest.h>

#include <fstream>

#include "tests/engine/file_content.h"
#include "tests/engine/volume/cached_engine_kit.h"

namespace engine {
namespace {

using About = Finding::About;

class InspectCache : public CachedEngine {
 protected:
  [[nodiscard]] std::vector<Finding> inspect(const std::vector<VolumeSpec>& volumes,
                                             const std::vector<CacheSpec>& caches,
                                             MemoryBudget* memory = nullptr) const {
    return Engine::inspect({pool()}, volumes, {.caches = caches, .memory = memory});
  }
  // The only finding.
  [[nodiscard]] Finding the_one(const std::vector<VolumeSpec>& volumes,
                                const std::vector<CacheSpec>& caches) const {
    const auto found = inspect(volumes, caches);
    EXPECT_EQ(found.size(), 1U);
    return found.empty() ? Finding{} : found[0];
  }
  [[nodiscard]] Finding of_device(const CacheSpec& spec) const { return the_one({}, {spec}); }
  // Of db01: one life that leaves dirty data behind.
  void write_dirty(int value = 0x42) const {
    Life life(*this, {cached("db01", 8_MiB)}, {cache()});
    ASSERT_EQ(life.write("db01", 7, 1, value), IoStatus::ok);
  }
  [[nodiscard]] std::string bytes_of(const std::string& name) const {
    return file_content(path_of(name));
  }
};

TEST_P(InspectCache, ADeviceThatIsAsAskedForIsNoFinding) {
  CacheSpec spec = cache();
  spec.uuid = cache_uuid;
  spec.payload_crc = true;
  EXPECT_TRUE(inspect({cached("new", 8_MiB)}, {spec}).empty());
  write_dirty();
  EXPECT_TRUE(inspect({cached("db01", 8_MiB)}, {spec}).empty());
}

TEST_P(InspectCache, WhatIsNotAsAskedForIsToldOfItsKey) {
  Finding found = of_device(cache("nowhere"));
  EXPECT_EQ(found.about, About::cache_device);
  EXPECT_EQ(found.name, "nowhere");
  EXPECT_TRUE(contains(found.text, "No such file")) << found.text;

  ASSERT_TRUE(create_pmem_file(path_of("blank"), 16_MiB));
  found = of_device(cache("blank"));
  EXPECT_EQ(found.about, About::cache_device);
  EXPECT_TRUE(contains(found.text, "Format it: forebay-media format " + path_of("blank")))
      << found.text;

  CacheSpec other = cache();
  other.uuid = Uuid::parse("6f0c7f9e-5a53-4b0e-9c51-2f4f4d1e7a10");
  found = of_device(other);
  EXPECT_EQ(found.about, About::cache_uuid);
  EXPECT_TRUE(contains(found.text, "carries cache " + cache_uuid.text())) << found.text;
  EXPECT_TRUE(contains(found.text, "; refused. Inspect: forebay-media inspect")) << found.text;
  EXPECT_FALSE(contains(found.text, "lacks")) << found.text;
  write_dirty();
  found = of_device(other);
  EXPECT_TRUE(contains(found.text, "with writes that the image lacks of db01")) << found.text;

  CacheSpec plain = cache();
  plain.payload_crc = false;
  EXPECT_EQ(of_device(plain).about, About::cache_payload_crc);

  CacheSpec finer = cache();
  finer.required = PmemGranularity::byte;
  found = of_device(finer);
  EXPECT_EQ(found.about, About::cache_require);
  EXPECT_TRUE(contains(found.text, "or require less")) << found.text;
}

TEST_P(InspectCache, ADamagedOrSparseFileIsTold) {
  {
    std::fstream file(path_of("pmem0"), std::ios::in | std::ios::out | std::ios::binary);
    const auto size = static_cast<std::streamoff>(std::filesystem::file_size(path_of("pmem0")));
    for (const std::streamoff at : {std::streamoff{100}, size - 4096 + 100}) {
      file.seekp(at);
      file.write("rotten", 6);
    }
  }
  Finding found = of_device(cache());
  EXPECT_EQ(found.about, About::cache_device);
  EXPECT_TRUE(contains(found.text, "see forebay-media check " + path_of("pmem0"))) << found.text;

  std::filesystem::resize_file(path_of("pmem0"), 64U << 20);
  found = of_device(cache());
  EXPECT_TRUE(contains(found.text, "blocks that were never written")) << found.text;
}

TEST_P(InspectCache, AVolumeWhoseCacheIsNotWhatItsRecordSaysIsTold) {
  copy("pmem0", "blank");
  write_dirty();
  copy("pmem0", "older");
  write_dirty();  // over the block as it was: counted twice
  move("pmem0", "newer");
  const auto missing = [&](const std::string& why, std::size_t findings = 1) {
    const auto found = inspect({cached("db01", 8_MiB)}, {cache()});
    ASSERT_EQ(found.size(), findings) << why;
    EXPECT_EQ(found.back().about, About::volume);
    EXPECT_EQ(found.back().name, "db01");
    EXPECT_TRUE(contains(found.back().text, why)) << found.back().text;
    EXPECT_TRUE(contains(found.back().text, cache_uuid.text())) << found.back().text;
    EXPECT_TRUE(contains(found.back().text,
                         "; the volume is then as it was before it was cached. "
                         "Lost with it: up to 8.0 KiB as of 20"))
        << found.back().text;
    // The same words as a start would say.
    Life life(*this, {cached("db01", 8_MiB)}, {cache()});
    EXPECT_TRUE(contains(life.reason("db01"), why)) << life.reason("db01");
    const std::size_t way_out = life.reason("db01").find(" If they are lost: ");
    ASSERT_NE(way_out, std::string::npos) << life.reason("db01");
    EXPECT_TRUE(found.back().text.ends_with(life.reason("db01").substr(way_out)))
        << found.back().text;
  };
  missing("holds writes that the image lacks; bring it back", 2);
  move("blank", "pmem0");
  missing("nothing of the volume is on it now");
  move("pmem0", "blank");
  move("older", "pmem0");
  missing("what is there now is older");
  move("pmem0", "older");
  make_cache("pmem0");
  missing("the configuration names pmem0");
  std::filesystem::remove(path_of("pmem0"));
  move("newer", "pmem0");
  EXPECT_TRUE(inspect({cached("db01", 8_MiB)}, {cache()}).empty());
}

TEST_P(InspectCache, ACacheThatIsNewerThanTheImageIsTold) {
  write_dirty();
  copy("bulk", "older");
  write_dirty();
  std::filesystem::remove_all(path_of("bulk"));
  move("older", "bulk");
  const Finding found = the_one({cached("db01", 8_MiB)}, {cache()});
  EXPECT_EQ(found.about, About::volume);
  EXPECT_TRUE(contains(found.text, "this image never knew of")) << found.text;
  EXPECT_TRUE(contains(found.text, "forebayctl abandon db01 --cache " + cache_uuid.text() +
                                       "; the volume is then as it was"))
      << found.text;
}

TEST_P(InspectCache, SharesThatDoNotFitAreToldWithTheirSum) {
  VolumeSpec first = cached("db01", 8_MiB);
  VolumeSpec second = cached("db02", 8_MiB);
  first.cache->guaranteed = second.cache->guaranteed = 20_MiB;
  Finding found = the_one({first, second}, {cache()});
  EXPECT_EQ(found.about, About::volume_guaranteed);
  EXPECT_EQ(found.name, "db02");
  EXPECT_TRUE(contains(found.text, "guaranteed shares on pmem0 add up to 40MiB, the device offers"))
      << found.text;
  // Volumes that the device knows already count once.
  write_dirty();
  EXPECT_EQ(the_one({first, second}, {cache()}).name, "db02");
  second.cache->guaranteed = 4_MiB;
  EXPECT_TRUE(inspect({first, second}, {cache()}).empty());

  first.cache->guaranteed = {};
  first.cache->maximum = ByteCount{4096};
  found = the_one({first}, {cache()});
  EXPECT_EQ(found.about, About::volume_maximum);
  EXPECT_EQ(found.name, "db01");
}

// All of it at once, whichever of them would be served.
TEST_P(InspectCache, MemoryThatIsTooSmallIsToldWithWhatAllOfThemTake) {
  make_cache("pmem1");
  const std::vector<CacheSpec> both{cache("pmem0"), cache("pmem1")};
  MemoryBudget enough(40_MiB, 4_MiB);
  EXPECT_TRUE(inspect({}, both, &enough).empty());
  EXPECT_EQ(enough.reserved(), ByteCount{}) << "only looked at";
  MemoryBudget little(36_MiB, 4_MiB);
  const auto found = inspect({}, both, &little);
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].about, About::memory);
  EXPECT_EQ(found[0].name, "pmem1");
  EXPECT_TRUE(contains(found[0].text, "Write memory: 37MiB or more")) << found[0].text;
  MemoryBudget none(8_MiB, 4_MiB);
  const auto all = inspect({}, both, &none);
  ASSERT_EQ(all.size(), 2U);
  for (const Finding& one : all) {
    EXPECT_TRUE(contains(one.text, "Write memory: 37MiB or more")) << one.text;
  }
}

// Who serves it is not disturbed, and what he has under way is no finding.
TEST_P(InspectCache, NothingIsWrittenOrLockedAndADeviceInServiceCanBeLookedAt) {
  write_dirty();
  const std::string before = bytes_of("pmem0");
  EXPECT_TRUE(inspect({cached("db01", 8_MiB)}, {cache()}).empty());
  EXPECT_EQ(bytes_of("pmem0"), before);
  Life life(*this, {cached("db01", 8_MiB)}, {cache()});
  ASSERT_EQ(life.condition("db01").state, VolumeState::online);
  for (int value = 0; value < 20; ++value) {
    ASSERT_EQ(life.write("db01", 7, 1, value), IoStatus::ok);
    EXPECT_TRUE(inspect({cached("db01", 8_MiB)}, {cache()}).empty());
  }
  EXPECT_EQ(life.read("db01", 7), 19);
}

TEST_P(InspectCache, WhoLooksKeepsNobodyFromServing) {
  const auto looking = open_pmem_region(path_of("pmem0"), {.access = PmemAccess::look});
  ASSERT_TRUE(looking);
  EXPECT_FALSE(looking.value()->make_writer());
  write_dirty();
  const Life life(*this, {cached("db01", 8_MiB)}, {cache()});
  EXPECT_EQ(life.condition("db01").state, VolumeState::online) << life.reason("db01");
}

INSTANTIATE_TEST_SUITE_P(Granularities, InspectCache, testing::Values("PAGE", "CACHE_LINE"),
                         [](const auto& granularity) { return std::string(granularity.param); });

}  // namespace
}  // namespace engine
