#include "target/scsi/copy_manager.h"

#include "protocol/scsi/identity.h"
#include "tests/target/nvmf/manual_clock.h"
#include "tests/target/scsi/nexus_kit.h"

namespace target::scsi {
namespace {

using Kind = engine::VolumeIo::Kind;

struct Segment {
  int from;
  int to;
  std::uint16_t blocks;
  std::uint64_t from_lba;
  std::uint64_t to_lba;
};

class CopyManagerTest : public NexusTest {
 protected:
  explicit CopyManagerTest(const engine::Clock* clock = nullptr) : NexusTest(clock) {}

  // Targets 0 and 1 are the two volumes, 2 is none that is here.
  std::vector<std::byte> list(std::uint8_t id, const std::vector<Segment>& segments) const {
    std::vector<std::byte> made(16);
    made[0] = std::byte{id};
    engine::Uuid stranger;
    stranger.bytes.fill(std::byte{0x99});
    for (const auto& uuid : {first.identity().uuid, second.identity().uuid, stranger}) {
      std::vector<std::byte> target(32);
      target[0] = std::byte{0xe4};
      target[4] = std::byte{1};  // binary
      target[5] = std::byte{3};  // NAA, of the unit
      const auto naa = protocol::scsi::naa_of(uuid);
      target[7] = static_cast<std::byte>(naa.size());
      std::copy(naa.begin(), naa.end(), target.begin() + 8);
      target[30] = std::byte{block_bytes >> 8};
      made.insert(made.end(), target.begin(), target.end());
    }
    for (const Segment& segment : segments) {
      std::vector<std::byte> bytes(28);
      const auto put = [&](std::size_t at, std::size_t count, std::uint64_t value) {
        for (std::size_t i = 0; i < count; ++i) {
          bytes[at + i] = static_cast<std::byte>(value >> (8 * (count - 1 - i)));
        }
      };
      put(0, 1, 2);
      put(2, 2, 24);
      put(4, 2, static_cast<std::uint64_t>(segment.from));
      put(6, 2, static_cast<std::uint64_t>(segment.to));
      put(10, 2, segment.blocks);
      put(12, 8, segment.from_lba);
      put(20, 8, segment.to_lba);
      made.insert(made.end(), bytes.begin(), bytes.end());
    }
    made[3] = std::byte{3 * 32};
    const std::size_t all = segments.size() * 28;
    made[10] = static_cast<std::byte>(all >> 8);
    made[11] = static_cast<std::byte>(all);
    return made;
  }
  static CdbBytes extended_copy(std::size_t bytes) {
    CdbBytes made = cdb({0x83});
    put_be(made, 10, 4, bytes);
    return made;
  }
  std::uint32_t start(std::uint8_t id, const std::vector<Segment>& segments) {
    const auto data = list(id, segments);
    return host->start_write(extended_copy(data.size()), data);
  }
  FakeTaskPort::Answer copy(std::uint8_t id, const std::vector<Segment>& segments) {
    return host->answer(start(id, segments));
  }
  FakeTaskPort::Answer results(int action, int id) {
    CdbBytes bytes = cdb({0x84, action, id});
    put_be(bytes, 10, 4, 255);
    return host->run_read(bytes, 255);
  }
  std::unique_ptr<Session> host = connect();
};

TEST_F(CopyManagerTest, SegmentsAreCopiedInOrder) {
  first.fill(0, 2000, 0x31);
  first.fill(1999, 1, 0x32);
  expect_good(copy(1, {{0, 1, 2000, 0, 100}, {1, 0, 1, 2099, 5000}}));
  EXPECT_EQ(second.block(99)[0], std::byte{0});
  EXPECT_EQ(second.block(100)[0], std::byte{0x31});
  EXPECT_EQ(second.block(2099)[511], std::byte{0x32});
  EXPECT_EQ(second.block(2100)[0], std::byte{0});
  EXPECT_EQ(first.block(5000)[0], std::byte{0x32});
  EXPECT_EQ(first_block.buffers().held() + second_block.buffers().held(), 0U);
  EXPECT_TRUE(second_block.write_order().idle());
  EXPECT_LE(second.longest_request_blocks, 512U);
}

TEST_F(CopyManagerTest, WhatCannotBeCopiedIsAborted) {
  expect_sense(copy(1, {{0, 2, 1, 0, 0}}), sense::copy_target_not_reachable);
  expect_sense(copy(1, {{0, 7, 1, 0, 0}}), sense::copy_target_not_reachable);
  const auto beyond = copy(1, {{0, 1, 2, volume_blocks - 1, 0}});
  ASSERT_TRUE(beyond.sense);
  EXPECT_EQ(beyond.sense->key, protocol::scsi::SenseKey::copy_aborted);
  EXPECT_TRUE(first.seen.empty());
  first.bad_blocks = {3};
  expect_sense(copy(1, {{0, 1, 8, 0, 0}}), sense::copy_third_party_failure);
  EXPECT_EQ(first_block.buffers().held() + second_block.buffers().held(), 0U);
  EXPECT_TRUE(second_block.write_order().idle());
}

// What sg_xcopy of sg3-utils 1.46 sends: one list of 16, 2 times 32 and 28 bytes, as the operating
// parameters let it: an identifier that need not be kept, as no data is held; the first designator
// of type NAA; blocks counted by the source, or with dc=1 by the destination.
TEST_F(CopyManagerTest, WhatSgXcopySendsIsCopied) {
  const auto parameters = results(3, 0).data;
  ASSERT_GE(parameters.size(), 46U);
  EXPECT_EQ(be(parameters, 0, 4), parameters.size() - 4);
  EXPECT_GE(be(parameters, 8, 2), 2U) << "target descriptors";
  EXPECT_GE(be(parameters, 10, 2), 1U) << "segments";
  EXPECT_GE(be(parameters, 12, 4), 92U) << "bytes of descriptors";
  EXPECT_GE(be(parameters, 16, 4), 128U * block_bytes) << "a segment";
  EXPECT_EQ(be(parameters, 24, 4), 0U) << "held data";
  EXPECT_EQ(parameters[37], std::byte{0}) << "granularity: a byte";
  const auto types = std::span(parameters).subspan(44);
  for (const std::byte needed : {std::byte{0x02}, std::byte{0xe4}}) {
    EXPECT_NE(std::find(types.begin(), types.end(), needed), types.end());
  }
  const auto designator_of = [&](std::uint16_t lun) {
    const auto page = host->run_read(inquiry(0x83), 1024, lun).data;
    for (std::size_t at = 4; at + 4 <= page.size(); at += 4 + be(page, at + 3, 1)) {
      if ((page[at + 1] & std::byte{0x0f}) == std::byte{3}) {
        return std::vector<std::byte>(
            page.begin() + static_cast<std::ptrdiff_t>(at),
            page.begin() + static_cast<std::ptrdiff_t>(at + 4 + be(page, at + 3, 1)));
      }
    }
    return std::vector<std::byte>();
  };
  first.fill(0, 128, 0x77);
  for (const int flags : {0, 2, 1}) {  // none, DC, CAT
    SCOPED_TRACE(flags);
    std::vector<std::byte> data(16 + 2 * 32 + 28);
    data[0] = std::byte{1};
    data[1] = std::byte{2 << 3 | 1};  // discard; priority 1
    data[3] = std::byte{64};
    data[11] = std::byte{28};
    for (const std::uint16_t lun : {std::uint16_t{0}, std::uint16_t{1}}) {
      const std::size_t at = 16U + 32U * lun;
      const auto designator = designator_of(lun);
      ASSERT_EQ(designator.size(), 20U);
      data[at] = std::byte{0xe4};
      std::copy(designator.begin(), designator.end(),
                data.begin() + static_cast<std::ptrdiff_t>(at + 4));
      data[at + 4] &= std::byte{0x1f};
      data[at + 28] = std::byte{0x04};  // PAD
      data[at + 30] = std::byte{block_bytes >> 8};
    }
    data[80] = std::byte{0x02};
    data[81] = static_cast<std::byte>(flags);
    data[83] = std::byte{0x18};
    data[87] = std::byte{1};
    data[91] = std::byte{128};
    const std::uint64_t to = 1000U * static_cast<std::uint64_t>(flags + 1);
    data[106] = static_cast<std::byte>(to >> 8);
    data[107] = static_cast<std::byte>(to);
    expect_good(host->run_write(extended_copy(data.size()), data));
    EXPECT_EQ(second.block(to)[0], std::byte{0x77});
    EXPECT_EQ(second.block(to + 127)[511], std::byte{0x77});
    EXPECT_EQ(second.block(to + 128)[0], std::byte{0});
  }
  expect_sense(results(0, 1), sense::invalid_field_in_cdb);
}

// 02h counts blocks of the source, or with DC of the destination; what does not come out even is
// no copy.
TEST_F(CopyManagerTest, BlocksOfTwoSizesMustComeOutEven) {
  ScsiVolume large{"large", 0x33, 4096, 256};
  block::BlockVolume large_block{large};
  ASSERT_TRUE(device->add_lun({.lun = 2, .volume = &large_block, .initiators = {}}));
  (void)host->take_attentions(0);
  (void)host->take_attentions(2);
  const auto copy_to_large = [&](std::uint16_t count, bool by_destination) {
    auto data = list(9, {{0, 1, count, 0, 1}});
    const auto naa = protocol::scsi::naa_of(large.identity().uuid);
    std::copy(naa.begin(), naa.end(), data.begin() + 16 + 32 + 8);
    if (by_destination) data[16 + 96 + 1] = std::byte{2};
    return host->run_write(extended_copy(data.size()), data);
  };
  first.fill(0, 64, 0x44);
  expect_good(copy_to_large(8, false));
  EXPECT_EQ(large.block(1)[4095], std::byte{0x44});
  EXPECT_EQ(large.block(2)[0], std::byte{0});
  expect_good(copy_to_large(8, true));
  EXPECT_EQ(large.block(8)[4095], std::byte{0x44});
  expect_sense(copy_to_large(9, false), sense::inexact_copy_segment);
  ASSERT_TRUE(device->remove_lun(2));
  (void)host->take_attentions(0);
}

TEST_F(CopyManagerTest, ReservationsOfOthersAreRespected) {
  const auto other = connect("iqn.2026-11.net.example:other");
  expect_good(other->run_none(cdb({0x16}), 1));
  expect_sense(copy(1, {{0, 1, 1, 0, 0}}), sense::copy_third_party_failure);
  EXPECT_TRUE(second.seen.empty());
}

TEST_F(CopyManagerTest, WhatHasBecomeOfACopyCanBeAsked) {
  expect_sense(results(0, 5), sense::invalid_field_in_cdb);
  expect_good(copy(5, {{0, 1, 4, 0, 0}, {0, 1, 4, 8, 8}}));
  const auto status = results(0, 5);
  expect_good(status);
  ASSERT_EQ(status.data.size(), 12U);
  EXPECT_EQ(status.data[4] & std::byte{0x7f}, std::byte{1});
  EXPECT_EQ(be(status.data, 5, 2), 2U);
  EXPECT_EQ(be(status.data, 8, 4), 8U * block_bytes);
  (void)copy(6, {{0, 2, 1, 0, 0}});
  EXPECT_EQ(results(0, 6).data[4] & std::byte{0x7f}, std::byte{2});
  expect_good(results(4, 6));
  expect_good(results(3, 0));
}

TEST_F(CopyManagerTest, ACopyUnderWayIsAbortedBetweenItsPieces) {
  second.hold = true;
  const auto tag = start(1, {{0, 1, 4000, 0, 0}});
  reactor.run_until_idle();
  ASSERT_EQ(second.held().size(), 1U);
  EXPECT_EQ(host->manage(
                {.function = ManagementFunction::abort_task, .lun = Lun::of_unit(0), .tag = tag}),
            std::nullopt);
  second.hold = false;
  second.end_first();
  EXPECT_EQ(host->managed(), ManagementResponse::complete);
  EXPECT_TRUE(host->port.was_dropped(tag));
  EXPECT_EQ(second.seen.size(), 1U);
  EXPECT_TRUE(second_block.write_order().idle());
  EXPECT_EQ(second_block.buffers().held(), 0U);
}

TEST_F(CopyManagerTest, ACopyThatWaitsForAWriteIsTakenBack) {
  second.hold = true;
  const auto write = host->start_write(write16(0, 8), pattern(8, 1), 1);
  const auto tag = start(1, {{0, 1, 16, 0, 0}});
  reactor.run_until_idle();
  EXPECT_EQ(host->manage(
                {.function = ManagementFunction::abort_task, .lun = Lun::of_unit(0), .tag = tag}),
            ManagementResponse::complete);
  EXPECT_TRUE(host->port.was_dropped(tag));
  second.hold = false;
  second.end_first();
  expect_good(host->answer(write));
  expect_good(copy(1, {{0, 1, 16, 0, 0}}));
}

// The transport counts a task's buffer towards the volume of its logical unit.
TEST_F(CopyManagerTest, ACopyLeavesItsTaskWithItsOwnVolume) {
  second.hold = true;
  const auto data = list(1, {{0, 1, 4, 0, 0}});
  Task& task = host->port.task(900, data);
  task.cdb = extended_copy(data.size());
  task.direction = DataDirection::from_host;
  task.expected_bytes = static_cast<std::uint32_t>(data.size());
  host->nexus->execute(TaskPermit(task));
  reactor.run_until_idle();
  EXPECT_EQ(task.request.volume, &first_block);
  second.hold = false;
  second.end_first();
  expect_good(host->answer(900));
  EXPECT_EQ(task.request.volume, &first_block);
}

TEST_F(CopyManagerTest, NoMoreThanAFewCopyAtOnce) {
  second.hold = true;
  std::vector<std::uint32_t> tags;
  for (std::uint8_t i = 0; i < CopyManager::most_copies; ++i) {
    tags.push_back(start(i, {{0, 1, 1, 0, i}}));
  }
  EXPECT_EQ(copy(100, {{0, 1, 1, 0, 100}}).status, Status::task_set_full);
  second.hold = false;
  while (!second.held().empty()) second.end_first();
  reactor.run_until_idle();
  for (const auto tag : tags) expect_good(host->answer(tag));
}

// Of 1 MiB, which is four pieces: each counts as a read of the one volume and a write of the other.
struct Timed {
  nvmf::ManualClock clock;
};
class LimitedCopy : private Timed, public CopyManagerTest {
 protected:
  LimitedCopy() : CopyManagerTest(&(Timed::clock)) {}
  void limit(block::BlockVolume& volume, const block::VolumeLimits& limits) {
    volume.limiter().set_limits(limits, clock.now());
  }
  void pass(engine::Duration time) {
    clock.advance(time);
    for (int i = 0; i < 2; ++i) reactor.run_until_idle();
  }
  [[nodiscard]] bool answered(std::uint32_t tag) const {
    return host->port.answer_to(tag) != nullptr;
  }
};

TEST_F(LimitedCopy, EachPieceWaitsForBothVolumes) {
  using namespace std::chrono_literals;
  first.fill(0, 2048, 0x31);
  limit(first_block, {.read_commands = 100});
  limit(second_block, {.write_bytes = 1U << 20});
  const auto tag = start(1, {{0, 1, 2048, 0, 0}});
  reactor.run_until_idle();
  EXPECT_EQ(second.block(511)[0], std::byte{0x31});
  for (int piece = 2; piece <= 4; ++piece) {
    EXPECT_FALSE(answered(tag));
    EXPECT_EQ(first_block.buffers().held() + second_block.buffers().held(), 0U);
    EXPECT_TRUE(second_block.write_order().idle());
    pass(10ms);
    pass(240ms);
  }
  expect_good(host->answer(tag));
  EXPECT_EQ(second.block(2047)[0], std::byte{0x31});
  // Later reads find what was not used while their writes waited.
  EXPECT_EQ(first_block.limiter().counts().reads, 1U);
  EXPECT_EQ(second_block.limiter().counts().writes, 3U);
}

TEST_F(LimitedCopy, OneThatWaitsForEitherVolumeIsAborted) {
  for (const bool reads_wait : {true, false}) {
    limit(first_block, {.read_commands = reads_wait ? 10U : 0U});
    limit(second_block, {.write_commands = reads_wait ? 0U : 10U});
    const auto tag = start(1, {{0, 1, 2048, 0, 0}});
    reactor.run_until_idle();
    EXPECT_EQ(host->manage({.function = ManagementFunction::abort_task, .lun = {}, .tag = tag}),
              ManagementResponse::complete);
    EXPECT_TRUE(host->port.was_dropped(tag));
    EXPECT_FALSE(first_block.limiter().is_holding() || second_block.limiter().is_holding());
  }
}

}  // namespace
}  // namespace target::scsi
