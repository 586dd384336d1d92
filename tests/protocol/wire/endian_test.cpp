#include "protocol/wire/endian.h"

#include <gtest/gtest.h>

#include "engine/foundation/byte_cursor.h"
#include "protocol/wire/layout.h"
#include "tests/protocol/wire/hex.h"

namespace protocol::wire {
namespace {

struct Mixed {
  std::uint8_t first;
  le16 little16;
  le32 little32;
  le64 little64;
  be16 big16;
  be24 big24;
  be32 big32;
  be48 big48;
  be64 big64;
  Reserved<3> reserved;
};
static_assert(is_wire_struct<Mixed, 41>);
static_assert(!is_wire_struct<Mixed, 40>);

struct Padded {
  std::uint8_t first;
  std::uint32_t native;
};
static_assert(!is_wire_struct<Padded, sizeof(Padded)>);

TEST(Endian, BytesLieAsTheirNamesSay) {
  Mixed mixed{};
  mixed.first = 0xff;
  mixed.little16 = 0x0102;
  mixed.little32 = 0x01020304;
  mixed.little64 = 0x0102030405060708;
  mixed.big16 = 0x0102;
  mixed.big24 = 0x010203;
  mixed.big32 = 0x01020304;
  mixed.big48 = 0x010203040506;
  mixed.big64 = 0x0102030405060708;
  EXPECT_EQ(hex(engine::bytes_of(mixed)),
            "ff 02 01 04 03 02 01 08 07 06 05 04 03 02 01 "
            "01 02 01 02 03 01 02 03 04 01 02 03 04 05 06 01 02 03 04 05 06 07 08 00 00 00");
}

TEST(Endian, WhatWasWrittenIsReadBackAtAnyAddress) {
  const auto bytes = bytes_from_hex("00 78 56 34 12");
  engine::ByteReader reader{std::span<const std::byte>(bytes).subspan(1)};
  EXPECT_EQ(reader.read<le32>(), 0x12345678U);
}

TEST(Hex, WhatIsNotHexIsRefused) {
  EXPECT_THROW((void)bytes_from_hex("0g"), std::invalid_argument);
  EXPECT_THROW((void)bytes_from_hex("012"), std::invalid_argument);
  EXPECT_EQ(hex(bytes_from_hex("00ff 7a\n01")), "00 ff 7a 01");
}

}  // namespace
}  // namespace protocol::wire
