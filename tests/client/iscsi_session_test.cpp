// The session and its referee against a peer whose PDUs are laid ready.
#include "tests/client/iscsi_session.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <functional>

#include "tests/client/scsi_task.h"

namespace client::iscsi {
namespace {

constexpr std::uint32_t first_tag = 0x100;
constexpr std::uint32_t block = 512;

struct Pair {
  explicit Pair(Parameters agreed = {}) {
    int ends[2];
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    peer = std::make_unique<Connection>(ends[1]);
    LoginOptions options;
    options.parameters = agreed;
    options.time_out = Milliseconds{2000};
    Login login;
    login.agreed = agreed;
    login.stat_sn = 9;
    login.expected_command_sn = 1;
    login.max_command_sn = 32;
    session = std::make_unique<Session>(std::make_unique<Connection>(ends[0]), options, login);
  }
  void ready(const Pdu& pdu) { ASSERT_TRUE(peer->send(pdu)); }

  std::unique_ptr<Connection> peer;
  std::unique_ptr<Session> session;
};

// With the numbers of a target that has had the first command.
Pdu from_target(Opcode opcode, std::uint8_t flags = final_bit) {
  Pdu pdu(opcode, flags);
  return pdu.u32(at::task_tag, first_tag)
      .u32(at::stat_sn, 10)
      .u32(at::expected_command_sn, 2)
      .u32(at::max_command_sn, 33);
}
Pdu data_in(std::uint32_t data_sn, std::uint32_t offset, std::size_t bytes,
            std::uint8_t flags = 0) {
  Pdu pdu = from_target(Opcode::data_in, flags);
  pdu.u32(at::data_sn, data_sn).u32(at::buffer_offset, offset).u32(at::transfer_tag, no_tag);
  if ((flags & 1) == 0) pdu.u32(at::stat_sn, 0);
  pdu.data = Bytes(bytes, std::byte{0x5a});
  return pdu;
}
Pdu r2t(std::uint32_t number, std::uint32_t offset, std::uint32_t bytes) {
  Pdu pdu = from_target(Opcode::r2t);
  return pdu.u32(at::transfer_tag, 0x77)
      .u32(at::data_sn, number)
      .u32(at::buffer_offset, offset)
      .u32(at::residual, bytes);
}

TEST(IscsiSession, ReadWithCollapsedStatusComesBack) {
  Pair pair;
  pair.ready(data_in(0, 0, 512));
  pair.ready(data_in(1, 512, 512, final_bit | 1));
  const auto done = pair.session->execute(scsi::read(0, 2, block));
  ASSERT_TRUE(done) << done.error().describe();
  EXPECT_TRUE(done.value().ok() && done.value().collapsed);
  EXPECT_EQ(done.value().data, Bytes(1024, std::byte{0x5a}));
  EXPECT_EQ(pair.session->expected_stat_sn(), 11u);
  EXPECT_EQ(pair.session->max_command_sn(), 33u);
}

TEST(IscsiSession, SenseIsTakenApartInBothFormats) {
  for (const auto& [sense, key, code] : {std::tuple{"0012"
                                                    "70000300000000"
                                                    "0a"
                                                    "00000000"
                                                    "1100"
                                                    "00000000",
                                                    3, 0x1100},
                                         std::tuple{"0008"
                                                    "720521000000"
                                                    "0000",
                                                    5, 0x2100}}) {
    Pair pair;
    Pdu response = from_target(Opcode::scsi_response, final_bit | 2);
    response.byte(3, 2).u32(at::residual, 1024);
    response.data = from_hex(sense);
    pair.ready(response);
    const auto done = pair.session->execute(scsi::read(0, 2, block));
    ASSERT_TRUE(done) << done.error().describe();
    EXPECT_EQ(done.value().status, 2);
    EXPECT_EQ(done.value().sense_key(), key);
    EXPECT_EQ(done.value().additional_sense(), code);
    EXPECT_EQ(done.value().underflow, 1024u);
  }
}

struct Sent {
  std::uint32_t offset, bytes, transfer_tag;
  bool last;
  bool operator==(const Sent&) const = default;
};
std::ostream& operator<<(std::ostream& out, const Sent& sent) {
  return out << sent.offset << "+" << sent.bytes << " tag " << sent.transfer_tag
             << (sent.last ? " last" : "");
}

TEST(IscsiSession, DataGoesOutImmediateUnsolicitedAndWhenAskedFor) {
  Pair pair({.initial_r2t = false, .first_burst = 1536, .send_segment = 1024});
  pair.ready(r2t(0, 1536, 1536));
  pair.ready(from_target(Opcode::scsi_response));
  const auto done = pair.session->execute(scsi::write(0, Bytes(3072, std::byte{1}), block));
  ASSERT_TRUE(done) << done.error().describe();
  EXPECT_EQ(done.value().r2ts, 1u);
  std::vector<Sent> sent;
  for (int i = 0; i < 4; ++i) {
    const auto pdu = pair.peer->receive();
    ASSERT_TRUE(pdu);
    const bool command = pdu.value().is(Opcode::scsi_command);
    sent.push_back({command ? 0 : pdu.value().u32(at::buffer_offset),
                    static_cast<std::uint32_t>(pdu.value().data.size()),
                    command ? 0 : pdu.value().u32(at::transfer_tag), pdu.value().final()});
  }
  EXPECT_EQ(sent, (std::vector<Sent>{{0, 1024, 0, false},
                                     {1024, 512, no_tag, true},
                                     {1536, 1024, 0x77, false},
                                     {2560, 512, 0x77, true}}));
}

TEST(IscsiSession, AnswersTheTargetsPing) {
  Pair pair;
  Pdu ping = from_target(Opcode::nop_in);
  ping.u32(at::task_tag, no_tag).u32(at::transfer_tag, 5).u32(at::expected_command_sn, 1);
  pair.ready(ping);
  ASSERT_FALSE(pair.session->stays_silent(Milliseconds{1000}).value());
  const auto answer = pair.peer->receive();
  ASSERT_TRUE(answer);
  EXPECT_TRUE(answer.value().is(Opcode::nop_out));
  EXPECT_EQ(answer.value().u32(at::transfer_tag), 5u);
  EXPECT_EQ(pair.session->expected_stat_sn(), 10u);
}

struct Illegal {
  const char* what;
  const char* complaint;
  std::function<std::vector<Pdu>()> pdus;
  bool writes = false;
};
class IscsiReferee : public testing::TestWithParam<Illegal> {};

TEST_P(IscsiReferee, Objects) {
  Pair pair({.immediate_data = false, .max_burst = 2048, .receive_segment = 1024});
  for (const Pdu& pdu : GetParam().pdus()) pair.ready(pdu);
  const auto done = pair.session->execute(GetParam().writes ? scsi::write(0, Bytes(4096), block)
                                                            : scsi::read(0, 8, block));
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().kind, ErrorKind::violation) << done.error().describe();
  EXPECT_THAT(done.error().text, testing::HasSubstr(GetParam().complaint));
}

Pdu response(std::uint8_t flags = final_bit) { return from_target(Opcode::scsi_response, flags); }

INSTANTIATE_TEST_SUITE_P(
    All, IscsiReferee,
    testing::Values(
        Illegal{"another_task", "a response to no task",
                [] { return std::vector{response().u32(at::task_tag, 1)}; }},
        Illegal{"stat_sn_skipped", "was due",
                [] { return std::vector{response().u32(at::stat_sn, 11)}; }},
        Illegal{"exp_cmd_sn_ahead", "never sent",
                [] { return std::vector{response().u32(at::expected_command_sn, 3)}; }},
        Illegal{"max_cmd_sn_back", "MaxCmdSN goes back",
                [] { return std::vector{response().u32(at::max_command_sn, 31)}; }},
        Illegal{"no_data_no_residual", "residual says", [] { return std::vector{response()}; }},
        Illegal{"data_sn_skipped", "DataSN", [] { return std::vector{data_in(1, 0, 512)}; }},
        Illegal{"offset_skipped", "data out of order",
                [] { return std::vector{data_in(0, 512, 512)}; }},
        Illegal{"segment_too_long", "MaxRecvDataSegmentLength",
                [] { return std::vector{data_in(0, 0, 1536)}; }},
        Illegal{"burst_too_long", "over MaxBurstLength",
                [] {
                  return std::vector{data_in(0, 0, 1024), data_in(1, 1024, 1024),
                                     data_in(2, 2048, 512)};
                }},
        Illegal{"too_much", "more data than was expected",
                [] {
                  std::vector<Pdu> pdus;
                  for (std::uint32_t i = 0; i < 5; ++i) {
                    pdus.push_back(data_in(i, i * 1024, 1024, final_bit));
                  }
                  return pdus;
                }},
        Illegal{"short_with_status", "residual says",
                [] { return std::vector{data_in(0, 0, 512, final_bit | 1)}; }},
        Illegal{"status_before_the_end", "status without the F bit",
                [] { return std::vector{data_in(0, 0, 512, 1)}; }},
        Illegal{"data_for_a_write", "does not read", [] { return std::vector{data_in(0, 0, 512)}; },
                true},
        Illegal{"r2t_for_a_read", "does not write", [] { return std::vector{r2t(0, 0, 512)}; }},
        Illegal{"r2t_number", "R2TSN", [] { return std::vector{r2t(1, 0, 512)}; }, true},
        Illegal{"r2t_skips", "R2T out of order", [] { return std::vector{r2t(0, 512, 512)}; },
                true},
        Illegal{"r2t_too_long", "R2T over", [] { return std::vector{r2t(0, 0, 2560)}; }, true},
        Illegal{"r2t_for_nothing", "for nothing", [] { return std::vector{r2t(0, 0, 0)}; }, true},
        Illegal{"r2t_beyond_the_command", "more than the command has",
                [] {
                  return std::vector{r2t(0, 0, 2048), r2t(1, 2048, 1024), r2t(2, 3072, 2048)};
                },
                true},
        Illegal{"status_2_without_sense", "contradict",
                [] { return std::vector{response().byte(3, 2)}; }, true},
        Illegal{"a_request", "no PDU of a target",
                [] { return std::vector{from_target(Opcode::scsi_command)}; }}),
    [](const auto& illegal) { return std::string(illegal.param.what); });

TEST(IscsiSession, RejectIsAnError) {
  Pair pair;
  Pdu reject = from_target(Opcode::reject);
  reject.byte(2, 4).u32(at::task_tag, no_tag);
  reject.data = Bytes(header_bytes);
  pair.ready(reject);
  const auto done = pair.session->execute(scsi::test_unit_ready());
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().kind, ErrorKind::refused);
  EXPECT_NE(done.error().text.find("reason 04h"), std::string::npos);
}

TEST(IscsiSession, WaitsForTheWindow) {
  Pair pair;
  Pdu closed = from_target(Opcode::nop_in);
  closed.u32(at::task_tag, no_tag).u32(at::transfer_tag, no_tag).u32(at::expected_command_sn, 1);
  Pdu opened = closed;
  for (int i = 0; i < 32; ++i) ASSERT_TRUE(pair.session->submit(scsi::test_unit_ready()));
  EXPECT_EQ(pair.session->command_sn(), 33u);
  closed.u32(at::max_command_sn, 32);
  opened.u32(at::max_command_sn, 33);
  pair.ready(closed);
  pair.ready(opened);
  ASSERT_TRUE(pair.session->submit(scsi::test_unit_ready()));
  EXPECT_FALSE(pair.session->submit(scsi::test_unit_ready()));
}

}  // namespace
}  // namespace client::iscsi
