#include "protocol/scsi/answer.h"

#include <gtest/gtest.h>

#include "protocol/wire/endian.h"
#include "tests/protocol/scsi/bytes.h"

namespace protocol::scsi {
namespace {

void put_ten(Answer& answer) {
  answer.put(wire::be32{0x01020304});
  answer.put_text("ab");
  answer.put_zeros(2);
  answer.put(wire::be16{0x0506});
  answer.put_at(2, wire::be32{0xaabbccdd});
}

TEST(Answer, WritesInOrderAndOverWhatWasThere) {
  EXPECT_EQ(shown(put_ten), "01 02 aa bb cc dd 00 00 05 06");
}

TEST(Answer, WhatDoesNotFitIsCountedAndLeftOut) {
  EXPECT_TRUE(is_cut_cleanly(put_ten));
  std::array<std::byte, 3> space{};
  Answer answer(space);
  put_ten(answer);
  EXPECT_EQ(answer.full_bytes(), 10u);
  EXPECT_EQ(answer.written().size(), 3u);
}

TEST(Answer, RoomForNothingIsNoError) {
  Answer answer({});
  put_ten(answer);
  EXPECT_EQ(answer.full_bytes(), 10u);
  EXPECT_TRUE(answer.written().empty());
}

}  // namespace
}  // namespace protocol::scsi
