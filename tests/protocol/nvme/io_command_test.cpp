#include "protocol/nvme/io_command.h"

#include <gtest/gtest.h>

#include <array>

#include "tests/protocol/nvme/raw_entry.h"

namespace protocol::nvme {
namespace {

constexpr std::uint32_t limited_retry = 1u << 31;
constexpr std::uint32_t force_unit_access = 1u << 30;

template <class Command>
Command expect_io(const SubmissionEntry& entry) {
  const auto parsed = parse_io_command(entry);
  if (!parsed || !std::holds_alternative<Command>(parsed.value())) {
    ADD_FAILURE() << "opcode " << int{entry.opcode} << " became something else";
    return {};
  }
  return std::get<Command>(parsed.value());
}

Refusal expect_io_refusal(const SubmissionEntry& entry) {
  const auto parsed = parse_io_command(entry);
  if (parsed) {
    ADD_FAILURE() << "opcode " << int{entry.opcode} << " was accepted";
    return {};
  }
  return parsed.error();
}

// A write of eight blocks at 123456789Ah as a Linux host sends it: in-capsule, 4096 bytes.
TEST(IoCommand, GoldenWrite) {
  const std::array<std::uint8_t, 64> bytes{
      0x01, 0x40, 0x34, 0x12, 0x01, 0x00, 0x00, 0x00, 0,    0,    0,    0,    0,
      0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0x00, 0x00,
      0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x10, 0x00, 0x00, 0x00, 0x00, 0x00,
      0x01, 0x9a, 0x78, 0x56, 0x34, 0x12, 0x00, 0x00, 0x00, 0x07, 0x00, 0x00, 0x40,
      0x00, 0x00, 0x00, 0x00, 0,    0,    0,    0,    0,    0,    0,    0};
  SubmissionEntry entry;
  std::memcpy(&entry, bytes.data(), sizeof(entry));
  const auto write = expect_io<Write>(entry);
  EXPECT_EQ(write.nsid, NamespaceId{1});
  EXPECT_EQ(write.blocks, (BlockRange{{0x12'3456'789a}, {8}}));
  EXPECT_TRUE(write.force_unit_access);
  EXPECT_FALSE(write.limited_retry);
  EXPECT_EQ(write.data, DataPointer((InCapsuleData{0, 4096})));
}

// A read of one block as a Linux host sends it: transport SGL.
TEST(IoCommand, GoldenRead) {
  const std::array<std::uint8_t, 64> bytes{
      0x02, 0x40, 0x00, 0x00, 0x02, 0x00, 0x00, 0x00, 0,    0,    0,    0,    0,
      0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,
      0,    0,    0,    0,    0,    0,    0x00, 0x02, 0x00, 0x00, 0x00, 0x00, 0x00,
      0x5a, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x80,
      0x07, 0x00, 0x00, 0x00, 0,    0,    0,    0,    0,    0,    0,    0};
  SubmissionEntry entry;
  std::memcpy(&entry, bytes.data(), sizeof(entry));
  const auto read = expect_io<Read>(entry);
  EXPECT_EQ(read.nsid, NamespaceId{2});
  EXPECT_EQ(read.blocks, (BlockRange{{8}, {1}}));
  EXPECT_FALSE(read.force_unit_access);
  EXPECT_TRUE(read.limited_retry);
  EXPECT_EQ(read.data, DataPointer(TransportData{512}));
}

TEST(IoCommand, ZeroBasedBlockCountsBecomeHonest) {
  for (const std::uint32_t field : {0u, 1u, 0x7fffu, 0xffffu}) {
    const auto read =
        expect_io<Read>(RawEntry(0x02).nsid(1).transport_sgl(512).dword(12, field).entry());
    EXPECT_EQ(read.blocks.count, engine::BlockCount{std::uint64_t{field} + 1});
  }
}

TEST(IoCommand, TheHighestBlockAddressIsNotCut) {
  const auto verify =
      expect_io<Verify>(RawEntry(0x0c).dword(10, 0xffff'fffe).dword(11, 0xffff'ffff).entry());
  EXPECT_EQ(verify.blocks.first, engine::Lba{0xffff'ffff'ffff'fffe});
}

TEST(IoCommand, CompareCarriesItsData) {
  const auto compare = expect_io<Compare>(RawEntry(0x05)
                                              .nsid(3)
                                              .in_capsule_sgl(1024, 64)
                                              .dword(10, 7)
                                              .dword(12, force_unit_access | 1)
                                              .entry());
  EXPECT_EQ(compare.nsid, NamespaceId{3});
  EXPECT_EQ(compare.blocks, (BlockRange{{7}, {2}}));
  EXPECT_TRUE(compare.force_unit_access);
  EXPECT_EQ(compare.data, DataPointer((InCapsuleData{64, 1024})));
}

TEST(IoCommand, CommandsWithoutDataDoNotLookAtTheDataPointer) {
  const auto verify =
      expect_io<Verify>(RawEntry(0x0c).nsid(1).dword(12, limited_retry | 9).entry());
  EXPECT_EQ(verify.blocks.count, engine::BlockCount{10});
  EXPECT_TRUE(verify.limited_retry);
  EXPECT_EQ(expect_io<Flush>(RawEntry(0x00).nsid(0xffff'ffff).entry()).nsid, every_namespace);
}

TEST(IoCommand, WriteZeroesMayDeallocate) {
  const auto keep = expect_io<WriteZeroes>(RawEntry(0x08).nsid(1).dword(12, 0xffff).entry());
  EXPECT_FALSE(keep.deallocate);
  EXPECT_EQ(keep.blocks.count, engine::BlockCount{65536});
  const auto drop = expect_io<WriteZeroes>(
      RawEntry(0x08).nsid(1).dword(12, 1u << 25 | force_unit_access).entry());
  EXPECT_TRUE(drop.deallocate);
  EXPECT_TRUE(drop.force_unit_access);
}

// Ignoring NSZ would zero fewer blocks than the host asked for and call it done.
TEST(IoCommand, WholeNamespaceZeroingIsRefusedNotIgnored) {
  EXPECT_EQ(expect_io_refusal(RawEntry(0x08).nsid(1).dword(12, 1u << 23).entry()),
            (Refusal{status::invalid_field, at_dword(12, 23)}));
}

struct ControlBit {
  unsigned bit;
  Status status;
};

TEST(IoCommand, ProtectionInformationAndDirectivesAreRefused) {
  const ControlBit table[] = {
      {16, status::invalid_field},  // CETYPE
      {19, status::invalid_field},
      {20, status::invalid_field},  // DTYPE
      {23, status::invalid_field},
      {24, status::invalid_protection_information},  // STC
      {25, status::invalid_field},                   // DEAC: Write Zeroes only
      {26, status::invalid_protection_information},  // PRINFO
      {29, status::invalid_protection_information},
  };
  for (const unsigned opcode : {0x01u, 0x02u, 0x05u, 0x08u, 0x0cu}) {
    for (const auto& row : table) {
      if (opcode == 0x08 && row.bit == 25) continue;
      const auto entry = RawEntry(static_cast<std::uint8_t>(opcode))
                             .transport_sgl(512)
                             .dword(12, 1u << row.bit)
                             .entry();
      EXPECT_EQ(expect_io_refusal(entry).status, row.status)
          << "opcode " << opcode << " bit " << row.bit;
    }
  }
}

TEST(IoCommand, OtherFusedOperationsThanCompareAndWriteAreRefusedWithTheirBit) {
  for (const unsigned opcode : {0x00u, 0x01u, 0x02u, 0x04u, 0x05u, 0x08u, 0x09u, 0x0cu}) {
    for (const unsigned fuse : {1u, 2u, 3u}) {
      const auto entry = RawEntry(static_cast<std::uint8_t>(opcode))
                             .flags(static_cast<std::uint8_t>(fuse))
                             .transport_sgl(4096)
                             .entry();
      if (opcode == 0x05 && fuse == 1) {
        (void)expect_io<Compare>(entry);
      } else if (opcode == 0x01 && fuse == 2) {
        (void)expect_io<Write>(entry);
      } else {
        EXPECT_EQ(expect_io_refusal(entry), (Refusal{status::invalid_field, at_byte(1)}));
      }
    }
  }
}

TEST(IoCommand, UnknownOpcodesAreRefusedWhateverElseTheySay) {
  for (unsigned opcode = 0; opcode < 256; ++opcode) {
    switch (opcode) {
      case 0x00:
      case 0x01:
      case 0x02:
      case 0x04:
      case 0x05:
      case 0x08:
      case 0x09:
      case 0x0c:
      case 0x0d:
      case 0x0e:
      case 0x11:
      case 0x15:
      case 0x19:
        continue;
      default:
        break;
    }
    for (const unsigned flags : {0x00u, 0x40u, 0xc3u}) {
      const auto entry = RawEntry(static_cast<std::uint8_t>(opcode))
                             .flags(static_cast<std::uint8_t>(flags))
                             .dword(12, 0xffff'ffff)
                             .entry();
      EXPECT_EQ(expect_io_refusal(entry), (Refusal{status::invalid_opcode, at_byte(0)})) << opcode;
    }
    EXPECT_STREQ(io_opcode_name(static_cast<std::uint8_t>(opcode)), "unknown");
  }
}

TEST(IoCommand, WriteUncorrectableHasBlocksAndNothingElse) {
  const auto lose = expect_io<WriteUncorrectable>(
      RawEntry(0x04).nsid(3).dword(10, 0x89ab'cdef).dword(11, 1).dword(12, 0xffff).entry());
  EXPECT_EQ(lose.nsid, NamespaceId{3});
  EXPECT_EQ(lose.blocks, (BlockRange{{0x1'89ab'cdef}, {65536}}));
  EXPECT_EQ(expect_io_refusal(RawEntry(0x04).dword(12, 1U << 20).entry()),
            (Refusal{status::invalid_field, at_dword(12, 20)}))
      << "DTYPE";
  EXPECT_STREQ(io_opcode_name(0x04), "write uncorrectable");
}

TEST(IoCommand, DataCommandsNeedAnSgl) {
  for (const unsigned opcode : {0x01u, 0x02u, 0x05u, 0x09u}) {
    const auto entry =
        RawEntry(static_cast<std::uint8_t>(opcode)).put(32, 4096, 4).put(39, 0x5a, 1).entry();
    EXPECT_EQ(expect_io_refusal(entry), (Refusal{status::invalid_field, at_byte(1, 6)}));
  }
  EXPECT_EQ(expect_io_refusal(RawEntry(0x02).in_capsule_sgl(512).entry()).status,
            status::invalid_field);
}

TEST(IoCommand, DatasetManagementSaysWhatItWants) {
  const auto dsm = expect_io<DatasetManagement>(
      RawEntry(0x09).nsid(4).in_capsule_sgl(48).dword(10, 2).dword(11, 4).entry());
  EXPECT_EQ(dsm.nsid, NamespaceId{4});
  EXPECT_EQ(dsm.range_count, 3u);
  EXPECT_TRUE(dsm.deallocate);
  EXPECT_FALSE(dsm.integral_read);
  EXPECT_FALSE(dsm.integral_write);
  const auto hints =
      expect_io<DatasetManagement>(RawEntry(0x09).in_capsule_sgl(16).dword(11, 3).entry());
  EXPECT_EQ(hints.range_count, 1u);
  EXPECT_FALSE(hints.deallocate);
  EXPECT_TRUE(hints.integral_read);
  EXPECT_TRUE(hints.integral_write);
}

// Linux describes a whole page whatever the number of ranges.
TEST(IoCommand, DatasetManagementBufferMayBeLongerThanItsRanges) {
  EXPECT_EQ(expect_io<DatasetManagement>(RawEntry(0x09).in_capsule_sgl(4096).dword(11, 4).entry())
                .range_count,
            1u);
  EXPECT_EQ(expect_io<DatasetManagement>(RawEntry(0x09).transport_sgl(4096).dword(10, 255).entry())
                .range_count,
            256u);
  EXPECT_EQ(expect_io_refusal(RawEntry(0x09).transport_sgl(4095).dword(10, 255).entry()).status,
            status::data_sgl_length_invalid);
  EXPECT_EQ(expect_io_refusal(RawEntry(0x09).transport_sgl(15).entry()).status,
            status::data_sgl_length_invalid);
}

}  // namespace
}  // namespace protocol::nvme
