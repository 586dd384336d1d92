#include "protocol/scsi/lun.h"

#include <gtest/gtest.h>

namespace protocol::scsi {
namespace {

constexpr Lun field(std::uint64_t first_level) { return {first_level << 48}; }

TEST(Lun, PeripheralAndFlatAddressingNameTheSameUnit) {
  EXPECT_EQ(field(0x0000).unit_number(), 0);
  EXPECT_EQ(field(0x0005).unit_number(), 5);
  EXPECT_EQ(field(0x00ff).unit_number(), 255);
  EXPECT_EQ(field(0x4005).unit_number(), 5);
  EXPECT_EQ(field(0x4100).unit_number(), 256);
  EXPECT_EQ(field(0x7fff).unit_number(), 16383);
}

TEST(Lun, WhatIsNotOfOneLevelHasNoNumber) {
  EXPECT_EQ(field(0x0105).unit_number(), std::nullopt) << "a bus behind the device";
  EXPECT_EQ(field(0x8000).unit_number(), std::nullopt) << "logical unit addressing";
  EXPECT_EQ(field(0xc101).unit_number(), std::nullopt) << "the well-known unit";
  EXPECT_EQ(field(0xd200).unit_number(), std::nullopt) << "extended flat space";
  for (unsigned bit = 0; bit < 48; ++bit) {
    EXPECT_EQ((Lun{field(5).field | std::uint64_t{1} << bit}).unit_number(), std::nullopt) << bit;
  }
}

TEST(Lun, EveryNumberComesBack) {
  for (std::uint32_t number = 0; number <= max_unit_number; ++number) {
    const auto lun = Lun::of_unit(static_cast<std::uint16_t>(number));
    ASSERT_EQ(lun.unit_number(), number);
    ASSERT_EQ(lun.addressing(),
              number < 256 ? LunAddressing::peripheral : LunAddressing::flat_space);
  }
}

TEST(Lun, TheWellKnownUnitIsItself) {
  EXPECT_EQ(report_luns_unit, field(0xc101));
  EXPECT_EQ(report_luns_unit.addressing(), LunAddressing::extended);
}

}  // namespace
}  // namespace protocol::scsi
