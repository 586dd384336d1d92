#include "protocol/scsi/capacity.h"

#include <gtest/gtest.h>

#include "tests/protocol/scsi/bytes.h"

namespace protocol::scsi {
namespace {

std::string ten(const Capacity& capacity) {
  return shown([&](Answer& answer) { put_read_capacity10(answer, capacity); });
}
std::string sixteen(const Capacity& capacity) {
  return shown([&](Answer& answer) { put_read_capacity16(answer, capacity); });
}
const std::string sixteen_zeros = " 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00";

TEST(ReadCapacity, TheLastBlockIsShownNotTheCount) {
  const Capacity small{.size = {0x10000}, .block_size = {512}};
  EXPECT_EQ(ten(small), "00 00 ff ff 00 00 02 00");
  EXPECT_EQ(sixteen(small), "00 00 00 00 00 00 ff ff 00 00 02 00 00 03 c0 00" + sixteen_zeros);
}

TEST(ReadCapacity, BeyondThirtyTwoBitsTheHostIsSentToTheLongForm) {
  EXPECT_EQ(ten({.size = {0xffff'ffff}, .block_size = {512}}), "ff ff ff fe 00 00 02 00");
  EXPECT_EQ(ten({.size = {0x1'0000'0000}, .block_size = {512}}), "ff ff ff ff 00 00 02 00");
  EXPECT_EQ(ten({.size = {0x20'0000'0000}, .block_size = {4096}}), "ff ff ff ff 00 00 10 00");
  EXPECT_EQ(sixteen({.size = {0x20'0000'0000}, .block_size = {4096}}),
            "00 00 00 1f ff ff ff ff 00 00 10 00 00 00 c0 00" + sixteen_zeros);
}

TEST(ReadCapacity, ProvisioningAndAlignment) {
  const Capacity thick{.size = {1},
                       .block_size = {512},
                       .physical_block_bytes = 512,
                       .lowest_aligned = {7},
                       .unmap = false};
  EXPECT_EQ(sixteen(thick), "00 00 00 00 00 00 00 00 00 00 02 00 00 00 00 07" + sixteen_zeros);
  const Capacity undefined{
      .size = {1}, .block_size = {4096}, .unmap = true, .unmapped_reads_zero = false};
  EXPECT_EQ(sixteen(undefined), "00 00 00 00 00 00 00 00 00 00 10 00 00 00 80 00" + sixteen_zeros);
}

TEST(ReadCapacity, IsCutAtEveryLength) {
  EXPECT_TRUE(is_cut_cleanly(
      [](Answer& answer) { put_read_capacity16(answer, {.size = {77}, .block_size = {512}}); }));
}

}  // namespace
}  // namespace protocol::scsi
