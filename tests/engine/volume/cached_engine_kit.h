// An Engine with caches in front of its pools, over real files, as a daemon would run it again and
// again.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "engine/cache/format_cache.h"
#include "engine/media/open_pmem.h"
#include "engine/media/uring_lane.h"
#include "engine/pool/file_pool.h"
#include "engine/volume/engine.h"
#include "tests/engine/test_directory.h"
#include "tests/engine/volume/volume_kit.h"

namespace engine {

// In both granularities: pages of an ordinary file, and cache lines as tmpfs emulates them.
class CachedEngine : public testing::TestWithParam<const char*> {
 protected:
  // Generous: it only ends a test that would hang.
  static constexpr Duration patience = std::chrono::seconds(120);
  static constexpr std::uint32_t block = 4096;
  static constexpr Duration soon = std::chrono::milliseconds(100);

  CachedEngine() {
    ::setenv("PMEM2_FORCE_GRANULARITY", GetParam(), 1);
    std::filesystem::create_directory(directory + "/bulk");
    EXPECT_TRUE(init_file_pool(directory + "/bulk"));
    cache_uuid = make_cache("pmem0");
  }
  ~CachedEngine() override { ::unsetenv("PMEM2_FORCE_GRANULARITY"); }

  const TestDirectory place{"cached-engine-test"};
  const std::string directory = place.path();
  Uuid cache_uuid;  // of pmem0

  [[nodiscard]] bool in_pages() const { return std::string(GetParam()) == "PAGE"; }
  [[nodiscard]] std::string path_of(const std::string& name) const {
    return directory + "/" + name;
  }
  // `segment_bytes`: 0: what fits the size.
  Uuid make_cache(const std::string& name, ByteCount size = 32_MiB,
                  std::uint32_t segment_bytes = 0) const {
    EXPECT_TRUE(create_pmem_file(path_of(name), size));
    auto region = open_pmem_region(path_of(name), {});
    EXPECT_TRUE(region);
    FormatOptions options;
    options.uuid = Uuid::random();
    options.payload_crc = true;
    options.layout.segment_bytes = segment_bytes;
    EXPECT_TRUE(format_cache(*region.value(), options));
    return options.uuid;
  }
  // While nothing runs: the thing itself, and everything in it.
  void move(const std::string& from, const std::string& to) const {
    std::filesystem::rename(path_of(from), path_of(to));
  }
  void copy(const std::string& from, const std::string& to) const {
    std::filesystem::remove_all(path_of(to));
    std::filesystem::copy(path_of(from), path_of(to), std::filesystem::copy_options::recursive);
  }
  // What the pool has written down of the volume's cache.
  [[nodiscard]] CacheBinding binding(const std::string& volume) const {
    auto pool = FilePool::open(directory + "/bulk");
    EXPECT_TRUE(pool);
    for (const VolumeRecord& record : pool.value()->volumes()) {
      if (record.name == volume) return record.cache;
    }
    ADD_FAILURE() << "no volume " << volume;
    return {};
  }

  [[nodiscard]] virtual PoolSpec pool() const {
    return {
        .name = "bulk", .kind = PoolSpec::Kind::file, .directory = directory + "/bulk", .uuid = {}};
  }
  [[nodiscard]] CacheSpec cache(const std::string& name = "pmem0") const {
    return {.name = name, .path = path_of(name)};
  }
  // What it holds stays dirty for longer than any test, unless `age` says otherwise.
  static VolumeSpec cached(const std::string& name, ByteCount size,
                           const std::string& device = "pmem0",
                           Duration age = std::chrono::hours(1)) {
    return {.name = name,
            .pool = "bulk",
            .size = size,
            .block_size = {block},
            .cache = VolumeCacheSpec{.device = device, .max_dirty_age = age}};
  }
  static VolumeSpec direct(const std::string& name, ByteCount size) {
    return {.name = name, .pool = "bulk", .size = size, .block_size = {block}};
  }

  // One run of a daemon; ends well, with its lanes gone before the engine.
  struct Life {
    Life(const CachedEngine& test, std::vector<VolumeSpec> volumes, std::vector<CacheSpec> caches)
        : engine(Engine::open({test.pool()}, std::move(volumes),
                              {.caches = std::move(caches), .memory = &budget})) {}
    ~Life() {
      finish(*lane);
      EXPECT_TRUE(engine->stop(patience));
    }

    IoStatus write(const std::string& name, std::uint64_t lba, std::uint64_t blocks, int value) {
      std::vector<std::byte> data(blocks * block, static_cast<std::byte>(value));
      return run(*engine->find(name), *lane, VolumeIo::Kind::write, lba, blocks, data);
    }
    // The value that the block was written with, or minus the status.
    int read(const std::string& name, std::uint64_t lba) {
      std::vector<std::byte> data(block);
      const IoStatus status = run(*engine->find(name), *lane, VolumeIo::Kind::read, lba, 1, data);
      if (status != IoStatus::ok) return -static_cast<int>(status);
      return std::to_integer<int>(data.back());
    }
    [[nodiscard]] VolumeCondition condition(const std::string& name) const {
      return engine->find(name)->condition();
    }
    [[nodiscard]] std::string reason(const std::string& name) const {
      return condition(name).reason;
    }
    // What findings() say of it, or nothing.
    [[nodiscard]] std::string finding(Finding::About about, const std::string& name) const {
      std::string all;
      for (const Finding& one : engine->findings()) {
        if (one.about == about && one.name == name) all += one.text;
      }
      return all;
    }
    void retry() const {
      engine->retry_now();
      EXPECT_TRUE(engine->settle(patience));
    }
    template <class Condition>
    [[nodiscard]] static bool wait_for(const Condition& condition) {
      const auto deadline = std::chrono::steady_clock::now() + patience;
      while (!condition()) {
        if (std::chrono::steady_clock::now() > deadline) return false;
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
      }
      return true;
    }
    // With `soon` as the age of what is dirty: nothing is any more, for certain.
    void wait_until_clean() const {
      std::this_thread::sleep_for(5 * soon);
      EXPECT_TRUE(wait_for([this] { return engine->caches()[0].dirty == ByteCount{}; }));
      std::this_thread::sleep_for(5 * soon);
    }
    Result<void, std::string> grow(const std::string& name, ByteCount size) const {
      std::promise<Result<void, std::string>> promise;
      engine->grow(name, size, [&promise](auto result) { promise.set_value(std::move(result)); });
      auto grown = promise.get_future();
      if (grown.wait_for(patience) != std::future_status::ready) return std::string("it hangs");
      return grown.get();
    }

    // What the engine answers when db01 is to go on without the cache; empty: done.
    // `left`: what it says is left of the volume.
    [[nodiscard]] std::string give_up_cache(const Uuid& cache, std::string* left = nullptr) const {
      std::promise<Result<WhatIsLeft, std::string>> promise;
      engine->abandon_cache("db01", cache,
                            [&promise](auto result) { promise.set_value(std::move(result)); });
      const auto result = promise.get_future().get();
      if (result && left != nullptr) *left = result.value().text;
      return result ? std::string() : result.error();
    }

    MemoryBudget budget{64_MiB};
    std::unique_ptr<Engine> engine;
    std::unique_ptr<UringLane> lane = std::move(UringLane::create(budget).value());
  };
};

inline bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace engine
