#include "engine/pool/device_table.h"

#include <gtest/gtest.h>

#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "engine/format/pool_format.h"
#include "engine/foundation/random.h"
#include "engine/pool/checked_struct.h"

namespace engine {
namespace {

using ErrorKind = PoolError::Kind;

Uuid uuid_ending_in(unsigned number) {
  Uuid uuid;
  uuid.bytes[15] = std::byte(number);
  return uuid;
}

MemberLabel linear_label() {
  return {.pool = *Uuid::parse("00112233-4455-4677-8899-aabbccddeeff"),
          .member = *Uuid::parse("6f0c7f9e-5a53-4b0e-9c51-2f4f4d1e7a10"),
          .created_ms = 1000,
          .index = 0,
          .members = 2,
          .layout = format::MemberLayout::linear,
          .slices = 100};
}

// Two members of 100 and 50 units of 4 MiB.
DeviceTable two_volumes_on_two() {
  DeviceTable table;
  table.volumes = {.pool_uuid = linear_label().pool,
                   .sequence = 7,
                   .records = {{.uuid = uuid_ending_in(1),
                                .name = "db01",
                                .image = "x1",
                                .size = 12_MiB,
                                .block_size = {512},
                                .created_ms = 1000,
                                .ready = true},
                               {.uuid = uuid_ending_in(2),
                                .name = "vm01",
                                .image = "x2",
                                .size = {(4U << 20) + 4096},
                                .block_size = {4096},
                                .created_ms = 2000,
                                .ready = false}}};
  table.previous = 6;
  table.members = {{.uuid = linear_label().member,
                    .slices = 100,
                    .added_ms = 1000,
                    .path = "/dev/sda",
                    .serial = "S1"},
                   {.uuid = *Uuid::parse("6f0c7f9e-5a53-4b0e-9c51-2f4f4d1e7a11"),
                    .slices = 50,
                    .added_ms = 2000,
                    .path = "/dev/sdb",
                    .serial = {}}};
  table.places = {
      {.marker_member = 0, .marker_place = 0, .zeroed_units = 3, .runs = {{0, 99, 3}}},
      {.marker_member = 1, .marker_place = 1, .zeroed_units = 0, .runs = {{0, 0, 1}, {1, 2, 1}}}};
  return table;
}

void expect_bytes(const std::vector<std::byte>& bytes, std::size_t at,
                  const std::vector<unsigned>& wanted) {
  for (std::size_t offset = 0; offset < wanted.size(); ++offset) {
    EXPECT_EQ(std::to_integer<unsigned>(bytes.at(at + offset)), wanted[offset])
        << "byte " << at + offset;
  }
}

// Media written by any release must be read by all later ones: this never changes.
TEST(DeviceTable, GoldenBytes) {
  const auto bytes = encode(two_volumes_on_two());
  ASSERT_EQ(bytes.size(), 8192U);
  EXPECT_EQ(encoded_bytes(two_volumes_on_two()), ByteCount{8192});
  expect_bytes(bytes, 0,
               {'F', 'B', 'Y', 'D', 'E', 'V', 'T', '\n', 0x7f, 0x8f, 0x89, 0xad, 1, 0, 0, 0});
  expect_bytes(bytes, 40, {0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x46, 0x77, 0x88, 0x99, 0xaa, 0xbb,
                           0xcc, 0xdd, 0xee, 0xff, 7,    0,    0,    0,    0,    0,    0,    0,
                           6,    0,    0,    0,    0,    0,    0,    0,    2,    0,    0,    0,
                           2,    0,    0,    0,    3,    0,    0,    0,    0x8e, 0x38, 0x4f, 0x11,
                           0x80, 0x0e, 0,    0,    0,    0,    0,    0,    0});
  expect_bytes(bytes, 4096 + 16,
               {100, 0, 0, 0, 0, 0, 0, 0, 0xe8, 0x03, 0, 0, 0, 0, 0, 0, 8, 0, 2, 0});
  expect_bytes(bytes, 4096 + 40, {'/', 'd', 'e', 'v', '/', 's', 'd', 'a', 0});
  expect_bytes(bytes, 4096 + 296, {'S', '1', 0});
  expect_bytes(bytes, 4096 + 1024, {0, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0,
                                    1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0});
  expect_bytes(bytes, 4096 + 1056, {0,  0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
                                    99, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0});
  expect_bytes(bytes, 4096 + 1152, {'F', 'B', 'Y', 'V', 'O', 'L', 'S', '\n'});
  // For every byte that is not spelled out; computed by another implementation.
  EXPECT_EQ(crc32c(bytes), 0x5cfc15b6U);
  const auto decoded = decode_device_table(bytes, linear_label());
  ASSERT_TRUE(decoded) << decoded.error().text;
  EXPECT_EQ(decoded.value(), two_volumes_on_two());
}

TEST(DeviceTable, EveryFlippedBitIsRefused) {
  const auto whole = encode(two_volumes_on_two());
  auto bytes = whole;
  const std::size_t used = 4096 + 3712;
  for (std::size_t bit = 0; bit < used * 8; ++bit) {
    const auto mask = static_cast<std::byte>(1U << (bit % 8));
    bytes[bit / 8] ^= mask;
    const auto decoded = decode_device_table(bytes, linear_label());
    ASSERT_FALSE(decoded) << bit;
    ASSERT_EQ(decoded.error().kind, ErrorKind::damaged) << bit;
    bytes[bit / 8] ^= mask;
  }
}

TEST(DeviceTable, EveryTruncationIsRefused) {
  const auto bytes = encode(two_volumes_on_two());
  for (std::size_t length = 0; length < bytes.size(); length += 8) {
    ASSERT_FALSE(decode_device_table(std::span(bytes).first(length), linear_label())) << length;
  }
  auto longer = bytes;
  longer.resize(bytes.size() + 4096);
  EXPECT_FALSE(decode_device_table(longer, linear_label()));
}

// A slot that was cut off by a power loss: some sectors of the new image, the others of the old.
TEST(DeviceTable, NoMixtureOfTwoImagesIsTakenForATable) {
  DeviceTable newer = two_volumes_on_two();
  newer.volumes.sequence = 8;
  newer.previous = 7;
  newer.places[1].zeroed_units = 1;
  const auto old_image = encode(two_volumes_on_two());
  const auto new_image = encode(newer);
  for (std::uint64_t seed = 1; seed <= 2000; ++seed) {
    SeededRandom random(seed);
    auto mixed = old_image;
    bool is_old = true;
    bool is_new = true;
    for (std::size_t at = 0; at < mixed.size(); at += sector_bytes) {
      const bool differs = std::memcmp(&old_image[at], &new_image[at], sector_bytes) != 0;
      if (random.chance(1, 2)) {
        std::copy_n(&new_image[at], sector_bytes, &mixed[at]);
        is_old = is_old && !differs;
      } else {
        is_new = is_new && !differs;
      }
    }
    const auto decoded = decode_device_table(mixed, linear_label());
    ASSERT_EQ(decoded.has_value(), is_old || is_new) << "seed " << seed;
  }
}

// ---- sealed properly, and impossible

struct Parts {
  std::vector<std::byte> bytes;
  format::DeviceTableHeader header;
  std::vector<std::byte> body;
};

using Edit = std::function<void(Parts&)>;

ErrorKind kind_of_edited(const Edit& edit) {
  Parts parts{.bytes = encode(two_volumes_on_two()), .header = {}, .body = {}};
  std::memcpy(&parts.header, parts.bytes.data(), sizeof(parts.header));
  parts.body.assign(parts.bytes.begin() + 4096, parts.bytes.begin() + 4096 + 3712);
  edit(parts);
  parts.header.body_crc = crc32c(parts.body);
  seal(parts.header);
  std::vector<std::byte> bytes;
  append(bytes, parts.header);
  bytes.insert(bytes.end(), parts.body.begin(), parts.body.end());
  bytes.resize((bytes.size() + 4095) / 4096 * 4096);
  const auto decoded = decode_device_table(bytes, linear_label());
  return decoded ? ErrorKind::io : decoded.error().kind;
}

TEST(DeviceTable, NewerFormatsAreUnsupportedNotDamaged) {
  EXPECT_EQ(kind_of_edited([](Parts&) {}), ErrorKind::io) << "as it is";
  EXPECT_EQ(kind_of_edited([](Parts& parts) { parts.header.version = 2; }), ErrorKind::unsupported);
  EXPECT_EQ(kind_of_edited([](Parts& parts) { parts.header.features.incompatible = 4; }),
            ErrorKind::unsupported);
  EXPECT_EQ(kind_of_edited([](Parts& parts) { parts.header.features.read_only = 1; }),
            ErrorKind::unsupported);
  EXPECT_EQ(kind_of_edited([](Parts& parts) { parts.header.features.compatible = 1; }),
            ErrorKind::io);
  EXPECT_EQ(kind_of_edited([](Parts& parts) { parts.body[1056 + 4] = std::byte{2}; }),
            ErrorKind::unsupported)
      << "a kind of extents";
}

TEST(DeviceTable, ImpossibleDimensionsAreDamage) {
  const std::vector<Edit> edits{
      [](Parts& parts) { parts.header.pool_uuid[0] = std::byte{1}; },
      [](Parts& parts) { parts.header.members = 0; },
      [](Parts& parts) { parts.header.members = 65; },
      [](Parts& parts) { parts.header.volumes = ~std::uint32_t{0}; },
      [](Parts& parts) { parts.header.runs = ~std::uint32_t{0}; },
      [](Parts& parts) { parts.header.runs = 2; },
      [](Parts& parts) { parts.header.body_bytes = ~std::uint64_t{0}; },
      [](Parts& parts) { parts.header.previous = 8; },
      [](Parts& parts) { parts.header.sequence = 8; },  // not that of the volumes
  };
  for (std::size_t at = 0; at < edits.size(); ++at) {
    EXPECT_EQ(kind_of_edited(edits[at]), ErrorKind::damaged) << at;
  }
}

ErrorKind kind_of(const std::function<void(DeviceTable&)>& edit) {
  DeviceTable table = two_volumes_on_two();
  edit(table);
  EXPECT_EQ(contradiction_in(table, linear_label()).empty(),
            decode_device_table(encode(table), linear_label()).has_value());
  const auto decoded = decode_device_table(encode(table), linear_label());
  return decoded ? ErrorKind::io : decoded.error().kind;
}

TEST(DeviceTable, ContradictionsAreDamage) {
  EXPECT_EQ(kind_of([](DeviceTable&) {}), ErrorKind::io) << "as it is";
  const std::vector<std::function<void(DeviceTable&)>> edits{
      [](auto& table) { table.members[1].uuid = table.members[0].uuid; },
      [](auto& table) { table.members[1].uuid = {}; },
      [](auto& table) { table.members[1].slices = 0; },
      [](auto& table) { table.members[1].slices = ~std::uint64_t{0}; },
      [](auto& table) { table.members[1].absent_from = table.volumes.sequence + 1; },
      [](auto& table) { table.members[1].absent_at = table.volumes.sequence + 1; },
      [](auto& table) {
        for (auto& member : table.members) member.absent_from = 1;
      },
      [](auto& table) { table.places[0].marker_member = 2; },
      [](auto& table) { table.places[0].marker_place = 2048; },
      [](auto& table) { table.places[0].marker_place = 1; },         // another one's
      [](auto& table) { table.places[0].zeroed_units = 4; },         // more than it has
      [](auto& table) { table.places[0].zeroed_units = 2; },         // less than hosts see
      [](auto& table) { table.places[0].runs[0].count = 2; },        // less than its size
      [](auto& table) { table.places[0].runs.clear(); },             // no space at all
      [](auto& table) { table.places[0].runs[0].pool_unit = 148; },  // behind the last member
      [](auto& table) { table.places[0].runs[0].pool_unit = ~std::uint64_t{0}; },
      [](auto& table) { table.places[0].runs[0].count = ~std::uint64_t{0} - 90; },
      [](auto& table) { table.places[0].runs[0].volume_unit = 1; },  // a gap in front
      [](auto& table) { table.places[1].runs[1].pool_unit = 1; },    // neighbours, not one run
      [](auto& table) { table.places[1].runs[1].pool_unit = 0; },    // its own unit again
      [](auto& table) { table.places[1].runs[1].pool_unit = 100; },  // another volume's
      [](auto& table) { table.places[1].runs[1].volume_unit = 0; },
      [](auto& table) { table.places[1].runs[1].count = 0; },
      [](auto& table) { table.places[1].runs[1].count = 2; },  // more than what is being made has
      [](auto& table) { table.volumes.records[1].destroying = true; },
  };
  for (std::size_t at = 0; at < edits.size(); ++at) {
    EXPECT_EQ(kind_of(edits[at]), ErrorKind::damaged) << at;
  }
  // What a volume is to grow by is its own already.
  EXPECT_EQ(kind_of([](auto& table) { table.places[0].runs[0].count = 5; }), ErrorKind::io);
}

TEST(DeviceTable, TextOfAMemberIsPrintableOrDamage) {
  EXPECT_EQ(kind_of_edited([](Parts& parts) { parts.body[40] = std::byte{'\n'}; }),
            ErrorKind::damaged);
  EXPECT_EQ(kind_of_edited([](Parts& parts) { parts.body[40] = std::byte{0x1b}; }),
            ErrorKind::damaged);
  EXPECT_EQ(kind_of_edited([](Parts& parts) { parts.body[33] = std::byte{2}; }), ErrorKind::damaged)
      << "longer than there is room";
  EXPECT_EQ(kind_of_edited([](Parts& parts) { parts.body[32] = std::byte{7}; }), ErrorKind::damaged)
      << "something behind its end";
  EXPECT_EQ(printable_hint("/dev/\x1b[31m", 256), "/dev/?[31m");
  EXPECT_EQ(printable_hint("0123456789", 4), "6789");
}

}  // namespace
}  // namespace engine
