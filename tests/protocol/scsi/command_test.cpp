#include "protocol/scsi/command.h"

#include <gtest/gtest.h>

#include "protocol/scsi/command_table.h"
#include "tests/protocol/scsi/bytes.h"

namespace protocol::scsi {
namespace {

template <class T>
T expect(std::string_view hex_text) {
  const auto parsed = parse_command(cdb(hex_text), {});
  if (!parsed) {
    ADD_FAILURE() << hex_text << ": " << name_of(parsed.error().code);
    return {};
  }
  const auto* command = std::get_if<T>(&parsed.value());
  if (command == nullptr) {
    ADD_FAILURE() << hex_text << ": another command, " << parsed.value().index();
    return {};
  }
  return *command;
}
Sense refused(std::string_view hex_text, const UnitFeatures& features = {}) {
  return refusal(parse_command(cdb(hex_text), features));
}

TEST(Command, ReadsOfEveryLength) {
  EXPECT_EQ(expect<Read>("08 1f 34 56 07 00").blocks, (BlockRange{{0x1f'3456}, {7}}));
  EXPECT_EQ(expect<Read>("28 00 12 34 56 78 00 9a bc 00").blocks,
            (BlockRange{{0x1234'5678}, {0x9abc}}));
  EXPECT_EQ(expect<Read>("a8 00 12 34 56 78 01 02 03 04 00 00").blocks,
            (BlockRange{{0x1234'5678}, {0x0102'0304}}));
  EXPECT_EQ(expect<Read>("88 00 01 02 03 04 05 06 07 08 00 00 00 10 00 00").blocks,
            (BlockRange{{0x0102'0304'0506'0708}, {16}}));
}

TEST(Command, WritesOfEveryLength) {
  EXPECT_EQ(expect<Write>("0a 00 00 01 02 00").blocks, (BlockRange{{1}, {2}}));
  EXPECT_EQ(expect<Write>("2a 00 ff ff ff ff 00 ff ff 00").blocks,
            (BlockRange{{0xffff'ffff}, {0xffff}}));
  EXPECT_EQ(expect<Write>("aa 00 00 00 00 05 00 01 00 00 00 00").blocks,
            (BlockRange{{5}, {0x1'0000}}));
  EXPECT_EQ(expect<Write>("8a 00 ff ff ff ff ff ff ff ff ff ff ff ff 00 00").blocks,
            (BlockRange{{~std::uint64_t{0}}, {0xffff'ffff}}));
}

// Only with the 6 byte CDB: 0 of the others moves nothing.
TEST(Command, ZeroMeans256OnlyWithSixBytes) {
  EXPECT_EQ(expect<Read>("08 00 00 00 00 00").blocks.count, engine::BlockCount{256});
  EXPECT_EQ(expect<Write>("0a 00 00 00 00 00").blocks.count, engine::BlockCount{256});
  EXPECT_EQ(expect<Read>("28 00 00 00 00 00 00 00 00 00").blocks.count, engine::BlockCount{0});
  EXPECT_EQ(expect<Write>("8a 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00").blocks.count,
            engine::BlockCount{0});
}

TEST(Command, ForceUnitAccessIsKeptAndDpoAccepted) {
  EXPECT_TRUE(expect<Read>("28 08 00 00 00 00 00 00 01 00").force_unit_access);
  EXPECT_FALSE(expect<Read>("28 10 00 00 00 00 00 00 01 00").force_unit_access);
  EXPECT_TRUE(expect<Write>("8a 18 00 00 00 00 00 00 00 00 00 00 00 01 00 00").force_unit_access);
  EXPECT_FALSE(expect<Write>("aa 02 00 00 00 00 00 00 00 01 00 00").force_unit_access)
      << "FUA_NV asks for less";
  EXPECT_TRUE(expect<OrWrite>("8b 08 00 00 00 00 00 00 00 09 00 00 00 03 00 00").force_unit_access);
  EXPECT_EQ(expect<OrWrite>("8b 00 00 00 00 00 00 00 00 09 00 00 00 03 00 00").blocks,
            (BlockRange{{9}, {3}}));
}

TEST(Command, VerifyAndWhatItComparesWith) {
  EXPECT_EQ(expect<Verify>("2f 00 00 00 00 07 00 00 02 00").check, ByteCheck::none);
  EXPECT_EQ(expect<Verify>("2f 12 00 00 00 07 00 00 02 00").check, ByteCheck::each_block);
  EXPECT_EQ(expect<Verify>("8f 06 00 00 00 00 00 00 00 07 00 00 00 02 00 00").check,
            ByteCheck::single_block);
  EXPECT_EQ(expect<Verify>("af 06 00 00 00 07 00 00 00 02 00 00").blocks, (BlockRange{{7}, {2}}));
  for (const auto* text : {"2f 04 00 00 00 07 00 00 02 00", "af 04 00 00 00 07 00 00 00 02 00 00",
                           "8f 04 00 00 00 00 00 00 00 07 00 00 00 02 00 00"}) {
    EXPECT_EQ(refused(text), sense::invalid_cdb(1, 2)) << text;
  }
  EXPECT_EQ(expect<WriteAndVerify>("2e 02 00 00 00 07 00 00 02 00").check, ByteCheck::each_block);
  EXPECT_EQ(expect<WriteAndVerify>("ae 00 00 00 00 07 00 00 00 02 00 00").check, ByteCheck::none);
  EXPECT_EQ(expect<WriteAndVerify>("8e 10 00 00 00 00 00 00 00 07 00 00 00 02 00 00").blocks,
            (BlockRange{{7}, {2}}));
  EXPECT_EQ(refused("2e 06 00 00 00 07 00 00 02 00"), sense::invalid_cdb(1, 2));
}

TEST(Command, AtomicAndComparedWrites) {
  EXPECT_EQ(expect<WriteAtomic>("9c 08 00 00 00 00 00 00 01 00 00 00 00 20 00 00").blocks,
            (BlockRange{{0x100}, {0x20}}));
  EXPECT_EQ(refused("9c 00 00 00 00 00 00 00 01 00 00 08 00 20 00 00"), sense::invalid_cdb(11, 3))
      << "an atomic boundary";
  EXPECT_EQ(expect<CompareAndWrite>("89 00 00 00 00 00 00 00 00 2a 00 00 00 01 00 00").blocks,
            (BlockRange{{42}, {1}}));
  EXPECT_EQ(refused("89 00 00 00 00 00 00 00 00 2a 00 00 01 01 00 00"), sense::invalid_cdb(12, 0));
}

TEST(Command, CacheCommands) {
  EXPECT_TRUE(expect<Prefetch>("34 02 00 00 00 08 03 00 00 00").immediate);
  EXPECT_EQ(expect<Prefetch>("90 00 00 00 00 00 00 00 00 08 00 00 00 10 00 00").blocks,
            (BlockRange{{8}, {16}}));
  EXPECT_TRUE(expect<SynchronizeCache>("35 02 00 00 00 00 00 00 00 00").immediate);
  EXPECT_EQ(expect<SynchronizeCache>("91 00 00 00 00 00 00 00 00 08 00 00 00 10 00 00").blocks,
            (BlockRange{{8}, {16}}));
}

TEST(Command, SpaceCommands) {
  const auto ten = expect<WriteSame>("41 08 00 00 00 05 00 00 06 00");
  EXPECT_TRUE(ten.unmap && ten.ten_byte_cdb && !ten.no_data_out);
  EXPECT_EQ(ten.blocks, (BlockRange{{5}, {6}}));
  const auto sixteen = expect<WriteSame>("93 01 00 00 00 00 00 00 00 05 00 00 00 06 00 00");
  EXPECT_TRUE(!sixteen.unmap && !sixteen.ten_byte_cdb && sixteen.no_data_out);
  EXPECT_EQ(expect<Unmap>("42 00 00 00 00 00 00 00 18 00").parameter_bytes, 24u);
  const auto status = expect<GetLbaStatus>("9e 12 00 00 00 00 00 00 00 09 00 00 00 18 00 00");
  EXPECT_EQ(status.first, engine::Lba{9});
  EXPECT_EQ(status.allocation_bytes, 24u);
}

TEST(Command, CapacityAndDefects) {
  (void)expect<ReadCapacity10>("25 00 00 00 00 00 00 00 00 00");
  EXPECT_EQ(
      expect<ReadCapacity16>("9e 10 00 00 00 00 00 00 00 00 00 00 00 20 00 00").allocation_bytes,
      32u);
  const auto ten = expect<ReadDefectData>("37 00 1d 00 00 00 00 00 20 00");
  EXPECT_TRUE(ten.primary_list && ten.grown_list && !ten.twelve_byte_cdb);
  EXPECT_EQ(ten.format, 5);
  EXPECT_EQ(ten.allocation_bytes, 32u);
  const auto twelve = expect<ReadDefectData>("b7 08 00 00 00 09 00 00 01 00 00 00");
  EXPECT_TRUE(!twelve.primary_list && twelve.grown_list && twelve.twelve_byte_cdb);
  EXPECT_EQ(twelve.first_index, 9u);
  EXPECT_EQ(twelve.allocation_bytes, 256u);
  EXPECT_EQ(refused("37 00 0e 00 00 00 00 00 20 00"), sense::invalid_cdb(2, 2));
  EXPECT_EQ(refused("b7 0f 00 00 00 00 00 00 01 00 00 00"), sense::invalid_cdb(1, 2));
}

TEST(Command, InquiryAndItsPages) {
  (void)expect<TestUnitReady>("00 00 00 00 00 00");
  const auto standard = expect<Inquiry>("12 00 00 01 04 00");
  EXPECT_FALSE(standard.vital_product_data);
  EXPECT_EQ(standard.allocation_bytes, 260u);
  const auto page = expect<Inquiry>("12 01 83 00 ff 00");
  EXPECT_TRUE(page.vital_product_data);
  EXPECT_EQ(page.page, 0x83);
  EXPECT_EQ(refused("12 00 83 00 ff 00"), sense::invalid_cdb(2));
  EXPECT_EQ(refused("12 02 00 00 ff 00"), sense::invalid_cdb(1, 1)) << "CMDDT";
  EXPECT_TRUE(expect<RequestSense>("03 01 00 00 fc 00").descriptor_format);
  EXPECT_EQ(expect<RequestSense>("03 00 00 00 fc 00").allocation_bytes, 252u);
}

TEST(Command, ReportLunsServesTheseSelectionsOnly) {
  for (unsigned select = 0; select < 256; ++select) {
    auto bytes = cdb("a0 00 00 00 00 00 00 01 00 00 00 00");
    bytes[2] = static_cast<std::byte>(select);
    const auto parsed = parse_command(bytes, {});
    if (select <= 2 || (select >= 0x10 && select <= 0x12)) {
      const auto& luns = std::get<ReportLuns>(parsed.value());
      EXPECT_EQ(static_cast<unsigned>(luns.select), select);
      EXPECT_EQ(luns.allocation_bytes, 0x10000u);
    } else {
      EXPECT_EQ(refusal(parsed), sense::invalid_cdb(2)) << select;
    }
  }
}

TEST(Command, ModeSenseAndSelect) {
  const auto six = expect<ModeSense>("1a 08 4a ff 20 00");
  EXPECT_FALSE(six.ten_byte_cdb || six.block_descriptor || six.long_lba_accepted);
  EXPECT_EQ(six.control, ModePageControl::changeable);
  EXPECT_EQ(six.page, 0x0a);
  EXPECT_EQ(six.subpage, 0xff);
  EXPECT_EQ(six.allocation_bytes, 32u);
  const auto ten = expect<ModeSense>("5a 10 bf 00 00 00 00 01 00 00");
  EXPECT_TRUE(ten.ten_byte_cdb && ten.block_descriptor && ten.long_lba_accepted);
  EXPECT_EQ(ten.control, ModePageControl::defaults);
  EXPECT_EQ(ten.page, 0x3f);
  EXPECT_EQ(ten.allocation_bytes, 256u);
  EXPECT_TRUE(expect<ModeSelect>("15 10 00 00 18 00").page_format);
  EXPECT_EQ(expect<ModeSelect>("15 10 00 00 18 00").parameter_bytes, 24u);
  EXPECT_EQ(expect<ModeSelect>("55 10 00 00 00 00 00 01 18 00").parameter_bytes, 0x118u);
  EXPECT_EQ(refused("15 11 00 00 18 00"), sense::invalid_cdb(1, 0)) << "SP: nothing is saved";
  EXPECT_EQ(refused("55 11 00 00 00 00 00 00 18 00"), sense::invalid_cdb(1, 0));
}

TEST(Command, PowerAndMedium) {
  const auto stop = expect<StartStopUnit>("1b 01 00 00 04 00");
  EXPECT_TRUE(stop.immediate && stop.no_flush && !stop.start);
  EXPECT_TRUE(expect<StartStopUnit>("1b 00 00 00 01 00").start);
  EXPECT_EQ(refused("1b 00 00 00 02 00"), sense::invalid_cdb(4, 1)) << "LOEJ";
  EXPECT_EQ(refused("1b 00 00 00 30 00"), sense::invalid_cdb(4, 5)) << "a power condition";
  EXPECT_TRUE(expect<PreventAllowMediumRemoval>("1e 00 00 00 01 00").prevent);
  EXPECT_FALSE(expect<PreventAllowMediumRemoval>("1e 00 00 00 00 00").prevent);
}

TEST(Command, ReportsOfWhatIsServed) {
  const auto one = expect<ReportSupportedOpcodes>("a3 0c 82 9e 00 10 00 00 02 00 00 00");
  EXPECT_TRUE(one.timeouts);
  EXPECT_EQ(one.options, ReportSupportedOpcodes::Options::one_service_action);
  EXPECT_EQ(one.opcode, 0x9e);
  EXPECT_EQ(one.service_action, 0x10);
  EXPECT_EQ(one.allocation_bytes, 512u);
  EXPECT_EQ(refused("a3 0c 04 9e 00 10 00 00 02 00 00 00"), sense::invalid_cdb(2, 2));
  EXPECT_TRUE(
      expect<ReportSupportedTaskManagement>("a3 0d 80 00 00 00 00 00 00 10 00 00").extended);
  const auto log = expect<LogSense>("4d 00 6f ff 00 12 34 01 00 00");
  EXPECT_EQ(log.control, LogSense::Control::cumulative);
  EXPECT_EQ(log.page, 0x2f);
  EXPECT_EQ(log.subpage, 0xff);
  EXPECT_EQ(log.first_parameter, 0x1234);
  EXPECT_EQ(log.allocation_bytes, 256u);
}

TEST(Command, Reservations) {
  (void)expect<ReserveUnit>("16 00 00 00 00 00");
  (void)expect<ReserveUnit>("56 00 00 00 00 00 00 00 00 00");
  (void)expect<ReleaseUnit>("17 00 00 00 00 00");
  (void)expect<ReleaseUnit>("57 00 00 00 00 00 00 00 00 00");
  EXPECT_EQ(refused("16 10 00 00 00 00"), sense::invalid_cdb(1, 4)) << "for a third party";
  const auto in = expect<PersistentReserveIn>("5e 03 00 00 00 00 00 40 00 00");
  EXPECT_EQ(in.action, PersistentReserveIn::Action::read_full_status);
  EXPECT_EQ(in.allocation_bytes, 0x4000u);
  const auto out = expect<PersistentReserveOut>("5f 05 08 00 00 00 00 00 18 00");
  EXPECT_EQ(out.action, PersistentReserveOut::Action::preempt_and_abort);
  EXPECT_EQ(out.type, 8);
  EXPECT_EQ(out.parameter_bytes, 24u);
}

TEST(Command, ReservationTypesAndScopesAreTheStandards) {
  for (unsigned action = 0; action < 8; ++action) {
    const bool has_type = action == 1 || action == 2 || action == 4 || action == 5;
    for (unsigned scope_and_type = 0; scope_and_type < 256; ++scope_and_type) {
      auto bytes = cdb("5f 00 00 00 00 00 00 00 18 00");
      bytes[1] = static_cast<std::byte>(action);
      bytes[2] = static_cast<std::byte>(scope_and_type);
      const auto parsed = parse_command(bytes, {});
      const unsigned type = scope_and_type & 15;
      const bool is_type = type == 1 || type == 3 || (type >= 5 && type <= 8);
      if (!has_type) {
        EXPECT_EQ(std::get<PersistentReserveOut>(parsed.value()).type, 0);
      } else if (scope_and_type >= 16) {
        EXPECT_EQ(refusal(parsed), sense::invalid_cdb(2, 7)) << action << " " << scope_and_type;
      } else if (!is_type) {
        EXPECT_EQ(refusal(parsed), sense::invalid_cdb(2, 3)) << action << " " << scope_and_type;
      } else {
        EXPECT_EQ(std::get<PersistentReserveOut>(parsed.value()).type, type);
      }
    }
  }
}

TEST(Command, PortGroupsAndCopies) {
  EXPECT_FALSE(
      expect<ReportTargetPortGroups>("a3 0a 00 00 00 00 00 00 01 00 00 00").extended_header);
  EXPECT_TRUE(
      expect<ReportTargetPortGroups>("a3 2a 00 00 00 00 00 00 01 00 00 00").extended_header);
  EXPECT_EQ(refused("a3 4a 00 00 00 00 00 00 01 00 00 00"), sense::invalid_cdb(1, 6));
  EXPECT_EQ(expect<SetTargetPortGroups>("a4 0a 00 00 00 00 00 00 00 08 00 00").parameter_bytes, 8u);
  EXPECT_EQ(expect<ExtendedCopy>("83 00 00 00 00 00 00 00 00 00 00 00 00 4c 00 00").parameter_bytes,
            76u);
  const auto results =
      expect<ReceiveCopyResults>("84 04 07 00 00 00 00 00 00 00 00 00 04 00 00 00");
  EXPECT_EQ(results.action, ReceiveCopyResults::Action::failed_segment_details);
  EXPECT_EQ(results.list_id, 7);
  EXPECT_EQ(results.allocation_bytes, 1024u);
}

// An ignored protection field would hand the host data without the protection that it asked for.
TEST(Command, ProtectionAnchorsAndAcaAreRefusedWhereTheyStand) {
  struct Row {
    const char* text;
    std::uint16_t byte;
    std::uint8_t bit;
  };
  for (const auto& row : {
           Row{"28 20 00 00 00 00 00 00 01 00", 1, 5},
           Row{"28 e0 00 00 00 00 00 00 01 00", 1, 7},
           Row{"2a 40 00 00 00 00 00 00 01 00", 1, 6},
           Row{"2e 20 00 00 00 00 00 00 01 00", 1, 5},
           Row{"2f 20 00 00 00 00 00 00 01 00", 1, 5},
           Row{"41 20 00 00 00 00 00 00 01 00", 1, 5},
           Row{"41 10 00 00 00 00 00 00 01 00", 1, 4},  // ANCHOR
           Row{"41 04 00 00 00 00 00 00 01 00", 1, 2},  // PBDATA
           Row{"41 02 00 00 00 00 00 00 01 00", 1, 1},  // LBDATA
           Row{"42 01 00 00 00 00 00 00 18 00", 1, 0},  // ANCHOR
           Row{"8b 20 00 00 00 00 00 00 00 00 00 00 00 01 00 00", 1, 5},
           Row{"89 20 00 00 00 00 00 00 00 00 00 00 00 01 00 00", 1, 5},
           Row{"9c 20 00 00 00 00 00 00 00 00 00 00 00 01 00 00", 1, 5},
           Row{"88 01 00 00 00 00 00 00 00 00 00 00 00 01 00 00", 1, 0},   // DLD
           Row{"88 00 00 00 00 00 00 00 00 00 00 00 00 01 40 00", 14, 6},  // DLD
           Row{"28 00 00 00 00 00 00 00 01 04", 9, 2},                     // NACA
           Row{"08 00 00 00 01 04", 5, 2},
           Row{"88 00 00 00 00 00 00 00 00 00 00 00 00 01 00 04", 15, 2},
           Row{"a8 00 00 00 00 00 00 00 00 01 00 80", 11, 7},
           Row{"4d 01 2f 00 00 00 00 01 00 00", 1, 0},  // SP
           Row{"25 00 00 00 00 00 00 00 01 00", 8, 0},  // PMI
       }) {
    EXPECT_EQ(refused(row.text), sense::invalid_cdb(row.byte, row.bit)) << row.text;
  }
}

TEST(Command, UnknownOpcodesAreRefusedWhateverElseTheySay) {
  unsigned known = 0;
  for (unsigned opcode = 0; opcode < 256; ++opcode) {
    if (has_service_actions(static_cast<std::uint8_t>(opcode)) ||
        find_command(static_cast<std::uint8_t>(opcode), 0) != nullptr) {
      ++known;
      continue;
    }
    for (const unsigned fill : {0x00u, 0xffu}) {
      CdbBytes bytes;
      bytes.fill(static_cast<std::byte>(fill));
      bytes[0] = static_cast<std::byte>(opcode);
      EXPECT_EQ(refusal(parse_command(bytes, {})), sense::invalid_opcode) << opcode;
    }
  }
  EXPECT_EQ(known, 52u);
}

TEST(Command, UnknownServiceActionsAreAFieldInError) {
  EXPECT_EQ(refused("9e 1f 00 00 00 00 00 00 00 00 00 00 00 20 00 00"), sense::invalid_cdb(1, 4));
  EXPECT_EQ(refused("5e 04 00 00 00 00 00 00 20 00"), sense::invalid_cdb(1, 4));
  EXPECT_EQ(refused("a3 05 00 00 00 00 00 00 20 00 00 00"), sense::invalid_cdb(1, 4));
  EXPECT_EQ(refused("84 01 00 00 00 00 00 00 00 00 00 00 00 20 00 00"), sense::invalid_cdb(1, 4));
  EXPECT_EQ(refused("83 10 00 00 00 00 00 00 00 00 00 00 00 20 00 00"), sense::invalid_cdb(1, 4))
      << "POPULATE TOKEN";
}

TEST(Command, WhatAUnitDoesNotOfferItDoesNotKnow) {
  EXPECT_EQ(refused("42 00 00 00 00 00 00 00 18 00", {.unmap = false}), sense::invalid_opcode);
  EXPECT_EQ(refused("9c 00 00 00 00 00 00 00 00 00 00 00 00 01 00 00", {.write_atomic = false}),
            sense::invalid_opcode);
  for (const auto* text : {"83 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00",
                           "84 03 00 00 00 00 00 00 00 00 00 00 00 00 00 00",
                           "84 1f 00 00 00 00 00 00 00 00 00 00 00 00 00 00"}) {
    EXPECT_EQ(refused(text, {.copy = false}), sense::invalid_opcode) << text;
  }
}

TEST(Command, DiagnosticsAreTheDefaultSelfTestAlone) {
  EXPECT_TRUE(expect<SendDiagnostic>("1d 04 00 00 00 00").self_test);
  EXPECT_TRUE(expect<SendDiagnostic>("1d 17 00 00 00 00").self_test) << "PF, DEVOFFL, UNITOFFL";
  EXPECT_FALSE(expect<SendDiagnostic>("1d 00 00 00 00 00").self_test);
  EXPECT_EQ(refused("1d 20 00 00 00 00"), sense::invalid_cdb(1, 5)) << "SELF-TEST CODE";
  EXPECT_EQ(refused("1d 10 00 00 04 00"), sense::invalid_cdb(4, 2)) << "a diagnostic page";
}

TEST(Command, OfBuffersTheEchoBufferIsThere) {
  const auto read = expect<ReadBuffer>("3c 0a 00 00 00 00 01 02 03 00");
  EXPECT_EQ(read.mode, ReadBuffer::Mode::echo);
  EXPECT_EQ(read.allocation_bytes, 0x01'0203U);
  EXPECT_EQ(expect<ReadBuffer>("3c 03 07 ff ff ff 00 00 04 00").allocation_bytes, 4U);
  EXPECT_EQ(expect<ReadBuffer>("3c 0b 00 00 00 00 00 00 04 00").mode,
            ReadBuffer::Mode::echo_descriptor);
  EXPECT_EQ(refused("3c 02 00 00 00 00 00 00 04 00"), sense::invalid_cdb(1, 4));
  EXPECT_EQ(expect<WriteBuffer>("3b 0a 00 00 00 00 00 10 00 00").parameter_bytes,
            echo_buffer_bytes);
  EXPECT_EQ(refused("3b 0a 00 00 00 00 00 10 01 00"), sense::invalid_cdb(6));
  EXPECT_EQ(refused("3b 05 00 00 00 00 00 00 10 00"), sense::invalid_cdb(1, 4)) << "microcode";
}

}  // namespace
}  // namespace protocol::scsi
