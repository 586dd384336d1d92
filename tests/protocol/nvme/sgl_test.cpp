#include "protocol/nvme/sgl.h"

#include <gtest/gtest.h>

#include <array>
#include <limits>

#include "tests/protocol/nvme/raw_entry.h"

namespace protocol::nvme {
namespace {

constexpr auto to_controller = TransferDirection::host_to_controller;
constexpr auto to_host = TransferDirection::controller_to_host;

TEST(Sgl, InCapsuleDataHasAnOffset) {
  const auto parsed =
      parse_data_pointer(RawEntry(0x01).in_capsule_sgl(4096, 512).entry(), to_controller);
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed.value(), DataPointer((InCapsuleData{512, 4096})));
  EXPECT_EQ(length_of(parsed.value()), engine::ByteCount{4096});
}

TEST(Sgl, TransportDataHasALengthOnly) {
  const auto parsed =
      parse_data_pointer(RawEntry(0x02).sgl(0x5a, 0xffff'ffff, 0x1234).entry(), to_host);
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed.value(), DataPointer(TransportData{0xffff'ffff}));
}

TEST(Sgl, EveryOtherTypeAndSubtypeIsRefusedByType) {
  for (unsigned identifier = 0; identifier < 256; ++identifier) {
    if (identifier == 0x01 || identifier == 0x5a) continue;
    const auto parsed = parse_data_pointer(
        RawEntry(0x01).sgl(static_cast<std::uint8_t>(identifier), 512).entry(), to_controller);
    ASSERT_FALSE(parsed) << identifier;
    EXPECT_EQ(parsed.error(), (Refusal{status::sgl_descriptor_type_invalid, at_byte(39)}))
        << identifier;
  }
}

TEST(Sgl, DataForTheHostCannotBeInItsCapsule) {
  const auto parsed = parse_data_pointer(RawEntry(0x02).in_capsule_sgl(512).entry(), to_host);
  ASSERT_FALSE(parsed);
  EXPECT_EQ(parsed.error().status, status::invalid_field);
}

TEST(Sgl, PhysicalPagesAndMetadataDescriptorsAreRefused) {
  for (const unsigned psdt : {0u, 2u, 3u}) {
    auto raw = RawEntry(0x01).transport_sgl(512);
    const auto parsed =
        parse_data_pointer(raw.flags(static_cast<std::uint8_t>(psdt << 6)).entry(), to_controller);
    ASSERT_FALSE(parsed) << psdt;
    EXPECT_EQ(parsed.error(), (Refusal{status::invalid_field, at_byte(1, 6)})) << psdt;
  }
}

TEST(Sgl, BytesOutsideTheCapsuleAreNotRead) {
  const std::array<std::byte, 16> capsule{};
  constexpr auto far = std::numeric_limits<std::uint64_t>::max();
  for (const auto data :
       {InCapsuleData{0, 17}, InCapsuleData{1, 16}, InCapsuleData{16, 1}, InCapsuleData{17, 0},
        InCapsuleData{far, 1}, InCapsuleData{far, 0xffff'ffff}, InCapsuleData{0, 0xffff'ffff}}) {
    const auto view = in_capsule_bytes(data, capsule);
    ASSERT_FALSE(view) << data.offset << '+' << data.length;
    EXPECT_EQ(view.error().status, status::sgl_offset_invalid);
  }
  const auto view = in_capsule_bytes({4, 12}, capsule);
  ASSERT_TRUE(view);
  EXPECT_EQ(view.value().data(), capsule.data() + 4);
  EXPECT_EQ(view.value().size(), 12u);
  EXPECT_TRUE(in_capsule_bytes({16, 0}, capsule));
}

TEST(Sgl, ADescriptorMayBeLongerButNotShorterThanTheData) {
  EXPECT_TRUE(check_data_length(TransportData{4096}, {16}));
  EXPECT_TRUE(check_data_length(TransportData{16}, {16}));
  const auto shorter = check_data_length(TransportData{15}, {16});
  ASSERT_FALSE(shorter);
  EXPECT_EQ(shorter.error(), (Refusal{status::data_sgl_length_invalid, at_byte(32)}));
}

}  // namespace
}  // namespace protocol::nvme
