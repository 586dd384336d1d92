// Every struct of the cache format, byte for byte. The expected bytes and checksums come from an
// encoder that shares no code with ours.
#include <gtest/gtest.h>

#include <bit>
#include <string>

#include "engine/cache/cache_volume_entries.h"
#include "engine/cache/log_chunk.h"
#include "engine/cache/replicated_entry.h"
#include "tests/engine/cache/cache_kit.h"

namespace engine::test {
namespace {

std::string hex(std::span<const std::byte> bytes) {
  constexpr const char* digits = "0123456789abcdef";
  std::string text;
  for (const std::byte byte : bytes) {
    text += digits[std::to_integer<unsigned>(byte) >> 4];
    text += digits[std::to_integer<unsigned>(byte) & 15];
  }
  return text;
}

Uuid counting_uuid(std::uint8_t first) {
  Uuid uuid;
  for (auto& byte : uuid.bytes) byte = std::byte{first++};
  return uuid;
}

const DeviceSeal seal(counting_uuid(0xa0));

template <class Entry>
std::string sealed(const Entry& entry, format::EntryType type, std::uint64_t position,
                   std::uint64_t sequence) {
  const RawEntry raw = next_entry(seal, entry, type, position, sequence - 1);
  return hex(bytes_of(raw));
}

// What `value` is encoded to as update `sequence` of volume slot 2, and back.
template <class Value>
void expect_golden(const Value& value, format::EntryType type, std::uint64_t sequence,
                   const char* expected) {
  const auto entry = encode_entry(value);
  EXPECT_EQ(sealed(entry, type, 2, sequence), expected);
  EXPECT_EQ(decode_entry(entry), value);
}

TEST(GoldenBytes, SegmentEntry) {
  format::SegmentEntry entry{};
  entry.use = static_cast<std::uint32_t>(format::SegmentUse::data);
  entry.volume_tag = 5;
  entry.generation = 0x0102030405060708;
  EXPECT_EQ(sealed(entry, format::EntryType::segment, 3, 7),
            "1fc8ece001000000070000000000000001000000050000000807060504030201"
            "0000000000000000000000000000000000000000000000000000000000000000");
}

TEST(GoldenBytes, VolumeIdentityEntry) {
  const CacheVolumeIdentity identity{.volume = counting_uuid(0x10),
                                     .backing = counting_uuid(0x20),
                                     .size = 1_GiB,
                                     .state = format::VolumeSlotState::attached,
                                     .tag = 5};
  expect_golden(identity, format::EntryType::volume_identity, 2,
                "b72165c4020000000200000000000000101112131415161718191a1b1c1d1e1f"
                "202122232425262728292a2b2c2d2e2f00000040000000000100000005000000");
}

TEST(GoldenBytes, VolumeEpochEntry) {
  const LogEpoch epoch{.epoch = 4,
                       .first_sequence = 1001,
                       .first_chunk = 17,
                       .known_durable = 1500,
                       .clean_end = 1600,
                       .attach_epoch = 6};
  expect_golden(epoch, format::EntryType::volume_epoch, 9,
                "31b8a7ec0300000009000000000000000400000000000000e903000000000000"
                "1100000000000000dc0500000000000040060000000000000600000000000000");
}

TEST(GoldenBytes, VolumeTailsEntry) {
  const LogTails tails{.key_tail = 100,
                       .key_tail_chunk = 3,
                       .dirty_tail = 200,
                       .dirty_tail_chunk = 4,
                       .writeback_target = 300,
                       .consistent_time_ms = 1'700'000'000'123};
  expect_golden(tails, format::EntryType::volume_tails, 11,
                "8da2d570040000000b0000000000000064000000000000000300000000000000"
                "c80000000000000004000000000000002c010000000000007b68e5cf8b010000");
}

TEST(GoldenBytes, VolumeBindingEntry) {
  const CacheVolumeBinding binding{.attach_epoch = 6,
                                   .mode = format::CacheMode::write_through,
                                   .block_size = {4096},
                                   .name = "db01"};
  expect_golden(binding, format::EntryType::volume_binding, 1,
                "d078659905000000010000000000000006000000000000000200000000100000"
                "6462303100000000000000000000000000000000000000000000000000000000");
}

TEST(GoldenBytes, ChunkHeader) {
  const LogChunk chunk{.volume_tag = 5,
                       .ordinal = 17,
                       .first_sequence = 1001,
                       .epoch = 4,
                       .places = {MediaOffset{0x30000}, MediaOffset{0x28000}},
                       .generations = {8, 9}};
  const auto header = encode_chunk_header(seal, chunk, 1);
  EXPECT_EQ(hex(bytes_of(header)),
            "b7bc9b0f06000000e90300000000000005000000090000001100000000000000"
            "0400000000000000000003000000000008000000010000000000000000000000");
}

TEST(GoldenBytes, Kset) {
  format::Key data = data_key(0x1000, 8, 0x123456);
  data.crc = 0x11223344;
  data.generation = 7;
  format::Key zero{};
  zero.sector = 0x2000;
  zero.sectors = 16;
  zero.kind = static_cast<std::uint8_t>(format::KeyKind::zero);
  zero.flags = format::key_gives_back;
  const std::array keys{data, zero};
  std::array<std::byte, 256> space;
  space.fill(std::byte{0xff});
  const KsetStamp stamp{
      .volume_tag = 5, .epoch = 0x1'0000'0004, .sequence = 1001, .time_ms = 1'700'000'000'123};
  EXPECT_EQ(hex(encode_kset(seal, stamp, keys, 64, space)),
            "a72e4a47464b02000500000004000000e9030000000000007b68e5cf8b010000"
            "0010000000000000080000004433221156341200000001000700000000000000"
            "0020000000000000100000000000000000000000000002010000000000000000"
            "0000000000000000000000000000000000000000000000000000000000000000");
}

TEST(GoldenBytes, Superblock) {
  const auto layout = must(plan_layout(64_MiB, {.segment_slots = 280}));
  format::CacheSuperblock block{};
  block.features.incompatible = format::feature_payload_crc;
  block.device_uuid = counting_uuid(0xa0).bytes;
  block.sequence = 3;
  block.created_ms = 1'700'000'000'000;
  describe_layout(block, layout);
  const auto bytes = bytes_of(block);
  EXPECT_EQ(hex(bytes.first(144)),
            "4642594341434845b39a3bed0100000000000000000000000000000000000000"
            "0100000000000000a0a1a2a3a4a5a6a7a8a9aaabacadaeaf0300000000000000"
            "0068e5cf8b0100000000000400000000000010003e0000001801000000040000"
            "0000010040000000001000000000000000f0fb03000000000010040000000000"
            "00a0fb03000000000000100000000000");
  EXPECT_EQ(hex(bytes.subspan(144)), std::string(2 * (4096 - 144), '0'));
  EXPECT_EQ(must(check_superblock(block)), layout);
}

}  // namespace
}  // namespace engine::test
