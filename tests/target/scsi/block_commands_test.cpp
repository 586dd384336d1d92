#include "target/scsi/block_commands.h"

#include <numeric>

#include "target/scsi/data_phase.h"
#include "target/scsi/unit_limits.h"
#include "tests/target/scsi/nexus_kit.h"

namespace target::scsi {
namespace {

using engine::IoStatus;
using Kind = engine::VolumeIo::Kind;

class BlockCommandsTest : public NexusTest {
 protected:
  std::unique_ptr<Session> host = connect();
};

TEST_F(BlockCommandsTest, ReadReturnsWhatWasWritten) {
  expect_good(host->run_write(write16(7, 3), pattern(3, 0xab)));
  const auto answer = host->run_read(read16(6, 5), 5 * block_bytes);
  expect_good(answer);
  ASSERT_EQ(answer.data.size(), 5 * block_bytes);
  EXPECT_EQ(answer.data[block_bytes - 1], std::byte{0});
  EXPECT_EQ(answer.data[block_bytes], std::byte{0xab});
  EXPECT_EQ(answer.data[4 * block_bytes], std::byte{0});
  EXPECT_EQ(answer.command_bytes, 5 * block_bytes);
  const TaskCounts counts = host->nexus->counts();
  EXPECT_EQ(counts.read_commands, 1U);
  EXPECT_EQ(counts.write_commands, 1U);
  EXPECT_EQ(counts.bytes_read, 5 * block_bytes);
  EXPECT_EQ(counts.bytes_written, 3 * block_bytes);
}

TEST_F(BlockCommandsTest, EveryLengthOfReadAndWriteCdbMeansTheSame) {
  CdbBytes write10 = cdb({0x2a, 0, 0, 0, 0, 9, 0, 0, 2});
  expect_good(host->run_write(write10, pattern(2, 0x10)));
  EXPECT_EQ(first.block(10)[0], std::byte{0x10});
  CdbBytes write12 = cdb({0xaa, 0, 0, 0, 0, 11, 0, 0, 0, 1});
  expect_good(host->run_write(write12, pattern(1, 0x12)));
  EXPECT_EQ(first.block(11)[0], std::byte{0x12});
  // A length of 0 in 6 bytes means 256 (SBC-3, READ (6)).
  const auto read6 = host->run_read(cdb({0x08, 0, 0, 9, 0}), 256 * block_bytes);
  ASSERT_EQ(read6.data.size(), 256 * block_bytes);
  EXPECT_EQ(read6.data[0], std::byte{0x10});
  EXPECT_EQ(read6.data[2 * block_bytes], std::byte{0x12});
}

TEST_F(BlockCommandsTest, WhatTheHostExpectsCutsAReadAndNothingElse) {
  first.fill(0, 4, 0x5a);
  const auto none = host->run_none(read16(0, 1));
  expect_good(none);
  EXPECT_EQ(none.command_bytes, block_bytes);
  const auto part = host->run_read(read16(0, 2), block_bytes + 200);
  expect_good(part);
  EXPECT_EQ(part.data.size(), block_bytes + 200);
  EXPECT_EQ(part.command_bytes, 2 * block_bytes);
  const auto more = host->run_read(read16(0, 1), 10000);
  EXPECT_EQ(more.data.size(), block_bytes);
  EXPECT_EQ(more.command_bytes, block_bytes);
}

TEST_F(BlockCommandsTest, AWriteWithTooLittleDataChangesWholeBlocksOnly) {
  const auto none = host->run_none(write16(0, 1));
  expect_good(none);
  EXPECT_EQ(none.command_bytes, block_bytes) << "what the residual count is made of";
  const auto part = host->run_write(write16(0, 1), std::vector<std::byte>(200, std::byte{1}));
  expect_good(part);
  EXPECT_EQ(part.command_bytes, block_bytes);
  EXPECT_TRUE(first.seen.empty());
  const auto one = host->run_write(write16(8, 3), pattern(1, 0x66));
  expect_good(one);
  EXPECT_EQ(one.command_bytes, 3 * block_bytes);
  EXPECT_EQ(first.block(8)[0], std::byte{0x66});
  EXPECT_EQ(first.block(9)[0], std::byte{0});
  const auto more = host->run_write(write16(0, 1), pattern(3, 0x77));
  expect_good(more);
  EXPECT_EQ(more.command_bytes, block_bytes);
  EXPECT_EQ(first.block(0)[0], std::byte{0x77});
  EXPECT_EQ(first.block(1)[0], std::byte{0});
}

TEST_F(BlockCommandsTest, BlocksBeyondTheEndAreOutOfRangeForEveryCommand) {
  const std::vector<CdbBytes> commands = {
      read16(volume_blocks, 1),
      read16(volume_blocks - 1, 2),
      read16(~0ULL, 2),
      read16(volume_blocks + 1, 0),
      write16(volume_blocks, 1),
      compare_and_write(volume_blocks, 1),
      cdb16(0x8b, volume_blocks, 1),      // ORWRITE
      cdb16(0x93, volume_blocks, 1),      // WRITE SAME
      cdb16(0x8f, volume_blocks, 1),      // VERIFY
      cdb16(0x8e, volume_blocks, 1),      // WRITE AND VERIFY
      cdb16(0x90, volume_blocks - 1, 2),  // PRE-FETCH
      cdb16(0x91, volume_blocks + 1, 0),  // SYNCHRONIZE CACHE
  };
  for (const CdbBytes& command : commands) {
    SCOPED_TRACE(static_cast<int>(command[0]));
    expect_sense(host->run({.cdb = command,
                            .direction = DataDirection::from_host,
                            .expected_bytes = 2 * block_bytes,
                            .data = pattern(2, 1)}),
                 sense::lba_out_of_range);
  }
  EXPECT_TRUE(first.seen.empty());
}

TEST_F(BlockCommandsTest, NoBlocksIsNoError) {
  for (const int opcode : {0x88, 0x8a, 0x8b, 0x8e, 0x8f, 0x90, 0x91}) {
    SCOPED_TRACE(opcode);
    expect_good(host->run_none(cdb16(opcode, 0, 0)));
  }
  expect_good(host->run_none(compare_and_write(0, 0)));
}

TEST_F(BlockCommandsTest, MoreThanTheLimitsOfPageB0IsRefused) {
  const auto limit = static_cast<std::uint32_t>(largest_transfer.value / block_bytes);
  for (const int opcode : {0x88, 0x8a, 0x8b, 0x8e}) {
    SCOPED_TRACE(opcode);
    expect_sense(host->run_none(cdb16(opcode, 0, limit + 1)), sense::invalid_field_in_cdb);
  }
  expect_good(host->run_read(read16(0, limit), limit * block_bytes));
  expect_good(host->run_write(write16(0, limit), pattern(limit, 0x3c)));
  expect_sense(host->run_none(cdb16(0x93, 0, (1U << 30) / block_bytes + 1)),
               sense::invalid_field_in_cdb);
}

TEST_F(BlockCommandsTest, ALongReadIsGivenOutWhereItLies) {
  first.fill(0, 64, 0x42);
  first.gives_out = true;
  const auto in_place = host->run_read(read16(0, 64), 64 * block_bytes);
  expect_good(in_place);
  EXPECT_TRUE(in_place.is_in_place);
  EXPECT_EQ(in_place.data, pattern(64, 0x42));
  EXPECT_FALSE(host->run_read(read16(0, 8), 8 * block_bytes).is_in_place);
  // Cut to less than whole: by a copy.
  EXPECT_FALSE(host->run_read(read16(0, 64), 63 * block_bytes + 1).is_in_place);
  host->port.may_pin = false;
  EXPECT_FALSE(host->run_read(read16(0, 64), 64 * block_bytes).is_in_place);
}

TEST_F(BlockCommandsTest, EachOutcomeOfTheEngineHasItsAnswer) {
  const auto read = [&] { return host->run_read(read16(0, 1), block_bytes); };
  const auto write = [&] { return host->run_write(write16(0, 1), pattern(1, 1)); };
  const std::uint64_t before = host->nexus->counts().check_conditions;  // unit attentions
  first.outcome = IoStatus::media_error;
  expect_sense(write(), sense::write_error);
  first.outcome = IoStatus::capacity_exceeded;
  expect_sense(write(), sense::space_allocation_failed);
  first.outcome = IoStatus::read_only;
  expect_sense(write(), sense::write_protected);
  first.outcome = IoStatus::sync_failed;
  expect_sense(write(), sense::internal_target_failure);
  first.outcome = IoStatus::unavailable;
  expect_sense(read(), sense::not_ready_becoming_ready);
  first.outcome = IoStatus::timed_out;
  EXPECT_EQ(read().status, Status::busy);
  first.outcome = IoStatus::cancelled;
  EXPECT_EQ(read().status, Status::busy);
  EXPECT_EQ(host->nexus->counts().busy, 2U);
  EXPECT_EQ(host->nexus->counts().check_conditions - before, 5U);
}

TEST_F(BlockCommandsTest, TheFirstBadBlockIsNamed) {
  for (const std::uint64_t bad : {100, 101, 117, 131}) {
    SCOPED_TRACE(bad);
    first.bad_blocks = {bad, 131};
    const auto answer = host->run_read(read16(100, 32), 32 * block_bytes);
    expect_sense(answer, sense::unrecovered_read_error);
    EXPECT_EQ(answer.sense->information, bad);
    const auto verified = host->run_none(cdb16(0x8f, 100, 32));
    expect_sense(verified, sense::unrecovered_read_error);
    EXPECT_EQ(verified.sense->information, bad);
  }
  EXPECT_EQ(first_block.buffers().held(), 0U);
}

TEST_F(BlockCommandsTest, CompareAndWriteWritesOnlyWhatCompares) {
  first.fill(5, 2, 'A');
  std::vector<std::byte> data = pattern(2, 'A');
  const auto second_half = pattern(2, 'B');
  data.insert(data.end(), second_half.begin(), second_half.end());
  expect_good(host->run_write(compare_and_write(5, 2), data));
  EXPECT_EQ(first.block(6)[block_bytes - 1], std::byte{'B'});

  data[block_bytes + 27] = std::byte{'C'};
  first.fill(5, 2, 'A');
  const auto differs = host->run_write(compare_and_write(5, 2), data);
  expect_sense(differs, sense::miscompare);
  EXPECT_EQ(differs.sense->information, block_bytes + 27U);
  EXPECT_EQ(first.block(5)[0], std::byte{'A'});
  EXPECT_EQ(first_block.buffers().held(), 0U);
  EXPECT_TRUE(first_block.write_order().idle());
}

TEST_F(BlockCommandsTest, CompareAndWriteNeedsExactlyItsData) {
  expect_sense(host->run_write(compare_and_write(0, 1), pattern(4, 0)),
               invalid_field_in_information_unit);
  expect_sense(host->run_write(compare_and_write(0, 3), pattern(4, 0)),
               invalid_field_in_information_unit);
  // The count of 256 blocks that one byte does not hold.
  expect_sense(host->run_write(compare_and_write(0, 0), pattern(4, 0)), sense::invalid_cdb(13));
}

// Both compare with the same data: one of them must see what the other has written.
TEST_F(BlockCommandsTest, OfTwoThatCompareWithTheSameOnlyOneWins) {
  const auto other = connect("iqn.2026-11.net.example:other");
  const auto data = [](int to) {
    std::vector<std::byte> both = pattern(1, 0);
    const auto after = pattern(1, to);
    both.insert(both.end(), after.begin(), after.end());
    return both;
  };
  first.hold = true;
  const auto one = host->start_write(compare_and_write(3, 1), data(1));
  const auto two = other->start_write(compare_and_write(3, 1), data(2));
  reactor.run_until_idle();
  ASSERT_EQ(first.held().size(), 1U) << "the second one has read before the first one has written";
  first.end_first();
  ASSERT_EQ(first.held().size(), 1U);
  EXPECT_EQ(first.held().front()->kind, Kind::write);
  first.hold = false;
  first.end_first();
  expect_good(host->answer(one));
  expect_sense(other->answer(two), sense::miscompare);
  EXPECT_EQ(first.block(3)[0], std::byte{1});
}

// SAM-5: TASK SET FULL tells a host that its own commands leave no room, BUSY that others do.
TEST_F(BlockCommandsTest, WithoutMemoryANexusWithCommandsFindsItsTaskSetFull) {
  first.hold = true;
  host->port.may_pin = false;
  const auto other = connect("iqn.2026-11.net.example:other");
  const auto running = host->start_read(read16(0, 1), block_bytes);
  reactor.run_until_idle();
  ASSERT_EQ(first.held().size(), 1U);
  std::vector<engine::BufferLease> taken;
  for (const std::uint32_t bytes : {1U << 20, 4096U}) {
    while (auto lease = reactor.get().lane().buffers().lease({bytes})) {
      taken.push_back(std::move(*lease));
    }
  }
  const CdbBytes verify = cdb16(0x8f, 0, 1024);
  EXPECT_EQ(host->run_none(verify).status, Status::task_set_full);
  EXPECT_EQ(other->run_none(verify).status, Status::busy);
  EXPECT_EQ(host->nexus->counts().busy + other->nexus->counts().busy, 2U);
  EXPECT_EQ(host->nexus->counts().aborted, 0U);
  taken.clear();
  first.hold = false;
  first.end_first();
  expect_good(host->answer(running));
  expect_good(host->run_none(verify));
}

TEST_F(BlockCommandsTest, OrWriteSetsBitsOnly) {
  first.fill(4, 2, 0xa0);
  expect_good(host->run_write(cdb16(0x8b, 4, 2), pattern(2, 0x0f)));
  EXPECT_EQ(first.block(5)[100], std::byte{0xaf});
}

TEST_F(BlockCommandsTest, VerifyComparesAsItIsTold) {
  first.fill(0, 4, 0x33);
  expect_good(host->run_none(cdb16(0x8f, 0, 4)));
  EXPECT_EQ(first.seen.back(), Kind::verify);
  constexpr int each = 1 << 1;
  constexpr int single = 3 << 1;
  expect_good(host->run_write(cdb16(0x8f, 0, 4, each), pattern(4, 0x33)));
  auto data = pattern(4, 0x33);
  data[3 * block_bytes + 5] = std::byte{0};
  const auto differs = host->run_write(cdb16(0x8f, 0, 4, each), data);
  expect_sense(differs, sense::miscompare);
  EXPECT_EQ(differs.sense->information, 3 * block_bytes + 5U);
  expect_good(host->run_write(cdb16(0x8f, 0, 4, single), pattern(1, 0x33)));
  expect_sense(host->run_write(cdb16(0x8f, 0, 5, single), pattern(1, 0x33)), sense::miscompare);
  EXPECT_EQ(first_block.buffers().held(), 0U);
}

TEST_F(BlockCommandsTest, AOneBlockVerifyOfAllGoesOnInPieces) {
  first.fill(0, volume_blocks, 0x44);
  expect_good(host->run_write(cdb16(0x8f, 0, volume_blocks, 3 << 1), pattern(1, 0x44)));
  EXPECT_LE(first.longest_request_blocks, side_buffer.value / block_bytes);
  first.block(volume_blocks - 1)[9] = std::byte{0};
  expect_sense(host->run_write(cdb16(0x8f, 0, volume_blocks, 3 << 1), pattern(1, 0x44)),
               sense::miscompare);
}

TEST_F(BlockCommandsTest, WriteAndVerifyReadsWhatItHasWritten) {
  expect_good(host->run_write(cdb16(0x8e, 8, 2), pattern(2, 0x61)));
  EXPECT_EQ(first.seen, (std::vector{Kind::write, Kind::verify}));
  first.seen.clear();
  expect_good(host->run_write(cdb16(0x8e, 8, 2, 1 << 1), pattern(2, 0x62)));
  EXPECT_EQ(first.seen, (std::vector{Kind::write, Kind::read}));
  EXPECT_EQ(first.block(9)[0], std::byte{0x62});
  EXPECT_TRUE(first_block.write_order().idle());
}

TEST_F(BlockCommandsTest, WriteSameFillsItsRangeInPieces) {
  expect_good(host->run_write(cdb16(0x93, 1, 5000), pattern(1, 0x9c)));
  EXPECT_EQ(first.block(0)[0], std::byte{0});
  EXPECT_EQ(first.block(1)[0], std::byte{0x9c});
  EXPECT_EQ(first.block(5000)[block_bytes - 1], std::byte{0x9c});
  EXPECT_EQ(first.block(5001)[0], std::byte{0});
  EXPECT_LE(first.longest_request_blocks, side_buffer.value / block_bytes);
  EXPECT_EQ(first_block.buffers().held(), 0U);
  EXPECT_TRUE(first_block.write_order().idle());
}

TEST_F(BlockCommandsTest, WriteSameOfZerosIsOneRequest) {
  constexpr int unmap = 1 << 3;
  constexpr int no_data_out = 1;
  first.fill(0, 100, 1);
  expect_good(host->run_write(cdb16(0x93, 0, 10), pattern(1, 0)));
  expect_good(host->run_write(cdb16(0x93, 10, 10, unmap), pattern(1, 0)));
  expect_good(host->run_none(cdb16(0x93, 20, 10, no_data_out)));
  expect_good(host->run_none(cdb16(0x93, 30, 10, unmap | no_data_out)));
  EXPECT_EQ(first.seen, (std::vector{Kind::write_zeroes, Kind::deallocate, Kind::write_zeroes,
                                     Kind::deallocate}));
  EXPECT_EQ(first.block(39)[0], std::byte{0});
  EXPECT_EQ(first.block(40)[0], std::byte{1});
  // Not zeros: written, whatever UNMAP says.
  expect_good(host->run_write(cdb16(0x93, 50, 2, unmap), pattern(1, 7)));
  EXPECT_EQ(first.block(51)[3], std::byte{7});
}

TEST_F(BlockCommandsTest, WriteSameIsHeldToItsFields) {
  expect_sense(host->run_write(cdb16(0x93, 0, 0), pattern(1, 0)), sense::invalid_field_in_cdb);
  expect_sense(host->run_write(cdb16(0x93, 0, 1), std::vector<std::byte>(block_bytes / 2)),
               invalid_field_in_information_unit);
  expect_sense(host->run_write(cdb16(0x93, 0, 1), pattern(2, 0)),
               invalid_field_in_information_unit);
  EXPECT_TRUE(first.seen.empty());
}

struct Range {
  std::uint64_t lba;
  std::uint32_t blocks;
};
std::vector<std::byte> unmap_list(const std::vector<Range>& ranges) {
  std::vector<std::byte> list(8 + 16 * ranges.size());
  const auto put = [&](std::size_t at, std::size_t bytes, std::uint64_t value) {
    for (std::size_t i = 0; i < bytes; ++i) {
      list[at + i] = static_cast<std::byte>(value >> (8 * (bytes - 1 - i)));
    }
  };
  put(0, 2, list.size() - 2);
  put(2, 2, list.size() - 8);
  for (std::size_t i = 0; i < ranges.size(); ++i) {
    put(8 + 16 * i, 8, ranges[i].lba);
    put(16 + 16 * i, 4, ranges[i].blocks);
  }
  return list;
}
CdbBytes unmap(std::size_t list_bytes) {
  return cdb({0x42, 0, 0, 0, 0, 0, 0, static_cast<int>(list_bytes >> 8),
              static_cast<int>(list_bytes & 0xff)});
}

TEST_F(BlockCommandsTest, UnmapDoesAllItsRangesOrNone) {
  first.fill(0, 100, 1);
  auto list = unmap_list({{50, 10}, {5, 3}, {8, 2}, {0, 0}, {volume_blocks, 0}});
  expect_good(host->run_write(unmap(list.size()), list));
  EXPECT_EQ(first.seen.size(), 2U);
  EXPECT_EQ(first.block(4)[0], std::byte{1});
  EXPECT_EQ(first.block(5)[0], std::byte{0});
  EXPECT_EQ(first.block(9)[0], std::byte{0});
  EXPECT_EQ(first.block(59)[0], std::byte{0});
  first.seen.clear();
  list = unmap_list({{60, 10}, {volume_blocks - 1, 2}});
  expect_sense(host->run_write(unmap(list.size()), list), sense::lba_out_of_range);
  list = unmap_list(std::vector<Range>(257, {0, 1}));
  expect_sense(host->run_write(unmap(list.size()), list), sense::invalid_field_in_list);
  expect_good(host->run_none(unmap(0)));
  EXPECT_TRUE(first.seen.empty());
}

TEST_F(BlockCommandsTest, WriteAtomicIsHeldToWhatTheVolumePromises) {
  const auto atomic = [](std::uint64_t lba, int blocks) {
    CdbBytes made = cdb16(0x9c, lba, 0);
    made[12] = static_cast<std::byte>(blocks >> 8);
    made[13] = static_cast<std::byte>(blocks);
    return made;
  };
  // It promises nothing beyond single blocks: then there is no such command.
  expect_sense(host->run_write(atomic(0, 1), pattern(1, 1)), sense::invalid_opcode);
  first.atomic_write_bytes = 4096;
  device->refresh_volumes();
  (void)host->take_attentions();
  expect_good(host->run_write(atomic(8, 8), pattern(8, 0x21)));
  EXPECT_EQ(first.block(15)[0], std::byte{0x21});
  expect_sense(host->run_write(atomic(0, 9), pattern(9, 1)), sense::invalid_field_in_cdb);
  expect_sense(host->run_write(atomic(4, 8), pattern(8, 1)), sense::invalid_field_in_cdb);
  // Through the log of a cache, from any block on.
  first.atomic_write_bytes = 16 * block_bytes;
  first.is_atomic_anywhere = true;
  device->refresh_volumes();
  (void)host->take_attentions();
  expect_good(host->run_write(atomic(5, 16), pattern(16, 0x22)));
  EXPECT_EQ(first.block(20)[0], std::byte{0x22});
  expect_sense(host->run_write(atomic(5, 17), pattern(17, 1)), sense::invalid_field_in_cdb);
}

TEST_F(BlockCommandsTest, PrefetchReadsNoMoreThanTheCacheWouldKeep) {
  expect_good(host->run_none(cdb16(0x90, 0, 0)));
  std::size_t reads = 0;
  for (const Kind kind : first.seen) reads += kind == Kind::read ? 1 : 0;
  EXPECT_EQ(reads, volume_blocks * block_bytes / side_buffer.value);
  first.seen.clear();
  expect_good(host->run_none(cdb16(0x90, 0, 100, 1 << 1)));  // IMMED
  EXPECT_TRUE(first.seen.empty());
}

TEST_F(BlockCommandsTest, AWriteThatOverlapsOneUnderWayWaitsForIt) {
  const auto other = connect("iqn.2026-11.net.example:other");
  first.hold = true;
  const auto one = host->start_write(write16(0, 8), pattern(8, 1));
  const auto two = other->start_write(write16(4, 8), pattern(8, 2));
  reactor.run_until_idle();
  EXPECT_EQ(first.held().size(), 1U);
  first.end_first();
  reactor.run_until_idle();
  ASSERT_EQ(first.held().size(), 1U);
  first.end_first();
  expect_good(host->answer(one));
  expect_good(other->answer(two));
  EXPECT_EQ(first.block(4)[0], std::byte{2});
}

}  // namespace
}  // namespace target::scsi
