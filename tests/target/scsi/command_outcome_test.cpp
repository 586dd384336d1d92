#include "target/scsi/command_outcome.h"

#include <gtest/gtest.h>

#include <array>

namespace target::scsi {
namespace {

using block::CommandKind;
using block::CommandOutcome;
using protocol::scsi::Sense;
using protocol::scsi::SenseKey;
using protocol::scsi::Status;
namespace sense = protocol::scsi::sense;

CommandKind counted_as(unsigned opcode) {
  const std::array cdb{static_cast<std::byte>(opcode), std::byte{}};
  return counted_kind(cdb);
}

TEST(ScsiCommandOutcome, OpcodesCountAsWhatTheyMove) {
  for (const unsigned read : {0x08U, 0x28U, 0xa8U, 0x88U}) {
    EXPECT_EQ(counted_as(read), CommandKind::read) << read;
  }
  for (const unsigned write : {0x0aU, 0x2aU, 0xaaU, 0x8aU, 0x2eU, 0xaeU, 0x8eU, 0x89U}) {
    EXPECT_EQ(counted_as(write), CommandKind::write) << write;
  }
  for (const unsigned other : {0x00U, 0x12U, 0x35U, 0x41U, 0x42U, 0x93U, 0x83U, 0x2fU}) {
    EXPECT_EQ(counted_as(other), CommandKind::other) << other;
  }
}

TEST(ScsiCommandOutcome, EndsCountByWhoseFaultTheyAre) {
  const auto with = [](const Sense& why) { return counted_outcome(Status::check_condition, &why); };
  EXPECT_EQ(counted_outcome(Status::good, nullptr), CommandOutcome::ok);
  EXPECT_EQ(counted_outcome(Status::busy, nullptr), CommandOutcome::unavailable);
  EXPECT_EQ(counted_outcome(Status::task_set_full, nullptr), CommandOutcome::unavailable);
  EXPECT_EQ(counted_outcome(Status::reservation_conflict, nullptr), CommandOutcome::refused);
  EXPECT_EQ(counted_outcome(Status::task_aborted, nullptr), CommandOutcome::aborted);
  EXPECT_EQ(with(sense::unrecovered_read_error), CommandOutcome::media);
  EXPECT_EQ(with(sense::internal_target_failure), CommandOutcome::media);
  EXPECT_EQ(with(sense::not_ready_becoming_ready), CommandOutcome::unavailable);
  EXPECT_EQ(with(sense::power_on_or_reset), CommandOutcome::unavailable);
  EXPECT_EQ(with(sense::space_allocation_failed), CommandOutcome::capacity);
  EXPECT_EQ(with(sense::write_protected), CommandOutcome::refused);
  EXPECT_EQ(with(sense::lba_out_of_range), CommandOutcome::refused);
  EXPECT_EQ(with({.key = SenseKey::miscompare}), CommandOutcome::refused);
  EXPECT_EQ(with({.key = SenseKey::recovered_error}), CommandOutcome::ok);
}

}  // namespace
}  // namespace target::scsi
