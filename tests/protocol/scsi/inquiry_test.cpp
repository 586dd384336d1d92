#include "protocol/scsi/inquiry.h"

#include <gtest/gtest.h>

#include "tests/protocol/scsi/bytes.h"

namespace protocol::scsi {
namespace {

std::string inquiry_hex(const StandardInquiry& inquiry, std::size_t room = 4096) {
  return shown([&](Answer& answer) { put_standard_inquiry(answer, inquiry); }, room);
}

TEST(StandardInquiry, Golden) {
  std::string padding;
  for (int i = 0; i < 22; ++i) padding += " 00";
  EXPECT_EQ(inquiry_hex({.revision = "0.9.1"}),
            "00 00 06 12 5b 38 10 02 "
            "46 4f 52 45 42 41 59 20 "                          // "FOREBAY "
            "46 6f 72 65 62 61 79 20 56 6f 6c 75 6d 65 20 20 "  // "Forebay Volume  "
            "30 2e 39 2e" +
                padding + " 00 a0 04 60 04 c0 09 60 00 00 00 00 00 00 00 00" + padding);
}

TEST(StandardInquiry, WhatIsNotOfferedIsNotClaimed) {
  const auto bytes = written([](Answer& answer) {
    put_standard_inquiry(answer, {.revision = "1",
                                  .target_port_groups = TargetPortGroupSupport::none,
                                  .third_party_copy = false});
  });
  EXPECT_EQ(bytes[5], std::byte{0});
}

TEST(StandardInquiry, AbsentAndWellKnownUnits) {
  EXPECT_EQ(inquiry_hex({.peripheral = Peripheral::absent}).substr(0, 23),
            "7f 00 06 12 5b 00 10 02");
  EXPECT_EQ(inquiry_hex({.peripheral = Peripheral::well_known_unit}).substr(0, 2), "1e");
}

TEST(StandardInquiry, IsCutAtEveryLengthAndSaysTheWholeLength) {
  EXPECT_TRUE(
      is_cut_cleanly([](Answer& answer) { put_standard_inquiry(answer, {.revision = "1.0"}); }));
  EXPECT_EQ(inquiry_hex({}, 5), "00 00 06 12 5b");
}

TEST(StandardInquiry, TextThatIsNoAsciiIsReplaced) {
  const auto bytes = written([](Answer& answer) {
    put_standard_inquiry(answer, {.product = "a\x01\xffz", .revision = ""});
  });
  EXPECT_EQ(wire::hex(std::span(bytes).subspan(16, 6)), "61 3f 3f 7a 20 20");
}

}  // namespace
}  // namespace protocol::scsi
