#include "tests/client/iscsi_pdu.h"

#include <gtest/gtest.h>

#include "tests/client/iscsi_login.h"
#include "tests/client/scsi_task.h"

namespace client::iscsi {
namespace {

Bytes text(std::string_view characters) {
  Bytes bytes;
  for (const char c : characters) bytes.push_back(static_cast<std::byte>(c));
  return bytes;
}

TEST(IscsiPdu, LengthsPaddingAndDigestsAreWhereTheStandardPutsThem) {
  Pdu pdu(Opcode::nop_out);
  pdu.immediate().u64(at::lun, 0x0102030405060708).u32(at::task_tag, 0xaabbccdd);
  pdu.additional_header = Bytes(5, std::byte{0x11});
  pdu.data = text("abcde");
  const Bytes plain = encode(pdu, {});
  EXPECT_EQ(to_hex(plain),
            "40800000"
            "02000005"
            "0102030405060708"
            "aabbccdd" +
                std::string(56, '0') + "1111111111000000" + "6162636465000000");
  const Bytes digests = encode(pdu, {.header_digest = true, .data_digest = true});
  EXPECT_EQ(digests.size(), plain.size() + 8);
}

// RFC 3720, B.4: 32 bytes of zeroes have the CRC aa 36 91 8a on the wire.
TEST(IscsiPdu, DigestGoesOutInTheStandardsOrder) {
  Pdu pdu(Opcode::nop_out);
  pdu.data = Bytes(32);
  const Bytes bytes = encode(pdu, {.data_digest = true});
  EXPECT_EQ(to_hex(std::span(bytes).last(4)), "aa36918a");
}

TEST(IscsiPdu, ComesBackWholeAndOnlyWhole) {
  Pdu pdu(Opcode::data_out, 0);
  pdu.additional_header = Bytes(8, std::byte{7});
  pdu.data = text("1234567");
  for (const bool digests : {false, true}) {
    const Framing framing{digests, digests};
    const Bytes bytes = encode(pdu, framing);
    for (std::size_t length = 0; length < bytes.size(); ++length) {
      Bytes part(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(length));
      auto taken = take_pdu(part, framing);
      ASSERT_TRUE(taken && !taken.value()) << length;
    }
    Bytes two = bytes;
    two.insert(two.end(), bytes.begin(), bytes.end());
    auto taken = take_pdu(two, framing);
    ASSERT_TRUE(taken && taken.value());
    EXPECT_EQ(taken.value()->data, pdu.data);
    EXPECT_EQ(taken.value()->additional_header, pdu.additional_header);
    EXPECT_TRUE(taken.value()->data_digest_ok && taken.value()->padding_is_zero);
    EXPECT_EQ(two, bytes);
  }
}

TEST(IscsiPdu, DamageIsSeen) {
  const Framing framing{true, true};
  Pdu pdu(Opcode::data_in);
  pdu.data = text("1234567");
  Bytes bytes = encode(pdu, framing);
  Bytes damaged = bytes;
  damaged[20] ^= std::byte{1};
  EXPECT_FALSE(take_pdu(damaged, framing));
  damaged = bytes;
  damaged[53] ^= std::byte{1};
  EXPECT_FALSE(take_pdu(damaged, framing).value()->data_digest_ok);
  damaged = bytes;
  damaged[59] ^= std::byte{1};  // padding
  EXPECT_FALSE(take_pdu(damaged, framing).value()->padding_is_zero);
  pdu.data_digest_flip = 1;
  bytes = encode(pdu, framing);
  EXPECT_FALSE(take_pdu(bytes, framing).value()->data_digest_ok);
}

TEST(IscsiLogin, RequestAndTextAreWhatTheStandardSays) {
  LoginRequest request;
  request.current_stage = security_stage;
  request.next_stage = operational_stage;
  request.isid = {0x80, 1, 2, 3, 4, 5};
  request.session_handle = 0x1122;
  request.connection_id = 0x3344;
  const Bytes bytes = encode(to_pdu(request, to_text({{"A", "b"}, {"C", ""}})), {});
  EXPECT_EQ(to_hex(bytes),
            "4381000000000007"
            "8001020304051122"
            "00000001"
            "33440000"
            "00000001"
            "00000000" +
                std::string(32, '0') + "413d6200433d0000");
}

TEST(IscsiLogin, TextsAreTakenApart) {
  const Keys keys{{"A", "b=c"}, {"D", ""}, {"A", "again"}};
  const auto back = from_text(to_text(keys));
  ASSERT_TRUE(back);
  EXPECT_EQ(back.value(), keys);
  EXPECT_EQ(value_of(keys, "A"), "b=c");
  EXPECT_EQ(value_of(keys, "B"), std::nullopt);
  EXPECT_FALSE(from_text(text("A=b")));
  EXPECT_FALSE(from_text(text(std::string_view("Ab\0", 3))));
}

// MD5 of "abc" is RFC 1321's, A.5: identifier 61h, secret "b", challenge "c".
TEST(IscsiLogin, ChapResponseIsMd5OverIdentifierSecretAndChallenge) {
  EXPECT_EQ(to_hex(chap_response(0x61, "b", text("c"))), "900150983cd24fb0d6963f7d28e17f72");
}

TEST(ScsiTask, FieldsAreWhereTheStandardsPutThem) {
  EXPECT_EQ(to_hex(scsi::read(0x0102030405060708, 0x10, 512).cdb),
            "8800010203040506070800000010"
            "0000");
  EXPECT_EQ(scsi::read(0, 0x10, 512).read_bytes, 0x2000u);
  EXPECT_EQ(to_hex(scsi::compare_and_write(5, Bytes(1024), 512).cdb),
            "89000000000000000005000000010000");
  const Task unmap = scsi::unmap(7, 9);
  EXPECT_EQ(to_hex(unmap.cdb), "42000000000000001800");
  EXPECT_EQ(to_hex(unmap.data_out),
            "0016001000000000"
            "0000000000000007"
            "0000000900000000");
  const Task reserve = scsi::reserve(1, 5, 0xaa, 0xbb, true);
  EXPECT_EQ(to_hex(reserve.cdb), "5f010500000000001800");
  EXPECT_EQ(to_hex(reserve.data_out),
            "00000000000000aa00000000000000bb"
            "0000000001000000");
}

TEST(ScsiTask, LunsBeyond255AreFlat) {
  EXPECT_EQ(lun_field(5), 0x0005000000000000u);
  EXPECT_EQ(lun_field(300), 0x412c000000000000u);
}

}  // namespace
}  // namespace client::iscsi
