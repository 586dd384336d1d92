#include "protocol/nvme/lba_status.h"

#include <gtest/gtest.h>

#include "tests/protocol/nvme/page_bytes.h"

namespace protocol::nvme {
namespace {

PageBytes built(const std::vector<BlockRange>& ranges, std::uint64_t bytes) {
  return PageBytes(build_lba_status(ranges, bytes));
}

TEST(LbaStatusOfNvme, Golden) {
  const std::vector<BlockRange> ranges{{{0x1'0000'0002}, {7}}, {{0x2'0000'0000}, {1}}};
  const auto page = built(ranges, 4096);
  ASSERT_EQ(page.size(), 40U);
  EXPECT_EQ(page.number(0, 4), 2U) << "NLSD";
  EXPECT_EQ(page.number(4, 1), 2U) << "CMPC: all of it";
  EXPECT_EQ(page.number(8, 8), 0x1'0000'0002U);
  EXPECT_EQ(page.number(16, 4), 7U);
  EXPECT_EQ(page.number(20, 4), 0U);
  EXPECT_EQ(page.number(24, 8), 0x2'0000'0000U);
  EXPECT_EQ(page.number(32, 4), 1U);
}

TEST(LbaStatusOfNvme, SaysThatThereIsMoreThanThereIsRoomFor) {
  const std::vector<BlockRange> ranges{{{1}, {1}}, {{3}, {1}}, {{5}, {1}}};
  for (const auto& [bytes, descriptors] : {std::pair{8U, 0U}, {23U, 0U}, {24U, 1U}, {55U, 2U}}) {
    const auto page = built(ranges, bytes);
    EXPECT_EQ(page.number(0, 4), descriptors) << bytes;
    EXPECT_EQ(page.number(4, 1), 1U) << bytes;
    EXPECT_EQ(page.size(), 8U + 16 * descriptors);
  }
  EXPECT_EQ(built(ranges, 56).number(4, 1), 2U);
  EXPECT_EQ(built(ranges, 4).size(), 4U) << "never longer than asked for";
}

TEST(LbaStatusOfNvme, ALongRangeTakesSeveralDescriptors) {
  const auto page = built({{{5}, {0x1'0000'0001}}}, 4096);
  EXPECT_EQ(page.number(0, 4), 2U);
  EXPECT_EQ(page.number(8, 8), 5U);
  EXPECT_EQ(page.number(16, 4), 0xffff'ffffU);
  EXPECT_EQ(page.number(24, 8), 0x1'0000'0004U);
  EXPECT_EQ(page.number(32, 4), 2U);
}

}  // namespace
}  // namespace protocol::nvme
