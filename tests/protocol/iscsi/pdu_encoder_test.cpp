// Golden bytes of everything that a target sends.
#include "protocol/iscsi/pdu_encoder.h"

#include <gtest/gtest.h>

#include <array>
#include <string>

#include "tests/protocol/iscsi/initiator_pdus.h"
#include "tests/protocol/wire/hex.h"

namespace protocol::iscsi {
namespace {

using wire::bytes_from_hex;
using wire::hex;
using namespace std::string_view_literals;

constexpr Digests none{};
constexpr Digests both{.header = true, .data = true};
constexpr Sequence sequence{.stat_sn = 0x01020304, .exp_cmd_sn = 0x11121314, .max_cmd_sn = 0x2122};
constexpr std::string_view sequence_hex = "01020304 11121314 00002122";

// What an encoder wrote, and that it wrote nothing behind.
template <class Encode>
std::string encoded(std::size_t announced, const Encode& encode) {
  Bytes space(announced + 8, std::byte{0xee});
  const std::size_t written = encode(std::span(space).first(announced));
  EXPECT_EQ(written, announced);
  for (std::size_t i = announced; i < space.size(); ++i) EXPECT_EQ(space[i], std::byte{0xee});
  return hex(std::span(space).first(written));
}

std::string golden(const std::string& digits) { return hex(bytes_from_hex(digits)); }

TEST(PduEncoder, ScsiResponseGolden) {
  const ScsiResponse response{.initiator_task_tag = 0xdeadbeef,
                              .exp_data_sn = 3,
                              .response = ScsiResponseCode::completed,
                              .status = 0x08,
                              .residual = {ResidualKind::underflow, 0x200}};
  EXPECT_EQ(encoded(48,
                    [&](auto space) {
                      return encode_scsi_response(space, none, sequence, response, {});
                    }),
            golden("21820008 00000000 0000000000000000 deadbeef 00000000" +
                   std::string(sequence_hex) + "00000003 00000000 00000200"));
}

TEST(PduEncoder, ScsiResponseWithSenseGolden) {
  const auto sense = bytes_from_hex("70000500 0000000a 00000000 2400 00000000");
  const ScsiResponse response{.initiator_task_tag = 5,
                              .response = ScsiResponseCode::completed,
                              .status = 0x02,
                              .residual = {ResidualKind::overflow, 1}};
  ASSERT_EQ(sense.size(), 18U);
  EXPECT_EQ(
      encoded(
          pdu_bytes(none, 20),
          [&](auto space) { return encode_scsi_response(space, none, sequence, response, sense); }),
      golden("21840002 00000014 0000000000000000 00000005 00000000" + std::string(sequence_hex) +
             "00000000 00000000 00000001 0012 70000500 0000000a 00000000 2400 00000000"));
}

TEST(PduEncoder, DigestsCoverHeaderAndPaddedData) {
  const auto sense = bytes_from_hex("7000050000");
  const ScsiResponse response{.initiator_task_tag = 5, .status = 0x02};
  Bytes space(pdu_bytes(both, 7));
  ASSERT_EQ(encode_scsi_response(space, both, sequence, response, sense), 48U + 4 + 8 + 4);
  const auto bytes = std::span(space);
  Bytes expected(bytes.begin(), bytes.begin() + 48);
  expected = with_header_digest(expected);
  Bytes data = bytes_from_hex("0005 7000050000 00");
  append_digest(data, slow_crc32c(data));
  expected.insert(expected.end(), data.begin(), data.end());
  EXPECT_EQ(hex(space), hex(expected));
}

TEST(PduEncoder, TaskManagementResponseGolden) {
  EXPECT_EQ(encoded(48,
                    [&](auto space) {
                      return encode_task_management_response(
                          space, none, sequence,
                          {.initiator_task_tag = 9, .response = TaskResponse::not_supported});
                    }),
            golden("22800500 00000000 0000000000000000 00000009 00000000" +
                   std::string(sequence_hex) + "00000000 00000000 00000000"));
}

TEST(PduEncoder, DataInGolden) {
  const DataIn data{.lun = 0x0001'0000'0000'0000,
                    .initiator_task_tag = 0xdeadbeef,
                    .target_transfer_tag = no_tag,
                    .data_sn = 2,
                    .offset = 0x4000,
                    .data_bytes = 0x2000};
  EXPECT_EQ(
      encoded(48, [&](auto space) { return encode_data_in_header(space, none, sequence, data); }),
      golden("25000000 00002000 0001000000000000 deadbeef ffffffff 00000000 11121314"
             "00002122 00000002 00004000 00000000"));
}

TEST(PduEncoder, DataInWithStatusGolden) {
  const DataIn data{.initiator_task_tag = 0xdeadbeef,
                    .data_sn = 3,
                    .offset = 0x6000,
                    .data_bytes = 0x201,
                    .final = true,
                    .has_status = true,
                    .status = 0,
                    .residual = {ResidualKind::underflow, 0x1ff}};
  EXPECT_EQ(
      encoded(48, [&](auto space) { return encode_data_in_header(space, none, sequence, data); }),
      golden("25830000 00000201 0000000000000000 deadbeef ffffffff" + std::string(sequence_hex) +
             "00000003 00006000 000001ff"));
}

TEST(PduEncoder, DataTrailerIsPaddingAndDigest) {
  for (std::uint32_t length = 0; length < 9; ++length) {
    const Bytes data(length, std::byte{0x5a});
    DataDigest digest;
    digest.update(data);
    Bytes padded = data;
    padded.resize(length + pad_bytes_of(length));
    Bytes expected(pad_bytes_of(length));
    EXPECT_EQ(encoded(data_trailer_bytes(none, length),
                      [&](auto space) { return encode_data_trailer(space, none, length, digest); }),
              hex(expected));
    if (length != 0) append_digest(expected, slow_crc32c(padded));
    EXPECT_EQ(encoded(data_trailer_bytes(both, length),
                      [&](auto space) { return encode_data_trailer(space, both, length, digest); }),
              hex(expected));
  }
}

TEST(PduEncoder, ReadyToTransferGolden) {
  const ReadyToTransfer request{.lun = 0x0001'0000'0000'0000,
                                .initiator_task_tag = 6,
                                .target_transfer_tag = 7,
                                .r2t_sn = 1,
                                .offset = 0x10000,
                                .length = 0x40000};
  EXPECT_EQ(encoded(48, [&](auto space) { return encode_r2t(space, none, sequence, request); }),
            golden("31800000 00000000 0001000000000000 00000006 00000007" +
                   std::string(sequence_hex) + "00000001 00010000 00040000"));
}

TEST(PduEncoder, NopInGolden) {
  EXPECT_EQ(encoded(48,
                    [&](auto space) {
                      return encode_nop_in_header(space, none, sequence,
                                                  {.lun = 0,
                                                   .initiator_task_tag = 4,
                                                   .target_transfer_tag = no_tag,
                                                   .data_bytes = 5});
                    }),
            golden("20800000 00000005 0000000000000000 00000004 ffffffff" +
                   std::string(sequence_hex) + "00000000 00000000 00000000"));
}

TEST(PduEncoder, LoginResponseGolden) {
  const LoginResponse response{.isid = {0, 2, 0x3d, 0, 0, 1},
                               .tsih = 0x1234,
                               .initiator_task_tag = 7,
                               .current_stage = LoginStage::operational,
                               .next_stage = LoginStage::full_feature,
                               .transit = true};
  EXPECT_EQ(
      encoded(pdu_bytes(none, 4),
              [&](auto space) {
                return encode_login_response(space, sequence, response, text_bytes("A=B\0"sv));
              }),
      golden("23870000 00000004 00023d000001 1234 00000007 00000000" + std::string(sequence_hex) +
             "00000000 00000000 00000000 413d4200"));
}

TEST(PduEncoder, LoginRefusalGolden) {
  const LoginResponse response{.isid = {0, 2, 0x3d, 0, 0, 1},
                               .initiator_task_tag = 7,
                               .current_stage = LoginStage::security,
                               .next_stage = LoginStage::full_feature,  // not without `transit`
                               .status = LoginStatus::authentication_failure};
  EXPECT_EQ(
      encoded(48, [&](auto space) { return encode_login_response(space, sequence, response, {}); }),
      golden("23000000 00000000 00023d000001 0000 00000007 00000000" + std::string(sequence_hex) +
             "0201 0000 00000000 00000000"));
}

TEST(PduEncoder, TextResponseGolden) {
  EXPECT_EQ(encoded(pdu_bytes(none, 4),
                    [&](auto space) {
                      return encode_text_response(space, none, sequence,
                                                  {.initiator_task_tag = 3, .final = true},
                                                  text_bytes("A=B\0"sv));
                    }),
            golden("24800000 00000004 0000000000000000 00000003 ffffffff" +
                   std::string(sequence_hex) + "00000000 00000000 00000000 413d4200"));
  EXPECT_EQ(encoded(pdu_bytes(none, 3),
                    [&](auto space) {
                      return encode_text_response(
                          space, none, sequence,
                          {.initiator_task_tag = 3, .target_transfer_tag = 8, .continues = true},
                          text_bytes("A=B"));
                    }),
            golden("24400000 00000003 0000000000000000 00000003 00000008" +
                   std::string(sequence_hex) + "00000000 00000000 00000000 413d4200"));
}

TEST(PduEncoder, LogoutResponseGolden) {
  EXPECT_EQ(encoded(48,
                    [&](auto space) {
                      return encode_logout_response(space, none, sequence,
                                                    {.initiator_task_tag = 4,
                                                     .response = LogoutResponseCode::no_such_cid,
                                                     .time2wait_s = 2,
                                                     .time2retain_s = 20});
                    }),
            golden("26800100 00000000 0000000000000000 00000004 00000000" +
                   std::string(sequence_hex) + "00000000 0002 0014 00000000"));
}

TEST(PduEncoder, AsyncMessageGolden) {
  EXPECT_EQ(encoded(48,
                    [&](auto space) {
                      return encode_async_message(
                          space, none, sequence,
                          {.event = AsyncEvent::logout_request, .parameter3 = 10}, {});
                    }),
            golden("32800000 00000000 0000000000000000 ffffffff 00000000" +
                   std::string(sequence_hex) + "01 00 0000 0000 000a 00000000"));
}

TEST(PduEncoder, AsyncMessageWithSenseGolden) {
  const auto sense = bytes_from_hex("70000600 0000000a 00000000 3f0e 00000000");
  EXPECT_EQ(
      encoded(pdu_bytes(none, 20),
              [&](auto space) {
                return encode_async_message(
                    space, none, sequence,
                    {.lun = 0x0005'0000'0000'0000, .event = AsyncEvent::scsi}, sense);
              }),
      golden("32800000 00000014 0005000000000000 ffffffff 00000000" + std::string(sequence_hex) +
             "00 00 0000 0000 0000 00000000 0012 70000600 0000000a 00000000 3f0e 00000000"));
}

TEST(PduEncoder, RejectGolden) {
  const Bytes rejected = bhs(0x1f, 0x80);
  const auto header = std::span(rejected).first<bhs_bytes>();
  EXPECT_EQ(encoded(pdu_bytes(none, 48),
                    [&](auto space) {
                      return encode_reject(space, none, sequence,
                                           RejectReason::command_not_supported, header);
                    }),
            golden("3f800500 00000030 0000000000000000 ffffffff 00000000" +
                   std::string(sequence_hex) + "00000000 00000000 00000000") +
                " " + hex(rejected));
}

TEST(PduEncoder, EveryHeaderDigestIsRight) {
  std::array<std::byte, 52> space{};
  ASSERT_EQ(encode_r2t(space, both, sequence, {.length = 1}), space.size());
  const auto bytes = std::span(space);
  EXPECT_EQ(hex(bytes), hex(with_header_digest(Bytes(bytes.begin(), bytes.begin() + 48))));
}

TEST(PduEncoder, Residuals) {
  EXPECT_EQ(residual_of(512, 512).kind, ResidualKind::none);
  EXPECT_EQ(residual_of(1024, 512).kind, ResidualKind::underflow);
  EXPECT_EQ(residual_of(1024, 512).bytes, 512U);
  EXPECT_EQ(residual_of(0, 0xffffffff).kind, ResidualKind::overflow);
  EXPECT_EQ(residual_of(0, 0xffffffff).bytes, 0xffffffffU);
}

}  // namespace
}  // namespace protocol::iscsi
