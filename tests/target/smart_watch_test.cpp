// Disks are asked by a program, here one of the test's own, and what they say is found again.
#include "target/smart_watch.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "tests/engine/test_directory.h"

namespace target {
namespace {

using namespace std::chrono_literals;
using Verdict = SmartReport::Verdict;

class SmartWatchTest : public testing::Test {
 protected:
  // Says of /dev/bad that it fails, and notes down whom it was asked for.
  std::string program() const {
    const std::string path = place.path() + "/smartctl";
    std::ofstream(path) << "#!/bin/sh\necho \"$@\" >> " << place.path() << "/asked\n"
                        << "case $4 in\n"
                        << "/dev/bad) echo '{\"smart_status\": {\"passed\": false}}'; exit 8;;\n"
                        << "*) echo '{\"smart_status\": {\"passed\": true}}';;\nesac\n";
    std::filesystem::permissions(path, std::filesystem::perms::owner_all);
    return path;
  }
  static engine::PoolStatus pool(const std::string& name, const std::vector<std::string>& devices) {
    engine::PoolStatus status;
    status.name = name;
    for (const std::string& device : devices) {
      status.disks.push_back({.disk = {.path = device, .whole_device = device}, .counts = {}});
    }
    return status;
  }
  const engine::TestDirectory place{"smart-watch-test"};
  std::vector<engine::PoolStatus> pools{pool("fast", {"/dev/good", "/dev/bad"}),
                                        pool("bulk", {"/dev/good", ""})};
};

TEST_F(SmartWatchTest, EachDiskIsAskedOnceAndOneThatFailsIsATrouble) {
  const SmartWatch watch([this] { return pools; }, program());
  ASSERT_TRUE(watch.await_all(120s));
  EXPECT_EQ(watch.report_of("/dev/good").verdict, Verdict::passed);
  EXPECT_EQ(watch.report_of("/dev/bad").verdict, Verdict::failed);
  EXPECT_EQ(watch.report_of("").why, "no disk is known beneath it");
  EXPECT_EQ(watch.report_of("/dev/other").why, "it has not been asked yet");
  std::ifstream asked(place.path() + "/asked");
  const std::string all((std::istreambuf_iterator<char>(asked)), {});
  EXPECT_EQ(all, "--json -H -A /dev/bad\n--json -H -A /dev/good\n");

  const auto findings = watch.findings(pools);
  ASSERT_EQ(findings.size(), 1U);
  EXPECT_EQ(findings[0].about, engine::Finding::About::pool_disk);
  EXPECT_EQ(findings[0].name, "fast");
  EXPECT_EQ(findings[0].text,
            "/dev/bad says by SMART that it is failing: replace it before it is too late");
  auto told = pools;
  watch.add_troubles(told);
  EXPECT_TRUE(told[0].disks[0].troubles.empty());
  EXPECT_EQ(told[0].disks[1].troubles.size(), 1U);
  EXPECT_TRUE(told[1].disks[0].troubles.empty());
}

TEST_F(SmartWatchTest, WithoutTheProgramNothingIsKnownAndNothingIsWrong) {
  const SmartWatch watch([this] { return pools; }, "/no/such/smartctl");
  ASSERT_TRUE(watch.await_all(120s));
  EXPECT_EQ(watch.report_of("/dev/bad").verdict, Verdict::unavailable);
  EXPECT_EQ(watch.report_of("/dev/bad").why,
            "/no/such/smartctl is not installed, or has not answered");
  EXPECT_TRUE(watch.findings(pools).empty());
}

TEST_F(SmartWatchTest, EndsWhileADiskIsBeingAsked) {
  const std::string path = place.path() + "/slow";
  std::ofstream(path) << "#!/bin/sh\nexec sleep 1000\n";
  std::filesystem::permissions(path, std::filesystem::perms::owner_all);
  const SmartWatch watch([this] { return pools; }, path);
  EXPECT_FALSE(watch.await_all(50ms));
}

}  // namespace
}  // namespace target
