#include "protocol/scsi/lba_status.h"

#include <gtest/gtest.h>

#include "tests/protocol/scsi/bytes.h"

namespace protocol::scsi {
namespace {

TEST(LbaStatus, Golden) {
  const std::array ranges{
      LbaStatus{.blocks = {{0x1'0000'0001}, {7}}, .status = ProvisioningStatus::mapped},
      LbaStatus{.blocks = {{0x1'0000'0008}, {0x1'0000'0000}},
                .status = ProvisioningStatus::deallocated}};
  const auto put = [&](Answer& answer) { put_lba_status(answer, ranges); };
  EXPECT_EQ(shown(put),
            "00 00 00 24 00 00 00 00 "
            "00 00 00 01 00 00 00 01 00 00 00 07 00 00 00 00 "
            "00 00 00 01 00 00 00 08 ff ff ff ff 01 00 00 00");
  EXPECT_TRUE(is_cut_cleanly(put));
}

TEST(LbaStatus, RoomIsForAtLeastOne) {
  EXPECT_EQ(lba_status_room(0), 1u);
  EXPECT_EQ(lba_status_room(23), 1u);
  EXPECT_EQ(lba_status_room(24), 1u);
  EXPECT_EQ(lba_status_room(39), 1u);
  EXPECT_EQ(lba_status_room(40), 2u);
}

}  // namespace
}  // namespace protocol::scsi
