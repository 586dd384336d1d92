// Golden bytes of everything that an initiator sends, every truncation, every damage.
#include "protocol/iscsi/pdu_decoder.h"

#include <gtest/gtest.h>

#include <string>

#include "tests/protocol/iscsi/initiator_pdus.h"
#include "tests/protocol/wire/hex.h"

namespace protocol::iscsi {
namespace {

using wire::bytes_from_hex;
using wire::hex;

constexpr Digests both_digests{.header = true, .data = true};

Pdu decoded(const PduDecoder& decoder, std::span<const std::byte> bytes) {
  const auto result = decoder.next(bytes);
  EXPECT_TRUE(result.has_value()) << text_of(result.error().fault);
  EXPECT_TRUE(result.value().has_value()) << "wants more than " << hex(bytes);
  return *result.value();
}

PduError error_of(std::span<const std::byte> bytes,
                  const PduDecoder& decoder = established_decoder()) {
  const auto result = decoder.next(bytes);
  EXPECT_FALSE(result.has_value()) << hex(bytes);
  return result.has_value() ? PduError{} : result.error();
}

constexpr PduError format_error(PduFault fault) { return {RejectReason::invalid_pdu_field, fault}; }
constexpr PduError protocol_error(PduFault fault) { return {RejectReason::protocol_error, fault}; }

TEST(PduDecoder, ScsiCommandGolden) {
  const auto bytes = bytes_from_hex(
      "41a10000 00000200 0001000000000000 deadbeef 00001000 0a0b0c0d 0e0f1011"
      "2a000000 00100000 08000000 00000000");
  const auto pdu = decoded(established_decoder(), bytes);
  const auto& command = std::get<ScsiCommand>(pdu.header);
  EXPECT_EQ(command.lun, 0x0001'0000'0000'0000U);
  EXPECT_EQ(command.initiator_task_tag, 0xdeadbeefU);
  EXPECT_EQ(command.expected_bytes, 4096U);
  EXPECT_EQ(command.cmd_sn, 0x0a0b0c0dU);
  EXPECT_EQ(command.exp_stat_sn, 0x0e0f1011U);
  EXPECT_EQ(command.attribute, TaskAttribute::simple);
  EXPECT_TRUE(command.immediate);
  EXPECT_TRUE(command.final);
  EXPECT_FALSE(command.read);
  EXPECT_TRUE(command.write);
  EXPECT_EQ(hex(command.cdb), "2a 00 00 00 00 10 00 00 08 00 00 00 00 00 00 00");
  EXPECT_EQ(command.cdb.data(), bytes.data() + 32) << "a view, not a copy";
  EXPECT_TRUE(command.cdb_extension.empty());
  EXPECT_EQ(command.bidirectional_read_bytes, 0U);
  EXPECT_EQ(pdu.header_bytes, 48U);
  EXPECT_EQ(pdu.data_bytes, 512U);
  EXPECT_EQ(pdu.pad_bytes, 0U);
  EXPECT_EQ(pdu.data_digest_bytes, 0U);
}

TEST(PduDecoder, ScsiCommandAttributes) {
  for (std::uint8_t attribute = 0; attribute < 8; ++attribute) {
    const auto bytes = scsi_command(static_cast<std::uint8_t>(0xc0 | attribute), 512);
    if (attribute > 4) {
      EXPECT_EQ(error_of(bytes), format_error(PduFault::reserved_attribute));
    } else {
      const auto pdu = decoded(established_decoder(), bytes);
      EXPECT_EQ(std::get<ScsiCommand>(pdu.header).attribute, TaskAttribute{attribute});
    }
  }
}

TEST(PduDecoder, ScsiCommandFlagsThatContradictEachOther) {
  constexpr std::uint8_t final = 0x80;
  constexpr std::uint8_t read = 0x40;
  constexpr std::uint8_t write = 0x20;
  const auto contradiction = format_error(PduFault::inconsistent_flags);
  EXPECT_EQ(error_of(scsi_command(0, 0)), contradiction);
  EXPECT_EQ(error_of(scsi_command(read, 512)), contradiction);
  EXPECT_EQ(error_of(scsi_command(final, 1)), contradiction);
  EXPECT_EQ(error_of(scsi_command(final | read, 512, 512)),
            format_error(PduFault::unexpected_data));
  for (const auto flags :
       {final, static_cast<std::uint8_t>(final | read), static_cast<std::uint8_t>(final | write),
        write, static_cast<std::uint8_t>(final | read | write)}) {
    EXPECT_TRUE(established_decoder().next(scsi_command(flags, 0)).has_value());
  }
}

TEST(PduDecoder, ExtendedCdbIsAView) {
  // 20 bytes of CDB: a reserved byte and four more.
  const auto bytes =
      with_ahs(scsi_command(0x80 | 0x40, 512), bytes_from_hex("0005 01 00 c0c1c2c3"));
  const auto pdu = decoded(established_decoder(), bytes);
  const auto& command = std::get<ScsiCommand>(pdu.header);
  EXPECT_EQ(hex(command.cdb_extension), "c0 c1 c2 c3");
  EXPECT_EQ(pdu.header_bytes, 56U);
}

TEST(PduDecoder, BothAdditionalSegmentsInAnyOrder) {
  const auto cdb = bytes_from_hex("0003 01 00 c0c1 0000");
  const auto length = bytes_from_hex("0005 02 00 00012000");
  for (const bool swapped : {false, true}) {
    Bytes ahs = swapped ? length : cdb;
    const Bytes& second = swapped ? cdb : length;
    ahs.insert(ahs.end(), second.begin(), second.end());
    const auto bytes = with_ahs(scsi_command(0x80 | 0x40 | 0x20, 512), ahs);
    const auto pdu = decoded(established_decoder(), bytes);
    const auto& command = std::get<ScsiCommand>(pdu.header);
    EXPECT_EQ(hex(command.cdb_extension), "c0 c1");
    EXPECT_EQ(command.bidirectional_read_bytes, 0x12000U);
    EXPECT_EQ(pdu.header_bytes, 64U);
  }
}

TEST(PduDecoder, LargestAdditionalSegments) {
  Bytes ahs(largest_ahs_bytes);
  put(ahs, 0, largest_ahs_bytes - 3, 2);
  put(ahs, 2, 1, 1);
  const auto bytes = with_ahs(scsi_command(0x80, 0), ahs);
  const auto pdu = decoded(established_decoder(), bytes);
  EXPECT_EQ(std::get<ScsiCommand>(pdu.header).cdb_extension.size(), largest_ahs_bytes - 4);
  EXPECT_EQ(pdu.header_bytes + digest_bytes, largest_pdu_header_bytes);
}

TEST(PduDecoder, MalformedAdditionalSegments) {
  for (const std::string_view ahs : {
           "0006 01 00 c0c1c2c3",                      // one byte longer than what is left
           "ffff 01 00",                               // far longer
           "0001 01 00",                               // no CDB in it
           "0000 01 00",                               // not even the reserved byte
           "0005 01 00 c0c1c2c3 0005 01 00 c0c1c2c3",  // twice
           "0005 02 00 00000001 0005 02 00 00000001",  // twice
           "0004 02 00 00000001",                      // too short
           "0009 02 00 00000001 00000000",             // too long
           "0005 00 00 c0c1c2c3",                      // reserved types
           "0005 03 00 c0c1c2c3",                      //
           "0005 3f 00 c0c1c2c3",                      //
           "0005 81 00 c0c1c2c3",                      //
           "0000 00 00",                               //
       }) {
    EXPECT_EQ(error_of(with_ahs(scsi_command(0x80, 0), bytes_from_hex(ahs))),
              format_error(PduFault::malformed_ahs))
        << ahs;
  }
}

TEST(PduDecoder, OnlyCommandsHaveAdditionalSegments) {
  for (const auto opcode :
       std::initializer_list<std::uint8_t>{0x40, 0x02, 0x04, 0x05, 0x06, 0x10}) {
    EXPECT_EQ(error_of(with_ahs(bhs(opcode, 0x80), bytes_from_hex("0005 01 00 c0c1c2c3"))),
              format_error(PduFault::unexpected_ahs))
        << int{opcode};
  }
  Bytes login = bhs(0x43, 0x81);
  put(login, 4, 255, 1);
  EXPECT_EQ(error_of(login, PduDecoder{}), format_error(PduFault::unexpected_ahs));
}

TEST(PduDecoder, TaskManagementRequestGolden) {
  const auto bytes = bytes_from_hex(
      "42810000 00000000 0002000000000000 00000010 00000009 0a0b0c0d 0e0f1011"
      "0a0b0c0b 00000005 00000000 00000000");
  const auto pdu = decoded(established_decoder(), bytes);
  const auto& request = std::get<TaskManagementRequest>(pdu.header);
  EXPECT_EQ(request.lun, 0x0002'0000'0000'0000U);
  EXPECT_EQ(request.initiator_task_tag, 16U);
  EXPECT_EQ(request.referenced_task_tag, 9U);
  EXPECT_EQ(request.cmd_sn, 0x0a0b0c0dU);
  EXPECT_EQ(request.exp_stat_sn, 0x0e0f1011U);
  EXPECT_EQ(request.ref_cmd_sn, 0x0a0b0c0bU);
  EXPECT_EQ(request.exp_data_sn, 5U);
  EXPECT_EQ(request.function, 1);
  EXPECT_TRUE(request.immediate);
}

TEST(PduDecoder, UnknownTaskFunctionsAreTheirOwnersToAnswer) {
  const auto pdu = decoded(established_decoder(), bhs(0x02, 0x80 | 0x7f));
  EXPECT_EQ(std::get<TaskManagementRequest>(pdu.header).function, 0x7f);
}

TEST(PduDecoder, LoginRequestGolden) {
  const auto bytes = bytes_from_hex(
      "43870300 00000005 00023d000001 0000 00000007 0001 0000 0a0b0c0d 0e0f1011"
      "00000000 00000000 00000000 00000000");
  const auto pdu = decoded(PduDecoder{}, bytes);
  const auto& request = std::get<LoginRequest>(pdu.header);
  EXPECT_EQ(request.isid, (Isid{0, 2, 0x3d, 0, 0, 1}));
  EXPECT_EQ(request.tsih, 0);
  EXPECT_EQ(request.cid, 1);
  EXPECT_EQ(request.initiator_task_tag, 7U);
  EXPECT_EQ(request.cmd_sn, 0x0a0b0c0dU);
  EXPECT_EQ(request.exp_stat_sn, 0x0e0f1011U);
  EXPECT_EQ(request.current_stage, LoginStage::operational);
  EXPECT_EQ(request.next_stage, LoginStage::full_feature);
  EXPECT_TRUE(request.transit);
  EXPECT_FALSE(request.continues);
  EXPECT_EQ(request.version_max, 3);
  EXPECT_EQ(request.version_min, 0);
  EXPECT_EQ(pdu.data_bytes, 5U);
  EXPECT_EQ(pdu.pad_bytes, 3U);
}

TEST(PduDecoder, LoginStagesAndFlags) {
  for (unsigned flags = 0; flags < 256; ++flags) {
    const auto pdu = decoded(PduDecoder{}, bhs(0x43, static_cast<std::uint8_t>(flags)));
    const auto& request = std::get<LoginRequest>(pdu.header);
    EXPECT_EQ(request.transit, (flags & 0x80) != 0);
    EXPECT_EQ(request.continues, (flags & 0x40) != 0);
    EXPECT_EQ(static_cast<unsigned>(request.current_stage), (flags >> 2) & 3);
    EXPECT_EQ(static_cast<unsigned>(request.next_stage), flags & 3);
  }
}

TEST(PduDecoder, TextRequestGolden) {
  const auto bytes = bytes_from_hex(
      "04800000 00000010 0000000000000000 00000003 ffffffff 0a0b0c0d 0e0f1011"
      "00000000 00000000 00000000 00000000");
  const auto pdu = decoded(established_decoder(), bytes);
  const auto& request = std::get<TextRequest>(pdu.header);
  EXPECT_EQ(request.initiator_task_tag, 3U);
  EXPECT_EQ(request.target_transfer_tag, no_tag);
  EXPECT_EQ(request.cmd_sn, 0x0a0b0c0dU);
  EXPECT_EQ(request.exp_stat_sn, 0x0e0f1011U);
  EXPECT_TRUE(request.final);
  EXPECT_FALSE(request.continues);
  EXPECT_FALSE(request.immediate);
  EXPECT_EQ(pdu.data_bytes, 16U);
}

TEST(PduDecoder, TextThatContinuesIsNotFinal) {
  EXPECT_EQ(error_of(bhs(0x04, 0xc0)), format_error(PduFault::inconsistent_flags));
  const auto pdu = decoded(established_decoder(), bhs(0x44, 0x40));
  EXPECT_TRUE(std::get<TextRequest>(pdu.header).continues);
}

TEST(PduDecoder, DataOutGolden) {
  const auto bytes = bytes_from_hex(
      "05800000 00000201 0003000000000000 00000011 00000022 00000000 0e0f1011"
      "00000000 00000002 00010000 00000000");
  const auto pdu = decoded(established_decoder(both_digests), with_header_digest(bytes));
  const auto& data = std::get<DataOut>(pdu.header);
  EXPECT_EQ(data.lun, 0x0003'0000'0000'0000U);
  EXPECT_EQ(data.initiator_task_tag, 0x11U);
  EXPECT_EQ(data.target_transfer_tag, 0x22U);
  EXPECT_EQ(data.exp_stat_sn, 0x0e0f1011U);
  EXPECT_EQ(data.data_sn, 2U);
  EXPECT_EQ(data.offset, 0x10000U);
  EXPECT_TRUE(data.final);
  EXPECT_EQ(pdu.header_bytes, 52U);
  EXPECT_EQ(pdu.data_bytes, 513U);
  EXPECT_EQ(pdu.pad_bytes, 3U);
  EXPECT_EQ(pdu.data_digest_bytes, 4U);
}

TEST(PduDecoder, LogoutRequestGolden) {
  const auto bytes = bytes_from_hex(
      "46810000 00000000 0000000000000000 00000004 0007 0000 0a0b0c0d 0e0f1011"
      "00000000 00000000 00000000 00000000");
  const auto pdu = decoded(established_decoder(), bytes);
  const auto& request = std::get<LogoutRequest>(pdu.header);
  EXPECT_EQ(request.initiator_task_tag, 4U);
  EXPECT_EQ(request.cid, 7);
  EXPECT_EQ(request.reason, 1);
  EXPECT_EQ(request.cmd_sn, 0x0a0b0c0dU);
  EXPECT_EQ(request.exp_stat_sn, 0x0e0f1011U);
  EXPECT_TRUE(request.immediate);
}

TEST(PduDecoder, SnackRequestGolden) {
  const auto bytes = bytes_from_hex(
      "10810000 00000000 0001000000000000 00000004 00000009 00000000 0e0f1011"
      "00000000 00000000 00000006 00000002");
  const auto pdu = decoded(established_decoder(), bytes);
  const auto& request = std::get<SnackRequest>(pdu.header);
  EXPECT_EQ(request.lun, 0x0001'0000'0000'0000U);
  EXPECT_EQ(request.initiator_task_tag, 4U);
  EXPECT_EQ(request.target_transfer_tag, 9U);
  EXPECT_EQ(request.exp_stat_sn, 0x0e0f1011U);
  EXPECT_EQ(request.beg_run, 6U);
  EXPECT_EQ(request.run_length, 2U);
  EXPECT_EQ(request.type, 1);
}

TEST(PduDecoder, NopOutGolden) {
  const auto bytes = bytes_from_hex(
      "40800000 00000004 0001000000000000 ffffffff 00000022 0a0b0c0d 0e0f1011"
      "00000000 00000000 00000000 00000000");
  const auto pdu = decoded(established_decoder(), bytes);
  const auto& nop = std::get<NopOut>(pdu.header);
  EXPECT_EQ(nop.lun, 0x0001'0000'0000'0000U);
  EXPECT_EQ(nop.initiator_task_tag, no_tag);
  EXPECT_EQ(nop.target_transfer_tag, 0x22U);
  EXPECT_EQ(nop.cmd_sn, 0x0a0b0c0dU);
  EXPECT_EQ(nop.exp_stat_sn, 0x0e0f1011U);
  EXPECT_TRUE(nop.immediate);
  EXPECT_EQ(pdu.data_bytes, 4U);
}

TEST(PduDecoder, NopOutThatWantsNoAnswerIsImmediate) {
  Bytes nop = bhs(0x00, 0x80);
  put(nop, 16, no_tag, 4);
  EXPECT_EQ(error_of(nop), format_error(PduFault::inconsistent_flags));
}

TEST(PduDecoder, WhatMustBeAnsweredHasATag) {
  for (const auto opcode : std::initializer_list<std::uint8_t>{0x01, 0x02, 0x04, 0x05, 0x06}) {
    Bytes bytes = bhs(opcode, 0x80);
    put(bytes, 16, no_tag, 4);
    EXPECT_EQ(error_of(bytes), format_error(PduFault::reserved_tag)) << int{opcode};
  }
}

TEST(PduDecoder, WhatHasNoDataHasNone) {
  for (const auto opcode : std::initializer_list<std::uint8_t>{0x02, 0x06, 0x10}) {
    EXPECT_EQ(error_of(bhs(opcode, 0x80, 1)), format_error(PduFault::unexpected_data))
        << int{opcode};
  }
}

// Every opcode there is: known ones of initiators, known ones of targets, all others.
TEST(PduDecoder, EveryOpcode) {
  for (std::uint8_t opcode = 0; opcode < 0x40; ++opcode) {
    const auto result = established_decoder().next(bhs(opcode, 0x80, 0));
    switch (opcode) {
      case 0x00:
      case 0x01:
      case 0x02:
      case 0x04:
      case 0x05:
      case 0x06:
      case 0x10:
        ASSERT_TRUE(result.has_value()) << int{opcode};
        EXPECT_FALSE(std::holds_alternative<UnknownRequest>(result.value()->header));
        break;
      case 0x03:
        EXPECT_EQ(result.error(), protocol_error(PduFault::login_repeated));
        break;
      case 0x20:
      case 0x21:
      case 0x22:
      case 0x23:
      case 0x24:
      case 0x25:
      case 0x26:
      case 0x31:
      case 0x32:
      case 0x3f:
        EXPECT_EQ(result.error(), protocol_error(PduFault::wrong_direction)) << int{opcode};
        break;
      default:
        ASSERT_TRUE(result.has_value()) << int{opcode};
        EXPECT_EQ(std::get<UnknownRequest>(result.value()->header).opcode, opcode);
        break;
    }
  }
}

TEST(PduDecoder, UnknownRequestsCanBeSkippedWhole) {
  const auto bytes = with_ahs(bhs(0x1f, 0xff, 1001), bytes_from_hex("0005 01 00 c0c1c2c3"));
  const auto pdu = decoded(established_decoder(both_digests), with_header_digest(bytes));
  EXPECT_EQ(pdu.header_bytes, 60U);
  EXPECT_EQ(pdu.data_bytes, 1001U);
  EXPECT_EQ(pdu.pad_bytes, 3U);
  EXPECT_EQ(pdu.data_digest_bytes, 4U);
}

TEST(PduDecoder, BeforeTheLoginNothingElseIsTaken) {
  for (unsigned opcode = 0; opcode < 256; ++opcode) {
    if ((opcode & 0x3f) == 0x03) continue;
    EXPECT_EQ(error_of(bhs(static_cast<std::uint8_t>(opcode), 0x80), PduDecoder{}),
              protocol_error(PduFault::login_expected));
  }
}

TEST(PduDecoder, DataBeyondWhatWasDeclared) {
  EXPECT_EQ(decoded(PduDecoder{}, bhs(0x43, 0x81, 8192)).data_bytes, 8192U);
  EXPECT_EQ(error_of(bhs(0x43, 0x81, 8193), PduDecoder{}), protocol_error(PduFault::data_too_long));
  EXPECT_EQ(decoded(established_decoder({}, 512), bhs(0x05, 0x80, 512)).data_bytes, 512U);
  EXPECT_EQ(error_of(bhs(0x05, 0x80, 513), established_decoder({}, 512)),
            protocol_error(PduFault::data_too_long));
  EXPECT_EQ(error_of(bhs(0x05, 0x80, 0xffffff), established_decoder()),
            protocol_error(PduFault::data_too_long));
}

TEST(PduDecoder, EveryDamagedBitOfAHeaderIsNoticedByItsDigest) {
  const auto decoder = established_decoder(both_digests);
  const auto good = with_header_digest(
      with_ahs(scsi_command(0x80 | 0x20, 512, 100), bytes_from_hex("0005 01 00 c0c1c2c3")));
  ASSERT_TRUE(decoder.next(good).has_value());
  for (std::size_t bit = 0; bit < good.size() * 8; ++bit) {
    Bytes damaged = good;
    damaged[bit / 8] ^= static_cast<std::byte>(1U << (bit % 8));
    // Damage to the length of the additional segments may ask for more bytes first.
    damaged.resize(largest_pdu_header_bytes);
    const auto error = error_of(damaged, decoder);
    EXPECT_EQ(error.fault, PduFault::header_digest_mismatch) << "bit " << bit;
    EXPECT_TRUE(error.closes_silently());
  }
}

TEST(PduDecoder, EveryTruncationWantsMore) {
  for (const Digests digests : {Digests{}, Digests{.header = true, .data = false}}) {
    Bytes whole = with_ahs(scsi_command(0x80 | 0x20, 512, 100), bytes_from_hex("00050100c0c1c2c3"));
    if (digests.header) whole = with_header_digest(whole);
    const auto decoder = established_decoder(digests);
    for (std::size_t length = 0; length < whole.size(); ++length) {
      const Bytes front(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(length));
      const auto result = decoder.next(front);
      ASSERT_TRUE(result.has_value()) << length;
      EXPECT_FALSE(result.value().has_value()) << length;
    }
    EXPECT_EQ(decoded(decoder, whole).header_bytes, whole.size());
  }
}

TEST(PduDecoder, ReservedBitsAreIgnored) {
  Bytes command = scsi_command(0x80 | 0x40 | 0x18, 512);
  put(command, 0, 0x81, 1);
  put(command, 2, 0xffff, 2);
  EXPECT_EQ(std::get<ScsiCommand>(decoded(established_decoder(), command).header).attribute,
            TaskAttribute::untagged);
  Bytes logout = bhs(0x46, 0x00);
  for (std::size_t i = 32; i < 48; ++i) put(logout, i, 0xff, 1);
  EXPECT_EQ(std::get<LogoutRequest>(decoded(established_decoder(), logout).header).reason, 0);
}

TEST(PduDecoder, EveryFaultHasAText) {
  for (int fault = 0; fault <= static_cast<int>(PduFault::inconsistent_flags); ++fault) {
    EXPECT_NE(text_of(static_cast<PduFault>(fault)), "unknown fault");
  }
}

}  // namespace
}  // namespace protocol::iscsi
