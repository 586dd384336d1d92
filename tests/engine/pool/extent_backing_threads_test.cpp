// A volume grows onto more members while several threads read and write it.
#include <gtest/gtest.h>

#include <atomic>
#include <cstring>
#include <thread>

#include "tests/engine/pool/extent_kit.h"

namespace engine {
namespace {

constexpr std::uint32_t threads = 3;
constexpr std::uint32_t grows = 12;
constexpr std::uint64_t units_each = 4;  // of each member

// Each thread has 4 KiB of every 16 KiB to itself, as far as the volume goes when it looks.
void use(ExtentBacking& device, std::uint32_t number, const std::atomic<bool>& stop) {
  MemoryBudget budget{4_MiB};
  SimLane lane(budget, number + 1);
  SeededRandom random(number + 1);
  std::vector<std::byte> out(4096);
  std::vector<std::byte> in(4096);
  const auto run = [&](BackingIo& io) { return run_to_end(device, lane, io); };
  while (!stop.load()) {
    const std::uint64_t places = device.size().value / 16384;
    const std::uint64_t offset = random.below(places) * 16384 + number * 4096;
    random.fill(out);
    BackingIo write{.kind = BackingIo::Kind::write, .offset = {offset}, .buffer = out};
    ASSERT_EQ(run(write), IoStatus::ok);
    BackingIo sync{.kind = BackingIo::Kind::sync};
    ASSERT_EQ(run(sync), IoStatus::ok);
    BackingIo read{.kind = BackingIo::Kind::read, .offset = {offset}, .buffer = in};
    ASSERT_EQ(run(read), IoStatus::ok);
    ASSERT_EQ(in, out);
  }
}

TEST(ExtentBackingThreads, GrowsUnderReadsWritesAndSyncs) {
  const ByteCount length{kit_data_offset.value + units_each * kit_slice.value};
  const auto disk_of = [length](std::uint32_t member) {
    std::vector<MemberDisk> disks;
    disks.push_back({.member = member, .disk = std::make_unique<SimBacking>(length, member + 1)});
    return disks;
  };
  PoolShape shape = linear_shape({units_each});
  shape.layout = format::MemberLayout::linear;
  const ExtentRun first{.volume_unit = 0, .pool_unit = 0, .count = units_each};
  ExtentMap map(shape, {&first, 1});
  ExtentBacking device(map, map.size(), disk_of(0));
  std::atomic<bool> stop{false};
  std::vector<std::thread> users;
  for (std::uint32_t number = 0; number < threads; ++number) {
    users.emplace_back([&device, number, &stop] { use(device, number, stop); });
  }
  for (std::uint32_t member = 1; member <= grows; ++member) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    const std::vector<std::uint64_t> more{units_each};
    map.add_members(more);
    const ExtentRun run{
        .volume_unit = member * units_each, .pool_unit = member * units_each, .count = units_each};
    map.append({&run, 1});
    device.grow(map, map.size(), disk_of(member));
    EXPECT_FALSE(device.needs_reopen());
  }
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  stop.store(true);
  for (std::thread& user : users) user.join();
  EXPECT_EQ(device.size().value, (grows + 1) * units_each * kit_slice.value);
}

}  // namespace
}  // namespace engine
