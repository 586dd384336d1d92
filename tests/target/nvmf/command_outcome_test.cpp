#include "target/nvmf/command_outcome.h"

#include <gtest/gtest.h>

namespace target::nvmf {
namespace {

using block::CommandKind;
using block::CommandOutcome;
namespace status = protocol::nvme::status;

TEST(NvmeCommandOutcome, OpcodesCountAsWhatTheyMove) {
  EXPECT_EQ(counted_kind(0x02), CommandKind::read);
  EXPECT_EQ(counted_kind(0x05), CommandKind::read);  // Compare
  EXPECT_EQ(counted_kind(0x01), CommandKind::write);
  for (const unsigned opcode :
       {0x00U, 0x04U, 0x08U, 0x09U, 0x0cU, 0x0dU, 0x0eU, 0x11U, 0x15U, 0xffU}) {
    EXPECT_EQ(counted_kind(static_cast<std::uint8_t>(opcode)), CommandKind::other) << opcode;
  }
}

TEST(NvmeCommandOutcome, StatusesCountByWhoseFaultTheyAre) {
  struct Case {
    protocol::nvme::Status answered;
    CommandOutcome outcome;
  };
  const Case cases[] = {
      {status::success, CommandOutcome::ok},
      {status::write_fault, CommandOutcome::media},
      {status::write_fault.with_do_not_retry(true).with_more(), CommandOutcome::media},
      {status::unrecovered_read_error, CommandOutcome::media},
      {status::internal_error, CommandOutcome::media},
      {status::namespace_not_ready, CommandOutcome::unavailable},
      {status::command_interrupted.with_retry_delay(1), CommandOutcome::unavailable},
      {status::transient_transport_error, CommandOutcome::unavailable},
      {status::ana_inaccessible, CommandOutcome::unavailable},
      {status::capacity_exceeded, CommandOutcome::capacity},
      {status::abort_requested, CommandOutcome::aborted},
      {status::aborted_queue_deleted, CommandOutcome::aborted},
      {status::aborted_preempted, CommandOutcome::aborted},
      {status::lba_out_of_range, CommandOutcome::refused},
      {status::reservation_conflict, CommandOutcome::refused},
      {status::compare_failure, CommandOutcome::refused},
      {status::namespace_write_protected, CommandOutcome::refused},
  };
  for (const auto& [answered, outcome] : cases) {
    EXPECT_EQ(counted_outcome(answered), outcome) << protocol::nvme::name_of(answered);
  }
}

}  // namespace
}  // namespace target::nvmf
