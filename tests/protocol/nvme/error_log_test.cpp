#include "protocol/nvme/error_log.h"

#include <gtest/gtest.h>

#include "tests/protocol/nvme/page_bytes.h"

namespace protocol::nvme {
namespace {

TEST(ErrorLog, GoldenEntry) {
  const PageBytes entry(build_error_log_entry({.count = 0x1122,
                                               .queue_id = 3,
                                               .command_id = 0xbeef,
                                               .status = status::lba_out_of_range.with_more(),
                                               .location = at_dword(10),
                                               .first_bad_block = {0x12'3456'789a},
                                               .nsid = {9},
                                               .opcode = 0x02}));
  ASSERT_EQ(entry.size(), 64u);
  EXPECT_EQ(entry.number(0, 8), 0x1122u);
  EXPECT_EQ(entry.number(8, 2), 3u);
  EXPECT_EQ(entry.number(10, 2), 0xbeefu);
  EXPECT_EQ(entry.number(12, 2), 0xc100u);
  EXPECT_EQ(entry.number(14, 2), 40u);
  EXPECT_EQ(entry.number(16, 8), 0x12'3456'789au);
  EXPECT_EQ(entry.number(24, 4), 9u);
  EXPECT_EQ(entry.number(28, 4), 0x0200'0300u) << "TRTYPE TCP, CSI NVM, opcode";
  EXPECT_TRUE(entry.is_zero(32, 63));
  EXPECT_EQ(entry.number(63, 1), 1u);
}

TEST(ErrorLog, ErrorsWithoutAPlaceSaySo) {
  EXPECT_EQ(PageBytes(build_error_log_entry({.count = 1})).number(14, 2), 0xffffu);
}

TEST(ErrorLog, LocationsAreByteAndBit) {
  EXPECT_EQ(at_byte(1, 6).value, 0x0601);
  EXPECT_EQ(at_dword(12, 30).value, 0x0633);
  EXPECT_EQ(at_dword(11, 16).value, 0x002e);
  EXPECT_EQ(ParameterLocation{}.value, 0xffff);
}

}  // namespace
}  // namespace protocol::nvme
