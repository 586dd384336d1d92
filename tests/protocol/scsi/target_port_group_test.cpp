#include "protocol/scsi/target_port_group.h"

#include <gtest/gtest.h>

#include "tests/protocol/scsi/bytes.h"

namespace protocol::scsi {
namespace {

const std::array<std::uint16_t, 2> ports{1, 0x1234};
const std::array groups{
    TargetPortGroup{.group = 0x0102, .status_code = 2, .relative_target_ports = ports},
    TargetPortGroup{.group = 7,
                    .state = AccessState::unavailable,
                    .preferred = true,
                    .relative_target_ports = {}}};

void put_short(Answer& answer) { put_target_port_groups(answer, {}, groups); }

Parsed<SetTargetPortGroupsList> parse_groups(std::string_view hex_text) {
  return parse_set_target_port_groups(wire::bytes_from_hex(hex_text));
}

TEST(TargetPortGroups, Golden) {
  const std::string descriptors =
      " 00 8b 01 02 00 02 00 02 00 00 00 01 00 00 12 34"
      " 83 8b 00 07 00 00 00 00";
  EXPECT_EQ(shown(put_short), "00 00 00 18" + descriptors);
  EXPECT_EQ(shown([](Answer& answer) {
              put_target_port_groups(answer, {.extended_header = true}, groups);
            }),
            "00 00 00 1c 10 00 00 00" + descriptors);
  EXPECT_TRUE(is_cut_cleanly(put_short));
}

TEST(TargetPortGroups, NoMorePortsThanTheCountCanSay) {
  const std::vector<std::uint16_t> many(300, 9);
  const std::array group{TargetPortGroup{.group = 1, .relative_target_ports = many}};
  const auto bytes = written([&](Answer& answer) { put_target_port_groups(answer, {}, group); });
  EXPECT_EQ(bytes.size(), 4u + 8u + 255u * 4u);
  EXPECT_EQ(bytes[11], std::byte{255});
}

TEST(SetTargetPortGroups, Golden) {
  const auto list = parse_groups("00 00 00 00 00 00 01 02 f3 00 00 07").value();
  ASSERT_EQ(list.count, 2);
  EXPECT_EQ(list.entries[0].group, 0x0102);
  EXPECT_EQ(list.entries[0].state, AccessState::active_optimized);
  EXPECT_EQ(list.entries[1].group, 7);
  EXPECT_EQ(list.entries[1].state, AccessState::unavailable);
}

TEST(SetTargetPortGroups, NothingToDoIsNoError) {
  EXPECT_EQ(parse_groups("").value().count, 0);
  EXPECT_EQ(parse_groups("00 00 00 00").value().count, 0);
}

TEST(SetTargetPortGroups, OnlyStatesThatCanBeAskedFor) {
  for (unsigned state = 0; state < 16; ++state) {
    std::vector<std::byte> bytes(8);
    bytes[4] = static_cast<std::byte>(state);
    const auto list = parse_set_target_port_groups(bytes);
    if (state <= 3 || state == 0xe) {
      EXPECT_TRUE(list) << state;
    } else {
      EXPECT_EQ(refusal(list), sense::invalid_list(4, 3)) << state;
    }
  }
}

TEST(SetTargetPortGroups, TruncatedAndTooLong) {
  for (std::size_t length = 1; length < 12; ++length) {
    if (length % 4 == 0) continue;
    EXPECT_EQ(refusal(parse_set_target_port_groups(std::vector<std::byte>(length))),
              sense::parameter_list_length_error);
  }
  EXPECT_TRUE(
      parse_set_target_port_groups(std::vector<std::byte>(max_set_target_port_groups_bytes)));
  EXPECT_EQ(refusal(parse_set_target_port_groups(
                std::vector<std::byte>(max_set_target_port_groups_bytes + 4))),
            sense::invalid_list(max_set_target_port_groups_bytes));
}

}  // namespace
}  // namespace protocol::scsi
