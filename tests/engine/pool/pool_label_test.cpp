#include "engine/pool/pool_label.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "engine/format/pool_format.h"
#include "engine/pool/checked_struct.h"

namespace engine {
namespace {

using ErrorKind = PoolError::Kind;

const PoolLabel label{.pool_uuid = *Uuid::parse("00112233-4455-4677-8899-aabbccddeeff"),
                      .created_ms = 0x0102030405060708};

std::vector<std::byte> bytes_from(std::initializer_list<unsigned> values) {
  std::vector<std::byte> bytes;
  for (const unsigned value : values) bytes.push_back(static_cast<std::byte>(value));
  return bytes;
}

// Media written by any release must be read by all later ones: this table never changes.
TEST(PoolLabel, GoldenBytes) {
  auto golden = bytes_from({
      'F',  'B',  'Y',  'P',  'O',  'O',  'L',  '\n',  // magic
      0xc4, 0x29, 0x62, 0x04,                          // crc
      0x01, 0x00, 0x00, 0x00,                          // version
      0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,  // compatible
      0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,  // read only
      0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,  // incompatible
      0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x46, 0x77,  // pool uuid
      0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff,  //
      0x08, 0x07, 0x06, 0x05, 0x04, 0x03, 0x02, 0x01,  // created
      0x01, 0x00, 0x00, 0x00,                          // kind
  });
  golden.resize(4096);
  EXPECT_EQ(encode(label), golden);
  const auto decoded = decode_pool_label(golden);
  ASSERT_TRUE(decoded) << decoded.error().text;
  EXPECT_EQ(decoded.value(), label);
}

TEST(PoolLabel, EveryTruncationIsRefused) {
  auto bytes = encode(label);
  for (std::size_t length = 0; length < bytes.size(); ++length) {
    const auto decoded = decode_pool_label(std::span(bytes).first(length));
    ASSERT_FALSE(decoded) << length;
    ASSERT_EQ(decoded.error().kind, ErrorKind::damaged);
  }
  bytes.push_back({});
  EXPECT_EQ(decode_pool_label(bytes).error().kind, ErrorKind::damaged);
}

TEST(PoolLabel, EveryFlippedBitIsRefused) {
  auto bytes = encode(label);
  for (std::size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    const auto mask = static_cast<std::byte>(1U << (bit % 8));
    bytes[bit / 8] ^= mask;
    const auto decoded = decode_pool_label(bytes);
    ASSERT_FALSE(decoded) << bit;
    ASSERT_EQ(decoded.error().kind, ErrorKind::damaged) << bit;
    ASSERT_FALSE(decoded.error().text.empty());
    bytes[bit / 8] ^= mask;
  }
}

// Sealed properly, but not for us.
template <class Edit>
ErrorKind kind_after(const Edit& edit) {
  auto bytes = encode(label);
  format::PoolLabel media{};
  std::memcpy(&media, bytes.data(), sizeof(media));
  edit(media);
  seal(media);
  bytes.clear();
  append(bytes, media);
  const auto decoded = decode_pool_label(bytes);
  return decoded ? ErrorKind::io : decoded.error().kind;
}

TEST(PoolLabel, NewerFormatsAreUnsupportedNotDamaged) {
  EXPECT_EQ(kind_after([](auto& media) { media.version = 2; }), ErrorKind::unsupported);
  EXPECT_EQ(kind_after([](auto& media) { media.version = 0; }), ErrorKind::unsupported);
  EXPECT_EQ(kind_after([](auto& media) { media.kind = 2; }), ErrorKind::unsupported);
  EXPECT_EQ(kind_after([](auto& media) { media.features.incompatible = 1; }),
            ErrorKind::unsupported);
  EXPECT_EQ(kind_after([](auto& media) { media.features.read_only = 8; }), ErrorKind::unsupported);
  EXPECT_EQ(kind_after([](auto& media) { media.features.compatible = 8; }), ErrorKind::io)
      << "accepted";
  EXPECT_EQ(kind_after([](auto& media) { media.pool_uuid = {}; }), ErrorKind::damaged);
}

TEST(SizeText, RoughlyAndNeverLess) {
  EXPECT_EQ(rough_size_text({0}), "0 bytes");
  EXPECT_EQ(rough_size_text({512}), "512 bytes");
  EXPECT_EQ(rough_size_text({1024}), "1.0 KiB");
  EXPECT_EQ(rough_size_text({1025}), "1.1 KiB");
  EXPECT_EQ(rough_size_text({(std::uint64_t{300} << 30) + 1}), "301 GiB");
  EXPECT_EQ(rough_size_text({std::uint64_t{1} << 60}), "1024 PiB");
}

TEST(SizeText, LargestExactUnit) {
  EXPECT_EQ(size_text({0}), "0 bytes");
  EXPECT_EQ(size_text({1000}), "1000 bytes");
  EXPECT_EQ(size_text({512}), "512 bytes");
  EXPECT_EQ(size_text({1536ULL << 20}), "1536MiB");
  EXPECT_EQ(size_text({2ULL << 40}), "2TiB");
  EXPECT_EQ(size_text({1ULL << 60}), "1024PiB");
}

}  // namespace
}  // namespace engine
