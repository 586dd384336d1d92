#include "protocol/scsi/report_luns.h"

#include <gtest/gtest.h>

#include "tests/protocol/scsi/bytes.h"

namespace protocol::scsi {
namespace {

const std::array units{Lun::of_unit(0), Lun::of_unit(255), Lun::of_unit(256)};

std::string luns_hex(ReportLuns::Select select, std::size_t room = 4096) {
  return shown([&](Answer& answer) { put_report_luns(answer, select, units); }, room);
}

TEST(ReportLuns, Golden) {
  const std::string three =
      " 00 00 00 00 00 00 00 00 00 ff 00 00 00 00 00 00 41 00 00 00 00 00 00 00";
  const std::string well_known = " c1 01 00 00 00 00 00 00";
  EXPECT_EQ(luns_hex(ReportLuns::Select::addressable), "00 00 00 18 00 00 00 00" + three);
  EXPECT_EQ(luns_hex(ReportLuns::Select::well_known), "00 00 00 08 00 00 00 00" + well_known);
  EXPECT_EQ(luns_hex(ReportLuns::Select::all), "00 00 00 20 00 00 00 00" + three + well_known);
}

TEST(ReportLuns, ThereAreNoAdministrativeUnits) {
  for (const auto select :
       {ReportLuns::Select::administrative, ReportLuns::Select::administrative_all,
        ReportLuns::Select::subsidiary}) {
    EXPECT_EQ(luns_hex(select), "00 00 00 00 00 00 00 00");
  }
}

TEST(ReportLuns, TheLengthSaysTheWholeListHoweverLittleIsTaken) {
  EXPECT_EQ(luns_hex(ReportLuns::Select::addressable, 8), "00 00 00 18 00 00 00 00");
  EXPECT_TRUE(is_cut_cleanly(
      [](Answer& answer) { put_report_luns(answer, ReportLuns::Select::all, units); }));
}

}  // namespace
}  // namespace protocol::scsi
