#include "protocol/scsi/vpd.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "protocol/scsi/identity.h"
#include "tests/protocol/scsi/bytes.h"

namespace protocol::scsi {
namespace {

UnitPages unit() {
  return {.volume = engine::Uuid::parse("5f3c1a2b-9d4e-4c6f-8a71-2b3c4d5e6f70").value(),
          .target_name = "iqn.2026-01.example:a",
          .target_port_group = 0x0102,
          .relative_target_port = 3,
          .limits = {.max_transfer = {0x2000},
                     .optimal_transfer = {0x100},
                     .optimal_granularity = {8},
                     .max_prefetch = {0x4000},
                     .max_compare_and_write = {1},
                     .max_unmap = {0x10'0000},
                     .max_unmap_descriptors = 256,
                     .unmap_granularity = {8},
                     .unmap_alignment = engine::BlockCount{0},
                     .max_write_same = {0x1'0000'0000},
                     .max_atomic = {0x800},
                     .atomic_alignment = {1},
                     .atomic_granularity = {1}},
          .copy = {.max_segment_bytes = 0x0100'0000, .max_concurrent = 4}};
}

std::vector<std::byte> page(VpdPage code, const UnitPages& of = unit()) {
  return written([&](Answer& answer) {
    EXPECT_TRUE(put_vpd_page(answer, static_cast<std::uint8_t>(code), of));
  });
}
std::string page_hex(VpdPage code, const UnitPages& of = unit()) {
  return wire::hex(page(code, of));
}
bool is_there(unsigned code, const UnitPages& of) {
  bool there = false;
  const auto bytes = written(
      [&](Answer& answer) { there = put_vpd_page(answer, static_cast<std::uint8_t>(code), of); });
  EXPECT_NE(there, bytes.empty());
  return there;
}
std::string zeros(std::size_t count) {
  std::string text;
  for (std::size_t i = 0; i < count; ++i) text += " 00";
  return text;
}
std::string as_hex(std::string_view text) { return wire::hex(std::as_bytes(std::span(text))); }

TEST(VpdPages, ExactlyWhatIsListedIsThereInAscendingOrder) {
  UnitPages without_copy = unit();
  without_copy.features.copy = false;
  UnitPages well_known = unit();
  well_known.peripheral = Peripheral::well_known_unit;
  for (const auto& of : {unit(), without_copy, well_known}) {
    const auto list = page(VpdPage::supported_pages, of);
    ASSERT_EQ(static_cast<std::size_t>(list[3]) + 4, list.size());
    const auto codes = std::span(list).subspan(4);
    EXPECT_TRUE(std::is_sorted(codes.begin(), codes.end()));
    for (unsigned code = 0; code < 256; ++code) {
      const bool listed =
          std::find(codes.begin(), codes.end(), static_cast<std::byte>(code)) != codes.end();
      EXPECT_EQ(is_there(code, of), listed) << code;
    }
  }
  EXPECT_EQ(page_hex(VpdPage::supported_pages), "00 00 00 09 00 80 83 86 87 8f b0 b1 b2");
  EXPECT_EQ(page_hex(VpdPage::supported_pages, well_known), "1e 00 00 02 00 83");
}

TEST(VpdPages, EachSaysItsOwnCodeAndLengthAndIsCutCleanly) {
  for (const unsigned code : {0x00u, 0x80u, 0x83u, 0x86u, 0x87u, 0x8fu, 0xb0u, 0xb1u, 0xb2u}) {
    const auto put = [&](Answer& answer) {
      (void)put_vpd_page(answer, static_cast<std::uint8_t>(code), unit());
    };
    const auto bytes = written(put);
    EXPECT_EQ(bytes[0], std::byte{0});
    EXPECT_EQ(bytes[1], static_cast<std::byte>(code));
    EXPECT_EQ(static_cast<std::size_t>(bytes[2]) * 256 + static_cast<std::size_t>(bytes[3]),
              bytes.size() - 4);
    EXPECT_TRUE(is_cut_cleanly(put)) << code;
  }
}

TEST(VpdPages, UnitSerialNumber) {
  const auto serial = unit_serial_of(unit().volume);
  EXPECT_EQ(page_hex(VpdPage::unit_serial_number), "00 80 00 19 " + as_hex(serial));
}

TEST(VpdPages, DeviceIdentificationGolden) {
  const auto volume = unit().volume;
  EXPECT_EQ(page_hex(VpdPage::device_identification),
            "00 83 00 9f "
            "01 03 00 10 " +
                wire::hex(naa_of(volume)) + " 02 01 00 21 " +
                as_hex("FOREBAY " + unit_serial_of(volume)) +
                " 01 0a 00 12 10 00 5f 3c 1a 2b 9d 4e 4c 6f 8a 71 2b 3c 4d 5e 6f 70"
                " 51 94 00 04 00 00 00 03"
                " 51 95 00 04 00 00 01 02"
                " 53 98 00 20 " +
                as_hex("iqn.2026-01.example:a,t,0x0003") + zeros(2) + " 53 a8 00 18 " +
                as_hex("iqn.2026-01.example:a") + zeros(3));
}

TEST(VpdPages, NamesEndWithANulEvenWhereTheyFillTheirWords) {
  UnitPages of = unit();
  of.target_name = "iqn.2026-01.example:";  // 20 characters
  const auto text = page_hex(VpdPage::device_identification, of);
  const auto device = "53 a8 00 18 " + as_hex(of.target_name) + zeros(4);
  EXPECT_EQ(text.substr(text.size() - device.size()), device);
}

TEST(VpdPages, TheLongestNamesFit) {
  UnitPages of = unit();
  const std::string longest = "iqn." + std::string(219, 'x');
  of.target_name = longest;
  EXPECT_LE(page(VpdPage::device_identification, of).size(), max_vpd_page_bytes);
  EXPECT_LE(page(VpdPage::third_party_copy).size(), max_vpd_page_bytes);
}

TEST(VpdPages, AWellKnownUnitHasNoUnitDesignators) {
  UnitPages of = unit();
  of.peripheral = Peripheral::well_known_unit;
  EXPECT_EQ(page_hex(VpdPage::device_identification, of).substr(0, 35),
            "1e 83 00 50 51 94 00 04 00 00 00 03");
}

TEST(VpdPages, ExtendedInquiryAndModePagePolicy) {
  EXPECT_EQ(page_hex(VpdPage::extended_inquiry),
            "00 86 00 3c 00 07 00 00 00 00 00 00 00 1c" + zeros(50));
  EXPECT_EQ(page_hex(VpdPage::mode_page_policy), "00 87 00 04 3f ff 00 00");
}

TEST(VpdPages, ThirdPartyCopyGolden) {
  EXPECT_EQ(page_hex(VpdPage::third_party_copy),
            "00 8f 00 64 "
            "00 01 00 0c 08 83 01 00 84 03 00 03 04 00 00 00 "
            "00 04 00 1c 00 00 00 00 00 08 00 10 00 00 04 00 00 00 00 00" +
                zeros(12) +
                " 00 08 00 04 02 02 e4 00 "
                "00 0c 00 04 00 00 00 00 "
                "80 01 00 20 00 00 00 04 00 00 00 04 01 00 00 00 00 00" +
                zeros(18));
}

TEST(VpdPages, BlockLimitsGolden) {
  EXPECT_EQ(page_hex(VpdPage::block_limits),
            "00 b0 00 3c 00 01 00 08 00 00 20 00 00 00 01 00 00 00 40 00 00 10 00 00 00 00 01 00 "
            "00 00 00 08 80 00 00 00 00 00 00 01 00 00 00 00 00 00 08 00 00 00 00 01 00 00 00 01 "
            "00 00 00 00 00 00 00 00");
}

TEST(VpdPages, LimitsOfWhatIsNotOfferedAreZero) {
  UnitPages of = unit();
  of.features = {.unmap = false, .write_atomic = false};
  of.limits.write_same_needs_count = true;
  of.limits.max_transfer = {0x1'0000'0000};
  of.limits.max_compare_and_write = {1000};
  EXPECT_EQ(page_hex(VpdPage::block_limits, of),
            "00 b0 00 3c 01 ff 00 08 ff ff ff ff 00 00 01 00 00 00 40 00" + zeros(16) +
                " 00 00 00 01 00 00 00 00" + zeros(20));
}

TEST(VpdPages, CharacteristicsAndProvisioning) {
  EXPECT_EQ(page_hex(VpdPage::block_device_characteristics),
            "00 b1 00 3c 00 01 00 00 03" + zeros(55));
  EXPECT_EQ(page_hex(VpdPage::logical_block_provisioning), "00 b2 00 04 00 e4 02 00");
  UnitPages thick = unit();
  thick.thin = false;
  EXPECT_EQ(page_hex(VpdPage::logical_block_provisioning, thick), "00 b2 00 04 00 e4 00 00");
  thick.features.unmap = false;
  EXPECT_EQ(page_hex(VpdPage::logical_block_provisioning, thick), "00 b2 00 04 00 00 00 00");
}

}  // namespace
}  // namespace protocol::scsi
