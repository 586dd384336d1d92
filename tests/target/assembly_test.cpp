// What the engine is told of caches is what the file says.
#include "target/assembly.h"

#include <gtest/gtest.h>

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "config/parse.h"

namespace target {
namespace {

using engine::operator""_GiB;
using engine::VolumeCacheSpec;

constexpr std::string_view heading =
    "apiVersion: forebay/v1\n"
    "node: store1\n"
    "pools: {p: {kind: file, directory: /p}}\n";

config::Config parsed(std::string_view rest) {
  auto outcome = config::parse_text(std::string(heading) + std::string(rest), "f.yaml");
  for (const config::Message& message : outcome.messages) ADD_FAILURE() << format(message);
  return std::move(outcome.config).value();
}

TEST(Assembly, CacheDevicesArriveAsTheyAreWritten) {
  const auto specs = cache_specs(
      parsed("cache_devices:\n"
             "  a: {path: /dev/dax0.0, uuid: 6f0c7f9e-5a53-4b0e-9c51-2f4f4d1e7a10, require: byte,\n"
             "      payload_crc: true}\n"
             "  b: {path: /b, require: cache-line, payload_crc: false}\n"
             "  c: {path: /c, require: page}\n"));
  ASSERT_EQ(specs.size(), 3U);
  EXPECT_EQ(specs[0].name, "a");
  EXPECT_EQ(specs[0].path, "/dev/dax0.0");
  EXPECT_EQ(specs[0].uuid, engine::Uuid::parse("6f0c7f9e-5a53-4b0e-9c51-2f4f4d1e7a10"));
  EXPECT_EQ(specs[0].required, engine::PmemGranularity::byte);
  EXPECT_EQ(specs[0].payload_crc, true);
  EXPECT_EQ(specs[1].required, engine::PmemGranularity::cache_line);
  EXPECT_EQ(specs[1].payload_crc, false);
  EXPECT_EQ(specs[2].required, engine::PmemGranularity::page);
}

TEST(Assembly, WhatIsNotSaidOfACacheDeviceIsNotDemanded) {
  const auto specs = cache_specs(parsed("cache_devices: {c: {path: /c}}\n"));
  ASSERT_EQ(specs.size(), 1U);
  EXPECT_EQ(specs[0].uuid, std::nullopt);
  EXPECT_EQ(specs[0].required, engine::PmemGranularity::page);
  EXPECT_EQ(specs[0].payload_crc, std::nullopt);
  EXPECT_TRUE(cache_specs(parsed("")).empty());
}

TEST(Assembly, CachesOfVolumesArriveAsTheyAreWritten) {
  const auto specs = volume_specs(parsed(
      "cache_devices: {c: {path: /c}}\n"
      "volumes:\n"
      "  plain: {pool: p, size: 1GiB}\n"
      "  some: {pool: p, size: 1GiB, cache: {device: c, mode: write-through, guaranteed: 2GiB,\n"
      "         maximum: 3GiB, dirty_low: 10%, dirty_high: 20%, max_dirty_age: 90s,\n"
      "         ordered: journal}}\n"
      "  usual: {pool: p, size: 1GiB, cache: {device: c}}\n"));
  ASSERT_EQ(specs.size(), 3U);
  EXPECT_FALSE(specs[0].cache.has_value());

  ASSERT_TRUE(specs[1].cache.has_value());
  EXPECT_EQ(specs[1].cache->device, "c");
  EXPECT_EQ(specs[1].cache->mode, engine::CacheMode::write_through);
  EXPECT_EQ(specs[1].cache->guaranteed, 2_GiB);
  EXPECT_EQ(specs[1].cache->maximum, 3_GiB);
  EXPECT_EQ(specs[1].cache->dirty_low_percent, 10U);
  EXPECT_EQ(specs[1].cache->dirty_high_percent, 20U);
  EXPECT_EQ(specs[1].cache->max_dirty_age, std::chrono::seconds(90));
  EXPECT_EQ(specs[1].cache->ordered, engine::WriteBackOrder::journal);

  // The file's defaults are the engine's own.
  const VolumeCacheSpec made;
  ASSERT_TRUE(specs[2].cache.has_value());
  EXPECT_EQ(specs[2].cache->mode, made.mode);
  EXPECT_EQ(specs[2].cache->guaranteed, made.guaranteed);
  EXPECT_EQ(specs[2].cache->maximum, made.maximum);
  EXPECT_EQ(specs[2].cache->dirty_low_percent, made.dirty_low_percent);
  EXPECT_EQ(specs[2].cache->dirty_high_percent, made.dirty_high_percent);
  EXPECT_EQ(specs[2].cache->max_dirty_age, made.max_dirty_age);
  EXPECT_EQ(specs[2].cache->ordered, made.ordered);
}

}  // namespace
}  // namespace target
