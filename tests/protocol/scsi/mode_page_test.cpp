#include "protocol/scsi/mode_page.h"

#include <gtest/gtest.h>

#include "tests/protocol/scsi/bytes.h"

namespace protocol::scsi {
namespace {

constexpr ModeFacts facts{.size = {0x1'0000}, .block_size = {512}};
const std::string caching = "08 12 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00";
const std::string control = "0a 0a 20 10 00 00 00 00 00 00 00 00";
const std::string exceptions = "1c 0a 08 00 00 00 00 00 00 00 00 00";

std::string sense_hex(const ModeSense& command, const ModeState& state = {},
                      const ModeFacts& of = facts) {
  return shown(
      [&](Answer& answer) { EXPECT_EQ(put_mode_sense(answer, command, state, of), std::nullopt); });
}
std::optional<Sense> mode_refusal(const ModeSense& command) {
  std::optional<Sense> sense;
  EXPECT_EQ(shown([&](Answer& answer) { sense = put_mode_sense(answer, command, {}, facts); }), "");
  return sense;
}

// A list for MODE SELECT (6), as long as its CDB says.
Parsed<ModeState> select(std::string_view hex_text, const ModeState& state = {},
                         const ModeFacts& of = facts) {
  const auto bytes = wire::bytes_from_hex(hex_text);
  return parse_mode_select(
      {.page_format = true, .parameter_bytes = static_cast<std::uint32_t>(bytes.size())}, bytes,
      state, of);
}
Parsed<ModeState> select10(std::string_view hex_text, const ModeFacts& of = facts) {
  const auto bytes = wire::bytes_from_hex(hex_text);
  return parse_mode_select({.ten_byte_cdb = true,
                            .page_format = true,
                            .parameter_bytes = static_cast<std::uint32_t>(bytes.size())},
                           bytes, {}, of);
}

TEST(ModeSense, AllPagesWithBlockDescriptor) {
  EXPECT_EQ(sense_hex({.page = 0x3f}),
            "37 00 10 08 00 01 00 00 00 00 02 00 " + caching + " " + control + " " + exceptions);
  EXPECT_EQ(sense_hex({.page = 0x3f, .subpage = 0xff}), sense_hex({.page = 0x3f}));
}

TEST(ModeSense, OnePage) {
  EXPECT_EQ(sense_hex({.block_descriptor = false, .page = 0x08}), "17 00 10 00 " + caching);
  EXPECT_EQ(sense_hex({.block_descriptor = false, .page = 0x0a}), "0f 00 10 00 " + control);
  EXPECT_EQ(sense_hex({.block_descriptor = false, .page = 0x1c, .subpage = 0xff}),
            "0f 00 10 00 " + exceptions);
}

TEST(ModeSense, TenBytes) {
  EXPECT_EQ(sense_hex({.ten_byte_cdb = true, .block_descriptor = false, .page = 0x0a}),
            "00 12 00 10 00 00 00 00 " + control);
  EXPECT_EQ(sense_hex({.ten_byte_cdb = true, .page = 0x0a}),
            "00 1a 00 10 00 00 00 08 00 01 00 00 00 00 02 00 " + control);
  const ModeFacts large{.size = {0x12'3456'7890}, .block_size = {4096}};
  EXPECT_EQ(sense_hex({.ten_byte_cdb = true, .long_lba_accepted = true, .page = 0x0a}, {}, large),
            "00 22 00 10 01 00 00 10 00 00 00 12 34 56 78 90 00 00 00 00 00 00 10 00 " + control);
  EXPECT_EQ(sense_hex({.ten_byte_cdb = true, .page = 0x0a}, {}, large),
            "00 1a 00 10 00 00 00 08 ff ff ff ff 00 00 10 00 " + control);
}

TEST(ModeSense, WhatAHostHasSetIsCurrentAndNotDefault) {
  const ModeState set{.descriptor_sense = true, .software_write_protect = true};
  const ModeSense command{.block_descriptor = false, .page = 0x0a};
  EXPECT_EQ(sense_hex(command, set), "0f 00 90 00 0a 0a 24 10 08 00 00 00 00 00 00 00");
  ModeSense defaults = command;
  defaults.control = ModePageControl::defaults;
  EXPECT_EQ(sense_hex(defaults, set), "0f 00 90 00 " + control);
}

TEST(ModeSense, ExactlyTwoBitsAreChangeable) {
  EXPECT_EQ(
      sense_hex({.block_descriptor = false, .control = ModePageControl::changeable, .page = 0x3f}),
      "2f 00 10 00 08 12 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 "
      "0a 0a 04 00 08 00 00 00 00 00 00 00 1c 0a 00 00 00 00 00 00 00 00 00 00");
}

TEST(ModeSense, AProtectedVolumeShowsIt) {
  EXPECT_EQ(sense_hex({.block_descriptor = false, .page = 0x08}, {},
                      {.size = {1}, .block_size = {512}, .write_protected = true}),
            "17 00 90 00 " + caching);
}

TEST(ModeSense, Refusals) {
  for (unsigned page = 0; page < 0x3f; ++page) {
    if (page == 0x08 || page == 0x0a || page == 0x1c) continue;
    EXPECT_EQ(mode_refusal({.page = static_cast<std::uint8_t>(page)}), sense::invalid_cdb(2, 5));
  }
  EXPECT_EQ(mode_refusal({.page = 0x0a, .subpage = 1}), sense::invalid_cdb(3));
  EXPECT_EQ(mode_refusal({.control = ModePageControl::saved, .page = 0x0a}),
            sense::saving_not_supported);
}

TEST(ModeSense, IsCutAtEveryLengthAndItsMaximumHolds) {
  const auto put = [](Answer& answer) {
    (void)put_mode_sense(answer, {.ten_byte_cdb = true, .long_lba_accepted = true, .page = 0x3f},
                         {}, facts);
  };
  EXPECT_TRUE(is_cut_cleanly(put));
  EXPECT_LE(written(put).size(), max_mode_sense_bytes);
}

TEST(ModeSelect, TwoBitsAndNothingElseOfTheControlPage) {
  const auto both = select("00 00 00 00 0a 0a 24 10 08 00 00 00 00 00 00 00").value();
  EXPECT_EQ(both, (ModeState{.descriptor_sense = true, .software_write_protect = true}));
  EXPECT_EQ(select("00 00 00 00 " + control, both).value(), ModeState{});
  const auto head = wire::bytes_from_hex("00 00 00 00 " + control);
  for (std::size_t byte = 6; byte < head.size(); ++byte) {
    for (unsigned bit = 0; bit < 8; ++bit) {
      auto list = head;
      list[byte] ^= static_cast<std::byte>(1u << bit);
      const auto changed =
          parse_mode_select({.page_format = true, .parameter_bytes = 16}, list, {}, facts);
      const bool changeable = (byte == 6 && bit == 2) || (byte == 8 && bit == 3);
      if (changeable) {
        EXPECT_NE(changed.value(), ModeState{});
      } else {
        EXPECT_EQ(refusal(changed), sense::invalid_list(byte, static_cast<std::uint8_t>(bit)));
      }
    }
  }
}

// A host that turns the write cache on would take answers for what they are not.
TEST(ModeSelect, TheWriteCacheCannotBeTurnedOn) {
  EXPECT_EQ(select("00 00 00 00 " + caching).value(), ModeState{});
  EXPECT_EQ(
      refusal(select("00 00 00 00 08 12 04 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00")),
      sense::invalid_list(6, 2));
}

TEST(ModeSelect, WhatModeSenseShowsMaySentBackAsItIs) {
  const std::string all =
      "37 00 10 08 00 01 00 00 00 00 02 00 " + caching + " " + control + " " + exceptions;
  EXPECT_EQ(select(all).value(), ModeState{});
  EXPECT_EQ(select10("00 1a 00 10 00 00 00 08 00 01 00 00 00 00 02 00 " + control).value(),
            ModeState{});
  EXPECT_EQ(select("00 00 00 00 8a" + control.substr(2)).value(), ModeState{}) << "with PS";
}

TEST(ModeSelect, BlockDescriptorsMustNotFormat) {
  EXPECT_TRUE(select("00 00 00 08 00 00 00 00 00 00 02 00"));
  EXPECT_TRUE(select("00 00 00 08 ff ff ff ff 00 00 02 00"));
  EXPECT_TRUE(select10("00 00 00 00 01 00 00 10 00 00 00 00 00 01 00 00 00 00 00 00 00 00 02 00"));
  EXPECT_EQ(refusal(select("00 00 00 08 00 00 ff ff 00 00 02 00")), sense::invalid_list(4));
  EXPECT_EQ(refusal(select("00 00 00 08 00 01 00 00 00 00 10 00")), sense::invalid_list(9));
  EXPECT_EQ(refusal(select("00 00 00 10 00 01 00 00 00 00 02 00 00 01 00 00 00 00 02 00")),
            sense::invalid_list(3));
  EXPECT_EQ(
      refusal(select10("00 00 00 00 01 00 00 10 00 00 00 00 00 01 00 01 00 00 00 00 00 00 02 00")),
      sense::invalid_list(8));
}

TEST(ModeSelect, RefusalsSayWhere) {
  EXPECT_EQ(refusal(select("00 01 00 00")), sense::invalid_list(1)) << "medium type";
  EXPECT_EQ(refusal(select10("00 00 01 00 00 00 00 00")), sense::invalid_list(2));
  EXPECT_EQ(refusal(select("00 00 00 00 01 0a 00 00 00 00 00 00 00 00 00 00")),
            sense::invalid_list(4, 5));
  EXPECT_EQ(refusal(select("00 00 00 00 4a 01 00 08 00 00 00 00 00 00 00 00")),
            sense::invalid_list(4, 5))
      << "a subpage";
  EXPECT_EQ(refusal(select("00 00 00 00 0a 0b 00 10 00 00 00 00 00 00 00 00 00")),
            sense::invalid_list(5));
  EXPECT_EQ(
      refusal(parse_mode_select({.parameter_bytes = 4}, std::vector<std::byte>(4), {}, facts)),
      sense::invalid_cdb(1, 4))
      << "no page format";
}

TEST(ModeSelect, AnEmptyListAndAnEmptyHeaderChangeNothing) {
  const ModeState set{.descriptor_sense = true};
  EXPECT_EQ(select("", set).value(), set);
  EXPECT_EQ(select("00 00 00 00", set).value(), set);
}

TEST(ModeSelect, EveryTruncationIsALengthError) {
  const auto whole = wire::bytes_from_hex("00 00 00 08 00 01 00 00 00 00 02 00 " + control);
  for (std::size_t length = 1; length < whole.size(); ++length) {
    const auto cut = std::span(whole).first(length);
    if (length != 12) {  // header and descriptor, and no page
      EXPECT_EQ(refusal(parse_mode_select(
                    {.page_format = true, .parameter_bytes = static_cast<std::uint32_t>(length)},
                    cut, {}, facts)),
                sense::parameter_list_length_error)
          << length;
    }
    EXPECT_EQ(
        refusal(parse_mode_select(
            {.page_format = true, .parameter_bytes = static_cast<std::uint32_t>(whole.size())}, cut,
            {}, facts)),
        sense::parameter_list_length_error)
        << length << ": the host sent less than its CDB says";
  }
}

}  // namespace
}  // namespace protocol::scsi
