// Tasks to a logical unit whose volume has limits: what is held back, for how long, and how it
// ends.
#include <gtest/gtest.h>

#include <vector>

#include "tests/target/nvmf/manual_clock.h"
#include "tests/target/scsi/nexus_kit.h"

namespace target::scsi {
namespace {

using namespace std::chrono_literals;

struct TimedUnit {
  nvmf::ManualClock clock;
};

class LimitedUnit : private TimedUnit, public NexusTest {
 protected:
  LimitedUnit() : NexusTest(&(TimedUnit::clock)) { session = connect(); }
  void limit(const block::VolumeLimits& limits) {
    first_block.limiter().set_limits(limits, clock.now());
  }
  void pass(engine::Duration time) {
    clock.advance(time);
    reactor.run_until_idle();
    reactor.run_until_idle();
  }
  [[nodiscard]] bool answered(std::uint32_t tag) const {
    return session->port.answer_to(tag) != nullptr;
  }
  std::uint32_t start_read(std::uint64_t lba, std::uint16_t lun = 0) {
    return session->start_read(read16(lba, 1), block_bytes, lun);
  }
  std::uint32_t start_write(std::uint64_t lba, int value) {
    return session->start_write(write16(lba, 1), pattern(1, value));
  }
  [[nodiscard]] bool is_holding() const { return first_block.limiter().is_holding(); }

  std::unique_ptr<Session> session;
};

TEST_F(LimitedUnit, AHeldWriteAsksForNoData) {
  limit({.write_commands = 10});
  EXPECT_TRUE(answered(start_write(0, 1)));
  session->port.holds = true;
  const auto held = start_write(5, 2);
  EXPECT_TRUE(session->port.waiting.empty());
  EXPECT_TRUE(first_block.write_order().idle());
  pass(99ms);
  EXPECT_TRUE(session->port.waiting.empty());
  pass(1ms);
  EXPECT_EQ(session->port.waiting.size(), 1U);
  session->port.release_waiting();
  expect_good(session->answer(held));
  EXPECT_FALSE(is_holding());
}

TEST_F(LimitedUnit, NeitherAnotherUnitNorTheOtherKindWaits) {
  limit({.write_commands = 10});
  (void)start_write(0, 1);
  const auto held = start_write(1, 2);
  EXPECT_TRUE(answered(start_read(0)));
  EXPECT_TRUE(answered(start_read(0, 1)));
  expect_good(session->run_none(test_unit_ready));
  EXPECT_FALSE(answered(held));
  pass(100ms);
  EXPECT_TRUE(answered(held));
}

TEST_F(LimitedUnit, WhatCountsAsWhat) {
  struct Row {
    const char* name;
    CdbBytes cdb;
    DataDirection direction;
    std::uint32_t data_bytes;
    bool reads, writes, bytes;
  };
  CdbBytes same = cdb16(0x93, 0, 8);
  CdbBytes same_zero = cdb16(0x93, 0, 8, 0x01);  // NDOB
  std::vector<std::byte> unmap_list(24);
  unmap_list[1] = std::byte{22};
  unmap_list[3] = std::byte{16};
  unmap_list[19] = std::byte{8};
  const auto none = DataDirection::none;
  const auto out = DataDirection::from_host;
  const std::vector<Row> rows{
      {"READ", read16(0, 8), DataDirection::to_host, 8 * block_bytes, true, false, true},
      {"READ of which nothing is taken", read16(0, 8), none, 0, false, false, false},
      {"VERIFY", cdb16(0x8f, 0, 8), none, 0, true, false, true},
      {"PRE-FETCH", cdb16(0x90, 0, 8), none, 0, true, false, true},
      {"PRE-FETCH IMMED", cdb16(0x90, 0, 8, 0x02), none, 0, false, false, false},
      {"WRITE", write16(0, 8), out, 8 * block_bytes, false, true, true},
      {"WRITE AND VERIFY", cdb16(0x8e, 0, 8), out, 8 * block_bytes, false, true, true},
      {"COMPARE AND WRITE", compare_and_write(0, 4), out, 8 * block_bytes, false, true, true},
      {"ORWRITE", cdb16(0x8b, 0, 8), out, 8 * block_bytes, false, true, true},
      {"WRITE SAME", same, out, block_bytes, false, true, true},
      {"WRITE SAME of zeros", same_zero, none, 0, false, true, false},
      {"UNMAP", cdb({0x42, 0, 0, 0, 0, 0, 0, 0, 24, 0}), out, 24, false, true, false},
      {"SYNCHRONIZE CACHE", cdb16(0x91, 0, 8), none, 0, false, false, false},
      {"INQUIRY", inquiry(), DataDirection::to_host, 1024, false, false, false},
  };
  for (const Row& row : rows) {
    const auto is_held = [&](const block::VolumeLimits& limits) {
      limit({});
      limit(limits);
      std::uint32_t tag = 0;
      for (int i = 0; i < 2; ++i) {
        std::vector<std::byte> data;
        if (row.direction == out) {
          data = row.data_bytes == 24 ? unmap_list : std::vector<std::byte>(row.data_bytes);
        }
        tag = session->start({.cdb = row.cdb,
                              .direction = row.direction,
                              .expected_bytes = row.data_bytes,
                              .data = std::move(data)});
      }
      reactor.run_until_idle();
      const bool held = is_holding();
      EXPECT_EQ(answered(tag), !held) << row.name;
      EXPECT_TRUE(answered(tag - 1)) << row.name;
      pass(20s);
      EXPECT_TRUE(answered(tag)) << row.name;
      return held;
    };
    EXPECT_EQ(is_held({.read_commands = 10}), row.reads) << row.name;
    EXPECT_EQ(is_held({.write_commands = 10}), row.writes) << row.name;
    EXPECT_EQ(is_held({.commands = 10}), row.reads || row.writes) << row.name;
    EXPECT_EQ(is_held({.read_bytes = 1000}), row.reads && row.bytes) << row.name;
    EXPECT_EQ(is_held({.write_bytes = 1000}), row.writes && row.bytes) << row.name;
    EXPECT_EQ(is_held({.bytes = 1000}), row.bytes) << row.name;
  }
}

TEST_F(LimitedUnit, AbortTaskEndsAHeldOne) {
  limit({.commands = 10});
  (void)start_read(0);
  const auto aborted = start_write(1, 1);
  const auto next = start_read(2);
  EXPECT_EQ(
      session->manage({.function = ManagementFunction::abort_task, .lun = {}, .tag = aborted}),
      ManagementResponse::complete);
  EXPECT_TRUE(session->port.was_dropped(aborted));
  pass(200ms);
  EXPECT_TRUE(answered(next));
  EXPECT_FALSE(is_holding());
}

TEST_F(LimitedUnit, AResetEndsAllThatAreHeld) {
  limit({.commands = 10});
  (void)start_read(0);
  std::vector<std::uint32_t> held;
  for (std::uint64_t lba = 0; lba < 5; ++lba) held.push_back(start_write(lba, 1));
  EXPECT_EQ(session->manage({.function = ManagementFunction::logical_unit_reset, .lun = {}}),
            ManagementResponse::complete);
  for (const auto tag : held) EXPECT_TRUE(session->port.was_dropped(tag));
  EXPECT_FALSE(is_holding());
}

TEST_F(LimitedUnit, TheEndOfTheSessionEndsAllThatAreHeld) {
  limit({.commands = 10});
  (void)start_read(0);
  const auto held = start_write(0, 1);
  session->end();
  EXPECT_TRUE(session->ended);
  EXPECT_TRUE(session->port.was_dropped(held));
  EXPECT_FALSE(is_holding());
}

// The daemon stops: nobody waits out what may take long.
TEST_F(LimitedUnit, BeforeAnEndInOrderTheyAreAnsweredBusy) {
  limit({.commands = 10});
  (void)start_read(0);
  const auto held = start_write(0, 1);
  session->nexus->refuse_held_back();
  EXPECT_EQ(session->answer(held).status, Status::busy);
  EXPECT_TRUE(answered(start_read(1))) << "what is begun still, is not held back";
}

TEST_F(LimitedUnit, AnOrderedTaskBehindAHeldOneWaits) {
  limit({.write_commands = 10});
  (void)start_write(0, 1);
  const auto held = start_write(0, 2);
  const auto ordered = session->start({.cdb = read16(0, 1),
                                       .direction = DataDirection::to_host,
                                       .expected_bytes = block_bytes,
                                       .attribute = TaskAttribute::ordered});
  EXPECT_FALSE(answered(ordered));
  pass(100ms);
  EXPECT_TRUE(answered(held));
  EXPECT_EQ(session->answer(ordered).data, pattern(1, 2));
}

}  // namespace
}  // namespace target::scsi
