// One volume by two listeners, and what the operator says of one of them (docs/multipath.md).
#include <gtest/gtest.h>

#include <atomic>
#include <boost/json.hpp>
#include <mutex>
#include <set>
#include <thread>

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
    config.reactors = 2;
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
  Outcome ask(std::vector<std::string> words) {
    words.insert(words.begin(), FOREBAYCTL);
    words.insert(words.end(), {"--socket", daemon.config().control_socket});
    return run({.arguments = std::move(words)});
  }
  std::size_t overrides() { return daemon.status().at("overrides").as_array().size(); }
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

// Two queues of one controller, on two reactors, and nothing between: whichever is the first to
// answer by a new state, the log has it by then.
TEST_F(Ana, NoQueueAnswersByAStateThatTheLogDoesNotHaveYet) {
  Host host(daemon.endpoint(1));
  ASSERT_TRUE(host.connected());
  const auto second = open_queue(*host.controller, 2);
  ASSERT_TRUE(second != nullptr);
  ASSERT_GOOD(request_event(*host.controller, ana_change_notices));
  std::mutex admin;  // guards the admin queue
  std::atomic<int> round{0};
  std::atomic<int> arrived{0};
  constexpr int last_round = 12;
  // Of each round the first answer of the new state, and the log right behind it.
  const auto watch = [&](Queue& queue) {
    for (int seen = 0; seen < last_round;) {
      const bool is_reached = seen % 2 == 1;  // after the next change
      const std::uint16_t expected = is_reached ? 0 : path_inaccessible;
      const std::uint16_t answer = status_of(queue, client::io::read(1, 0, 1, path_block));
      if (answer == 0xffff) return;
      if (answer != expected) continue;
      if (round.load() <= seen) continue;  // as it was before
      {
        const std::lock_guard lock(admin);
        EXPECT_EQ(ana_state(*host.controller, 1), is_reached ? 1 : 3) << "change " << seen;
      }
      ++seen;
      ++arrived;
    }
  };
  std::thread first_watch([&] { watch(*host.queue); });
  std::thread second_watch([&] { watch(*second); });
  for (int change = 0; change < last_round; ++change) {
    round = change + 1;
    set("right", change % 2 == 0 ? "inaccessible" : "optimized");
    const auto deadline = SteadyClock::now() + start_time_out;
    while (arrived < 2 * (change + 1) && SteadyClock::now() < deadline) std::this_thread::yield();
    EXPECT_EQ(arrived, 2 * (change + 1)) << "one of them did not see it";
    if (HasFailure()) break;
  }
  if (HasFailure()) daemon.kill();  // whoever still waits for an answer has one
  first_watch.join();
  second_watch.join();
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

// Killed: what was said holds from the first connection on.
TEST_F(Ana, WhatWasSaidOutlivesTheDaemonAndIsListed) {
  set("east", "inaccessible");
  set("scsi", "non-optimized");
  set("left", "inaccessible");
  set("left", "optimized");
  ASSERT_EQ(overrides(), 2U) << "one way is as it would be by itself";
  const auto one = daemon.status().at("overrides").at(0);
  EXPECT_EQ(one.at("kind").as_string(), "access");
  EXPECT_EQ(one.at("subject").as_string(), "east");
  EXPECT_EQ(one.at("value").as_string(), "inaccessible");
  EXPECT_EQ(one.at("by").as_string(), "root");
  daemon.kill();
  ASSERT_TRUE(daemon.start());
  Host host(daemon.endpoint(1));
  ASSERT_TRUE(host.connected());
  EXPECT_EQ(ana_state(*host.controller, 1), 3);
  EXPECT_EQ(status_of(*host.queue, client::io::read(1, 0, 1, path_block)), path_inaccessible);
  EXPECT_EQ(access_of("right"), "inaccessible");
  EXPECT_EQ(access_of("scsi"), "non-optimized");
  EXPECT_NE(ask({"status"}).output.find("path east is inaccessible, by root since "),
            std::string::npos);
  const Outcome cleared = ask({"overrides", "--clear", "east"});
  EXPECT_EQ(cleared.exit.code, 0) << cleared.output;
  EXPECT_NE(cleared.output.find("path east is as the file says"), std::string::npos);
  EXPECT_EQ(ana_state(*host.controller, 1), 1);
  EXPECT_EQ(ask({"ana", "scsi", "--clear"}).exit.code, 0);
  EXPECT_EQ(access_of("scsi"), "optimized");
  EXPECT_EQ(overrides(), 0U);
  EXPECT_EQ(ask({"ana", "scsi", "--clear"}).exit.code, 1) << "nothing is said of it any more";
}

// A listener comes to a group of which something is said; then everything said is dropped. What a
// plan says that hosts will hear is what they hear.
TEST_F(Ana, PlansNameWhatHostsAreTold) {
  Host left(daemon.endpoint(0));
  Host right(daemon.endpoint(1));
  ASSERT_TRUE(left.connected() && right.connected());
  const auto session = open_session(to_target(iscsi_endpoint(daemon.config())));
  ASSERT_TRUE(session);
  const auto heard_by_initiator = [&] {
    std::set<std::uint16_t> codes;
    for (int i = 0; i < 8; ++i) {
      const auto done = session->execute(scsi::test_unit_ready());
      EXPECT_GOOD(done);
      if (!done || done.value().ok()) break;
      codes.insert(done.value().additional_sense());
    }
    return codes;
  };
  const auto left_event = request_event(*left.controller, ana_change_notices);
  const auto first_event = request_event(*right.controller, ana_change_notices);
  ASSERT_TRUE(left_event && first_event);
  set("east", "non-optimized");
  (void)heard_by_initiator();
  ASSERT_GOOD(right.controller->admin().await(first_event.value()));
  EXPECT_EQ(ana_state(*right.controller, 1), 2);
  const auto right_event = right.controller->admin().submit(client::admin::async_event_request());
  ASSERT_GOOD(right_event);

  ConfigText next = daemon.config();
  for (ListenerText& listener : next.listeners) listener.options = "group: east";
  const std::string file = workplace.path("next.yaml");
  write_file(file, next.yaml());
  const auto events_of = [&](const std::vector<std::string>& more) {
    std::vector<std::string> words{"plan", file, "-o", "json"};
    words.insert(words.end(), more.begin(), more.end());
    const Outcome planned = ask(words);
    EXPECT_EQ(planned.exit.code, 2) << planned.output;
    std::multiset<std::string> events;
    const auto json = boost::json::parse(planned.output);
    for (const auto& host : json.at("hosts").as_array()) {
      for (const auto& event : host.at("events").as_array()) {
        events.insert(std::string(event.as_string()));
      }
    }
    return events;
  };
  std::multiset<std::string> told{"access-state-changed", "ana-changed"};
  EXPECT_EQ(events_of({}), told) << "one of the two hosts, and the initiator";
  EXPECT_EQ(ask({"apply", file}).exit.code, 0);
  ASSERT_GOOD(left.controller->admin().await(left_event.value()));
  EXPECT_EQ(ana_state(*left.controller, 1), 2);
  const auto silent = right.controller->admin().stays_silent(Milliseconds{50});
  ASSERT_GOOD(silent);
  EXPECT_TRUE(silent.value()) << "its way is as it was";
  EXPECT_EQ(heard_by_initiator(), (std::set<std::uint16_t>{0x2a06}));

  const auto again = left.controller->admin().submit(client::admin::async_event_request());
  ASSERT_GOOD(again);
  told.insert("ana-changed");
  EXPECT_EQ(events_of({"--drop-overrides"}), told);
  const Outcome dropped = ask({"apply", file, "--drop-overrides"});
  EXPECT_EQ(dropped.exit.code, 0) << dropped.output;
  ASSERT_GOOD(left.controller->admin().await(again.value()));
  ASSERT_GOOD(right.controller->admin().await(right_event.value()));
  EXPECT_EQ(ana_state(*left.controller, 1), 1);
  EXPECT_EQ(ana_state(*right.controller, 1), 1);
  EXPECT_EQ(heard_by_initiator(), (std::set<std::uint16_t>{0x2a06}));
  EXPECT_EQ(overrides(), 0U);
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
