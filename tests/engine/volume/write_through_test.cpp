// Write-through: a write is answered when the pool has it, and the cache too.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <array>

#include "tests/engine/volume/cache_front_kit.h"
#include "tests/engine/volume/cached_engine_kit.h"

namespace engine {
namespace {

class WriteThrough : public CachedEngine {
 protected:
  VolumeSpec through(const std::string& name) {
    VolumeSpec spec = cached(name, 8_MiB);
    spec.cache->mode = CacheMode::write_through;
    return spec;
  }
  // The block's first byte, in the image.
  [[nodiscard]] int in_image(const std::string& name, std::uint64_t lba) const {
    const int image = ::open((directory + "/bulk/" + name + ".raw").c_str(), O_RDONLY);
    std::array<std::byte, 1> byte{};
    EXPECT_EQ(::pread(image, byte.data(), 1, static_cast<off_t>(lba * block)), 1);
    ::close(image);
    return std::to_integer<int>(byte[0]);
  }
};

INSTANTIATE_TEST_SUITE_P(Granularities, WriteThrough, testing::Values("PAGE", "CACHE_LINE"),
                         [](const auto& granularity) { return std::string(granularity.param); });

TEST_P(WriteThrough, WhatIsAnsweredIsInThePool) {
  Life life(*this, {through("db01"), cached("back", 8_MiB)}, {cache()});
  for (int value = 1; value <= 20; ++value) {
    const auto lba = static_cast<std::uint64_t>(value * 7);
    ASSERT_EQ(life.write("db01", lba, 3, value), IoStatus::ok);
    EXPECT_EQ(in_image("db01", lba + 2), value);
    EXPECT_EQ(life.read("db01", lba), value);
    ASSERT_EQ(life.write("back", lba, 3, value), IoStatus::ok);
    EXPECT_EQ(in_image("back", lba + 2), 0) << "write-back does not wait for its pool";
  }
}

TEST_P(WriteThrough, ManyAtOnceShareBatchesAndAllAreAnswered) {
  Life life(*this, {through("db01")}, {cache()});
  struct Request : VolumeIo {
    std::vector<std::byte> bytes;
    IoStatus status = IoStatus::cancelled;
    std::size_t* left = nullptr;
  };
  std::vector<Request> requests(256);
  std::size_t left = requests.size();
  for (std::size_t at = 0; at < requests.size(); ++at) {
    Request& request = requests[at];
    request.bytes.assign(block, static_cast<std::byte>(at));
    request.left = &left;
    request.kind = VolumeIo::Kind::write;
    request.lba = {at * 5};
    request.blocks = {1};
    request.data = request.bytes;
    request.done = [](VolumeIo& io, IoStatus status) noexcept {
      auto& ended = static_cast<Request&>(io);
      ended.status = status;
      --*ended.left;
    };
    life.engine->find("db01")->submit(*life.lane, request);
  }
  drive_until(*life.lane, [&left] { return left == 0; });
  for (std::size_t at = 0; at < requests.size(); ++at) {
    ASSERT_EQ(requests[at].status, IoStatus::ok);
    ASSERT_EQ(in_image("db01", at * 5), static_cast<int>(at % 256));
  }
}

class WriteThroughFront : public testing::TestWithParam<test::Media> {
 protected:
  WriteThroughFront() {
    life.front = std::make_unique<CacheFront>(life.cache, *life.volume, life.backing,
                                              BlockSize{512}, life.clock, CacheMode::write_through);
  }
  test::FrontLife life{GetParam()};
};

INSTANTIATE_TEST_SUITE_P(Media, WriteThroughFront,
                         testing::Values(test::Media::lines, test::Media::pages));

TEST_P(WriteThroughFront, AnswersBehindTheBackingsFlush) {
  test::FrontUpkeep upkeep(life);
  life.backing.inner.hold(true);
  const auto& write = life.submit(VolumeIo::Kind::write, 8, 8, 200);
  upkeep.work();
  while (life.backing.inner.held() > 0) {
    EXPECT_FALSE(write.has_ended);
    life.backing.inner.release_oldest();
    upkeep.work();
  }
  EXPECT_TRUE(write.has_ended);
  EXPECT_EQ(write.status, IoStatus::ok);
  EXPECT_EQ(life.backing.inner.disk().durable()[8 * 512], std::byte{200});
}

TEST_P(WriteThroughFront, GivesUpOnABackingThatHangsAndKeepsTheData) {
  {
    test::FrontUpkeep upkeep(life);
    life.backing.inner.hang(true);
    const auto& first = life.submit(VolumeIo::Kind::write, 8, 8, 200);
    upkeep.work();
    upkeep.tick(std::chrono::seconds(10));
    const auto& second = life.submit(VolumeIo::Kind::write, 24, 8, 201);
    upkeep.tick(std::chrono::seconds(9));
    EXPECT_FALSE(first.has_ended);
    // The marker beside it has answered for the second.
    upkeep.tick(std::chrono::seconds(6));
    EXPECT_TRUE(first.has_ended);
    EXPECT_EQ(first.status, IoStatus::unavailable) << "the host may ask again";
    EXPECT_FALSE(second.has_ended);
    life.backing.inner.hang(false);
    upkeep.work();
    EXPECT_TRUE(second.has_ended);
    EXPECT_EQ(second.status, IoStatus::ok);
    EXPECT_EQ(life.read(8, 1), std::vector<int>{200});
  }
  EXPECT_EQ(life.backing.inner.disk().durable()[8 * 512], std::byte{200});
  EXPECT_EQ(life.backing.inner.disk().durable()[24 * 512], std::byte{201});
}

}  // namespace
}  // namespace engine
