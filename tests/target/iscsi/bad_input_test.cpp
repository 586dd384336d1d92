// Initiators that break the protocol: each is answered as RFC 7143 says, holds nothing afterwards,
// and nobody else notices.
#include <gmock/gmock.h>

#include "engine/foundation/random.h"
#include "tests/target/iscsi/session_kit.h"

namespace target::iscsi {
namespace {

constexpr std::uint8_t protocol_error = 0x04;
constexpr std::uint8_t invalid_pdu_field = 0x09;

class IscsiBadInput : public SessionTest {
 protected:
  void SetUp() override { bystander_ = &ready({.initiator = initiator_2}); }
  void TearDown() override {
    EXPECT_FALSE(bystander_->closed());
    EXPECT_EQ(execute(*bystander_, client::scsi::write(0, pattern(512), block_bytes)).byte(3), 0);
  }
  Initiator& eager() {
    LoginFields fields;
    fields.keys = {{"InitialR2T", "No"}, {"ImmediateData", "Yes"}};
    return ready(fields);
  }
  // A write of 8 KiB whose data comes by R2T.
  struct Asked {
    std::uint32_t tag = 0;
    std::uint32_t transfer_tag = 0;
  };
  Asked asked_write(Initiator& at) {
    Pdu pdu = at.command(client::scsi::write(0, pattern(8192), block_bytes));
    at.send(pdu);
    run();
    return {pdu.u32(16), at.must(Opcode::r2t).u32(20)};
  }
  void expect_ended(Initiator& at, std::uint8_t reason) {
    run();
    EXPECT_EQ(at.must(Opcode::reject).byte(2), reason);
    EXPECT_TRUE(at.closed());
    EXPECT_TRUE(logged("protocol error"));
  }
  void expect_rejected(Initiator& at, std::uint8_t reason) {
    run();
    const ReceivedPdu reject = at.must(Opcode::reject);
    EXPECT_EQ(reject.byte(2), reason);
    EXPECT_EQ(reject.data.size(), 48U) << "the header that was refused";
    EXPECT_FALSE(at.closed());
  }

  [[nodiscard]] std::uint64_t digest_errors_of(const std::string& initiator) {
    return target().status().hosts.all().at(initiator).digest_errors;
  }

  Initiator* bystander_ = nullptr;
};

TEST_F(IscsiBadInput, UnknownOpcodesAreRejected) {
  Initiator& at = ready();
  Pdu pdu = at.immediate_request(static_cast<Opcode>(0x1d));
  pdu.data = pattern(100);
  at.send(pdu);
  expect_rejected(at, 0x05);
  EXPECT_EQ(execute(at, client::scsi::test_unit_ready()).byte(3), 0);
}

TEST_F(IscsiBadInput, SnackIsRejected) {
  Initiator& at = ready();
  Pdu pdu(Opcode::snack);
  at.send(pdu.u32(16, host::no_tag).u32(20, host::no_tag));
  expect_rejected(at, 0x03);
}

TEST_F(IscsiBadInput, APduOfTheTargetsEndsTheConnection) {
  Initiator& at = ready();
  at.send(Pdu(Opcode::r2t));
  expect_ended(at, protocol_error);
}

TEST_F(IscsiBadInput, MoreDataThanWasDeclaredEndsTheConnection) {
  Initiator& at = ready();
  Pdu pdu = at.command(client::scsi::write(0, pattern(512), block_bytes));
  pdu.data_segment_bytes = 0xfffffc;
  at.send(pdu);
  run();
  EXPECT_TRUE(at.closed());
}

TEST_F(IscsiBadInput, AHeaderDigestErrorClosesWithoutAWord) {
  Initiator& at = ready({}, {.header_digest = true, .data_digest = false});
  Pdu pdu = at.command(client::scsi::test_unit_ready());
  pdu.header_digest_flip = 1;
  at.send(pdu);
  run();
  EXPECT_TRUE(at.closed());
  EXPECT_TRUE(at.received.empty());
  EXPECT_EQ(counters_.header_digest_errors.load(), 1U);
  EXPECT_EQ(digest_errors_of(initiator_1), 1U);
}

TEST_F(IscsiBadInput, ADataDigestErrorOfImmediateDataEndsTheSession) {
  LoginFields fields;
  fields.keys = {{"InitialR2T", "No"}};
  Initiator& at = ready(fields, {.header_digest = false, .data_digest = true});
  Pdu pdu = at.command(client::scsi::write(0, pattern(512), block_bytes));
  pdu.data = pattern(512);
  pdu.data_digest_flip = 4;
  at.send(pdu);
  expect_ended(at, 0x02);
  EXPECT_EQ(counters_.data_digest_errors.load(), 1U);
  EXPECT_EQ(digest_errors_of(initiator_1), 1U);
  EXPECT_EQ(digest_errors_of(initiator_2), 0U);
}

TEST_F(IscsiBadInput, ADataDigestErrorOfDataOutFailsItsTask) {
  LoginFields fields;
  fields.keys = {{"InitialR2T", "Yes"}, {"ImmediateData", "No"}};
  Initiator& at = ready(fields, {.header_digest = false, .data_digest = true});
  const Asked asked = asked_write(at);
  Pdu first = Initiator::data_out(asked.tag, asked.transfer_tag, 0, 0, pattern(4096), false);
  first.data_digest_flip = 4;
  at.send(first);
  expect_rejected(at, 0x02);
  at.send(Initiator::data_out(asked.tag, asked.transfer_tag, 1, 4096, pattern(4096), true));
  run();
  const ReceivedPdu response = at.must(Opcode::scsi_response);
  EXPECT_EQ(response.byte(3), 2);
  ASSERT_GE(response.data.size(), 20U);
  EXPECT_EQ(response.data[2 + 2], std::byte{0x0b});
  EXPECT_EQ(response.data[2 + 12], std::byte{0x47});
  EXPECT_EQ(response.data[2 + 13], std::byte{0x05});
  EXPECT_EQ(first_.block(0)[1], std::byte{0}) << "nothing of it was written";
}

TEST_F(IscsiBadInput, NumbersOutsideOfTheWindowAreIgnored) {
  Initiator& at = ready();
  for (const std::uint32_t command_sn :
       {at.command_sn - 1, at.window_highest + 1, at.command_sn + 0x8000'0000U}) {
    Pdu pdu(Opcode::scsi_command, 0x81);
    pdu.u32(16, 7).u32(24, command_sn);
    at.send(pdu);
    run();
    EXPECT_TRUE(at.received.empty());
  }
  EXPECT_EQ(execute(at, client::scsi::test_unit_ready()).byte(3), 0);
}

TEST_F(IscsiBadInput, AGapInCmdSnEndsTheSession) {
  Initiator& at = ready();
  ++at.command_sn;
  at.send(at.command(client::scsi::test_unit_ready()));
  expect_ended(at, protocol_error);
}

TEST_F(IscsiBadInput, ATagInUseIsRejected) {
  Initiator& at = ready();
  first_.hold = true;
  const Pdu read = at.command(client::scsi::read(0, 1, block_bytes));
  at.send(read);
  Pdu again = at.command(client::scsi::read(1, 1, block_bytes));
  at.send(again.u32(16, read.u32(16)));
  expect_rejected(at, 0x07);
  first_.hold = false;
  first_.end(*first_.held().front());
  run();
  EXPECT_TRUE(at.take(Opcode::data_in));
}

TEST_F(IscsiBadInput, DataOfATaskThatIsNoneIsRejected) {
  Initiator& at = eager();
  at.send(Initiator::data_out(4711, host::no_tag, 0, 0, pattern(512), true));
  expect_rejected(at, invalid_pdu_field);
  at.send(Initiator::data_out(4711, 42, 0, 0, pattern(512), true));
  expect_rejected(at, invalid_pdu_field);
}

TEST_F(IscsiBadInput, DataWithAWrongTransferTagIsRejected) {
  LoginFields fields;
  fields.keys = {{"InitialR2T", "Yes"}, {"ImmediateData", "No"}};
  Initiator& at = ready(fields);
  const Asked asked = asked_write(at);
  at.send(Initiator::data_out(asked.tag, asked.transfer_tag + 1, 0, 0, pattern(8192), true));
  expect_rejected(at, invalid_pdu_field);
  at.send(Initiator::data_out(asked.tag + 1, asked.transfer_tag, 0, 0, pattern(8192), true));
  expect_rejected(at, invalid_pdu_field);
  at.send(Initiator::data_out(asked.tag, asked.transfer_tag, 0, 0, pattern(8192), true));
  run();
  EXPECT_EQ(at.must(Opcode::scsi_response).byte(3), 0);
  // And again, when it is over.
  at.send(Initiator::data_out(asked.tag, asked.transfer_tag, 0, 0, pattern(8192), true));
  expect_rejected(at, invalid_pdu_field);
}

TEST_F(IscsiBadInput, DataForAReadIsRejectedAndTheReadGoesOn) {
  Initiator& at = eager();
  first_.hold = true;
  const Pdu read = at.command(client::scsi::read(0, 1, block_bytes));
  at.send(read);
  at.send(Initiator::data_out(read.u32(16), host::no_tag, 0, 0, pattern(512), true));
  expect_rejected(at, invalid_pdu_field);
  first_.hold = false;
  first_.end(*first_.held().front());
  run();
  EXPECT_EQ(at.must(Opcode::data_in).byte(3), 0);
}

// What is not a command's data leaves a gap in the order of requests if it is lost.
TEST_F(IscsiBadInput, ADataDigestErrorOfTextOrAPingEndsTheSession) {
  for (const Opcode opcode : {Opcode::nop_out, Opcode::text}) {
    SCOPED_TRACE(static_cast<int>(opcode));
    Initiator& at = ready({}, {.header_digest = false, .data_digest = true});
    Pdu pdu = at.request(opcode);
    pdu.u32(20, host::no_tag);
    pdu.data = pattern(32);
    pdu.data_digest_flip = 2;
    at.send(pdu);
    expect_ended(at, 0x02);
  }
}

struct WrongData {
  const char* name;
  std::uint32_t data_sn;
  std::uint32_t offset;
  std::uint32_t bytes;
  bool final;
};

class IscsiWrongData : public IscsiBadInput, public testing::WithParamInterface<WrongData> {};

TEST_P(IscsiWrongData, EndsTheSession) {
  LoginFields fields;
  fields.keys = {{"InitialR2T", "Yes"}, {"ImmediateData", "No"}};
  Initiator& at = ready(fields);
  const Asked asked = asked_write(at);
  const WrongData& wrong = GetParam();
  at.send(Initiator::data_out(asked.tag, asked.transfer_tag, wrong.data_sn, wrong.offset,
                              pattern(wrong.bytes), wrong.final));
  expect_ended(at, protocol_error);
  EXPECT_EQ(first_.block(0)[1], std::byte{0});
}

INSTANTIATE_TEST_SUITE_P(Data, IscsiWrongData,
                         testing::Values(WrongData{"Beyond", 0, 0, 8196, true},
                                         WrongData{"Behind", 0, 8192, 512, true},
                                         WrongData{"Far", 0, 0xffff'fe00, 512, true},
                                         WrongData{"Skipping", 0, 512, 512, false},
                                         WrongData{"FinalTooEarly", 0, 0, 4096, true},
                                         WrongData{"NotFinal", 0, 0, 8192, false}),
                         [](const auto& wrong) { return wrong.param.name; });

// What a lost PDU leaves: the task fails, and the session goes on.
TEST_F(IscsiBadInput, ADataSnOutOfOrderFailsItsTaskAlone) {
  LoginFields fields;
  fields.keys = {{"InitialR2T", "Yes"}, {"ImmediateData", "No"}};
  Initiator& at = ready(fields);
  const Asked asked = asked_write(at);
  at.send(Initiator::data_out(asked.tag, asked.transfer_tag, 1, 0, pattern(8192), true));
  run();
  const auto response = at.must(Opcode::scsi_response);
  EXPECT_EQ(response.byte(3), 2);
  EXPECT_EQ(first_.block(0)[1], std::byte{0});
}

TEST_F(IscsiBadInput, UnsolicitedDataBeyondTheFirstBurstEndsTheSession) {
  Initiator& at = eager();
  Pdu pdu = at.command(client::scsi::write(0, pattern(256 << 10), block_bytes));
  pdu.byte(1, 0x21);
  at.send(pdu);
  const std::uint32_t tag = pdu.u32(16);
  at.send(Initiator::data_out(tag, host::no_tag, 0, 0, pattern(60 << 10), false));
  at.send(Initiator::data_out(tag, host::no_tag, 1, 60 << 10, pattern(8 << 10), true));
  expect_ended(at, protocol_error);
}

TEST_F(IscsiBadInput, UnsolicitedDataOutOfOrderEndsTheSession) {
  Initiator& at = eager();
  Pdu pdu = at.command(client::scsi::write(0, pattern(32 << 10), block_bytes));
  pdu.byte(1, 0x21);
  at.send(pdu);
  at.send(Initiator::data_out(pdu.u32(16), host::no_tag, 0, 512, pattern(4096), false));
  expect_ended(at, protocol_error);
}

TEST_F(IscsiBadInput, AnUnsolicitedDataSnOutOfOrderFailsItsTaskAlone) {
  Initiator& at = eager();
  Pdu pdu = at.command(client::scsi::write(0, pattern(4096), block_bytes));
  pdu.byte(1, 0x21);
  at.send(pdu);
  at.send(Initiator::data_out(pdu.u32(16), host::no_tag, 1, 0, pattern(4096), true));
  run();
  EXPECT_EQ(at.must(Opcode::scsi_response).byte(3), 2);
  EXPECT_EQ(first_.block(0)[1], std::byte{0});
  EXPECT_EQ(execute(at, client::scsi::test_unit_ready()).byte(3), 0);
}

TEST_F(IscsiBadInput, ImmediateDataBeyondWhatIsExpectedFailsTheTask) {
  Initiator& at = eager();
  host::Task task = client::scsi::write(0, pattern(1024), block_bytes);
  task.expected_bytes = 512;
  const ReceivedPdu response = execute(at, task);
  EXPECT_EQ(response.byte(3), 2);
  EXPECT_EQ(execute(at, client::scsi::test_unit_ready()).byte(3), 0);
}

TEST_F(IscsiBadInput, DataBothWaysIsRefused) {
  Initiator& at = ready();
  Pdu pdu = at.command(client::scsi::test_unit_ready());
  pdu.byte(1, 0xe1).u32(20, 512);
  at.send(pdu);
  run();
  const bool refused = at.closed() || at.must(Opcode::scsi_response).byte(3) == 2;
  EXPECT_TRUE(refused);
}

TEST_F(IscsiBadInput, TooManyImmediateCommandsFindTheirTaskSetFull) {
  Initiator& at = ready();
  first_.hold = true;
  for (int i = 0; i < 20; ++i) {
    Pdu pdu = at.command(client::scsi::read(0, 1, block_bytes));
    --at.command_sn;
    at.send(pdu.immediate());
  }
  run();
  int refused = 0;
  while (const auto response = at.take(Opcode::scsi_response)) {
    EXPECT_EQ(response->byte(3), 0x28);
    EXPECT_EQ(response->u32(44), block_bytes) << "residual count";
    ++refused;
  }
  EXPECT_EQ(refused, 4);
  // One whose data is still to come cannot be answered yet.
  Pdu write = at.command(client::scsi::write(0, pattern(512), block_bytes));
  --at.command_sn;
  at.send(write.immediate().byte(1, 0x21));
  expect_rejected(at, 0x06);
  first_.hold = false;
  while (!first_.held().empty()) first_.end(*first_.held().front());
  run();
}

TEST_F(IscsiBadInput, ALoginRequestAfterLoginEndsTheConnection) {
  Initiator& at = ready();
  at.send(host::to_pdu({}, {}));
  run();
  EXPECT_TRUE(at.closed());
}

TEST_F(IscsiBadInput, DataThatIsOwedMustComeInTime) {
  LoginFields fields;
  fields.keys = {{"InitialR2T", "Yes"}, {"ImmediateData", "No"}};
  Initiator& at = ready(fields);
  (void)asked_write(at);
  advance(20s);
  EXPECT_FALSE(at.closed());
  // The bystander is alive, and says so.
  EXPECT_EQ(execute(*bystander_, client::scsi::test_unit_ready()).byte(3), 0);
  advance(11s);
  EXPECT_TRUE(at.closed());
}

TEST_F(IscsiBadInput, TruncationsAndGarbageEndNothingButTheirOwnConnection) {
  engine::SeededRandom random(7);
  for (int round = 0; round < 300; ++round) {
    Initiator& at = round % 3 == 0 ? connect() : eager();
    Bytes bytes(48 + random.below(200));
    for (std::byte& byte : bytes) byte = static_cast<std::byte>(random.below(256));
    if (round % 2 == 0) {
      bytes[0] = static_cast<std::byte>(random.below(7) | 0x40);
      bytes[4] = bytes[5] = bytes[6] = std::byte{0};
    }
    at.send(bytes);
    run();
    at.wire->host_closed = true;
    run();
  }
  EXPECT_EQ(execute(*bystander_, client::scsi::test_unit_ready()).byte(3), 0);
}

}  // namespace
}  // namespace target::iscsi
