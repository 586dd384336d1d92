#include "protocol/scsi/transport_id.h"

#include <gtest/gtest.h>

#include "tests/protocol/scsi/bytes.h"

namespace protocol::scsi {
namespace {

const std::array<std::byte, 6> isid{std::byte{0x80}, std::byte{0x12}, std::byte{0x34},
                                    std::byte{0x56}, std::byte{0x00}, std::byte{0xff}};

std::vector<std::byte> encoded(const TransportId& id) {
  return written([&](Answer& answer) { put_transport_id(answer, id); });
}
// As a list of its own; `length` of the name field.
std::vector<std::byte> id_list(std::uint8_t head, std::string_view text, std::size_t length) {
  std::vector<std::byte> bytes(4 + length);
  bytes[0] = static_cast<std::byte>(head);
  bytes[2] = static_cast<std::byte>(length >> 8);
  bytes[3] = static_cast<std::byte>(length & 0xff);
  std::transform(text.begin(), text.end(), bytes.begin() + 4,
                 [](char c) { return static_cast<std::byte>(c); });
  return bytes;
}

TEST(TransportId, Golden) {
  EXPECT_EQ(wire::hex(encoded({.name = "iqn.a"})),
            "05 00 00 14 69 71 6e 2e 61 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00");
  EXPECT_EQ(wire::hex(encoded({.name = "iqn.a", .isid = isid})),
            "45 00 00 18 69 71 6e 2e 61 2c 69 2c 30 78 38 30 31 32 33 34 35 36 30 30 66 66 00 00");
}

TEST(TransportId, EveryLengthOfNameComesBack) {
  for (std::size_t length = 1; length <= max_iscsi_name_bytes; ++length) {
    const std::string name(length, 'n');
    for (const bool port : {false, true}) {
      TransportId id{.name = name};
      if (port) id.isid = isid;
      auto bytes = encoded(id);
      EXPECT_EQ(bytes.size() % 4, 0u);
      EXPECT_GE(bytes.size(), 24u);
      bytes.insert(bytes.begin(), 8, std::byte{0xff});
      const auto parsed = parse_transport_id(bytes, 8);
      ASSERT_TRUE(parsed) << length;
      EXPECT_EQ(parsed.value().bytes, bytes.size() - 8);
      EXPECT_EQ(parsed.value().id.name, name);
      EXPECT_EQ(parsed.value().id.isid, id.isid);
    }
  }
}

TEST(TransportId, EveryTruncationIsALengthError) {
  const auto whole = encoded({.name = "iqn.2026-01.example:host", .isid = isid});
  for (std::size_t length = 0; length < whole.size(); ++length) {
    EXPECT_EQ(refusal(parse_transport_id(std::span(whole).first(length), 0)),
              sense::parameter_list_length_error);
  }
  EXPECT_EQ(refusal(parse_transport_id(whole, whole.size() + 5)),
            sense::parameter_list_length_error);
}

TEST(TransportId, Refusals) {
  EXPECT_EQ(refusal(parse_transport_id(id_list(0x06, "iqn.a", 20), 0)), sense::invalid_list(0, 3))
      << "of another protocol";
  EXPECT_EQ(refusal(parse_transport_id(id_list(0x85, "iqn.a", 20), 0)), sense::invalid_list(0, 7));
  EXPECT_EQ(refusal(parse_transport_id(id_list(0x05, "iqn.a", 16), 0)), sense::invalid_list(2));
  EXPECT_EQ(refusal(parse_transport_id(id_list(0x05, "iqn.a", 22), 0)), sense::invalid_list(2));
  EXPECT_EQ(refusal(parse_transport_id(id_list(0x05, "", 20), 0)), sense::invalid_list(4));
  EXPECT_EQ(refusal(parse_transport_id(id_list(0x05, std::string(20, 'a'), 20), 0)),
            sense::invalid_list(4))
      << "no end";
  EXPECT_EQ(refusal(parse_transport_id(id_list(0x05, std::string(224, 'a'), 228), 0)),
            sense::invalid_list(4))
      << "too long a name";
  EXPECT_EQ(refusal(parse_transport_id(id_list(0x45, "iqn.a", 20), 0)), sense::invalid_list(4));
  EXPECT_EQ(refusal(parse_transport_id(id_list(0x45, ",i,0x801234560001", 20), 0)),
            sense::invalid_list(4));
  EXPECT_EQ(refusal(parse_transport_id(id_list(0x45, "iqn.a,i,0x8012345600", 24), 0)),
            sense::invalid_list(4 + 5));
  EXPECT_EQ(refusal(parse_transport_id(id_list(0x45, "iqn.a,i,0x80123456000g", 24), 0)),
            sense::invalid_list(4 + 5));
  EXPECT_TRUE(parse_transport_id(id_list(0x45, "iqn.a,i,0x80123456ABCD", 24), 0));
}

}  // namespace
}  // namespace protocol::scsi
