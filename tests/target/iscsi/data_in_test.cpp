// Answers, and data to the initiator.
#include <gmock/gmock.h>

#include "tests/target/iscsi/session_kit.h"

namespace target::iscsi {
namespace {

class IscsiDataIn : public SessionTest, public testing::WithParamInterface<bool> {
 protected:
  Initiator& reader(const std::string& segment, const std::string& burst = "262144") {
    LoginFields fields;
    fields.keys = {{"MaxRecvDataSegmentLength", segment}, {"MaxBurstLength", burst}};
    Initiator& at = ready(fields, {.header_digest = GetParam(), .data_digest = GetParam()});
    const Bytes data = pattern(first_.size().value * block_bytes);
    std::ranges::copy(data, first_.block(0).data());
    return at;
  }
  Bytes stored(std::uint64_t lba, std::size_t bytes) {
    const auto at = first_.block(lba).data();
    return {at, at + bytes};
  }
};

TEST_P(IscsiDataIn, StatusComesWithTheLastData) {
  Initiator& at = reader("262144");
  at.send(at.command(client::scsi::read(5, 8, block_bytes)));
  run();
  const ReceivedPdu data = at.must(Opcode::data_in);
  EXPECT_EQ(data.byte(1), 0x81) << "F and S";
  EXPECT_EQ(data.byte(3), 0);
  EXPECT_EQ(data.data, stored(5, 4 * kib));
  EXPECT_FALSE(at.take(Opcode::scsi_response));
}

TEST_P(IscsiDataIn, DataIsCutToWhatTheInitiatorTakes) {
  Initiator& at = reader("8192", "16384");
  at.send(at.command(client::scsi::read(0, 80, block_bytes)));  // 40 KiB
  run();
  Bytes all;
  std::vector<bool> finals;
  std::uint32_t data_sn = 0;
  while (auto data = at.take(Opcode::data_in)) {
    EXPECT_EQ(data->u32(36), data_sn++);
    EXPECT_EQ(data->u32(40), all.size());
    all.insert(all.end(), data->data.begin(), data->data.end());
    finals.push_back(data->final());
    EXPECT_EQ((data->byte(1) & 1) != 0, all.size() == 40 * kib);
  }
  EXPECT_THAT(finals, testing::ElementsAre(false, true, false, true, true));
  EXPECT_EQ(all, stored(0, 40 * kib));
}

TEST_P(IscsiDataIn, OddLengthsArePadded) {
  Initiator& at = reader("8192");
  at.send(at.command(client::scsi::inquiry(35)));
  run();
  const ReceivedPdu data = at.must(Opcode::data_in);
  EXPECT_EQ(data.data.size(), 35U);
  at.send(at.command(client::scsi::read(0, 1, block_bytes)));
  run();
  EXPECT_EQ(at.must(Opcode::data_in).data, stored(0, 512));
}

TEST_P(IscsiDataIn, ResidualsAreExactBothWays) {
  Initiator& at = reader("8192");
  host::Task more = client::scsi::read(0, 1, block_bytes);
  more.expected_bytes = 4 * kib;
  at.send(at.command(more));
  run();
  const ReceivedPdu under = at.must(Opcode::data_in);
  EXPECT_EQ(under.byte(1) & 0x06, 0x02);
  EXPECT_EQ(under.u32(44), 4 * kib - 512);
  EXPECT_EQ(under.data.size(), 512U);

  host::Task less = client::scsi::read(0, 4, block_bytes);
  less.expected_bytes = 512;
  at.send(at.command(less));
  run();
  const ReceivedPdu over = at.must(Opcode::data_in);
  EXPECT_EQ(over.byte(1) & 0x06, 0x04);
  EXPECT_EQ(over.u32(44), 3 * 512U);
  EXPECT_EQ(over.data, stored(0, 512));

  host::Task nothing = client::scsi::read(0, 2, block_bytes);
  nothing.expected_bytes = 0;
  at.send(at.command(nothing));
  run();
  const ReceivedPdu none = at.must(Opcode::scsi_response);
  EXPECT_EQ(none.byte(3), 0);
  EXPECT_EQ(none.byte(1) & 0x06, 0x04);
  EXPECT_EQ(none.u32(44), 1024U);
}

TEST_P(IscsiDataIn, SenseDataComesWithItsLength) {
  Initiator& at = reader("8192");
  at.send(at.command(client::scsi::read(1U << 20, 1, block_bytes)));
  run();
  const ReceivedPdu response = at.must(Opcode::scsi_response);
  EXPECT_EQ(response.byte(3), 2);
  ASSERT_GE(response.data.size(), 20U);
  EXPECT_EQ(response.data[1], std::byte{18});
  EXPECT_EQ(response.data[2 + 2], std::byte{5});
  EXPECT_EQ(response.data[2 + 12], std::byte{0x21});
  EXPECT_EQ(response.byte(1) & 0x06, 0x02) << "nothing was moved";
  EXPECT_EQ(response.u32(44), 512U);
}

TEST_P(IscsiDataIn, StatSnCountsWhatCarriesStatus) {
  Initiator& at = reader("8192");
  std::uint32_t stat_sn = 0;
  for (int i = 0; i < 3; ++i) {
    at.send(at.command(client::scsi::test_unit_ready()));
    run();
    const std::uint32_t now = at.must(Opcode::scsi_response).u32(24);
    if (i != 0) {
      EXPECT_EQ(now, stat_sn + 1);
    }
    stat_sn = now;
    at.send(at.command(client::scsi::read(0, 32, block_bytes)));  // two Data-Ins, one with status
    run();
    (void)at.must(Opcode::data_in);
    EXPECT_EQ(at.must(Opcode::data_in).u32(24), ++stat_sn);
  }
}

TEST_P(IscsiDataIn, DataIsSentFromWhereItLies) {
  Initiator& at = reader("262144");
  first_.gives_out = true;
  at.send(at.command(client::scsi::read(8, 256, block_bytes)));
  run();
  const ReceivedPdu data = at.must(Opcode::data_in);
  EXPECT_EQ(data.data, stored(8, 128 * kib));
  EXPECT_FALSE(first_.asked_in_place.empty());
}

TEST_P(IscsiDataIn, AnInitiatorThatDoesNotReadIsNotReadEither) {
  options_.output_bound_bytes = 256 * kib;
  Initiator& at = reader("262144");
  at.wire->room = at.wire->to_host.size() + 1000;
  for (int i = 0; i < 64; ++i) at.send(at.command(client::scsi::read(0, 256, block_bytes)));
  for (int i = 0; i < 50; ++i) {
    (void)notify(*at.wire);
    reactor_.run_turn();
  }
  EXPECT_LT(budget_.used().value, 8U << 20);
  at.wire->room = SimWire::unlimited;
  run();
  int answered = 0;
  while (at.take(Opcode::data_in)) ++answered;
  EXPECT_EQ(answered, 64);
}

INSTANTIATE_TEST_SUITE_P(Digests, IscsiDataIn, testing::Bool());

}  // namespace
}  // namespace target::iscsi
