#include "protocol/scsi/defect_list.h"

#include <gtest/gtest.h>

#include "tests/protocol/scsi/bytes.h"

namespace protocol::scsi {
namespace {

TEST(DefectList, IsEmptyAndSaysWhichWasAskedFor) {
  EXPECT_EQ(shown([](Answer& answer) {
              put_empty_defect_list(answer, {.primary_list = true, .format = 3});
            }),
            "00 13 00 00");
  EXPECT_EQ(shown([](Answer& answer) {
              put_empty_defect_list(answer,
                                    {.twelve_byte_cdb = true, .grown_list = true, .format = 5});
            }),
            "00 0d 00 00 00 00 00 00");
}

}  // namespace
}  // namespace protocol::scsi
