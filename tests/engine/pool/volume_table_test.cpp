#include "engine/pool/volume_table.h"

#include <gtest/gtest.h>

#include <cstring>
#include <functional>
#include <vector>

#include "engine/format/pool_format.h"
#include "engine/foundation/random.h"
#include "engine/pool/checked_struct.h"

namespace engine {
namespace {

using ErrorKind = PoolError::Kind;

VolumeTable two_volumes() {
  return {.pool_uuid = *Uuid::parse("00112233-4455-4677-8899-aabbccddeeff"),
          .sequence = 7,
          .records = {{.uuid = *Uuid::parse("6f0c7f9e-5a53-4b0e-9c51-2f4f4d1e7a10"),
                       .name = "db01",
                       .image = "db01.raw",
                       .size = {1ULL << 40},
                       .block_size = {512},
                       .created_ms = 1000,
                       .ready = true},
                      {.uuid = *Uuid::parse("6f0c7f9e-5a53-4b0e-9c51-2f4f4d1e7a11"),
                       .name = "vm01",
                       .image = "vm01.raw",
                       .size = {4096},
                       .block_size = {4096},
                       .created_ms = 2000,
                       .ready = false}}};
}

void expect_at(const std::vector<std::byte>& bytes, std::size_t at,
               const std::vector<unsigned>& wanted) {
  for (std::size_t offset = 0; offset < wanted.size(); ++offset) {
    EXPECT_EQ(std::to_integer<unsigned>(bytes[at + offset]), wanted[offset])
        << "byte " << at + offset;
  }
}

// Media written by any release must be read by all later ones: this table never changes.
TEST(VolumeTable, GoldenBytes) {
  const auto bytes = encode(two_volumes());
  ASSERT_EQ(bytes.size(), 512U + 2 * 1024U);
  expect_at(bytes, 0, {'F', 'B', 'Y', 'V', 'O', 'L', 'S', '\n', 232, 241, 100, 183, 1, 0, 0, 0});
  expect_at(bytes, 40, {0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x46, 0x77, 0x88, 0x99, 0xaa,
                        0xbb, 0xcc, 0xdd, 0xee, 0xff, 7,    0,    0,    0,    0,    0,
                        0,    0,    2,    0,    0,    0,    0,    4,    0,    0});
  expect_at(bytes, 512 + 4,
            {2,    0,    0,    0,    0x6f, 0x0c, 0x7f, 0x9e, 0x5a, 0x53, 0x4b, 0x0e, 0x9c, 0x51,
             0x2f, 0x4f, 0x4d, 0x1e, 0x7a, 0x10, 0,    0,    0,    0,    0,    1,    0,    0,
             0x00, 0x02, 0,    0,    1,    0,    0,    0,    0xe8, 0x03, 0,    0,    0,    0,
             0,    0,    4,    0,    8,    0,    'd',  'b',  '0',  '1',  0});
  expect_at(bytes, 512 + 180, {'d', 'b', '0', '1', '.', 'r', 'a', 'w', 0});
  expect_at(bytes, 1536 + 4, {1, 0, 0, 0, 0x6f});
  // The checksums stand for every byte that is not spelled out; computed by another implementation.
  expect_at(bytes, 512, {90, 245, 138, 189});
  expect_at(bytes, 1536, {129, 96, 106, 34});
}

TEST(VolumeTable, GrownBeyondTheConfiguration) {
  VolumeTable table = two_volumes();
  table.records[0].configured = {1ULL << 39};
  const auto bytes = encode(table);
  expect_at(bytes, 512 + 320, {0, 0, 0, 0, 0x80, 0, 0, 0, 0});
  EXPECT_EQ(decode_volume_table(bytes).value(), table);
}

TEST(VolumeTable, LostRangesAreAFeatureThatOldReadersRefuse) {
  VolumeTable table = two_volumes();
  ASSERT_TRUE(table.records[0].lost.add({.begin = {0x0102}, .count = {3}}));
  ASSERT_TRUE(table.records[0].lost.add({.begin = {8}, .count = {0x10000}}));
  ASSERT_TRUE(table.records[0].lost.add({.begin = {0x20000}, .count = {1}}));
  auto bytes = encode(table);
  expect_at(bytes, 32, {2, 0, 0, 0, 0, 0, 0, 0});
  expect_at(bytes, 512 + 356, {2, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0,
                               0, 0, 2, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0});
  EXPECT_EQ(decode_volume_table(bytes).value(), table);
  const auto refused = [&](std::size_t at, unsigned value) {
    format::VolumeEntry entry;
    std::memcpy(&entry, bytes.data() + 512, sizeof(entry));
    reinterpret_cast<std::byte*>(&entry)[at] = static_cast<std::byte>(value);
    seal(entry);
    auto changed = bytes;
    std::memcpy(changed.data() + 512, &entry, sizeof(entry));
    return !decode_volume_table(changed);
  };
  EXPECT_FALSE(refused(356, 2));
  EXPECT_TRUE(refused(356, 1)) << "something behind the last";
  EXPECT_TRUE(refused(356, 3)) << "an empty one";
  EXPECT_TRUE(refused(356, 25)) << "more than there is room for";
  EXPECT_TRUE(refused(374, 0)) << "not in order";
  EXPECT_TRUE(refused(379, 0xff)) << "outside of the volume";
  table.records[0].lost = {};
  EXPECT_EQ(decode_volume_table(encode(table)).value(), table);
}

TEST(VolumeTable, ACacheBindingIsAFeatureThatOldReadersRefuse) {
  VolumeTable table = two_volumes();
  table.records[1].cache = {
      .device = table.pool_uuid, .epoch = 0x0203, .state = format::CacheBindingState::dirty};
  auto bytes = encode(table);
  expect_at(bytes, 32, {1, 0, 0, 0, 0, 0, 0, 0});
  expect_at(bytes, 1536 + 328, {0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x46, 0x77, 0x88, 0x99,
                                0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff, 3,    2,    0,    0,
                                0,    0,    0,    0,    2,    0,    0,    0,    0});
  EXPECT_EQ(decode_volume_table(bytes).value(), table);

  format::VolumeTableHeader header{};
  std::memcpy(&header, bytes.data(), sizeof(header));
  header.features.incompatible = 0;
  seal(header);
  std::memcpy(bytes.data(), &header, sizeof(header));
  EXPECT_EQ(decode_volume_table(bytes).error().kind, ErrorKind::damaged);
}

TEST(VolumeTable, RoundTrips) {
  for (const std::size_t count : {0U, 1U, 2U, 1000U}) {
    VolumeTable table = two_volumes();
    table.records.clear();
    for (std::size_t at = 0; at < count; ++at) {
      const std::string name = "v" + std::to_string(at);
      table.records.push_back({.uuid = Uuid::random(),
                               .name = name,
                               .image = name + ".raw",
                               .size = {(at + 1) * 512},
                               .block_size = {512},
                               .created_ms = at,
                               .ready = at % 2 == 0});
    }
    const auto decoded = decode_volume_table(encode(table));
    ASSERT_TRUE(decoded) << decoded.error().text;
    EXPECT_EQ(decoded.value(), table);
  }
}

TEST(VolumeTable, EveryTruncationIsRefused) {
  auto bytes = encode(two_volumes());
  for (std::size_t length = 0; length < bytes.size(); ++length) {
    const auto decoded = decode_volume_table(std::span(bytes).first(length));
    ASSERT_FALSE(decoded) << length;
    ASSERT_EQ(decoded.error().kind, ErrorKind::damaged);
  }
  bytes.push_back({});
  EXPECT_FALSE(decode_volume_table(bytes));
}

TEST(VolumeTable, EveryFlippedBitIsRefused) {
  auto bytes = encode(two_volumes());
  for (std::size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    const auto mask = static_cast<std::byte>(1U << (bit % 8));
    bytes[bit / 8] ^= mask;
    const auto decoded = decode_volume_table(bytes);
    ASSERT_FALSE(decoded) << bit;
    ASSERT_EQ(decoded.error().kind, ErrorKind::damaged) << bit;
    bytes[bit / 8] ^= mask;
  }
}

TEST(VolumeTable, RandomBytesBehindAGoodHeaderNeverCrash) {
  SeededRandom random(11);
  auto bytes = encode(two_volumes());
  for (int round = 0; round < 2000; ++round) {
    auto damaged = bytes;
    random.fill(std::span(damaged).subspan(512 + random.below(2000)));
    EXPECT_FALSE(decode_volume_table(damaged));
  }
}

// Sealed properly, and still not to be believed.
TEST(VolumeTable, ImpossibleContentsAreRefusedByKind) {
  using format::VolumeEntry;
  struct Row {
    const char* what;
    std::function<void(VolumeEntry&)> edit;
    ErrorKind kind;
  };
  const Row rows[] = {
      {"state", [](VolumeEntry& e) { e.state = 9; }, ErrorKind::unsupported},
      {"state 0", [](VolumeEntry& e) { e.state = 0; }, ErrorKind::unsupported},
      {"provisioning", [](VolumeEntry& e) { e.provisioning = 3; }, ErrorKind::unsupported},
      {"name longer than its field", [](VolumeEntry& e) { e.name_length = 129; },
       ErrorKind::damaged},
      {"name shorter than its text", [](VolumeEntry& e) { e.name_length = 3; }, ErrorKind::damaged},
      {"no name",
       [](VolumeEntry& e) {
         e.name_length = 0;
         e.name = {};
       },
       ErrorKind::damaged},
      {"configured larger than it is",
       [](VolumeEntry& e) { e.configured_bytes = e.size_bytes + 1; }, ErrorKind::damaged},
      {"cache state", [](VolumeEntry& e) { e.cache_state = 3; }, ErrorKind::unsupported},
      {"dirty without a cache", [](VolumeEntry& e) { e.cache_state = 2; }, ErrorKind::damaged},
      {"cache without the feature", [](VolumeEntry& e) { e.cache_epoch = 1; }, ErrorKind::damaged},
      {"image longer than its field", [](VolumeEntry& e) { e.image_length = 141; },
       ErrorKind::damaged},
      {"image elsewhere", [](VolumeEntry& e) { e.image[2] = '/'; }, ErrorKind::damaged},
      {"hidden image", [](VolumeEntry& e) { e.image[0] = '.'; }, ErrorKind::damaged},
      {"name with a zero", [](VolumeEntry& e) { e.name[1] = '\0'; }, ErrorKind::damaged},
      {"no size", [](VolumeEntry& e) { e.size_bytes = 0; }, ErrorKind::damaged},
      {"half a block", [](VolumeEntry& e) { e.size_bytes = 1000; }, ErrorKind::damaged},
      {"enormous", [](VolumeEntry& e) { e.size_bytes = ~std::uint64_t{0} / 512 * 512; },
       ErrorKind::damaged},
      {"block size", [](VolumeEntry& e) { e.block_bytes = 1024; }, ErrorKind::damaged},
      {"no uuid", [](VolumeEntry& e) { e.uuid = {}; }, ErrorKind::damaged},
      {"same uuid twice", [](VolumeEntry& e) { e.uuid[15] = std::byte{0x11}; }, ErrorKind::damaged},
      {"same name twice", [](VolumeEntry& e) { std::memcpy(e.name.data(), "vm01", 4); },
       ErrorKind::damaged},
      {"same image twice", [](VolumeEntry& e) { std::memcpy(e.image.data(), "vm01", 4); },
       ErrorKind::damaged},
  };
  for (const Row& row : rows) {
    auto bytes = encode(two_volumes());
    VolumeEntry entry{};
    std::memcpy(&entry, bytes.data() + 512, sizeof(entry));
    row.edit(entry);
    seal(entry);
    std::memcpy(bytes.data() + 512, &entry, sizeof(entry));
    const auto decoded = decode_volume_table(bytes);
    ASSERT_FALSE(decoded) << row.what;
    EXPECT_EQ(decoded.error().kind, row.kind) << row.what;
  }
}

TEST(VolumeTable, ImpossibleHeadersAreRefusedByKind) {
  using format::VolumeTableHeader;
  struct Row {
    const char* what;
    std::function<void(VolumeTableHeader&)> edit;
    ErrorKind kind;
  };
  const Row rows[] = {
      {"version", [](VolumeTableHeader& h) { h.version = 2; }, ErrorKind::unsupported},
      {"feature", [](VolumeTableHeader& h) { h.features.incompatible = 32; },
       ErrorKind::unsupported},
      {"read-only feature", [](VolumeTableHeader& h) { h.features.read_only = 4; },
       ErrorKind::unsupported},
      {"entry size", [](VolumeTableHeader& h) { h.entry_bytes = 512; }, ErrorKind::damaged},
      {"entries", [](VolumeTableHeader& h) { h.entries = 3; }, ErrorKind::damaged},
      {"too many entries", [](VolumeTableHeader& h) { h.entries = 0xffffffff; },
       ErrorKind::damaged},
      {"magic", [](VolumeTableHeader& h) { h.magic[0] = 'X'; }, ErrorKind::damaged},
  };
  for (const Row& row : rows) {
    auto bytes = encode(two_volumes());
    VolumeTableHeader header{};
    std::memcpy(&header, bytes.data(), sizeof(header));
    row.edit(header);
    seal(header);
    std::memcpy(bytes.data(), &header, sizeof(header));
    const auto decoded = decode_volume_table(bytes);
    ASSERT_FALSE(decoded) << row.what;
    EXPECT_EQ(decoded.error().kind, row.kind) << row.what;
  }
}

TEST(VolumeTable, NamesThatCouldEscapeTheDirectoryAreNoNames) {
  for (const char* good : {"a", "db01", "A-b_c.d", "0", "x."})
    EXPECT_TRUE(is_volume_name(good)) << good;
  for (const char* bad : {"", ".", "..", ".x", "a/b", "../x", "a b", "\xc3\xa4", "a\n"}) {
    EXPECT_FALSE(is_volume_name(bad)) << bad;
  }
  EXPECT_TRUE(is_volume_name(std::string(128, 'a')));
  EXPECT_FALSE(is_volume_name(std::string(129, 'a')));
}

}  // namespace
}  // namespace engine
