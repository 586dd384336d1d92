// One volume by two listeners, and what the operator says of one of them (docs/multipath.md).
#include <gtest/gtest.h>

#include "tests/end_to_end/harness/daemon.h"
#include "tests/end_to_end/harness/host.h"
#include "tests/end_to_end/harness/initiator.h"

namespace end_to_end {
namespace {

constexpr std::uint32_t path_block = 4096;
constexpr std::uint16_t path_inaccessible = 0x302;

class Ana : public testing::Test {
 protected:
  static ConfigText config() {
    ConfigText config = memory_config();
    config.listeners = {{.name = "left"}, {.name = "right", .options = "group: east"}};
    config.subsystems[0].listeners = "[left, right]";
    return with_iscsi(config);
  }
  void SetUp() override { ASSERT_TRUE(daemon.start()); }
  Outcome ana(const std::string& path, const std::string& state) {
    return run({.arguments = {FOREBAYCTL, "ana", path, state, "--socket",
                              daemon.config().control_socket}});
  }
  void set(const std::string& path, const std::string& state) {
    const Outcome done = ana(path, state);
    EXPECT_EQ(done.exit.code, 0) << done.output;
    EXPECT_NE(done.output.find("path " + path + " is " + state), std::string::npos) << done.output;
  }
  [[nodiscard]] std::string access_of(const std::string& listener) {
    return named(daemon.status(), "listeners", listener).at("access").as_string().c_str();
  }

  Workplace workplace;
  Daemon daemon{workplace, config()};
};

TEST_F(Ana, HostsOfOneListenerAreToldAndAnsweredSoAndNobodyElse) {
  Host left(daemon.endpoint(0));
  Host right(daemon.endpoint(1));
  ASSERT_TRUE(left.connected() && right.connected());
  write_and_read_back(*left.queue, 1, 0, 8, path_block, 1);
  EXPECT_EQ(ana_state(*left.controller, 1), 1);
  EXPECT_EQ(ana_state(*right.controller, 1), 1);
  const auto left_event = request_event(*left.controller, ana_change_notices);
  ASSERT_GOOD(left_event);
  const auto event = request_event(*right.controller, ana_change_notices);
  ASSERT_GOOD(event);

  set("right", "inaccessible");
  const auto told = right.controller->admin().await(event.value());
  ASSERT_GOOD(told);
  EXPECT_EQ(told.value().dw0(), 0x0c0302U) << "a notice, ANA change, log 0Ch";
  EXPECT_EQ(status_of(*right.queue, client::io::read(1, 0, 1, path_block)), path_inaccessible);
  EXPECT_EQ(status_of(*right.queue, client::io::write(2, 0, Bytes(512), 512)), path_inaccessible);
  EXPECT_EQ(ana_state(*right.controller, 1), 3);
  EXPECT_EQ(ana_state(*right.controller, 2), 3);
  EXPECT_EQ(access_of("right"), "inaccessible");
  EXPECT_GOOD(right.controller->keep_alive());
  // The other way is as it was.
  EXPECT_EQ(ana_state(*left.controller, 1), 1);
  write_and_read_back(*left.queue, 1, 8, 8, path_block, 2);
  const auto silent = left.controller->admin().stays_silent(Milliseconds{50});
  ASSERT_GOOD(silent);
  EXPECT_TRUE(silent.value());
  // Who comes by it finds it so.
  Host late(daemon.endpoint(1));
  ASSERT_TRUE(late.connected());
  EXPECT_EQ(ana_state(*late.controller, 1), 3);
  EXPECT_EQ(status_of(*late.queue, client::io::read(1, 0, 1, path_block)), path_inaccessible);

  const auto back = right.controller->admin().submit(client::admin::async_event_request());
  ASSERT_GOOD(back);
  set("right", "optimized");
  ASSERT_GOOD(right.controller->admin().await(back.value()));
  EXPECT_EQ(ana_state(*right.controller, 1), 1);
  EXPECT_TRUE(read(*right.queue, 1, 8, 8, path_block) == pattern(8 * path_block, 2));
  EXPECT_EQ(access_of("right"), "optimized");
}

TEST_F(Ana, EachStateHasItsStatus) {
  Host host(daemon.endpoint(1));
  ASSERT_TRUE(host.connected());
  const std::tuple<const char*, int, std::uint16_t> states[] = {{"non-optimized", 2, 0},
                                                                {"inaccessible", 3, 0x302},
                                                                {"persistent-loss", 4, 0x301},
                                                                {"change", 0xf, 0x303},
                                                                {"optimized", 1, 0}};
  for (const auto& [word, state, answer] : states) {
    set("east", word);  // the group that the listener is in
    EXPECT_EQ(status_of(*host.queue, client::io::read(1, 0, 1, path_block)), answer) << word;
    EXPECT_EQ(ana_state(*host.controller, 1), state) << word;
    EXPECT_EQ(access_of("right"), word);
    EXPECT_EQ(access_of("left"), "optimized");
  }
}

TEST_F(Ana, WhatIsNotThereIsSaid) {
  const Outcome nobody = ana("north", "inaccessible");
  EXPECT_EQ(nobody.exit.code, 1);
  EXPECT_NE(nobody.output.find("no listener, and no group of listeners, is called north"),
            std::string::npos)
      << nobody.output;
  const Outcome nothing = ana("left", "gone");
  EXPECT_EQ(nothing.exit.code, 1);
  EXPECT_NE(nothing.output.find("\"gone\" is no state"), std::string::npos) << nothing.output;
}

TEST_F(Ana, InitiatorsAreToldByAUnitAttention) {
  const auto session = open_session(to_target(iscsi_endpoint(daemon.config())));
  ASSERT_TRUE(session);
  const auto sense_now = [&] {
    const auto done = session->execute(scsi::test_unit_ready());
    EXPECT_GOOD(done);
    return done ? done.value().additional_sense() : std::uint16_t{0xffff};
  };
  for (int attentions = 0; attentions < 5 && sense_now() != 0; ++attentions) {
  }
  set("scsi", "inaccessible");
  EXPECT_EQ(sense_now(), 0x2a06) << "asymmetric access state changed";
  EXPECT_EQ(sense_now(), 0x040c) << "target port in unavailable state";
  set("scsi", "optimized");
  EXPECT_EQ(sense_now(), 0x2a06);
  const auto done = session->execute(scsi::read(0, 1, iscsi_block));
  ASSERT_GOOD(done);
  EXPECT_TRUE(done.value().ok()) << done.value().describe();
}

}  // namespace
}  // namespace end_to_end
