// Ksets: round trips, every way to be cut or changed, and every field of a key out of range.
#include "engine/cache/kset.h"

#include <gtest/gtest.h>

#include <functional>

#include "tests/engine/cache/cache_kit.h"

namespace engine::test {
namespace {

const DeviceSeal device_seal(uuid_of(0xd0));
const KsetStamp stamp{.volume_tag = 3, .epoch = 2, .sequence = 40, .time_ms = 99};

std::vector<format::Key> some_keys(std::size_t count) {
  std::vector<format::Key> keys;
  for (std::size_t key = 0; key < count; ++key) keys.push_back(data_key(key * 8));
  return keys;
}

TEST(Kset, RoundTripOfEverySizeAndAlignment) {
  for (const std::uint32_t alignment : {64U, 4096U}) {
    for (const std::size_t count : {1U, 2U, 3U, 127U, 128U}) {
      const auto keys = some_keys(count);
      std::array<std::byte, largest_kset_bytes> space;
      space.fill(std::byte{0xee});
      const auto bytes = encode_kset(device_seal, stamp, keys, alignment, space);
      EXPECT_EQ(bytes.size(), kset_bytes(count, alignment));
      EXPECT_EQ(bytes.size() % alignment, 0U);
      for (const std::byte byte : bytes.subspan(32 + count * 32)) EXPECT_EQ(byte, std::byte{});
      const auto kset = must(decode_kset(device_seal, bytes));
      EXPECT_EQ(kset.stamp, stamp);
      ASSERT_EQ(kset.keys.size(), count);
      EXPECT_EQ(std::memcmp(kset.keys.data(), keys.data(), count * sizeof(format::Key)), 0);
    }
  }
}

TEST(Kset, OnlyTheLowHalfOfAnEpochIsStored) {
  KsetStamp late = stamp;
  late.epoch = 0x7'0000'0002;
  std::array<std::byte, 128> space{};
  const auto kset =
      must(decode_kset(device_seal, encode_kset(device_seal, late, some_keys(1), 64, space)));
  EXPECT_EQ(kset.stamp.epoch, 2U);
}

TEST(Kset, EveryTruncationIsAnError) {
  std::array<std::byte, largest_kset_bytes> space{};
  const auto bytes = encode_kset(device_seal, stamp, some_keys(3), 64, space);
  for (std::size_t length = 0; length < 32 + 3 * 32; ++length) {
    EXPECT_EQ(decode_kset(device_seal, bytes.first(length)).error(), KsetFault::truncated)
        << length;
  }
  EXPECT_TRUE(decode_kset(device_seal, bytes.first(32 + 3 * 32)).has_value());
}

TEST(Kset, EveryBitFlipIsAnError) {
  std::array<std::byte, largest_kset_bytes> space{};
  const auto bytes = encode_kset(device_seal, stamp, some_keys(3), 64, space);
  for (std::size_t bit = 0; bit < (32 + 3 * 32) * 8; ++bit) {
    std::vector<std::byte> changed(bytes.begin(), bytes.end());
    changed[bit / 8] ^= std::byte{1} << (bit % 8);
    EXPECT_FALSE(decode_kset(device_seal, changed).has_value()) << bit;
  }
}

// Power fails in the middle: any multiple of eight bytes is new, the rest is what was there.
TEST(Kset, TornAtEveryEightBytesIsAnError) {
  std::array<std::byte, largest_kset_bytes> space{};
  std::array<std::byte, largest_kset_bytes> before_space{};
  const auto bytes = encode_kset(device_seal, stamp, some_keys(5), 64, space);
  KsetStamp older = stamp;
  older.sequence -= 3;
  const auto before = encode_kset(device_seal, older, some_keys(5), 64, before_space);
  for (std::size_t torn = 8; torn < 32 + 5 * 32; torn += 8) {
    for (const bool front_is_new : {true, false}) {
      std::vector<std::byte> mixed(before.begin(), before.end());
      const std::size_t begin = front_is_new ? 0 : torn;
      const std::size_t end = front_is_new ? torn : mixed.size();
      std::copy(bytes.begin() + static_cast<std::ptrdiff_t>(begin),
                bytes.begin() + static_cast<std::ptrdiff_t>(end),
                mixed.begin() + static_cast<std::ptrdiff_t>(begin));
      const auto kset = decode_kset(device_seal, mixed);
      if (std::equal(mixed.begin(), mixed.end(), bytes.begin())) continue;   // nothing differed
      if (std::equal(mixed.begin(), mixed.end(), before.begin())) continue;  // there
      EXPECT_FALSE(kset.has_value()) << torn << front_is_new;
    }
  }
}

TEST(Kset, CountIsJudgedBeforeItIsUsed) {
  std::array<std::byte, 128> space{};
  (void)encode_kset(device_seal, stamp, some_keys(1), 64, space);
  for (const std::uint16_t count : std::initializer_list<std::uint16_t>{0, 129, 65535}) {
    std::memcpy(&space[6], &count, sizeof(count));
    EXPECT_EQ(decode_kset(device_seal, space).error(), KsetFault::bad_count);
    EXPECT_EQ(claimed_kset_bytes(space).error(), KsetFault::bad_count);
  }
  space[4] = std::byte{0};
  EXPECT_EQ(decode_kset(device_seal, space).error(), KsetFault::no_magic);
}

TEST(Kset, OfAnotherDeviceIsNone) {
  std::array<std::byte, 128> space{};
  const auto bytes = encode_kset(DeviceSeal(uuid_of(0xd1)), stamp, some_keys(1), 64, space);
  EXPECT_EQ(decode_kset(device_seal, bytes).error(), KsetFault::bad_crc);
}

TEST(KsetKey, EveryFieldOutOfRange) {
  const auto layout = must(plan_layout(small_size, small_layout));
  const std::uint64_t first = layout.segments.value / 512;  // the first sector of segment 0
  const std::uint64_t sectors = small_segment / 512;
  struct Row {
    const char* what;
    std::function<void(format::Key&)> change;
    KeyFault fault;
  };
  const auto make_zero = [](format::Key& key) {
    key = {};
    key.sectors = 8;
    key.kind = 2;
  };
  const std::vector<Row> rows{
      {"as it should be", [](auto&) {}, KeyFault::none},
      {"clean", [](auto& key) { key.kind = 3; }, KeyFault::none},
      {"zero", [&](auto& key) { make_zero(key); }, KeyFault::none},
      {"zero, the whole volume", [&](auto& key) { make_zero(key), key.sectors = 2U << 20; },
       KeyFault::none},
      {"invalidate", [&](auto& key) { make_zero(key), key.kind = 4; }, KeyFault::none},
      {"no kind", [](auto& key) { key.kind = 0; }, KeyFault::unknown_kind},
      {"a kind to come", [](auto& key) { key.kind = 5; }, KeyFault::unknown_kind},
      {"zero, and the space", [&](auto& key) { make_zero(key), key.flags = 1; }, KeyFault::none},
      {"zero with an unknown flag", [&](auto& key) { make_zero(key), key.flags = 2; },
       KeyFault::reserved},
      {"flags", [](auto& key) { key.flags = 1; }, KeyFault::reserved},
      {"reserved", [](auto& key) { key.reserved = 1; }, KeyFault::reserved},
      {"no sectors", [](auto& key) { key.sectors = 0; }, KeyFault::bad_length},
      {"longer than a segment",
       [=](auto& key) { key.sectors = static_cast<std::uint32_t>(sectors) + 1; },
       KeyFault::bad_length},
      {"a whole segment",
       [=](auto& key) { key.sectors = static_cast<std::uint32_t>(sectors), key.place = first; },
       KeyFault::none},
      {"ends at the volume's end", [](auto& key) { key.sector = (2U << 20) - 8; }, KeyFault::none},
      {"behind the volume's end", [](auto& key) { key.sector = (2U << 20) - 7; },
       KeyFault::beyond_volume},
      {"wraps around", [](auto& key) { key.sector = ~std::uint64_t{0} - 3; },
       KeyFault::beyond_volume},
      {"zero behind the end", [&](auto& key) { make_zero(key), key.sector = 2U << 20; },
       KeyFault::beyond_volume},
      {"in the tables", [=](auto& key) { key.place = first - 1; }, KeyFault::bad_place},
      {"nowhere", [](auto& key) { key.place = (std::uint64_t{1} << 48) - 1; }, KeyFault::bad_place},
      {"across the edge of a segment", [=](auto& key) { key.place = first + sectors - 7; },
       KeyFault::bad_place},
      {"up to the edge of the last", [=](auto& key) { key.place = first + 8 * sectors - 8; },
       KeyFault::none},
      {"behind the last segment", [=](auto& key) { key.place = first + 8 * sectors; },
       KeyFault::bad_place},
      {"zero with a place", [&](auto& key) { make_zero(key), key.place = first; },
       KeyFault::needless_field},
      {"zero with a generation", [&](auto& key) { make_zero(key), key.generation = 1; },
       KeyFault::needless_field},
      {"a checksum where there are none", [](auto& key) { key.crc = 1; }, KeyFault::needless_field},
  };
  for (const Row& row : rows) {
    format::Key key = data_key(0, 8, first);
    row.change(key);
    EXPECT_EQ(check_key(key, {.layout = layout, .volume_size = 1_GiB}), row.fault) << row.what;
  }
  // The checksums of several pieces lie before the data.
  format::Key key = data_key(0, 16, first);
  const KeyLimits with_crc{.layout = layout, .volume_size = 1_GiB, .payload_crc = true};
  EXPECT_EQ(check_key(key, with_crc), KeyFault::bad_place);
  key.place = first + 1;
  EXPECT_EQ(check_key(key, with_crc), KeyFault::none);
}

}  // namespace
}  // namespace engine::test
