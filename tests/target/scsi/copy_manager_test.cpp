#include "target/scsi/copy_manager.h"

#include "protocol/scsi/identity.h"
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
  EXPECT_EQ(copy(100, {{0, 1, 1, 0, 100}}).status, Status::busy);
  second.hold = false;
  while (!second.held().empty()) second.end_first();
  reactor.run_until_idle();
  for (const auto tag : tags) expect_good(host->answer(tag));
}

}  // namespace
}  // namespace target::scsi
