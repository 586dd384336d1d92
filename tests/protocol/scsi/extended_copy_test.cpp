#include "protocol/scsi/extended_copy.h"

#include <gtest/gtest.h>

#include "protocol/scsi/identity.h"
#include "tests/protocol/scsi/bytes.h"

namespace protocol::scsi {
namespace {

const auto volume = engine::Uuid::parse("5f3c1a2b-9d4e-4c6f-8a71-2b3c4d5e6f70").value();

std::string target(std::string_view type = "e4", std::string_view peripheral = "00") {
  return std::string(type) + " " + std::string(peripheral) + " 00 00 01 03 00 10 " +
         wire::hex(naa_of(volume)) + " 00 00 00 00 00 00 02 00";
}
const std::string segment =
    "02 02 00 18 00 00 00 01 00 00 08 00 00 00 00 00 00 00 01 00 00 00 00 01 00 00 02 00";

// The whole list, with the lengths that belong to it. `head`: LIST IDENTIFIER and flags.
std::vector<std::byte> copy_list(std::size_t targets, std::size_t segments,
                                 std::string_view head = "05 20") {
  auto bytes = wire::bytes_from_hex(std::string(head) + "0000 00000000 00000000 00000000");
  for (std::size_t i = 0; i < targets; ++i) {
    const auto one = wire::bytes_from_hex(target());
    bytes.insert(bytes.end(), one.begin(), one.end());
  }
  for (std::size_t i = 0; i < segments; ++i) {
    const auto one = wire::bytes_from_hex(segment);
    bytes.insert(bytes.end(), one.begin(), one.end());
  }
  bytes[2] = static_cast<std::byte>(targets * 32 >> 8);
  bytes[3] = static_cast<std::byte>(targets * 32 & 0xff);
  bytes[10] = static_cast<std::byte>(segments * 28 >> 8);
  bytes[11] = static_cast<std::byte>(segments * 28 & 0xff);
  return bytes;
}
void put_over(std::vector<std::byte>& bytes, std::size_t at, std::string_view hex_text) {
  const auto given = wire::bytes_from_hex(hex_text);
  std::copy(given.begin(), given.end(), bytes.begin() + static_cast<std::ptrdiff_t>(at));
}

TEST(ExtendedCopy, Golden) {
  const auto made = parse_extended_copy(copy_list(2, 1)).value();
  EXPECT_EQ(made.list_id, 5);
  EXPECT_TRUE(made.results_kept);
  EXPECT_TRUE(made.sequential_striped);
  ASSERT_EQ(made.target_count, 2);
  const auto& to = made.target_span()[1];
  EXPECT_EQ(to.code_set, 1);
  EXPECT_EQ(to.association, 0);
  EXPECT_EQ(to.designator_type, 3);
  EXPECT_EQ(to.block_bytes, 512u);
  EXPECT_TRUE(names_volume(to, volume));
  ASSERT_EQ(made.segment_count, 1);
  const auto& one = made.segment_span()[0];
  EXPECT_EQ(one.source, 0);
  EXPECT_EQ(one.destination, 1);
  EXPECT_TRUE(one.destination_count);
  EXPECT_EQ(one.count, engine::BlockCount{0x800});
  EXPECT_EQ(one.source_first, engine::Lba{0x100});
  EXPECT_EQ(one.destination_first, engine::Lba{0x1'0000'0200});
}

TEST(ExtendedCopy, NothingToDoIsNoError) {
  EXPECT_EQ(parse_extended_copy({}).value().segment_count, 0);
  EXPECT_EQ(parse_extended_copy(copy_list(0, 0)).value().target_count, 0);
  EXPECT_EQ(parse_extended_copy(copy_list(1, 0)).value().target_count, 1);
}

TEST(ExtendedCopy, EveryTruncationIsALengthError) {
  const auto whole = copy_list(2, 2);
  for (std::size_t length = 1; length < whole.size(); ++length) {
    EXPECT_EQ(refusal(parse_extended_copy(std::span(whole).first(length))),
              sense::parameter_list_length_error)
        << length;
  }
  auto longer = whole;
  longer.resize(whole.size() + 100);
  EXPECT_TRUE(parse_extended_copy(longer));
}

TEST(ExtendedCopy, LimitsAreThoseOfTheOperatingParameters) {
  EXPECT_TRUE(parse_extended_copy(copy_list(max_copy_targets, max_copy_segments)));
  EXPECT_EQ(refusal(parse_extended_copy(copy_list(max_copy_targets + 1, 1))),
            sense::too_many_copy_targets);
  EXPECT_EQ(refusal(parse_extended_copy(copy_list(1, max_copy_segments + 1))),
            sense::too_many_copy_segments);
  EXPECT_EQ(refusal(parse_extended_copy(copy_list(max_copy_targets + 1, 27))),
            sense::parameter_list_length_error)
      << "longer than MAXIMUM DESCRIPTOR LIST LENGTH";
}

TEST(ExtendedCopy, LengthsCannotOverflow) {
  auto bytes = copy_list(1, 1);
  put_over(bytes, 8, "ff ff ff f0");
  EXPECT_EQ(refusal(parse_extended_copy(bytes)), sense::parameter_list_length_error);
}

TEST(ExtendedCopy, UnsupportedDescriptors) {
  for (unsigned type = 0; type < 256; ++type) {
    auto bytes = copy_list(1, 1);
    bytes[16] = static_cast<std::byte>(type);
    if (type != 0xe4) {
      EXPECT_EQ(refusal(parse_extended_copy(bytes)), sense::unsupported_copy_target_type);
    }
    bytes = copy_list(1, 1);
    bytes[48] = static_cast<std::byte>(type);
    if (type != 0x02) {
      EXPECT_EQ(refusal(parse_extended_copy(bytes)), sense::unsupported_copy_segment_type);
    }
  }
  auto tape = copy_list(1, 1);
  put_over(tape, 17, "01");
  EXPECT_EQ(refusal(parse_extended_copy(tape)), sense::unsupported_copy_target_type);
}

// SPC-4 has made LU ID TYPE and NUL obsolete: whatever they say.
TEST(ExtendedCopy, ObsoleteBitsOfATargetAreIgnored) {
  auto bytes = copy_list(1, 1);
  put_over(bytes, 17, "e0");
  EXPECT_TRUE(parse_extended_copy(bytes));
}

TEST(ExtendedCopy, FieldsOutOfRange) {
  auto designator = copy_list(1, 1);
  put_over(designator, 16 + 7, "15");
  EXPECT_EQ(refusal(parse_extended_copy(designator)), sense::invalid_list(16 + 7));
  auto length = copy_list(1, 2);
  put_over(length, 48 + 28 + 2, "00 19");
  EXPECT_EQ(refusal(parse_extended_copy(length)), sense::invalid_list(48 + 28 + 2));
  auto uneven = copy_list(1, 1);
  put_over(uneven, 2, "00 1f");
  put_over(uneven, 8, "00 00 00 1d");
  EXPECT_EQ(refusal(parse_extended_copy(uneven)), sense::invalid_list(2));
  auto half = copy_list(1, 1);
  put_over(half, 8, "00 00 00 1b");
  EXPECT_EQ(refusal(parse_extended_copy(half)), sense::invalid_list(8));
  auto inline_data = copy_list(1, 1);
  put_over(inline_data, 12, "00 00 00 01");
  EXPECT_EQ(refusal(parse_extended_copy(inline_data)), sense::copy_inline_data_too_long);
}

TEST(ExtendedCopy, ListIdUsage) {
  EXPECT_EQ(refusal(parse_extended_copy(copy_list(1, 1, "05 08"))), sense::invalid_list(1, 4));
  EXPECT_FALSE(parse_extended_copy(copy_list(1, 1, "05 10")).value().results_kept);
  EXPECT_FALSE(parse_extended_copy(copy_list(1, 1, "00 18")).value().results_kept);
  EXPECT_EQ(refusal(parse_extended_copy(copy_list(1, 1, "05 18"))), sense::invalid_list(0));
}

TEST(ExtendedCopy, OtherVolumesAndOtherDesignatorsAreNotThisOne) {
  CopyTarget named = parse_extended_copy(copy_list(1, 0)).value().targets[0];
  engine::Uuid other = volume;
  other.bytes[7] ^= std::byte{1};
  EXPECT_FALSE(names_volume(named, other));
  CopyTarget shorter = named;
  shorter.designator_bytes = 15;
  EXPECT_FALSE(names_volume(shorter, volume));
  CopyTarget of_port = named;
  of_port.association = 1;
  EXPECT_FALSE(names_volume(of_port, volume));
  CopyTarget ascii = named;
  ascii.code_set = 2;
  EXPECT_FALSE(names_volume(ascii, volume));
  CopyTarget by_uuid{.code_set = 1, .designator_type = 0xa, .designator_bytes = 18};
  const auto uuid = uuid_designator_of(volume);
  std::copy(uuid.begin(), uuid.end(), by_uuid.designator.begin());
  EXPECT_TRUE(names_volume(by_uuid, volume));
}

TEST(CopyResults, OperatingParametersGolden) {
  EXPECT_EQ(shown([](Answer& answer) {
              put_copy_operating_parameters(
                  answer, {.max_segment_bytes = 0x0100'0000, .max_concurrent = 4});
            }),
            "00 00 00 2a 01 00 00 00 00 08 00 10 00 00 04 00 01 00 00 00 00 00 00 00 00 00 00 00 "
            "00 00 00 00 00 00 00 04 04 00 00 00 00 00 00 02 02 e4");
}

TEST(CopyResults, StatusGolden) {
  EXPECT_EQ(shown([](Answer& answer) {
              put_copy_status(answer, {.state = CopyStatus::State::failed,
                                       .segments_processed = 0x0102,
                                       .bytes_moved = 0x0a0b'0c0d});
            }),
            "00 00 00 08 02 01 02 00 0a 0b 0c 0d");
}

TEST(CopyResults, FailedSegmentCarriesTheSenseData) {
  EXPECT_EQ(shown([](Answer& answer) { put_failed_segment(answer, std::nullopt); }), "00 00 00 00");
  const auto bytes =
      written([](Answer& answer) { put_failed_segment(answer, sense::copy_target_not_reachable); });
  ASSERT_EQ(bytes.size(), 60u + 18u);
  EXPECT_EQ(wire::hex(std::span(bytes).first(4)), "00 00 00 4a");
  EXPECT_EQ(wire::hex(std::span(bytes).subspan(56)),
            "02 00 00 12 70 00 0a 00 00 00 00 0a 00 00 00 00 0d 02 00 00 00 00");
}

}  // namespace
}  // namespace protocol::scsi
