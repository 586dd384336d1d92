// Task management functions on the wire.
#include <gmock/gmock.h>

#include "tests/target/iscsi/session_kit.h"

namespace target::iscsi {
namespace {

class IscsiManagement : public SessionTest {
 protected:
  Pdu function(Initiator& at, std::uint8_t which, std::uint32_t referenced = host::no_tag,
               std::uint32_t referenced_sn = 0) {
    Pdu pdu =
        at.immediate_request(Opcode::task_management, static_cast<std::uint8_t>(0x80 | which));
    return pdu.u32(20, referenced).u32(32, referenced_sn);
  }
  // The response's code; 99: none has come.
  int ask(Initiator& at, const Pdu& pdu) {
    at.send(pdu);
    run();
    return answer(at);
  }
  static int answer(Initiator& at) {
    const auto response = at.take(Opcode::task_management_response);
    return response ? response->byte(2) : 99;
  }
  Pdu held_write(Initiator& at, std::uint64_t lba = 0) {
    first_.hold = true;
    Pdu pdu = at.command(client::scsi::write(lba, pattern(512), block_bytes));
    pdu.data = pattern(512);
    at.send(pdu);
    run();
    return pdu;
  }
};

TEST_F(IscsiManagement, AnAbortedTaskIsNotAnswered) {
  Initiator& at = ready();
  const Pdu write = held_write(at);
  EXPECT_EQ(ask(at, function(at, 1, write.u32(16), write.u32(24))), 99) << "the disk has it";
  first_.end(*first_.held().front());
  run();
  EXPECT_EQ(answer(at), 0);
  EXPECT_FALSE(at.take(Opcode::scsi_response));
  EXPECT_EQ(ask(at, function(at, 1, write.u32(16), write.u32(24))), 1) << "no such task any more";
}

TEST_F(IscsiManagement, ATaskThatWaitsForDataIsTakenBackAtOnce) {
  LoginFields fields;
  fields.keys = {{"InitialR2T", "Yes"}, {"ImmediateData", "No"}};
  Initiator& at = ready(fields);
  const Pdu write = at.command(client::scsi::write(0, pattern(4096), block_bytes));
  at.send(write);
  run();
  const ReceivedPdu r2t = at.must(Opcode::r2t);
  EXPECT_EQ(ask(at, function(at, 1, write.u32(16), write.u32(24))), 0);
  // What the initiator had sent meanwhile is thrown away.
  at.send(Initiator::data_out(write.u32(16), r2t.u32(20), 0, 0, pattern(4096), true));
  run();
  EXPECT_FALSE(at.take(Opcode::reject));
  EXPECT_FALSE(at.take(Opcode::scsi_response));
  EXPECT_EQ(first_.block(0)[1], std::byte{0});
}

TEST_F(IscsiManagement, ATaskIsAbortedWhileItsDataIsOnTheWire) {
  LoginFields fields;
  fields.keys = {{"InitialR2T", "Yes"}, {"ImmediateData", "No"}};
  Initiator& at = ready(fields);
  Initiator& other = ready({.initiator = initiator_2});
  const Pdu write = at.command(client::scsi::write(0, pattern(8192), block_bytes));
  at.send(write);
  run();
  const ReceivedPdu r2t = at.must(Opcode::r2t);
  const Bytes data =
      host::encode(Initiator::data_out(write.u32(16), r2t.u32(20), 0, 0, pattern(8192), true), {});
  at.send(Bytes(data.begin(), data.begin() + 3000));
  run();
  EXPECT_EQ(ask(other, function(other, 5)), 0);
  at.send(Bytes(data.begin() + 3000, data.end()));
  run();
  EXPECT_TRUE(at.received.empty());
  EXPECT_EQ(first_.block(0)[1], std::byte{0});
  EXPECT_EQ(execute(at, client::scsi::test_unit_ready()).byte(3), 2) << "unit attention";
  EXPECT_EQ(execute(at, client::scsi::test_unit_ready()).byte(3), 0);
}

TEST_F(IscsiManagement, ALogicalUnitIsReset) {
  Initiator& at = ready();
  Initiator& other = ready({.initiator = initiator_2});
  (void)held_write(at);
  const Pdu of_other = other.command(client::scsi::read(8, 1, block_bytes));
  other.send(of_other);
  run();
  at.send(function(at, 5));
  run();
  while (!first_.held().empty()) first_.end(*first_.held().front());
  run();
  EXPECT_EQ(answer(at), 0);
  EXPECT_FALSE(at.take(Opcode::scsi_response));
  EXPECT_FALSE(other.take(Opcode::data_in));
  first_.hold = false;
  EXPECT_EQ(execute(other, client::scsi::test_unit_ready()).byte(3), 2) << "unit attention";
}

TEST_F(IscsiManagement, FunctionsAreAnsweredAsTheyAre) {
  Initiator& at = ready();
  EXPECT_EQ(ask(at, function(at, 2)), 0);
  EXPECT_EQ(ask(at, function(at, 3)), 5) << "CLEAR ACA";
  EXPECT_EQ(ask(at, function(at, 4)), 0);
  EXPECT_EQ(ask(at, function(at, 6)), 0) << "TARGET WARM RESET";
  EXPECT_EQ(ask(at, function(at, 8)), 4) << "TASK REASSIGN";
  EXPECT_EQ(ask(at, function(at, 9)), 5) << "QUERY TASK";
  EXPECT_EQ(ask(at, function(at, 77)), 5);
  Pdu no_lun = function(at, 5);
  no_lun.u64(8, host::lun_field(77));
  EXPECT_EQ(ask(at, no_lun), 2);
  EXPECT_EQ(ask(at, function(at, 1, 4711, at.command_sn - 1)), 1);
}

TEST_F(IscsiManagement, AColdResetEndsEverySessionOfTheTarget) {
  Initiator& at = ready();
  Initiator& other = ready({.initiator = initiator_2});
  options_.listener = "san-b";
  Initiator& bystander = login({.target = node_b});
  at.send(function(at, 7));
  run();
  EXPECT_EQ(answer(at), 0);
  EXPECT_TRUE(at.closed());
  EXPECT_TRUE(other.closed());
  EXPECT_FALSE(bystander.closed());
  EXPECT_TRUE(logged("target reset"));
}

}  // namespace
}  // namespace target::iscsi
