// A cache that is full while the disk behind it answers nothing: what hosts see of it, step by
// step, and that nobody else sees anything (docs/qos.md, "Overload").
#include <gtest/gtest.h>

#include <deque>
#include <filesystem>
#include <map>

#include "tests/end_to_end/harness/bystander.h"
#include "tests/end_to_end/harness/daemon.h"
#include "tests/end_to_end/harness/host.h"
#include "tests/end_to_end/harness/hung_disk.h"
#include "tests/end_to_end/harness/initiator.h"

namespace end_to_end {
namespace {

constexpr std::uint32_t full_block = 4096;
constexpr std::uint32_t full_blocks = 16;
constexpr std::uint64_t writes = 500;  // more than the cache holds
constexpr std::uint16_t full_inaccessible = 0x302;
constexpr std::uint16_t interrupted = 0x021;

class Overload : public testing::Test {
 protected:
  // NSID 1 is what there will be no room for; 2 has no cache, and no disk either; 3 a disk alone.
  [[nodiscard]] ConfigText config() {
    ConfigText config = file_config(workplace.make_pool("pool"));
    config.caches = {{.path = workplace.make_cache("cache", "24MiB")}};
    config.volumes[0].cache = "device: front, max_dirty_age: 1h";
    config.volumes[0].overload = "hold: 500ms, retries: 2, inaccessible_after: 2s, recovery: 500ms";
    config.pools.push_back({.name = "mem"});
    config.volumes[1].pool = "mem";
    config.volumes.push_back(
        {.name = "plain",
         .pool = config.pools[0].name,
         .overload = "hold: 500ms, retries: 2, inaccessible_after: 9s, recovery: 500ms"});
    config.subsystems[0].namespaces.push_back({.nsid = 3, .volume = "plain"});
    config = with_iscsi(config);
    config.targets[0].luns.push_back({.lun = 2, .volume = "plain"});
    return config;
  }
  void SetUp() override {
    daemon.environment = hung_disk_environment(hung);
    ASSERT_TRUE(daemon.start());
  }
  void hang() { write_file(hung, ""); }
  void go_on() { std::filesystem::remove(hung); }
  [[nodiscard]] boost::json::value overload(const char* volume = "big") {
    return named(daemon.status(), "volumes", volume).at("overload");
  }
  [[nodiscard]] bool becomes(bool closed, const char* volume = "big", const char* what = "closed") {
    return daemon.await_status([=](const auto& status) {
      return named(status, "volumes", volume).at("overload").at(what).as_bool() == closed;
    });
  }
  static client::Command write_of(std::uint64_t number) {
    return client::io::write(1, number * full_blocks,
                             pattern(std::size_t{full_block} * full_blocks, number + 1),
                             full_block);
  }
  static void behave(Controller& controller) {
    Bytes behaviour(512);
    behaviour[0] = std::byte{1};  // ACRE
    EXPECT_EQ(status_of(controller.admin(),
                        client::admin::set_feature(0x16, 0, false, std::move(behaviour))),
              0);
    EXPECT_EQ(ana_state(controller, 1), 1);
  }

  Workplace workplace;
  const std::string hung = workplace.path("hung");
  Daemon daemon{workplace, config()};
};

// Writes `writes` pieces as a Linux host would: what is interrupted comes again, what is not to be
// reached waits.
class Writer {
 public:
  explicit Writer(Queue& queue) : queue_(queue) {
    for (std::uint64_t i = 0; i < writes; ++i) to_do_.push_back(i);
  }
  // Until all is done, or a status comes that says that the path is not to be used.
  void run(client::Command (*make)(std::uint64_t)) {
    while ((!to_do_.empty() && !stopped) || !under_way_.empty()) {
      while (!to_do_.empty() && !stopped && queue_.in_flight() < 16) {
        const auto cid = queue_.submit(make(to_do_.front()));
        ASSERT_GOOD(cid);
        under_way_[cid.value()] = to_do_.front();
        to_do_.pop_front();
      }
      const auto done = queue_.await_any(Milliseconds{20'000});
      ASSERT_GOOD(done);
      const std::uint64_t number = under_way_.at(done.value().cid);
      under_way_.erase(done.value().cid);
      if (done.value().ok()) continue;
      EXPECT_FALSE(done.value().do_not_retry()) << done.value().describe();
      to_do_.push_back(number);
      if (done.value().kind() == full_inaccessible) {
        stopped = true;
        continue;
      }
      ASSERT_EQ(done.value().kind(), interrupted) << done.value().describe();
      EXPECT_NE(done.value().status & 0x1800, 0) << "without a delay";
      most_interrupted = std::max(most_interrupted, ++interruptions_[number]);
    }
  }
  [[nodiscard]] bool is_done() const { return to_do_.empty() && under_way_.empty(); }
  bool stopped = false;
  int most_interrupted = 0;

 private:
  Queue& queue_;
  std::deque<std::uint64_t> to_do_;
  std::map<std::uint16_t, std::uint64_t> under_way_;
  std::map<std::uint64_t, int> interruptions_;
};

TEST_F(Overload, HostsAreSentBackThenToldToWaitAndLoseNothing) {
  Host host(daemon.endpoint());
  ASSERT_TRUE(host.connected());
  behave(*host.controller);
  const auto event = request_event(*host.controller, ana_change_notices);
  ASSERT_GOOD(event);
  hang();
  Writer writer(*host.queue);
  ASSERT_NO_FATAL_FAILURE(writer.run(write_of));
  ASSERT_TRUE(writer.stopped) << "there was room for all of it";
  EXPECT_GE(writer.most_interrupted, 1);
  EXPECT_LE(writer.most_interrupted, 2);
  const auto told = host.controller->admin().await(event.value());
  ASSERT_GOOD(told);
  EXPECT_EQ(told.value().dw0(), 0x0c0302U) << "a notice, ANA change, log 0Ch";
  EXPECT_EQ(ana_state(*host.controller, 1), 3);
  EXPECT_EQ(status_of(*host.queue, client::io::read(1, 0, 1, full_block)), full_inaccessible);
  EXPECT_EQ(ana_state(*host.controller, 2), 1) << "the other volume is reached";
  EXPECT_TRUE(overload().at("closed").as_bool());
  EXPECT_EQ(overload().at("closings_total").to_number<int>(), 1);
  EXPECT_EQ(overload().at("held").to_number<int>(), 0) << "all have been answered";

  const auto back = host.controller->admin().submit(client::admin::async_event_request());
  ASSERT_GOOD(back);
  go_on();
  ASSERT_GOOD(host.controller->admin().await(back.value(), Milliseconds{20'000}));
  EXPECT_EQ(ana_state(*host.controller, 1), 1);
  writer.stopped = false;
  ASSERT_NO_FATAL_FAILURE(writer.run(write_of));
  EXPECT_TRUE(writer.is_done());
  for (std::uint64_t number = 0; number < writes; number += 7) {
    const Bytes expected = pattern(std::size_t{full_block} * full_blocks, number + 1);
    EXPECT_TRUE(read(*host.queue, 1, number * full_blocks, full_blocks, full_block) == expected)
        << number;
  }
  EXPECT_FALSE(overload().at("closed").as_bool());
}

// It neither waits before it tries again nor looks at access states: an error would reach its
// applications.
TEST_F(Overload, AHostThatKnowsNoneOfItIsHeldAndLosesNothing) {
  Host host(daemon.endpoint());
  ASSERT_TRUE(host.connected());
  hang();
  std::vector<std::uint16_t> cids;
  for (std::uint64_t i = 0; i < writes; ++i) {
    const auto cid = host.queue->submit(write_of(i));
    ASSERT_GOOD(cid);
    cids.push_back(cid.value());
    if (cids.size() < 120) continue;
    const auto done = host.queue->await(cids.front(), Milliseconds{1'500});
    if (!done) break;
    ASSERT_TRUE(done.value().ok()) << done.value().describe();
    cids.erase(cids.begin());
  }
  EXPECT_TRUE(becomes(true));
  // Nor has an Abort to wait, or a keep-alive, or another volume.
  const auto aborted = host.controller->admin().execute(client::admin::abort(1, cids.back()));
  ASSERT_GOOD(aborted);
  EXPECT_EQ(aborted.value().dw0() & 1, 0U) << "it was aborted";
  const auto answer = host.queue->await(cids.back());
  ASSERT_GOOD(answer);
  EXPECT_EQ(answer.value().kind(), 0x007) << answer.value().describe();
  cids.pop_back();
  EXPECT_GOOD(host.controller->keep_alive());
  write_and_read_back(*host.queue, 2, 0, 8, 512, 7);
  go_on();
  for (const std::uint16_t cid : cids) {
    const auto done = host.queue->await(cid, Milliseconds{20'000});
    ASSERT_GOOD(done);
    EXPECT_TRUE(done.value().ok()) << done.value().describe();
  }
  EXPECT_TRUE(becomes(false));
}

// What is held dies with its connection, and its memory is free again.
TEST_F(Overload, WhatIsHeldDiesWithItsConnection) {
  hang();
  {
    Host host(daemon.endpoint());
    ASSERT_TRUE(host.connected());
    for (std::uint64_t i = 0; i < writes; ++i) {
      if (host.queue->in_flight() >= 120) {
        const auto done = host.queue->await_any(Milliseconds{700});
        if (!done) break;
        ASSERT_TRUE(done.value().ok()) << done.value().describe();
      }
      ASSERT_GOOD(host.queue->submit(write_of(i)));
    }
    ASSERT_TRUE(daemon.await_status([](const auto& status) {
      return named(status, "volumes", "big").at("overload").at("held").template to_number<int>() >
             0;
    }));
  }
  EXPECT_TRUE(daemon.await_status([](const auto& status) {
    return named(status, "volumes", "big").at("overload").at("held").template to_number<int>() == 0;
  })) << "the disk still hangs";
  go_on();
}

// All that the volume may hold is held; in the long form for an hour.
TEST_F(Overload, KeepAliveAndAdminAreServedAsLongAsItLasts) {
  constexpr std::uint32_t kato_ms = 2'000;
  Host host(daemon.endpoint());
  const auto idle = attach(daemon.endpoint(), {.keep_alive_ms = kato_ms});
  ASSERT_TRUE(host.connected() && idle);
  hang();
  for (std::uint64_t i = 0; i < writes; ++i) {
    if (host.queue->in_flight() >= 120) {
      const auto done = host.queue->await_any(Milliseconds{700});
      if (!done) break;
      ASSERT_TRUE(done.value().ok()) << done.value().describe();
    }
    ASSERT_GOOD(host.queue->submit(write_of(i)));
  }
  EXPECT_TRUE(becomes(true));
  constexpr int hour = 3'600'000 / (kato_ms / 4);
  for (int beat = 0; beat < rounds(5, hour); ++beat) {
    EXPECT_GOOD(idle->keep_alive());
    EXPECT_GOOD(idle->active_namespaces());
    EXPECT_EQ(ana_state(*idle, 1), 3);
    EXPECT_TRUE(idle->admin().raw().stays_silent(Milliseconds{kato_ms / 4}));
  }
  EXPECT_GT(overload().at("held").to_number<int>(), 0) << "that host knows no access states";
  go_on();
}

// What the disk has been given before nobody gets back; what comes once it is known to be silent
// goes the same way as what finds no room.
TEST_F(Overload, ADiskThatAnswersNothingIsNotAskedAndNothingIsLost) {
  Host host(daemon.endpoint());
  ASSERT_TRUE(host.connected());
  behave(*host.controller);
  write(*host.queue, 3, 0, pattern(full_block, 1), full_block);
  write(*host.queue, 1, 0, pattern(full_block, 2), full_block);
  const auto event = request_event(*host.controller, ana_change_notices);
  ASSERT_GOOD(event);
  hang();
  const auto at_the_disk = host.queue->submit(client::io::read(3, 0, 1, full_block));
  ASSERT_GOOD(at_the_disk);
  ASSERT_TRUE(becomes(true, "plain", "disk_silent"));
  EXPECT_TRUE(read(*host.queue, 1, 0, 1, full_block) == pattern(full_block, 2)) << "a hit";
  // Of both, also what the cache of the other one has not.
  const auto miss = host.queue->submit(client::io::read(1, 4000, 1, full_block));
  ASSERT_GOOD(miss);
  const auto new_write = [&] {
    return host.queue->submit(client::io::write(3, 8, pattern(full_block, 3), full_block));
  };
  const auto answer_to = [&](std::uint16_t cid) {
    const auto done = host.queue->await(cid, Milliseconds{20'000});
    EXPECT_GOOD(done);
    return done ? done.value().kind() : std::uint16_t{0xffff};
  };
  for (int times = 0; times < 2; ++times) {
    const auto sent = new_write();
    ASSERT_GOOD(sent);
    EXPECT_EQ(answer_to(sent.value()), interrupted) << times;
  }
  EXPECT_EQ(answer_to(miss.value()), interrupted);
  const auto held = new_write();
  ASSERT_GOOD(held);
  write_and_read_back(*host.queue, 2, 0, 8, 512, 7);
  EXPECT_GOOD(host.controller->keep_alive());
  const auto told = host.controller->admin().await(event.value(), Milliseconds{20'000});
  ASSERT_GOOD(told);
  EXPECT_EQ(told.value().dw0(), 0x0c0302U);
  EXPECT_EQ(answer_to(held.value()), full_inaccessible) << "as often as it may be sent back";
  EXPECT_EQ(ana_state(*host.controller, 2), 1);
  EXPECT_TRUE(becomes(true, "plain"));
  EXPECT_EQ(status_of(*host.queue, client::io::read(3, 0, 1, full_block)), full_inaccessible);
  EXPECT_NE(run({.arguments = {FOREBAYCTL, "status", "--socket", daemon.config().control_socket}})
                .output.find("its disk has answered nothing for too long"),
            std::string::npos);
  EXPECT_TRUE(daemon.await_event("volume.overloaded", "plain"));

  go_on();
  const auto done = host.queue->await(at_the_disk.value(), Milliseconds{20'000});
  ASSERT_GOOD(done);
  EXPECT_TRUE(done.value().ok()) << done.value().describe();
  EXPECT_TRUE(becomes(false, "plain"));
  EXPECT_TRUE(daemon.await_event("volume.overload-over", "plain"));
  EXPECT_EQ(ana_state(*host.controller, 3), 1);
  write(*host.queue, 3, 8, pattern(full_block, 3), full_block);
  EXPECT_TRUE(read(*host.queue, 3, 8, 1, full_block) == pattern(full_block, 3));
  EXPECT_TRUE(read(*host.queue, 3, 0, 1, full_block) == pattern(full_block, 1));
  EXPECT_FALSE(overload("plain").at("disk_silent").as_bool());
}

TEST_F(Overload, AnInitiatorIsToldThatASilentDiskIsBusy) {
  const auto session = open_session(to_target(iscsi_endpoint(daemon.config())));
  ASSERT_TRUE(session);
  const Bytes data(full_block);
  scsi::Task ready = scsi::test_unit_ready();
  ready.lun = iscsi::lun_field(2);
  for (int attentions = 0; attentions < 8; ++attentions) {
    const auto done = session->execute(ready);
    ASSERT_GOOD(done);
    if (done.value().ok()) break;
  }
  hang();
  scsi::Task first = scsi::write(0, data, full_block);
  first.lun = iscsi::lun_field(2);
  const auto at_the_disk = session->submit(first);
  ASSERT_GOOD(at_the_disk);
  ASSERT_TRUE(becomes(true, "plain", "disk_silent"));
  scsi::Task second = scsi::write(1, data, full_block);
  second.lun = iscsi::lun_field(2);
  const auto sent = session->submit(second);
  ASSERT_GOOD(sent);
  const auto refused = session->await_any();
  ASSERT_GOOD(refused);
  EXPECT_EQ(refused.value().status, 0x28) << "TASK SET FULL: " << refused.value().describe();
  go_on();
  const auto done = session->await_any();
  ASSERT_GOOD(done);
  EXPECT_TRUE(done.value().ok()) << done.value().describe();
}

TEST_F(Overload, AnInitiatorIsToldThatItIsBusy) {
  const auto session = open_session(to_target(iscsi_endpoint(daemon.config())));
  ASSERT_TRUE(session);
  hang();
  const Bytes data(std::size_t{64} << 10);
  bool was_busy = false;
  for (std::uint64_t i = 0; i < writes && !was_busy; ++i) {
    const auto sent =
        session->submit(scsi::write(i * data.size() / iscsi_block, data, iscsi_block));
    ASSERT_GOOD(sent);
    const auto done = session->await_any();
    ASSERT_GOOD(done);
    if (done.value().ok()) continue;
    EXPECT_EQ(done.value().status, 0x08) << "BUSY: " << done.value().describe();
    was_busy = true;
  }
  EXPECT_TRUE(was_busy);
  go_on();
}

}  // namespace
}  // namespace end_to_end
