// smartctl's JSON, as its manual and its output document it, whole, cut off and wild.
#include "target/smart_report.h"

#include <gtest/gtest.h>

#include <string>

namespace target {
namespace {

using Verdict = SmartReport::Verdict;

const std::string ata = R"({
  "json_format_version": [1, 0],
  "smartctl": {"version": [7, 3], "argv": ["smartctl", "--json", "-H", "-A", "/dev/sda"],
               "exit_status": 0},
  "device": {"name": "/dev/sda", "type": "sat", "protocol": "ATA"},
  "smart_status": {"passed": true},
  "ata_smart_attributes": {"revision": 10, "table": [
    {"id": 1, "name": "Raw_Read_Error_Rate", "value": 83, "worst": 64, "thresh": 44,
     "raw": {"value": 200797200, "string": "200797200"}},
    {"id": 5, "name": "Reallocated_Sector_Ct", "value": 100, "worst": 100, "thresh": 10,
     "raw": {"value": 16, "string": "16"}},
    {"id": 197, "name": "Current_Pending_Sector", "value": 100, "worst": 100, "thresh": 0,
     "raw": {"value": 2, "string": "2"}}]},
  "power_on_time": {"hours": 31872},
  "temperature": {"current": 36}
})";

const std::string nvme = R"({
  "smartctl": {"version": [7, 3], "exit_status": 0},
  "device": {"name": "/dev/nvme0", "type": "nvme", "protocol": "NVMe"},
  "smart_status": {"passed": true, "nvme": {"value": 0}},
  "nvme_smart_health_information_log": {"critical_warning": 0, "temperature": 41,
    "available_spare": 100, "percentage_used": 104, "media_errors": 0, "power_on_hours": 5120},
  "temperature": {"current": 41},
  "power_on_time": {"hours": 5120}
})";

const std::string cannot_be_opened = R"({
  "smartctl": {"version": [7, 3], "exit_status": 1, "messages": [
    {"string": "/dev/vda: Unable to detect \"device\" type", "severity": "error"}]}
})";

TEST(SmartReport, OfAnAtaDisk) {
  const SmartReport report = smart_report_of(ata, 0);
  EXPECT_EQ(report, (SmartReport{.verdict = Verdict::passed,
                                 .temperature_celsius = 36,
                                 .power_on_hours = 31872,
                                 .reallocated_sectors = 16,
                                 .pending_sectors = 2}));
}

TEST(SmartReport, OfAnNvmeDisk) {
  const SmartReport report = smart_report_of(nvme, 0);
  EXPECT_EQ(report, (SmartReport{.verdict = Verdict::passed,
                                 .temperature_celsius = 41,
                                 .power_on_hours = 5120,
                                 .percentage_used = 104,
                                 .spare_percent = 100}));
}

TEST(SmartReport, OneThatFailsSaysSoInEitherPlace) {
  EXPECT_EQ(smart_report_of(R"({"smart_status": {"passed": false}})", 8).verdict, Verdict::failed);
  EXPECT_EQ(smart_report_of(R"({"smart_status": {"passed": false}})", 0).verdict, Verdict::failed);
  EXPECT_EQ(smart_report_of(ata, 8).verdict, Verdict::failed);
  EXPECT_EQ(smart_report_of(R"({})", 8).verdict, Verdict::failed);
  // The other bits are of attributes and logs, or of what could not be asked.
  for (const int bits : {1, 2, 4, 16, 32, 64, 128}) {
    EXPECT_EQ(smart_report_of(ata, bits).verdict, Verdict::passed) << bits;
    EXPECT_EQ(smart_report_of("{}", bits).verdict, Verdict::unavailable) << bits;
  }
}

TEST(SmartReport, ADiskWithoutIsUnavailableAndNoError) {
  const SmartReport report = smart_report_of(cannot_be_opened, 1);
  EXPECT_EQ(report.verdict, Verdict::unavailable);
  EXPECT_EQ(report.why, "/dev/vda: Unable to detect ?device? type");
  EXPECT_EQ(smart_report_of("{}", 4).why, "the disk does not tell");
}

// Nothing of what is cut off is believed, and nothing crashes.
TEST(SmartReport, CutOffAnywhereItIsNoReport) {
  for (const std::string& whole : {ata, nvme, cannot_be_opened}) {
    for (std::size_t length = 0; length < whole.size() - 1; ++length) {
      const SmartReport report = smart_report_of(std::string_view(whole).substr(0, length), 0);
      ASSERT_EQ(report.verdict, Verdict::unavailable) << length;
      ASSERT_EQ(report.why, "what smartctl has answered is no report") << length;
    }
  }
  EXPECT_EQ(smart_report_of(std::string(100'000, '['), 0).verdict, Verdict::unavailable);
  EXPECT_EQ(smart_report_of("\xff\xfe", 0).verdict, Verdict::unavailable);
}

TEST(SmartReport, WildValuesAreNotTold) {
  const auto with = [](const std::string& more) {
    return smart_report_of(R"({"smart_status": {"passed": true}, )" + more + "}", 0);
  };
  const SmartReport bare{.verdict = Verdict::passed};
  for (const char* const wild :
       {R"("temperature": {"current": 100000})", R"("temperature": {"current": -200})",
        R"("temperature": {"current": "36"})", R"("temperature": {"current": 36.5})",
        R"("temperature": 36)", R"("temperature": {"current": 18446744073709551615})",
        R"("power_on_time": {"hours": -1})", R"("power_on_time": {"hours": null})",
        R"("power_on_time": [7])", R"("power_on_time": {"hours": 1e300})",
        R"("ata_smart_attributes": {"table": {"id": 5}})", R"("ata_smart_attributes": [])",
        R"("ata_smart_attributes": {"table": [5, null, {"id": "5", "raw": {"value": 1}}]})",
        R"("ata_smart_attributes": {"table": [{"id": 5, "raw": 7}]})",
        R"("nvme_smart_health_information_log": {"percentage_used": "3"})",
        R"("nvme_smart_health_information_log": null)", R"("scsi_grown_defect_list": [])"}) {
    EXPECT_EQ(with(wild), bare) << wild;
  }
  EXPECT_EQ(with(R"("scsi_grown_defect_list": 9)").reallocated_sectors, 9U);
  EXPECT_EQ(with(R"("power_on_time": {"hours": 18446744073709551615})").power_on_hours,
            18446744073709551615U);
  for (const char* const status : {R"("yes")", "1", "null", "{}", "[true]"}) {
    const std::string text = std::string(R"({"smart_status": {"passed": )") + status + "}}";
    EXPECT_EQ(smart_report_of(text, 0).verdict, Verdict::unavailable) << status;
  }
  for (const char* const messages : {"7", "[]", "[7]", R"([{"string": 7}])", R"([{}])"}) {
    const std::string text = std::string(R"({"smartctl": {"messages": )") + messages + "}}";
    EXPECT_EQ(smart_report_of(text, 0).why, "the disk does not tell") << messages;
  }
  const std::string long_one =
      R"({"smartctl": {"messages": [{"string": ")" + std::string(5000, 'x') + R"("}]}})";
  EXPECT_EQ(smart_report_of(long_one, 0).why.size(), 200U);
}

}  // namespace
}  // namespace target
