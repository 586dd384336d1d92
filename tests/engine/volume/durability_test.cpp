// P1: whatever a volume has acknowledged is there after power loss, whenever it comes.
#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "tests/engine/volume/volume_kit.h"
#include "tests/sim/rounds.h"

namespace engine {
namespace {

constexpr FileGeometry native_4k{.offset_alignment = 4096, .memory_alignment = 512, .direct = true};
constexpr FileGeometry native_512{.offset_alignment = 512, .memory_alignment = 512, .direct = true};
constexpr std::uint64_t disk_bytes = 128 << 10;

// What each block may hold. A value is written into all bytes of a block; 0 is what zeroing leaves.
struct BlockModel {
  std::uint8_t acknowledged = 0;
  std::vector<std::uint8_t> possible{
      0};  // acknowledged, or written since and not answered with success
};

struct Request : VolumeIo {
  std::vector<std::byte> bytes;
  std::uint8_t value = 0;
  std::map<std::uint64_t, BlockModel>* model = nullptr;
  bool* crashed = nullptr;
  std::size_t* open = nullptr;
  bool ended = false;
};

void request_done(VolumeIo& io, IoStatus status) noexcept {
  auto& request = static_cast<Request&>(io);
  request.ended = true;
  --*request.open;
  if (*request.crashed || status != IoStatus::ok) return;  // no promise; the value stays possible
  for (std::uint64_t at = 0; at < request.blocks.value; ++at) {
    BlockModel& block = (*request.model)[request.lba.value + at];
    block.acknowledged = request.value;
    block.possible = {request.value};
  }
}

struct Mutant {
  const char* name;
  void (*apply)(SimStack& stack, SimDisk& disk);
};

// One life of a disk: requests until a random moment, power loss, then every block is looked at.
// Returns what is wrong with the first bad block.
std::optional<std::string> run_until_crash(std::uint64_t seed, FileGeometry geometry,
                                           const Mutant* mutant) {
  SeededRandom random(seed);
  SimDisk disk({disk_bytes}, seed);
  const BlockSize block_size{random.chance(1, 2) ? 512U : 4096U};
  const std::uint64_t blocks = disk_bytes / block_size.bytes;
  std::map<std::uint64_t, BlockModel> model;
  bool crashed = false;
  std::size_t open = 0;
  std::deque<Request> requests;
  {
    SimStack stack(disk, geometry, block_size, seed);
    stack.lane().hold(true);
    if (random.chance(1, 3)) {
      stack.lane().shorten(3, random.chance(1, 2) ? 512 : geometry.offset_alignment);
    }
    if (mutant != nullptr) mutant->apply(stack, disk);
    const std::uint64_t steps = 5 + random.below(120);
    for (std::uint64_t step = 0; step < steps; ++step) {
      if (random.chance(1, 2)) {
        Request& request = requests.emplace_back();
        request.lba = {random.below(blocks)};
        request.blocks = {1 +
                          random.below(std::min<std::uint64_t>(16, blocks - request.lba.value))};
        // Requests that overlap are the caller's to order; here the later one is left out.
        bool overlaps = false;
        for (const Request& other : requests) {
          overlaps = overlaps || (&other != &request && !other.ended &&
                                  other.lba < request.lba + request.blocks &&
                                  request.lba < other.lba + other.blocks);
        }
        if (overlaps) {
          requests.pop_back();
          continue;
        }
        const std::uint64_t choice = random.below(8);
        request.kind = choice == 0   ? VolumeIo::Kind::write_zeroes
                       : choice == 1 ? VolumeIo::Kind::deallocate
                                     : VolumeIo::Kind::write;
        if (request.kind == VolumeIo::Kind::write) {
          request.value = static_cast<std::uint8_t>(1 + step % 255);
          request.bytes.assign(request.blocks.value * block_size.bytes,
                               static_cast<std::byte>(request.value));
          request.data = request.bytes;
        }
        request.model = &model;
        request.crashed = &crashed;
        request.open = &open;
        request.done = request_done;
        for (std::uint64_t at = 0; at < request.blocks.value; ++at) {
          model[request.lba.value + at].possible.push_back(request.value);
        }
        ++open;
        stack.volume().submit(stack.lane(), request);
      } else {
        stack.lane().release(1 + random.below(4));
      }
      stack.lane().submit();
      stack.lane().reap();
    }
    crashed = true;
    stack.lane().crash();
    if (open != 0) return "requests were lost";
  }
  for (const auto& [lba, block] : model) {
    // A byte by itself: a block of 4096 may be torn when its write was not acknowledged.
    const auto bytes = disk.durable().subspan(lba * block_size.bytes, block_size.bytes);
    const bool torn = std::memcmp(bytes.data(), bytes.data() + 1, bytes.size() - 1) != 0;
    for (std::uint64_t at = 0; at < (torn ? bytes.size() : 1); ++at) {
      const auto value = static_cast<std::uint8_t>(bytes[at]);
      if (std::find(block.possible.begin(), block.possible.end(), value) == block.possible.end()) {
        return "block " + std::to_string(lba) + " byte " + std::to_string(at) + " is " +
               std::to_string(value) + ", acknowledged was " + std::to_string(block.acknowledged);
      }
    }
  }
  return std::nullopt;
}

std::size_t count_failures(std::uint64_t lives, FileGeometry geometry, const Mutant* mutant) {
  std::size_t failures = 0;
  for (std::uint64_t seed = 1; seed <= lives; ++seed) {
    const auto wrong = run_until_crash(seed, geometry, mutant);
    if (!wrong) continue;
    ++failures;
    if (mutant == nullptr) {
      ADD_FAILURE() << *wrong << "\nseed " << seed
                    << "; again: engine_volume_test --gtest_filter=Durability.*";
      break;
    }
  }
  return failures;
}

FileGeometry by_sync(FileGeometry geometry) {
  geometry.durable_by_sync = true;
  return geometry;
}

TEST(Durability, AcknowledgedWritesSurvivePowerLossAtAnyMoment) {
  const unsigned lives = rounds(400);
  for (const auto& geometry : {native_512, native_4k, by_sync(native_512), by_sync(native_4k)}) {
    EXPECT_EQ(count_failures(lives, geometry, nullptr), 0U);
  }
}

// The guard switched off, each in its way: the test above must notice every one.
TEST(Durability, EachMissingGuardIsNoticed) {
  const Mutant mutants[] = {
      {"RWF_DSYNC and fdatasync are forgotten",
       [](SimStack& stack, SimDisk&) { stack.lane().forget_durability(true); }},
      {"the disk lies about flushes", [](SimStack&, SimDisk& disk) { disk.lie_about_syncs(true); }},
  };
  for (const Mutant& mutant : mutants) {
    for (const auto& geometry : {native_512, native_4k, by_sync(native_512)}) {
      const std::size_t failures = count_failures(rounds(200), geometry, &mutant);
      EXPECT_GT(failures, rounds(100)) << mutant.name;
    }
  }
}

// Stands between volume and device and drops what the volume asked for.
class ForgetfulBacking final : public BackingDevice {
 public:
  explicit ForgetfulBacking(std::unique_ptr<BackingDevice> below) : below_(std::move(below)) {}
  [[nodiscard]] ByteCount size() const override { return below_->size(); }
  void submit(IoLane& lane, BackingIo& io) override {
    io.durable = false;
    below_->submit(lane, io);
  }

 private:
  std::unique_ptr<BackingDevice> below_;
};

std::size_t acknowledged_writes_lost(bool forgetful) {
  std::size_t lost = 0;
  for (std::uint64_t seed = 1; seed <= 100; ++seed) {
    SimDisk disk({disk_bytes}, seed);
    MemoryBudget budget(16_MiB);
    SimLane lane(budget, seed);
    std::unique_ptr<BackingDevice> device = std::make_unique<FileDevice>(
        OpenFile::borrowed(lane.attach(disk), native_512), disk.size(), IoSource{});
    if (forgetful) device = std::make_unique<ForgetfulBacking>(std::move(device));
    BackedVolume volume({.name = "sim", .uuid = {}, .block_size = {512}}, {disk_bytes / 512}, "");
    volume.go_online(std::move(device), some_uuid, {disk_bytes / 512}, {});
    std::vector<std::byte> bytes(512, std::byte{0x77});
    EXPECT_EQ(run(volume, lane, VolumeIo::Kind::write, 5, 1, bytes), IoStatus::ok);
    lane.crash();
    lost += disk.durable()[5 * 512] != std::byte{0x77};
  }
  return lost;
}

TEST(Durability, DroppedDurableFlagBetweenVolumeAndDeviceIsNoticed) {
  EXPECT_EQ(acknowledged_writes_lost(/*forgetful=*/false), 0U);
  EXPECT_GT(acknowledged_writes_lost(/*forgetful=*/true), 20U);
}

TEST(Durability, NothingIsAcknowledgedAfterAFailedFlushUntilReopen) {
  for (const bool syncs : {false, true}) {
    SimDisk disk({disk_bytes}, 1);
    SimStack stack(disk, syncs ? by_sync(native_512) : native_512, {512}, 1);
    std::vector<std::byte> bytes(4096, std::byte{1});
    const auto failing = syncs ? FileOperation::Kind::sync : FileOperation::Kind::write_durable;
    stack.lane().fail_next(failing, EIO);  // once: the kernel reports a lost page once
    EXPECT_NE(run(stack.volume(), stack.lane(), VolumeIo::Kind::write, 0, 8, bytes), IoStatus::ok);
    EXPECT_EQ(stack.volume().state(), VolumeState::failed);
    EXPECT_NE(stack.volume().condition().reason, "");
    for (const auto kind :
         {VolumeIo::Kind::write, VolumeIo::Kind::write_zeroes, VolumeIo::Kind::deallocate}) {
      EXPECT_EQ(run(stack.volume(), stack.lane(), kind, 0, 8,
                    kind == VolumeIo::Kind::write ? std::span(bytes) : std::span<std::byte>()),
                IoStatus::unavailable);
    }
    EXPECT_EQ(run(stack.volume(), stack.lane(), VolumeIo::Kind::flush, 0, 0),
              IoStatus::sync_failed);
    EXPECT_EQ(run(stack.volume(), stack.lane(), VolumeIo::Kind::read, 0, 8, bytes), IoStatus::ok);

    ASSERT_TRUE(stack.device().reopen(OpenFile::borrowed(1001, stack.device().geometry())));
    stack.volume().recover(stack.volume().size(), {});
    EXPECT_EQ(stack.volume().state(), VolumeState::online);
    EXPECT_EQ(run(stack.volume(), stack.lane(), VolumeIo::Kind::write, 0, 8, bytes), IoStatus::ok);
    EXPECT_EQ(run(stack.volume(), stack.lane(), VolumeIo::Kind::flush, 0, 0), IoStatus::ok);
  }
}

}  // namespace
}  // namespace engine
