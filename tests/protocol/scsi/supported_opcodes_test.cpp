#include "protocol/scsi/supported_opcodes.h"

#include <gtest/gtest.h>

#include "protocol/scsi/command_table.h"
#include "tests/protocol/scsi/bytes.h"

namespace protocol::scsi {
namespace {

using Options = ReportSupportedOpcodes::Options;

std::vector<std::byte> report(const ReportSupportedOpcodes& command,
                              const UnitFeatures& features = {}, std::size_t room = 4096) {
  return written(
      [&](Answer& answer) { EXPECT_FALSE(put_supported_opcodes(answer, command, features)); },
      room);
}
std::string one(std::uint8_t opcode, std::uint16_t action = 0,
                Options options = Options::one_either, const UnitFeatures& features = {}) {
  return wire::hex(
      report({.options = options, .opcode = opcode, .service_action = action}, features));
}
std::optional<Sense> opcode_refusal(std::uint8_t opcode, std::uint16_t action, Options options) {
  std::optional<Sense> sense;
  EXPECT_EQ(shown([&](Answer& answer) {
              sense = put_supported_opcodes(
                  answer, {.options = options, .opcode = opcode, .service_action = action}, {});
            }),
            "");
  return sense;
}
std::uint32_t number(std::span<const std::byte> bytes, std::size_t at, std::size_t size) {
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < size; ++i) {
    value = value << 8 | static_cast<std::uint32_t>(bytes[at + i]);
  }
  return value;
}

TEST(SupportedOpcodes, OneCommandGolden) {
  EXPECT_EQ(one(0x28), "00 03 00 0a 28 1a ff ff ff ff 1f ff ff 00");
  EXPECT_EQ(one(0x12), "00 03 00 06 12 01 ff ff ff 00");
  EXPECT_EQ(one(0x8b), "00 03 00 10 8b 18 ff ff ff ff ff ff ff ff ff ff ff ff 1f 00");
  EXPECT_EQ(one(0x9e, 0x10), "00 03 00 10 9e 10 00 00 00 00 00 00 00 00 ff ff ff ff 00 00");
  EXPECT_EQ(one(0x5e, 0x02), "00 03 00 0a 5e 02 00 00 00 00 00 ff ff 00");
  EXPECT_EQ(one(0xa3, 0x0c), "00 03 00 0c a3 0c 87 ff ff ff ff ff ff ff 00 00");
}

TEST(SupportedOpcodes, OneCommandWithTimeouts) {
  const auto bytes = report({.timeouts = true, .options = Options::one_opcode, .opcode = 0x00});
  EXPECT_EQ(wire::hex(bytes), "00 83 00 06 00 00 00 00 00 00 00 0a 00 00 00 00 00 00 00 00 00 00");
}

TEST(SupportedOpcodes, WhatIsNotServedIsToldAsThat) {
  EXPECT_EQ(one(0x48), "00 01 00 00");
  EXPECT_EQ(one(0x48, 0, Options::one_opcode), "00 01 00 00");
  EXPECT_EQ(one(0x48, 1, Options::one_service_action), "00 01 00 00");
  EXPECT_EQ(one(0x9e, 0x1f), "00 01 00 00");
  EXPECT_EQ(one(0x9e, 0x110), "00 01 00 00") << "only 8 bits would have matched";
  EXPECT_EQ(one(0x28, 1), "00 01 00 00") << "it has no service actions";
  EXPECT_EQ(one(0x42, 0, Options::one_opcode, {.unmap = false}), "00 01 00 00");
  EXPECT_EQ(one(0x83, 0, Options::one_opcode, {.copy = false}), "00 01 00 00");
}

TEST(SupportedOpcodes, AskedForInTheWrongWay) {
  EXPECT_EQ(opcode_refusal(0x9e, 0x10, Options::one_opcode), sense::invalid_cdb(2, 2));
  EXPECT_EQ(opcode_refusal(0x28, 0, Options::one_service_action), sense::invalid_cdb(2, 2));
}

TEST(SupportedOpcodes, AllIsTheTable) {
  for (const UnitFeatures features :
       {UnitFeatures{}, UnitFeatures{.unmap = false, .write_atomic = false, .copy = false}}) {
    for (const bool timeouts : {false, true}) {
      const auto bytes = report({.timeouts = timeouts}, features, max_supported_opcodes_bytes);
      ASSERT_EQ(number(bytes, 0, 4), bytes.size() - 4) << "all of it fits";
      std::size_t at = 4;
      for (const auto& row : command_table()) {
        if (!is_offered(row, features)) continue;
        ASSERT_LE(at + 8, bytes.size());
        EXPECT_EQ(number(bytes, at, 1), row.opcode);
        EXPECT_EQ(number(bytes, at + 2, 2), row.has_service_action() ? row.service_action : 0u);
        EXPECT_EQ(number(bytes, at + 5, 1),
                  (timeouts ? 2u : 0u) | (row.has_service_action() ? 1u : 0u));
        EXPECT_EQ(number(bytes, at + 6, 2), row.cdb_bytes);
        at += 8;
        if (timeouts) {
          EXPECT_EQ(number(bytes, at, 2), 10u);
          at += 12;
        }
      }
      EXPECT_EQ(at, bytes.size());
    }
  }
}

TEST(SupportedOpcodes, IsCutAtEveryLength) {
  EXPECT_TRUE(is_cut_cleanly(
      [](Answer& answer) { (void)put_supported_opcodes(answer, {.timeouts = true}, {}); }));
}

TEST(SupportedTaskManagement, Golden) {
  const auto put = [](bool extended) {
    return shown(
        [&](Answer& answer) { put_supported_task_management(answer, {.extended = extended}); });
  };
  EXPECT_EQ(put(false), "da 00 00 00");
  EXPECT_EQ(put(true), "da 00 00 0c 00 00 00 00 00 00 00 00 00 00 00 00");
}

}  // namespace
}  // namespace protocol::scsi
