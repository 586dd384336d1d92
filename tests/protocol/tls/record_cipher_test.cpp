// Records against RFC 8448's, and against themselves.
#include "protocol/tls/record_cipher.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "tests/protocol/wire/hex.h"

namespace protocol::tls {
namespace {

using Bytes = std::vector<std::byte>;

Secret secret_of(std::string_view hex) {
  const Bytes bytes = wire::bytes_from_hex(hex);
  Secret secret{.size = bytes.size()};
  std::ranges::copy(bytes, secret.space.begin());
  return secret;
}

Bytes sealed(RecordCipher& cipher, std::span<const std::byte> content, ContentType type,
             std::size_t cut = 0) {
  Bytes record(content.size() + record_overhead_bytes);
  cipher.begin_sealing(content.size(), record);
  cipher.add(content.first(cut));
  cipher.add(content.subspan(cut));
  cipher.end_sealing(type);
  return record;
}

// Empty if it does not open; the type stands behind the content.
Bytes opened(RecordCipher& cipher, const Bytes& record, std::size_t cut = 0) {
  const auto header = std::span(record).first(record_header_bytes);
  const auto body = std::span(record).subspan(record_header_bytes);
  Bytes content(body.size() - record_tag_bytes);
  cipher.begin_opening(header, body);
  cipher.take(std::span(content).first(cut));
  cipher.take(std::span(content).subspan(cut));
  return cipher.end_opening() ? content : Bytes();
}

// RFC 8448, section 3: the client's application data.
TEST(RecordCipher, SealsAsRfc8448) {
  RecordCipher cipher(Hash::sha256,
                      secret_of("9e40646ce79a7f9dc05af8889bce6552875afa0b06df0087f792ebb7c17504a5"),
                      RecordCipher::Direction::seal);
  Bytes content(50);
  for (std::size_t i = 0; i < content.size(); ++i) content[i] = static_cast<std::byte>(i);
  EXPECT_EQ(wire::hex(sealed(cipher, content, ContentType::application_data, 17)),
            wire::hex(wire::bytes_from_hex(
                "17 03 03 00 43 a2 3f 70 54 b6 2c 94 d0 af fa fe 82 28 ba 55 cb ef ac ea 42 f9 14"
                " aa 66 bc ab 3f 2b 98 19 a8 a5 b4 6b 39 5b d5 4a 9a 20 44 1e 2b 62 97 4e 1f 5a 62"
                " 92 a2 97 70 14 bd 1e 3d ea e6 3a ee bb 21 69 49 15 e4")));
}

TEST(RecordCipher, OpensWhatItSealedInAnyPiecesAndNothingElse) {
  for (const Hash hash : {Hash::sha256, Hash::sha384}) {
    Secret secret{.size = bytes_of(hash)};
    secret.space[3] = std::byte{9};
    RecordCipher seal(hash, secret, RecordCipher::Direction::seal);
    RecordCipher open(hash, secret, RecordCipher::Direction::open);
    for (const std::size_t size :
         {std::size_t{0}, std::size_t{1}, std::size_t{4096}, largest_content_bytes}) {
      const Bytes content(size, std::byte{0x5a});
      const Bytes record = sealed(seal, content, ContentType::application_data, size / 3);
      const Bytes plain = opened(open, record, size / 2);
      ASSERT_EQ(plain.size(), size + 1);
      EXPECT_TRUE(std::equal(content.begin(), content.end(), plain.begin()));
      EXPECT_EQ(plain.back(), std::byte{23});
    }
    Bytes damaged = sealed(seal, Bytes(100), ContentType::application_data);
    damaged[40] ^= std::byte{1};
    EXPECT_TRUE(opened(open, damaged).empty());
  }
}

TEST(RecordCipher, ARecordTwiceOrOutOfOrderDoesNotOpen) {
  const Secret secret{.size = 32};
  RecordCipher seal(Hash::sha256, secret, RecordCipher::Direction::seal);
  RecordCipher open(Hash::sha256, secret, RecordCipher::Direction::open);
  const Bytes first = sealed(seal, Bytes(10), ContentType::application_data);
  EXPECT_FALSE(opened(open, first).empty());
  EXPECT_TRUE(opened(open, first).empty());
}

TEST(RecordCipher, AfterAnUpdateOldKeysOpenNothing) {
  const Secret secret{.size = 32};
  RecordCipher seal(Hash::sha256, secret, RecordCipher::Direction::seal);
  RecordCipher left_behind(Hash::sha256, secret, RecordCipher::Direction::open);
  RecordCipher open(Hash::sha256, secret, RecordCipher::Direction::open);
  seal.update();
  open.update();
  const Bytes record = sealed(seal, Bytes(10), ContentType::application_data);
  EXPECT_EQ(opened(open, record).size(), 11U);
  EXPECT_TRUE(opened(left_behind, record).empty());
}

}  // namespace
}  // namespace protocol::tls
