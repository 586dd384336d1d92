#include "engine/media/memory_device.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <span>
#include <thread>
#include <vector>

#include "tests/engine/media/backing_kit.h"
#include "tests/sim/rounds.h"

namespace engine {
namespace {

using Kind = BackingIo::Kind;

TEST(MemoryDevice, EndsInsideSubmit) {
  MemoryKit kit(1_MiB);
  std::vector<std::byte> buffer(4096);
  bool ended = false;
  BackingIo io{.kind = Kind::read};
  io.buffer = buffer;
  io.context = &ended;
  io.done = [](BackingIo& done, IoStatus) noexcept { *static_cast<bool*>(done.context) = true; };
  kit.device().submit(kit.lane(), io);
  EXPECT_TRUE(ended);
}

// As a disk: each block is the old or the new one, however many write and read it.
TEST(MemoryDevice, AReadBesideWritesSeesNoTornBlock) {
  MemoryKit kit(1_MiB);
  std::atomic<bool> stop{false};
  const auto submit = [&kit](Kind kind, std::span<std::byte> data) {
    BackingIo io{.kind = kind};
    io.buffer = data;
    io.done = [](BackingIo&, IoStatus) noexcept {};
    kit.device().submit(kit.lane(), io);
  };
  std::thread writer([&] {
    std::vector<std::byte> data(64 << 10);
    for (unsigned char version = 1; !stop; ++version) {
      std::ranges::fill(data, std::byte{version});
      submit(Kind::write, data);
    }
  });
  std::vector<std::byte> seen(64 << 10);
  const unsigned reads = rounds(5000);
  for (unsigned read = 0; read < reads; ++read) {
    submit(Kind::read, seen);
    for (std::size_t block = 0; block < seen.size(); block += 4096) {
      const auto bytes = std::span(seen).subspan(block, 4096);
      EXPECT_TRUE(std::ranges::all_of(bytes, [&](std::byte b) { return b == bytes[0]; })) << block;
    }
    if (testing::Test::HasFailure()) break;
  }
  stop = true;
  writer.join();
}

TEST(MemoryDevice, FarMoreThanTheMachineHasCostsNothingUntilWritten) {
  // Sanitizers leave programs less than a terabyte or two of addresses.
  constexpr std::uint64_t size = std::uint64_t{256} << 30;
  MemoryKit kit({size});
  std::vector<std::byte> out(4096, std::byte{9});
  std::vector<std::byte> in(4096);
  const std::uint64_t far = size - 4096;
  EXPECT_EQ(kit.run(Kind::write, far, out), IoStatus::ok);
  EXPECT_EQ(kit.run(Kind::read, far, in), IoStatus::ok);
  EXPECT_EQ(in, out);
  EXPECT_EQ(kit.run(Kind::discard, 0, {}, size), IoStatus::ok);
  EXPECT_EQ(kit.run(Kind::read, far, in), IoStatus::ok);
  EXPECT_EQ(in, std::vector<std::byte>(4096));
}

TEST(MemoryDevice, GrownDeviceIsOneRangeAcrossItsParts) {
  MemoryKit kit(4_KiB);
  for (std::uint64_t pages = 2; pages <= 64; ++pages) {
    ASSERT_TRUE(kit.device().grow({pages * 4096}));
  }
  EXPECT_FALSE(kit.device().grow({65 * 4096}));
  EXPECT_FALSE(kit.device().grow(4_KiB));
  std::vector<std::byte> out(64 * 4096 - 1024);
  SeededRandom random(1);
  random.fill(out);
  ASSERT_EQ(kit.run(Kind::write, 512, out), IoStatus::ok);
  std::vector<std::byte> in(out.size());
  ASSERT_EQ(kit.run(Kind::read, 512, in), IoStatus::ok);
  EXPECT_EQ(in, out);
  ASSERT_EQ(kit.run(Kind::zero_range, 1024, {}, 32 * 4096), IoStatus::ok);
  ASSERT_EQ(kit.run(Kind::read, 512, in), IoStatus::ok);
  std::fill_n(out.begin() + 512, 32 * 4096, std::byte{0});
  EXPECT_EQ(in, out);
}

}  // namespace
}  // namespace engine
