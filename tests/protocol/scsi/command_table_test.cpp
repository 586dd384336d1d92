#include "protocol/scsi/command_table.h"

#include <gtest/gtest.h>

#include <bit>
#include <set>

#include "tests/protocol/scsi/bytes.h"

namespace protocol::scsi {
namespace {

// The opcode and service action of a row (or a MODE that is served), with every other bit 0.
CdbBytes plain(const CommandDescription& row) {
  CdbBytes bytes{};
  bytes[0] = static_cast<std::byte>(row.opcode);
  if (row.has_service_action()) bytes[1] = static_cast<std::byte>(row.service_action);
  if (row.opcode == 0x3b || row.opcode == 0x3c) bytes[1] = std::byte{0x0a};
  return bytes;
}
void set_bit(CdbBytes& bytes, std::size_t byte, unsigned bit) {
  bytes[byte] |= static_cast<std::byte>(1u << bit);
}

const CommandDescription& find(std::string_view hex_text) {
  const auto* row = find_command(cdb(hex_text));
  EXPECT_NE(row, nullptr) << hex_text;
  return *row;
}
ReservationRule rule(std::string_view hex_text) {
  const auto bytes = cdb(hex_text);
  return reservation_rule(find(hex_text), parse_command(bytes, {}).value());
}

TEST(CommandTable, RowsAreWellFormed) {
  std::set<std::string_view> names;
  for (const auto& row : command_table()) {
    EXPECT_EQ(row.usage[0], row.opcode) << row.name;
    const unsigned group = row.opcode >> 5;
    EXPECT_EQ(row.cdb_bytes, group == 0 ? 6 : group <= 2 ? 10 : group == 4 ? 16 : 12) << row.name;
    EXPECT_EQ(row.usage[row.cdb_bytes - 1u], 0) << row.name << ": CONTROL";
    for (std::size_t i = row.cdb_bytes; i < row.usage.size(); ++i) EXPECT_EQ(row.usage[i], 0);
    EXPECT_NE(row.parse, nullptr) << row.name;
    EXPECT_TRUE(names.insert(row.name).second) << row.name << " twice";
    EXPECT_EQ(find_command(plain(row)), &row) << row.name;
  }
}

// The parser and the table cannot disagree: each reserved bit is refused where it stands, whatever
// else is set.
TEST(CommandTable, EveryBitThatMustNotBeSetIsRefused) {
  std::size_t refused = 0;
  for (const auto& row : command_table()) {
    for (std::uint16_t byte = 1; byte < row.cdb_bytes; ++byte) {
      for (unsigned bit = 0; bit < 8; ++bit) {
        if (byte == 1 && row.has_service_action() && bit < 5) continue;
        if (((row.usage[byte] >> bit) & 1u) != 0) continue;
        auto bytes = plain(row);
        set_bit(bytes, byte, bit);
        EXPECT_EQ(refusal(parse_command(bytes, {})),
                  sense::invalid_cdb(byte, static_cast<std::uint8_t>(bit)))
            << row.name << " byte " << byte << " bit " << bit;
        ++refused;
      }
    }
  }
  EXPECT_GT(refused, 1500u);
}

// And what may be set is never refused as a bit: only as a value, for which the fields are named
// here.
TEST(CommandTable, EveryBitThatMayBeSetIsAccepted) {
  const auto is_checked_value = [](const CommandDescription& row, std::uint16_t byte) {
    switch (row.opcode) {
      case 0x12:  // a page without EVPD
      case 0x37:  // formats
      case 0xa0:  // selections
      case 0x5f:  // scopes and types
        return byte == 2;
      case 0x2f:  // BYTCHK 2
      case 0x8f:
      case 0xaf:
      case 0xb7:  // formats
      case 0x3c:  // modes
        return byte == 1;
      case 0x3b:  // modes, and lengths
        return byte == 1 || byte == 6 || byte == 7;
      case 0xa3:  // options
        return row.service_action == 0x0c && byte == 2;
      default:
        return false;
    }
  };
  for (const auto& row : command_table()) {
    for (std::uint16_t byte = 1; byte < row.cdb_bytes; ++byte) {
      if (is_checked_value(row, byte)) continue;
      auto bytes = plain(row);
      if (row.opcode == 0x5f) bytes[2] = std::byte{1};
      for (unsigned bit = 0; bit < 8; ++bit) {
        if (byte == 1 && row.has_service_action() && bit < 5) continue;
        if (((row.usage[byte] >> bit) & 1u) != 0) set_bit(bytes, byte, bit);
      }
      EXPECT_TRUE(parse_command(bytes, {})) << row.name << " byte " << byte;
    }
  }
}

TEST(CommandTable, BytesBehindTheCdbAreNotLookedAt) {
  for (const auto& row : command_table()) {
    auto bytes = plain(row);
    if (row.opcode == 0x5f) bytes[2] = std::byte{1};
    const auto before = parse_command(bytes, {});
    ASSERT_TRUE(before) << row.name;
    for (std::size_t i = row.cdb_bytes; i < bytes.size(); ++i) bytes[i] = std::byte{0xff};
    const auto after = parse_command(bytes, {});
    ASSERT_TRUE(after) << row.name;
    EXPECT_EQ(before.value().index(), after.value().index()) << row.name;
  }
}

TEST(CommandTable, CommandsWithoutAUnitAreThese) {
  std::set<unsigned> of_target;
  std::set<unsigned> of_well_known_unit;
  for (const auto& row : command_table()) {
    if (row.of_target) of_target.insert(row.opcode);
    if (row.of_well_known_unit) of_well_known_unit.insert(row.opcode);
  }
  EXPECT_EQ(of_target, (std::set<unsigned>{0x03, 0x12, 0xa0}));
  EXPECT_EQ(of_well_known_unit, (std::set<unsigned>{0x00, 0x03, 0x12, 0xa0}));
}

TEST(CommandTable, WhatChangesBlocksIsNeverAReadToOthers) {
  std::set<unsigned> changing;
  for (const auto& row : command_table()) {
    if (row.touches != Touches::changes) continue;
    changing.insert(row.opcode);
    EXPECT_EQ(row.reservation, ReservationRule::as_write) << row.name;
  }
  EXPECT_EQ(changing, (std::set<unsigned>{0x0a, 0x2a, 0x2e, 0x41, 0x42, 0x89, 0x8a, 0x8b, 0x8e,
                                          0x93, 0x9c, 0xaa, 0xae}));
}

TEST(CommandTable, RulesThatDependOnFields) {
  EXPECT_EQ(rule("1b 00 00 00 01 00"), ReservationRule::always);
  EXPECT_EQ(rule("1b 00 00 00 00 00"), ReservationRule::as_write);
  EXPECT_EQ(rule("1e 00 00 00 00 00"), ReservationRule::always);
  EXPECT_EQ(rule("1e 00 00 00 01 00"), ReservationRule::as_write);
  EXPECT_EQ(rule("28 00 00 00 00 00 00 00 01 00"), ReservationRule::as_read);
  EXPECT_EQ(rule("35 00 00 00 00 00 00 00 01 00"), ReservationRule::as_write);
  EXPECT_EQ(rule("25 00 00 00 00 00 00 00 00 00"), ReservationRule::always);
  EXPECT_EQ(rule("1d 04 00 00 00 00"), ReservationRule::as_write);
  EXPECT_EQ(rule("5f 01 01 00 00 00 00 00 18 00"), ReservationRule::by_action);
}

TEST(CommandTable, AllServiceActionsOfAnOpcodeAreOfferedOrNone) {
  for (const auto& a : command_table()) {
    for (const auto& b : command_table()) {
      if (a.opcode != b.opcode) continue;
      EXPECT_EQ(a.offered, b.offered) << a.name;
    }
  }
  EXPECT_FALSE(is_opcode_offered(0x42, {.unmap = false}));
  EXPECT_TRUE(is_opcode_offered(0x42, {}));
  EXPECT_FALSE(is_opcode_offered(0x48, {})) << "SANITIZE";
}

}  // namespace
}  // namespace protocol::scsi
