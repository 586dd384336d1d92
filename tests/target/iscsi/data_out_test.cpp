// Data from the initiator: immediate, unsolicited and asked for.
#include <gmock/gmock.h>

#include "tests/target/iscsi/session_kit.h"

namespace target::iscsi {
namespace {

class IscsiDataOut : public SessionTest, public testing::WithParamInterface<bool> {
 protected:
  host::Framing digests() const { return {.header_digest = GetParam(), .data_digest = GetParam()}; }
  // Negotiates what is in favour of unsolicited data.
  Initiator& eager() {
    LoginFields fields;
    fields.keys = {{"InitialR2T", "No"},
                   {"ImmediateData", "Yes"},
                   {"FirstBurstLength", "65536"},
                   {"MaxBurstLength", "262144"},
                   {"MaxOutstandingR2T", "4"}};
    return ready(fields, digests());
  }
  Bytes stored(std::uint64_t lba, std::size_t bytes) {
    const auto at = first_.block(lba).data();
    return {at, at + bytes};
  }
  static void expect_good(const ReceivedPdu& response) {
    EXPECT_EQ(response.byte(2), 0) << "response";
    EXPECT_EQ(response.byte(3), 0) << "status";
    EXPECT_EQ(response.byte(1) & 0x06, 0) << "residual";
  }
};

TEST_P(IscsiDataOut, ImmediateDataIsWritten) {
  Initiator& at = eager();
  const Bytes data = pattern(8 * kib);
  expect_good(execute(at, client::scsi::write(10, data, block_bytes)));
  EXPECT_EQ(stored(10, data.size()), data);
  EXPECT_FALSE(at.take(Opcode::r2t));
}

TEST_P(IscsiDataOut, SingleBlocksNeedPadding) {
  // A parameter list whose length is no multiple of four.
  Initiator& at = ready({}, digests());
  host::Task task = client::scsi::reserve(0, 0, 0, 1);
  task.data_out.resize(24);
  task.data_out.push_back(std::byte{0});
  task.cdb[8] = std::byte{25};
  Pdu pdu = at.command(task);
  pdu.data = task.data_out;
  at.send(pdu);
  run();
  // What follows is understood, whatever is thought of the list.
  (void)at.must(Opcode::scsi_response);
  expect_good(execute(at, client::scsi::write(0, pattern(512), block_bytes)));
}

TEST_P(IscsiDataOut, UnsolicitedDataComesBehindTheCommand) {
  Initiator& at = eager();
  const Bytes data = pattern(64 * kib);
  Pdu pdu = at.command(client::scsi::write(16, data, block_bytes));
  pdu.byte(1, 0x21);  // W, not F
  pdu.data.assign(data.begin(), data.begin() + 16 * kib);
  const std::uint32_t tag = pdu.u32(16);
  at.send(pdu);
  for (std::uint32_t i = 1; i < 4; ++i) {
    at.send(Initiator::data_out(tag, host::no_tag, i - 1, i * 16 * kib,
                                {data.begin() + i * 16 * kib, data.begin() + (i + 1) * 16 * kib},
                                i == 3));
  }
  run();
  expect_good(at.must(Opcode::scsi_response));
  EXPECT_EQ(stored(16, data.size()), data);
}

TEST_P(IscsiDataOut, WhatIsMissingIsAskedFor) {
  Initiator& at = eager();
  const Bytes data = pattern(1000 * kib);
  Pdu pdu = at.command(client::scsi::write(0, data, block_bytes));
  pdu.data.assign(data.begin(), data.begin() + 64 * kib);
  const std::uint32_t tag = pdu.u32(16);
  at.send(pdu);
  run();
  std::uint32_t asked = 64 * kib;
  std::uint32_t r2t_sn = 0;
  int most_outstanding = 0;
  std::vector<ReceivedPdu> open;
  while (asked < data.size() || !open.empty()) {
    while (auto r2t = at.take(Opcode::r2t)) {
      EXPECT_EQ(r2t->u32(16), tag);
      EXPECT_EQ(r2t->u32(36), r2t_sn++);
      EXPECT_EQ(r2t->u32(40), asked);
      EXPECT_LE(r2t->u32(44), 256 * kib);
      asked += r2t->u32(44);
      open.push_back(*r2t);
    }
    most_outstanding = std::max(most_outstanding, static_cast<int>(open.size()));
    ASSERT_FALSE(open.empty());
    // The last one first: each has its own numbers.
    const ReceivedPdu r2t = open.back();
    open.pop_back();
    const std::uint32_t begin = r2t.u32(40);
    const std::uint32_t half = r2t.u32(44) / 2;
    const auto from = data.begin() + begin;
    at.send(Initiator::data_out(tag, r2t.u32(20), 0, begin, {from, from + half}, false));
    at.send(Initiator::data_out(tag, r2t.u32(20), 1, begin + half,
                                {from + half, from + r2t.u32(44)}, true));
    run();
  }
  expect_good(at.must(Opcode::scsi_response));
  EXPECT_EQ(stored(0, data.size()), data);
  EXPECT_EQ(most_outstanding, 4);
}

TEST_P(IscsiDataOut, WithoutAnyUnsolicitedDataAllIsAskedFor) {
  LoginFields fields;
  fields.keys = {{"InitialR2T", "Yes"}, {"ImmediateData", "No"}};
  Initiator& at = ready(fields, digests());
  const Bytes data = pattern(4 * kib);
  Pdu pdu = at.command(client::scsi::write(3, data, block_bytes));
  at.send(pdu);
  run();
  const ReceivedPdu r2t = at.must(Opcode::r2t);
  EXPECT_EQ(r2t.u32(40), 0U);
  EXPECT_EQ(r2t.u32(44), 4 * kib);
  at.send(Initiator::data_out(pdu.u32(16), r2t.u32(20), 0, 0, data, true));
  run();
  const ReceivedPdu response = at.must(Opcode::scsi_response);
  expect_good(response);
  EXPECT_EQ(response.u32(36), 1U) << "ExpDataSN counts the R2T";
  EXPECT_EQ(stored(3, data.size()), data);
}

TEST_P(IscsiDataOut, UnexpectedUnsolicitedDataFailsTheTaskAlone) {
  LoginFields fields;
  fields.keys = {{"InitialR2T", "Yes"}, {"ImmediateData", "No"}};
  Initiator& at = ready(fields, digests());
  const ReceivedPdu response = execute(at, client::scsi::write(3, pattern(4 * kib), block_bytes));
  EXPECT_EQ(response.byte(3), 2);
  ASSERT_GE(response.data.size(), 20U);
  EXPECT_EQ(response.data[2 + 2], std::byte{0x0b});
  EXPECT_EQ(response.data[2 + 12], std::byte{0x0c});
  EXPECT_EQ(response.data[2 + 13], std::byte{0x0c});
  EXPECT_EQ(stored(3, 512), Bytes(512));
  Pdu pdu = at.command(client::scsi::test_unit_ready());
  at.send(pdu);
  run();
  expect_good(at.must(Opcode::scsi_response));
}

TEST_P(IscsiDataOut, ResidualsAreExact) {
  Initiator& at = eager();
  host::Task task = client::scsi::write(0, pattern(4 * kib), block_bytes);
  task.expected_bytes = 8 * kib;  // more than the command takes
  task.data_out = pattern(8 * kib);
  const ReceivedPdu more = execute(at, task);
  EXPECT_EQ(more.byte(1) & 0x06, 0x02) << "underflow";
  EXPECT_EQ(more.u32(44), 4 * kib);
}

TEST_P(IscsiDataOut, DataOfAnAnsweredTaskIsThrownAway) {
  Initiator& at = eager();
  // Beyond the end: refused before its unsolicited data has come.
  Pdu pdu = at.command(client::scsi::write(1U << 20, pattern(32 * kib), block_bytes));
  pdu.byte(1, 0x21);
  at.send(pdu);
  run();
  EXPECT_EQ(at.must(Opcode::scsi_response).byte(3), 2);
  at.send(Initiator::data_out(pdu.u32(16), host::no_tag, 0, 0, pattern(16 * kib), false));
  at.send(Initiator::data_out(pdu.u32(16), host::no_tag, 1, 16 * kib, pattern(16 * kib), true));
  run();
  EXPECT_FALSE(at.take(Opcode::reject));
  expect_good(execute(at, client::scsi::write(0, pattern(512), block_bytes)));
}

TEST_P(IscsiDataOut, MemoryIsBoundedAndThoseWhoWaitAreServed) {
  LoginFields fields;
  fields.keys = {{"InitialR2T", "Yes"}, {"ImmediateData", "No"}, {"MaxBurstLength", "1048576"}};
  Initiator& at = ready(fields, digests());
  const Bytes data = pattern(1024 * kib);
  std::vector<std::uint32_t> tags;
  for (std::uint32_t i = 0; i < 4; ++i) {
    for (int j = 0; j < 4; ++j) {
      Pdu pdu = at.command(client::scsi::write(i * 2048, data, block_bytes));
      at.send(pdu);
      tags.push_back(pdu.u32(16));
    }
  }
  run();
  std::size_t answered = 0;
  for (int round = 0; round < 200 && answered < tags.size(); ++round) {
    EXPECT_LE(budget_.used().value, 9U << 20);
    while (auto r2t = at.take(Opcode::r2t)) {
      const std::uint32_t end = r2t->u32(40) + r2t->u32(44);
      std::uint32_t data_sn = 0;
      for (std::uint32_t at_byte = r2t->u32(40); at_byte < end; at_byte += 64 * kib) {
        at.send(Initiator::data_out(r2t->u32(16), r2t->u32(20), data_sn++, at_byte,
                                    {data.begin() + at_byte, data.begin() + at_byte + 64 * kib},
                                    at_byte + 64 * kib == end));
      }
      break;
    }
    run();
    while (at.take(Opcode::scsi_response)) ++answered;
  }
  EXPECT_EQ(answered, tags.size());
}

// Only for what has come with it. The rest is asked for when it is its turn.
TEST_P(IscsiDataOut, AWriteThatIsHeldBackHasNoMoreBufferThanWhatCameWithIt) {
  Initiator& at = eager();
  first_block_.limiter().set_limits({.write_commands = 10}, clock_.now());
  expect_good(execute(at, client::scsi::write(4000, pattern(512), block_bytes)));
  const Bytes data = pattern(512 * kib);
  Pdu pdu = at.command(client::scsi::write(0, data, block_bytes));
  pdu.data.assign(data.begin(), data.begin() + 8 * kib);
  at.send(pdu);
  run();
  EXPECT_FALSE(at.take(Opcode::r2t));
  EXPECT_EQ(first_block_.limiter().counts().writes_held, 1U);
  EXPECT_EQ(first_block_.buffers().held(), 8 * kib);
  // Another unit is served, and a ping answered.
  host::Task read = client::scsi::read(0, 8, block_bytes);
  read.lun = host::lun_field(1);
  at.send(at.command(read));
  run();
  EXPECT_TRUE(at.take(Opcode::data_in));
  advance(100ms);
  std::size_t asked = 8 * kib;
  while (asked < data.size()) {
    const ReceivedPdu r2t = at.must(Opcode::r2t);
    ASSERT_EQ(r2t.u32(40), asked);
    const auto from = data.begin() + static_cast<std::ptrdiff_t>(asked);
    asked += r2t.u32(44);
    at.send(Initiator::data_out(pdu.u32(16), r2t.u32(20), 0, r2t.u32(40),
                                {from, from + r2t.u32(44)}, true));
    run();
  }
  expect_good(at.must(Opcode::scsi_response));
  EXPECT_EQ(stored(0, data.size()), data);
}

// The daemon stops: tasks that are held back are answered, and the session ends.
TEST_P(IscsiDataOut, WhatIsHeldBackWhenTheDaemonStopsIsAnsweredBusy) {
  Initiator& at = eager();
  first_block_.limiter().set_limits({.write_commands = 10}, clock_.now());
  expect_good(execute(at, client::scsi::write(4000, pattern(512), block_bytes)));
  for (int i = 0; i < 3; ++i) {
    Pdu pdu = at.command(client::scsi::write(0, pattern(512), block_bytes));
    pdu.data = pattern(512);
    at.send(pdu);
  }
  run();
  EXPECT_EQ(first_block_.limiter().counts().writes_held, 3U);
  registry_->end(EndReason::stopping);
  run();
  for (int i = 0; i < 3; ++i) EXPECT_EQ(at.must(Opcode::scsi_response).byte(3), 0x08);
  EXPECT_FALSE(first_block_.limiter().is_holding());
}

INSTANTIATE_TEST_SUITE_P(Digests, IscsiDataOut, testing::Bool());

}  // namespace
}  // namespace target::iscsi
