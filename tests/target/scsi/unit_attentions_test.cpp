#include "target/scsi/unit_attentions.h"

#include <gtest/gtest.h>

namespace target::scsi {
namespace {

namespace sense = protocol::scsi::sense;
using protocol::scsi::SenseCode;

std::vector<SenseCode> take_all(UnitAttentions& attentions) {
  std::vector<SenseCode> told;
  while (const auto code = attentions.take()) told.push_back(*code);
  return told;
}

TEST(UnitAttentions, AreToldInOrderAndOnce) {
  UnitAttentions attentions;
  EXPECT_FALSE(attentions.any());
  attentions.establish(sense::capacity_changed.code);
  attentions.establish(sense::mode_parameters_changed.code);
  attentions.establish(sense::capacity_changed.code);
  EXPECT_TRUE(attentions.any());
  EXPECT_EQ(attentions.peek(), sense::capacity_changed.code);
  EXPECT_EQ(take_all(attentions), (std::vector<SenseCode>{sense::capacity_changed.code,
                                                          sense::mode_parameters_changed.code}));
  EXPECT_FALSE(attentions.any());
  EXPECT_EQ(attentions.peek(), std::nullopt);
}

TEST(UnitAttentions, TheGravestResetComesFirstAndAlone) {
  UnitAttentions attentions;
  attentions.establish(sense::luns_changed.code);
  attentions.establish(sense::nexus_loss.code);
  attentions.establish(sense::device_reset_by_function.code);
  attentions.establish(sense::nexus_loss.code);
  EXPECT_EQ(take_all(attentions), (std::vector<SenseCode>{sense::device_reset_by_function.code,
                                                          sense::luns_changed.code}));
  attentions.establish(sense::power_on_or_reset.code);
  attentions.establish(sense::bus_reset.code);
  EXPECT_EQ(take_all(attentions), (std::vector<SenseCode>{sense::power_on_or_reset.code}));
}

TEST(UnitAttentions, WhatWasToldInAnotherWayIsNotToldAgain) {
  UnitAttentions attentions;
  attentions.establish(sense::luns_changed.code);
  attentions.establish(sense::capacity_changed.code);
  attentions.clear(sense::luns_changed.code);
  attentions.clear(sense::inquiry_data_changed.code);
  EXPECT_EQ(take_all(attentions), (std::vector<SenseCode>{sense::capacity_changed.code}));
}

TEST(UnitAttentions, MoreThanThereIsRoomForAreNotKept) {
  UnitAttentions attentions;
  for (std::uint8_t i = 0; i < 200; ++i) attentions.establish({0x2a, i});
  attentions.establish(sense::power_on_or_reset.code);
  const auto told = take_all(attentions);
  ASSERT_LE(told.size(), 24U);
  EXPECT_EQ(told.front(), sense::power_on_or_reset.code);
}

}  // namespace
}  // namespace target::scsi
