// What a controller tells its host of the daemon and of the disks behind it; of namespaces,
// controller_test.cpp.
#include <gtest/gtest.h>

#include "tests/target/nvmf/target_harness.h"

namespace target::nvmf {
namespace {

using nvme::FeatureId;

class ControllerEventsTest : public TargetHarness {
 protected:
  static nvme::SubmissionEntry event_request() {
    return entry_of(nvme::AdminOpcode::async_event_request);
  }
};

TEST_F(ControllerEventsTest, ABackingThatFailsIsAWarningToWhoSeesItsVolume) {
  auto sees = admin({.host = host_1});
  auto blind = admin({.host = host_2});
  for (auto* made : {sees.get(), blind.get()}) {
    made->must(set_feature(FeatureId::async_event_configuration, 0x04));
    made->run(event_request());
  }
  const auto warning_of = [](Link& made) {
    return static_cast<int>(made.must(log_entry(0x02, 512)).data.at(0));
  };
  masked.now_state = engine::VolumeState::degraded;
  target.refresh_volumes();
  reactor.run_until_idle();
  ASSERT_NE(sees->port.answer_to(sees->last_command()), nullptr);
  EXPECT_EQ(sees->port.answer_to(sees->last_command())->result, 0x0002'0001U);
  EXPECT_EQ(blind->port.answer_to(blind->last_command()), nullptr);
  EXPECT_EQ(warning_of(*sees), 4);
  EXPECT_EQ(warning_of(*blind), 0);

  masked.now_state = engine::VolumeState::online;
  target.refresh_volumes();
  reactor.run_until_idle();
  EXPECT_EQ(warning_of(*sees), 0);
  EXPECT_EQ(sees->run(event_request()), nullptr) << "that it is well again is no warning";
}

TEST_F(ControllerEventsTest, AnOrderlyStopIsToldToWhoAskedForIt) {
  auto asked = admin();
  auto second = admin({.host = host_2});
  asked->must(set_feature(FeatureId::async_event_configuration, 1U << 15));
  for (auto* made : {asked.get(), second.get()}) made->run(event_request());
  target.end_associations(EndReason::stopping);
  reactor.run_until_idle();
  ASSERT_NE(asked->port.answer_to(asked->last_command()), nullptr);
  EXPECT_EQ(asked->port.answer_to(asked->last_command())->result, 3U);
  EXPECT_EQ(second->port.answer_to(second->last_command()), nullptr);
  EXPECT_TRUE(asked->ended() && second->ended());
}

}  // namespace
}  // namespace target::nvmf
