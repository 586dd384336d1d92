#include "protocol/nvme/admin_command.h"

#include <gtest/gtest.h>

#include "tests/protocol/nvme/raw_entry.h"

namespace protocol::nvme {
namespace {

template <class Command>
Command expect_command(const SubmissionEntry& entry) {
  const auto parsed = parse_admin_command(entry);
  if (!parsed || !std::holds_alternative<Command>(parsed.value())) {
    ADD_FAILURE() << "opcode " << int{entry.opcode} << " became something else";
    return {};
  }
  return std::get<Command>(parsed.value());
}

Refusal expect_refusal(const SubmissionEntry& entry) {
  const auto parsed = parse_admin_command(entry);
  if (parsed) {
    ADD_FAILURE() << "opcode " << int{entry.opcode} << " was accepted";
    return {};
  }
  return parsed.error();
}

TEST(AdminCommand, GetLogPageFieldsAreAllFound) {
  const auto log = expect_command<GetLogPage>(RawEntry(0x02)
                                                  .nsid(0xffff'ffff)
                                                  .transport_sgl(0x2000)
                                                  .dword(10, 0x07ff'a70c)
                                                  .dword(11, 0xabcd'0000)
                                                  .dword(12, 0x0000'1000)
                                                  .dword(13, 0x0000'0002)
                                                  .dword(14, 0x0500'0011)
                                                  .entry());
  EXPECT_EQ(log.nsid, every_namespace);
  EXPECT_EQ(log.log_id, 0x0c);
  EXPECT_EQ(log.log_specific, 0x27);
  EXPECT_TRUE(log.retain_async_event);
  EXPECT_EQ(log.length, engine::ByteCount{0x2000});
  EXPECT_EQ(log.log_specific_id, 0xabcd);
  EXPECT_EQ(log.offset, 0x2'0000'1000u);
  EXPECT_FALSE(log.offset_is_index);
  EXPECT_EQ(log.uuid_index, 0x11);
  EXPECT_EQ(log.command_set, 5);
}

TEST(AdminCommand, LogLengthIsZeroBasedDwordsOverTwoFields) {
  EXPECT_EQ(expect_command<GetLogPage>(RawEntry(0x02).transport_sgl(4).entry()).length,
            engine::ByteCount{4});
  const auto large =
      RawEntry(0x02).transport_sgl(0x4'0004).dword(10, 0x0000'0000).dword(11, 1).entry();
  EXPECT_EQ(expect_command<GetLogPage>(large).length, engine::ByteCount{0x4'0004});
}

// 2^32 dwords fit in no descriptor: nobody is made to allocate 16 GiB.
TEST(AdminCommand, LongestLogCannotBeDescribed) {
  const auto entry =
      RawEntry(0x02).transport_sgl(0xffff'ffff).dword(10, 0xffff'0000).dword(11, 0xffff).entry();
  EXPECT_EQ(expect_refusal(entry).status, status::data_sgl_length_invalid);
}

TEST(AdminCommand, LogLongerThanItsBufferIsRefused) {
  EXPECT_EQ(expect_refusal(RawEntry(0x02).transport_sgl(511).dword(10, 127u << 16).entry()).status,
            status::data_sgl_length_invalid);
}

TEST(AdminCommand, LogOffsetsAreWholeDwords) {
  for (const std::uint32_t offset : {1u, 2u, 3u, 1023u}) {
    EXPECT_EQ(expect_refusal(RawEntry(0x02).transport_sgl(4).dword(12, offset).entry()),
              (Refusal{status::invalid_field, at_dword(12)}));
  }
  const auto index = expect_command<GetLogPage>(
      RawEntry(0x02).transport_sgl(4).dword(12, 3).dword(14, 1u << 23).entry());
  EXPECT_TRUE(index.offset_is_index);
  EXPECT_EQ(index.offset, 3u);
}

TEST(AdminCommand, IdentifyFieldsAreAllFound) {
  const auto identify = expect_command<Identify>(RawEntry(0x06)
                                                     .nsid(7)
                                                     .transport_sgl(4096)
                                                     .dword(10, 0x1234'0005)
                                                     .dword(11, 0x0200'5678)
                                                     .dword(14, 0x7f)
                                                     .entry());
  EXPECT_EQ(identify.nsid, NamespaceId{7});
  EXPECT_EQ(identify.cns, 0x05);
  EXPECT_EQ(identify.controller, ControllerId{0x1234});
  EXPECT_EQ(identify.cns_specific_id, 0x5678);
  EXPECT_EQ(identify.command_set, 2);
  EXPECT_EQ(identify.uuid_index, 0x7f);
  EXPECT_EQ(expect_refusal(RawEntry(0x06).transport_sgl(4095).entry()).status,
            status::data_sgl_length_invalid);
}

TEST(AdminCommand, AbortNamesQueueAndCommand) {
  const auto abort = expect_command<Abort>(RawEntry(0x08).dword(10, 0xbeef'0003).entry());
  EXPECT_EQ(abort.queue_id, 3);
  EXPECT_EQ(abort.command_id, 0xbeef);
}

TEST(AdminCommand, SetFeaturesKeepsItsDwords) {
  const auto set = expect_command<SetFeatures>(RawEntry(0x09)
                                                   .nsid(2)
                                                   .dword(10, 0x8000'000b)
                                                   .dword(11, 0x1111'1111)
                                                   .dword(12, 0x2222'2222)
                                                   .dword(13, 0x3333'3333)
                                                   .dword(14, 0x4444'4444)
                                                   .dword(15, 0x5555'5555)
                                                   .entry());
  EXPECT_EQ(set.nsid, NamespaceId{2});
  EXPECT_EQ(set.feature_id, 0x0b);
  EXPECT_TRUE(set.save);
  EXPECT_EQ(set.dword11, 0x1111'1111u);
  EXPECT_EQ(set.dword12, 0x2222'2222u);
  EXPECT_EQ(set.dword13, 0x3333'3333u);
  EXPECT_EQ(set.dword14, 0x4444'4444u);
  EXPECT_EQ(set.dword15, 0x5555'5555u);
  EXPECT_FALSE(set.data) << "this feature lives in dword 11";
}

TEST(AdminCommand, FeaturesWithAStructureNeedABufferThatHoldsIt) {
  struct Row {
    std::uint32_t feature;
    std::uint32_t dword11;
    std::uint32_t bytes;
  };
  for (const auto& row : {Row{0x0e, 0, 8}, Row{0x16, 0, 512}, Row{0x81, 1, 16}, Row{0x81, 0, 8}}) {
    const auto set = RawEntry(0x09)
                         .in_capsule_sgl(row.bytes)
                         .dword(10, row.feature)
                         .dword(11, row.dword11)
                         .entry();
    EXPECT_EQ(expect_command<SetFeatures>(set).data, DataPointer((InCapsuleData{0, row.bytes})));
    const auto get = RawEntry(0x0a)
                         .transport_sgl(row.bytes)
                         .dword(10, row.feature)
                         .dword(11, row.dword11)
                         .entry();
    EXPECT_EQ(expect_command<GetFeatures>(get).data, DataPointer(TransportData{row.bytes}));
    for (const unsigned opcode : {0x09u, 0x0au}) {
      const auto entry = RawEntry(static_cast<std::uint8_t>(opcode))
                             .transport_sgl(row.bytes - 1)
                             .dword(10, row.feature)
                             .dword(11, row.dword11)
                             .entry();
      EXPECT_EQ(expect_refusal(entry).status, status::data_sgl_length_invalid);
    }
  }
}

TEST(AdminCommand, GetFeaturesSelects) {
  for (const unsigned select : {0u, 1u, 2u, 3u}) {
    const auto get =
        expect_command<GetFeatures>(RawEntry(0x0a).dword(10, select << 8 | 0x07).entry());
    EXPECT_EQ(static_cast<unsigned>(get.select), select);
    EXPECT_EQ(get.feature_id, 7);
  }
  for (const unsigned select : {4u, 5u, 6u, 7u}) {
    EXPECT_EQ(expect_refusal(RawEntry(0x0a).dword(10, select << 8 | 0x07).entry()),
              (Refusal{status::invalid_field, at_dword(10, 8)}));
  }
}

TEST(AdminCommand, AskingForCapabilitiesTransfersNoStructure) {
  EXPECT_FALSE(expect_command<GetFeatures>(RawEntry(0x0a).dword(10, 3u << 8 | 0x16).entry()).data);
}

TEST(AdminCommand, CommandsWithoutFields) {
  expect_command<AsyncEventRequest>(RawEntry(0x0c).entry());
  expect_command<KeepAlive>(RawEntry(0x18).entry());
}

TEST(AdminCommand, FusedOperationsAreRefused) {
  for (const unsigned opcode : {0x02u, 0x06u, 0x08u, 0x09u, 0x0au, 0x0cu, 0x18u, 0x80u, 0x86u}) {
    EXPECT_EQ(expect_refusal(
                  RawEntry(static_cast<std::uint8_t>(opcode)).flags(1).transport_sgl(4096).entry()),
              (Refusal{status::invalid_field, at_byte(1)}));
  }
}

TEST(AdminCommand, GetLbaStatusHasHonestLengths) {
  const auto entry = [](std::uint32_t action) {
    return RawEntry(0x86)
        .nsid(7)
        .dword(10, 5)
        .dword(11, 1)
        .dword(12, 1023)
        .dword(13, action << 24 | 0x00ff'1234)
        .transport_sgl(4096)
        .entry();
  };
  const auto get = expect_command<GetLbaStatus>(entry(0x11));
  EXPECT_EQ(get.nsid, NamespaceId{7});
  EXPECT_EQ(get.first, engine::Lba{0x1'0000'0005});
  EXPECT_EQ(get.blocks, engine::BlockCount{0x1234});
  EXPECT_EQ(get.action, LbaStatusAction::tracked);
  EXPECT_EQ(get.length, engine::ByteCount{4096});
  EXPECT_EQ(expect_command<GetLbaStatus>(entry(0x10)).action, LbaStatusAction::scan);
  EXPECT_EQ(expect_command<GetLbaStatus>(entry(0x02)).action, LbaStatusAction::allocated);
  for (const unsigned unknown : {0x00u, 0x01u, 0x03u, 0x12u, 0xffu}) {
    EXPECT_EQ(expect_refusal(entry(unknown)), (Refusal{status::invalid_field, at_dword(13, 24)}));
  }
  EXPECT_EQ(expect_refusal(
                RawEntry(0x86).dword(12, 1024).dword(13, 0x11U << 24).transport_sgl(4096).entry())
                .status,
            status::data_sgl_length_invalid);
}

TEST(AdminCommand, FormatNamesItsFormatAndItsErase) {
  const auto entry = [](std::uint32_t fields) {
    return RawEntry(0x80).nsid(7).dword(10, fields).entry();
  };
  auto format = expect_command<FormatNvm>(entry(0));
  EXPECT_EQ(format.nsid, NamespaceId{7});
  EXPECT_EQ(format.lba_format, 0);
  EXPECT_EQ(format.protection, 0);
  EXPECT_EQ(format.erase, SecureErase::none);
  format = expect_command<FormatNvm>(entry(0x3f));
  EXPECT_EQ(format.lba_format, 15) << "MSET is no part of it";
  EXPECT_EQ(format.protection, 1);
  EXPECT_EQ(expect_command<FormatNvm>(entry(0x3002)).lba_format, 0x32) << "LBAFU";
  EXPECT_EQ(expect_command<FormatNvm>(entry(0xe0)).protection, 7);
  EXPECT_EQ(expect_command<FormatNvm>(entry(1U << 9)).erase, SecureErase::user_data);
  EXPECT_EQ(expect_command<FormatNvm>(entry(2U << 9)).erase, SecureErase::cryptographic);
  for (const std::uint32_t erase : {3U, 4U, 7U}) {
    EXPECT_EQ(expect_refusal(entry(erase << 9)), (Refusal{status::invalid_field, at_dword(10, 9)}));
  }
}

// Create and Delete Queue, Firmware Download, Sanitize and all others; 7Fh is parsed
// elsewhere.
TEST(AdminCommand, UnknownOpcodesAreRefused) {
  for (unsigned opcode = 0; opcode < 256; ++opcode) {
    switch (opcode) {
      case 0x02:
      case 0x06:
      case 0x08:
      case 0x09:
      case 0x0a:
      case 0x0c:
      case 0x18:
      case 0x80:
      case 0x86:
        EXPECT_STRNE(admin_opcode_name(static_cast<std::uint8_t>(opcode)), "unknown");
        continue;
      default:
        EXPECT_EQ(expect_refusal(RawEntry(static_cast<std::uint8_t>(opcode)).flags(0x43).entry()),
                  (Refusal{status::invalid_opcode, at_byte(0)}));
        EXPECT_STREQ(admin_opcode_name(static_cast<std::uint8_t>(opcode)), "unknown");
    }
  }
}

}  // namespace
}  // namespace protocol::nvme
