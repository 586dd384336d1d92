// What each key of a volume's limits may be.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/config/complaints.h"

namespace config {
namespace {

using testing::ElementsAre;

// `qos` stands in line 5 from column 37 on.
ParseOutcome parsed(const std::string& qos) {
  return parse_text(std::string(heading) +
                        "pools: {p: {kind: file, directory: /p}}\nvolumes:\n"
                        "  v: {pool: p, size: 1GiB, qos: " +
                        qos + "}\n",
                    "f.yaml");
}

std::vector<std::string> complaints_about_qos(const std::string& qos) {
  std::vector<std::string> lines;
  for (const Message& message : parsed(qos).messages) lines.push_back(format(message));
  return lines;
}

TEST(Build, EachLimitOfAVolumeIsTaken) {
  const ParseOutcome outcome = parsed(
      "{read_iops: 10, write_iops: 20, iops: 25, read_bandwidth: 1MiB/s, write_bandwidth: "
      "2MB/s, bandwidth: 2.5MiB/s, burst: 10s}");
  EXPECT_TRUE(outcome.messages.empty());
  ASSERT_TRUE(outcome.config.has_value());
  const VolumeQos& qos = outcome.config->volumes.at("v").qos;
  EXPECT_EQ(qos.read_iops, 10U);
  EXPECT_EQ(qos.write_iops, 20U);
  EXPECT_EQ(qos.iops, 25U);
  EXPECT_EQ(qos.read_bandwidth, 1_MiB);
  EXPECT_EQ(qos.write_bandwidth.value, 2'000'000U);
  EXPECT_EQ(qos.bandwidth.value, (5U << 20) / 2);
  EXPECT_EQ(qos.burst, std::chrono::seconds(10));
}

TEST(Build, AVolumeWithoutLimitsHasNone) {
  const ParseOutcome outcome = parse_text(std::string(heading) +
                                              "pools: {p: {kind: memory}}\nvolumes:\n"
                                              "  v: {pool: p, size: 1GiB}\n",
                                          "f.yaml");
  ASSERT_TRUE(outcome.config.has_value());
  const VolumeQos& qos = outcome.config->volumes.at("v").qos;
  EXPECT_EQ(qos.read_iops + qos.write_iops + qos.iops, 0U);
  EXPECT_EQ((qos.read_bandwidth + qos.write_bandwidth + qos.bandwidth).value, 0U);
  EXPECT_EQ(qos.burst, std::chrono::milliseconds(100));
}

TEST(Build, LimitsOfVolumesAreToldTheirLimits) {
  EXPECT_THAT(
      complaints_about_qos("{iops: 9, read_iops: 10000001, bandwidth: 1023KiB/s, "
                           "read_bandwidth: 65GiB/s, burst: 99ms}"),
      ElementsAre("f.yaml:5:40: volumes.v.qos.iops: \"9\" is not a whole number from 10 to "
                  "10000000.",
                  "f.yaml:5:54: volumes.v.qos.read_iops: \"10000001\" is not a whole number from "
                  "10 to 10000000.",
                  "f.yaml:5:75: volumes.v.qos.bandwidth: 1023KiB/s is outside 1MiB/s to 64GiB/s.",
                  "f.yaml:5:102: volumes.v.qos.read_bandwidth: 65GiB/s is outside 1MiB/s to "
                  "64GiB/s.",
                  "f.yaml:5:118: volumes.v.qos.burst: 99ms is outside 100ms to 1h."));
  EXPECT_THAT(complaints_about_qos("{write_bandwidth: 200MiB}"),
              ElementsAre("f.yaml:5:51: volumes.v.qos.write_bandwidth: unknown unit \"MiB\"; did "
                          "you mean 200MiB/s? (KiB/s MiB/s GiB/s TiB/s, or KB/s MB/s GB/s TB/s)"));
  EXPECT_THAT(complaints_about_qos("{write_ios: 100}"),
              ElementsAre("f.yaml:5:34: volumes.v.qos.write_ios: unknown key; did you mean "
                          "\"write_iops\"?"));
}

TEST(Build, LimitsThatLimitNothingAreRefused) {
  const std::string nothing =
      "f.yaml:5:28: volumes.v.qos: limits nothing; add write_iops: 20000 or bandwidth: 200MiB/s, "
      "for example, or remove it.";
  EXPECT_THAT(complaints_about_qos("{}"), ElementsAre(nothing));
  EXPECT_THAT(complaints_about_qos("{burst: 10s}"), ElementsAre(nothing));
}

// A warning: the volume is served all the same.
TEST(Build, ALimitThatIsNeverReachedIsPointedOut) {
  const std::string what_to_do = " is not higher; lower or remove one of them.";
  EXPECT_THAT(complaints_about_qos("{write_iops: 100, iops: 100}"),
              ElementsAre("f.yaml:5:34: warning: volumes.v.qos.write_iops: is never reached, since "
                          "iops" +
                          what_to_do));
  EXPECT_THAT(complaints_about_qos("{read_bandwidth: 2MiB/s, bandwidth: 1MiB/s}"),
              ElementsAre("f.yaml:5:34: warning: volumes.v.qos.read_bandwidth: is never reached, "
                          "since bandwidth" +
                          what_to_do));
  EXPECT_TRUE(parsed("{write_iops: 100, iops: 100}").config.has_value());
}

// `overload` stands in line 5 from column 43 on.
TEST(Build, TheStepsOfAnOverloadAreTaken) {
  const auto parsed_with = [](const std::string& overload) {
    return parse_text(std::string(heading) +
                          "pools: {p: {kind: file, directory: /p}}\nvolumes:\n"
                          "  v: {pool: p, size: 1GiB" +
                          overload + "}\n",
                      "f.yaml");
  };
  const auto messages = [&](const std::string& overload) {
    std::vector<std::string> lines;
    for (const Message& message : parsed_with(", overload: " + overload).messages) {
      lines.push_back(format(message));
    }
    return lines;
  };
  const VolumeOverload usual = parsed_with("").config.value().volumes.at("v").overload;
  EXPECT_EQ(usual.hold, std::chrono::seconds(10));
  EXPECT_EQ(usual.retries, 3U);
  EXPECT_EQ(usual.inaccessible_after, std::chrono::seconds(25));
  EXPECT_EQ(usual.recovery, std::chrono::seconds(5));
  const auto outcome =
      parsed_with(", overload: {hold: 2s, retries: 0, inaccessible_after: 2s, recovery: 100ms}");
  const VolumeOverload made = outcome.config.value().volumes.at("v").overload;
  EXPECT_EQ(made.hold, std::chrono::seconds(2));
  EXPECT_EQ(made.retries, 0U);
  EXPECT_EQ(made.inaccessible_after, std::chrono::seconds(2));
  EXPECT_EQ(made.recovery, std::chrono::milliseconds(100));
  ASSERT_EQ(messages("{hold: 20s, inaccessible_after: 19s}").size(), 1U);
  EXPECT_THAT(messages("{hold: 20s, inaccessible_after: 19s}")[0],
              testing::HasSubstr("volumes.v.overload.inaccessible_after: is below hold"));
  EXPECT_THAT(messages("{inaccessible_after: 29s}")[0],
              testing::HasSubstr("is longer than a Linux host waits for a command (30 s)"));
  EXPECT_THAT(messages("{retries: 5}")[0], testing::HasSubstr("is not a whole number from 0 to 4"));
}

}  // namespace
}  // namespace config
