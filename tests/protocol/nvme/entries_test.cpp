#include "protocol/nvme/entries.h"

#include <gtest/gtest.h>

#include <array>

#include "tests/protocol/nvme/raw_entry.h"

namespace protocol::nvme {
namespace {

TEST(Entries, FieldsLieWhereTheSpecificationPutsThem) {
  std::array<std::uint8_t, 64> bytes{};
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::uint8_t>(i);
  SubmissionEntry entry;
  std::memcpy(&entry, bytes.data(), sizeof(entry));
  EXPECT_EQ(entry.opcode, 0x00);
  EXPECT_EQ(entry.flags, 0x01);
  EXPECT_EQ(entry.command_id, 0x0302);
  EXPECT_EQ(entry.nsid, 0x0706'0504u);
  EXPECT_EQ(entry.metadata_pointer, 0x1716'1514'1312'1110u);
  EXPECT_EQ(entry.data_pointer.address, 0x1f1e'1d1c'1b1a'1918u);
  EXPECT_EQ(entry.data_pointer.length, 0x2322'2120u);
  EXPECT_EQ(entry.data_pointer.identifier, 0x27);
  EXPECT_EQ(entry.cdw10, 0x2b2a'2928u);
  EXPECT_EQ(entry.cdw15, 0x3f3e'3d3cu);
  EXPECT_EQ(entry.fabrics_type(), 0x04);
}

TEST(Entries, FuseAndDataPointerKindShareByteOne) {
  const auto entry = RawEntry(0x01).flags(0x82).entry();
  EXPECT_EQ(entry.fuse(), 2u);
  EXPECT_EQ(entry.psdt(), 2u);
}

TEST(Entries, CompletionIsSixteenGoldenBytes) {
  const auto completion =
      make_completion(0xbeef, status::invalid_field, 0x0102, 0x1122'3344'5566'7788);
  const std::array<std::uint8_t, 16> golden{0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11,
                                            0x02, 0x01, 0x00, 0x00, 0xef, 0xbe, 0x04, 0x80};
  EXPECT_EQ(std::memcmp(&completion, golden.data(), golden.size()), 0);
}

TEST(Entries, DirectionIsInTheOpcodeAndForFabricsInTheType) {
  EXPECT_EQ(transfer_direction(RawEntry(0x00).entry()), TransferDirection::none);
  EXPECT_EQ(transfer_direction(RawEntry(0x01).entry()), TransferDirection::host_to_controller);
  EXPECT_EQ(transfer_direction(RawEntry(0x02).entry()), TransferDirection::controller_to_host);
  EXPECT_EQ(transfer_direction(RawEntry(0x7f).nsid(0x01).entry()),
            TransferDirection::host_to_controller);
  EXPECT_EQ(transfer_direction(RawEntry(0x7f).nsid(0x04).entry()), TransferDirection::none);
  EXPECT_EQ(transfer_direction(RawEntry(0x7f).nsid(0x06).entry()),
            TransferDirection::controller_to_host);
}

}  // namespace
}  // namespace protocol::nvme
