// The daemon as a service: its end, its watchdog, its log.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <atomic>
#include <csignal>
#include <thread>

#include "tests/end_to_end/harness/attacker.h"
#include "tests/end_to_end/harness/daemon.h"
#include "tests/end_to_end/harness/suspended_thread.h"

namespace end_to_end {
namespace {

TEST(Service, SaysReadyOnceAndStoppingAtTheEnd) {
  Workplace workplace;
  Daemon daemon(workplace, memory_config());
  daemon.launch();
  ASSERT_TRUE(daemon.ready());
  Host host(daemon.endpoint());  // at READY=1 it listens
  EXPECT_TRUE(host.connected());
  daemon.process().signal(SIGTERM);
  EXPECT_TRUE(daemon.notify().await("STOPPING=1", daemon.process(), stop_time_out));
  EXPECT_TRUE(daemon.process().await_exit(stop_time_out));
  EXPECT_EQ(daemon.notify().count("READY=1"), 1U);
  daemon.kill();
}

TEST(Service, FeedsTheWatchdog) {
  Workplace workplace;
  Daemon daemon(workplace, memory_config());
  daemon.environment = {"WATCHDOG_USEC=2000000"};  // without WATCHDOG_PID it is everybody's
  ASSERT_TRUE(daemon.start());
  EXPECT_TRUE(daemon.notify().await("WATCHDOG=1", daemon.process(), Milliseconds{15'000}, 3));
}

// A daemon whose reactor does not run any more must not say that it is alive.
TEST(Service, SaysNothingWhileAReactorIsStuck) {
  Workplace workplace;
  Daemon daemon(workplace, memory_config());
  daemon.environment = {"WATCHDOG_USEC=1000000"};  // pings twice a second
  ASSERT_TRUE(daemon.start());
  ASSERT_TRUE(daemon.notify().await("WATCHDOG=1", daemon.process(), Milliseconds{15'000}));
  std::size_t heard = 0;
  {
    const SuspendedThread stuck(daemon.process().pid(), "reactor 0");
    ASSERT_TRUE(stuck.suspended());
    // It may have answered the last question just before: one more ping is right.
    (void)daemon.notify().await("WATCHDOG=1", daemon.process(), Milliseconds{2'000}, 1'000);
    heard = daemon.notify().count("WATCHDOG=1");
    EXPECT_FALSE(
        daemon.notify().await("WATCHDOG=1", daemon.process(), Milliseconds{3'000}, heard + 1));
    EXPECT_TRUE(daemon.status().is_object()) << "the control thread is well";
  }
  EXPECT_TRUE(
      daemon.notify().await("WATCHDOG=1", daemon.process(), Milliseconds{15'000}, heard + 3));
}

TEST(Service, SigtermEndsInTimeWhateverHostsDo) {
  Workplace workplace;
  ConfigText config = attack_config();
  config.reactors = 2;
  Daemon daemon(workplace, config);
  for (const int signal : {SIGTERM, SIGINT}) {
    ASSERT_TRUE(daemon.start());
    std::vector<std::unique_ptr<Attacker>> all;
    for (const Stage stage : {Stage::fresh, Stage::negotiated, Stage::admin, Stage::io}) {
      all.push_back(std::make_unique<Attacker>(daemon.endpoint(), stage));
      ASSERT_TRUE(all.back()->ready());
    }
    // One owes data, one does not read what it asked for.
    auto held = client::io::write(1, 0, Bytes(65536), 4096);
    held.hold_data = true;
    const auto cid = all[3]->queue().submit(std::move(held));
    ASSERT_GOOD(cid);
    ASSERT_GOOD(all[3]->queue().await_r2t(cid.value()));
    all.push_back(std::make_unique<Attacker>(daemon.endpoint(), Stage::io));
    ASSERT_TRUE(all.back()->ready());
    for (std::uint16_t i = 0; i < 31; ++i) {
      auto command = client::io::read(1, 0, 256, 4096);
      command.entry.sgl(client::sgl_transport, 0, 1 << 20).cid(i);
      ASSERT_GOOD(all.back()->raw().send(client::command_capsule(command.entry.bytes())));
    }
    daemon.process().signal(signal);
    const auto exit = daemon.process().await_exit(stop_time_out);
    ASSERT_TRUE(exit);
    EXPECT_EQ(exit->describe(), "exit code 0") << daemon.log();
    daemon.kill();
  }
}

// What was accepted before SIGTERM is answered; what is not answered has not been promised.
TEST(Service, SigtermAnswersWhatItHasAccepted) {
  Workplace workplace;
  Daemon daemon(workplace, file_config(workplace.make_pool("pool")));
  ASSERT_TRUE(daemon.start());
  Host host(daemon.endpoint());
  ASSERT_TRUE(host.connected());
  std::vector<std::uint16_t> cids;
  for (std::uint64_t i = 0; i < 100; ++i) {
    const auto cid = host.queue->submit(client::io::write(1, i, pattern(4096, i), 4096));
    ASSERT_GOOD(cid);
    cids.push_back(cid.value());
  }
  const auto first = host.queue->await(cids[0]);  // the rest is read by then, or soon
  ASSERT_GOOD(first);
  daemon.process().signal(SIGTERM);
  std::vector<bool> answered(100, true);
  for (std::size_t i = 1; i < 100; ++i) {
    const auto done = host.queue->await(cids[i]);
    answered[i] = done && done.value().ok();
    if (!done) {
      EXPECT_NE(done.error().kind, client::ErrorKind::violation) << done.error().describe();
      EXPECT_NE(done.error().kind, client::ErrorKind::time_out) << done.error().describe();
    }
  }
  const auto exit = daemon.process().await_exit(stop_time_out);
  ASSERT_TRUE(exit);
  EXPECT_EQ(exit->code, 0);
  ASSERT_TRUE(daemon.start());
  Host later(daemon.endpoint());
  ASSERT_TRUE(later.connected());
  for (std::uint64_t i = 0; i < 100; ++i) {
    const Bytes found = read(*later.queue, 1, i, 1, 4096);
    EXPECT_TRUE(found == pattern(4096, i) || (!answered[i] && found == Bytes(4096)))
        << "block " << i << (answered[i] ? " was acknowledged" : "");
  }
}

TEST(Service, TheLogTellsEveryConnectRefusalAndDisconnect) {
  Workplace workplace;
  ConfigText config = attack_config();
  config.hosts = {{"friend", "nqn.2026-11.com.example:friend"}};
  config.subsystems[1].hosts = "[friend]";
  Daemon daemon(workplace, config);
  ASSERT_TRUE(daemon.start());
  const std::string friendly = config.hosts[0].nqn;
  {
    const auto controller = attach(
        daemon.endpoint(),
        {.transport = {.header_digest = true}, .subsystem = prey_subsystem, .host_nqn = friendly});
    ASSERT_TRUE(controller);
    const auto one = open_queue(*controller, 1);
    const auto two = open_queue(*controller, 2);
    ASSERT_TRUE(one && two);
    EXPECT_TRUE(daemon.await_log({"connected", "host=" + friendly, "peer=127.0.0.1:", "listener=lo",
                                  std::string("subsystem=") + prey_subsystem, "queues=128",
                                  "security=none", "digests=header"}));
    const auto hosts = daemon.status().at("hosts").as_array();
    ASSERT_EQ(hosts.size(), 1U);
    EXPECT_EQ(hosts[0].at("nqn").as_string(), friendly);
    EXPECT_EQ(hosts[0].at("io_queues").to_number<int>(), 2);
  }
  EXPECT_TRUE(daemon.await_log({"disconnected", "host=" + friendly,
                                "peer=127.0.0.1:", std::string("subsystem=") + prey_subsystem,
                                "queues=2", "security=none", "reason=\""}));
  const auto refused = Queue::open(daemon.endpoint());
  ASSERT_GOOD(refused);
  const auto done = refused.value()->connect({.host_id = {std::byte{1}},
                                              .subsystem_nqn = prey_subsystem,
                                              .host_nqn = "nqn.2026-11.com.example:stranger"});
  ASSERT_GOOD(done);
  EXPECT_FALSE(done.value().ok());
  EXPECT_TRUE(daemon.await_log({"refused", "host=nqn.2026-11.com.example:stranger",
                                "peer=127.0.0.1:", std::string("subsystem=") + prey_subsystem,
                                "queue=0", "security=none", "reason=\""}));
}

// A host's name is its own: it must not forge lines or reach the terminal.
TEST(Service, ANameCannotForgeALineOfTheLog) {
  Workplace workplace;
  Daemon daemon(workplace, memory_config());
  ASSERT_TRUE(daemon.start());
  const auto queue = Queue::open(daemon.endpoint());
  ASSERT_GOOD(queue);
  const auto done =
      queue.value()->connect({.host_id = {std::byte{1}},
                              .subsystem_nqn = "nqn.2026-11.com.example:none",
                              .host_nqn = "nqn.2026-11.com.example:x\nFORGED line\x1b[2J"});
  ASSERT_GOOD(done);
  EXPECT_FALSE(done.value().ok());
  daemon.await_log({"refused"});
  EXPECT_EQ(daemon.log().find("\nFORGED"), std::string::npos);
  EXPECT_EQ(daemon.log().find('\x1b'), std::string::npos);
}

// A peer in a loop cannot fill the disk with lines.
TEST(Service, AFloodOfRefusalsIsSummedUp) {
  Workplace workplace;
  Daemon daemon(workplace, memory_config());
  ASSERT_TRUE(daemon.start());
  for (int i = 0; i < 500; ++i) {
    Attacker attacker(daemon.endpoint(), Stage::fresh);
    ASSERT_TRUE(attacker.ready());
    (void)attacker.raw().send(Bytes(128, std::byte{0xff}));
    attacker.await_end();
  }
  const std::string log = daemon.log();
  EXPECT_LE(std::count(log.begin(), log.end(), '\n'), 200);
  EXPECT_TRUE(daemon.await_log({"protocol error", "127.0.0.1", "security=none"}));
}

}  // namespace
}  // namespace end_to_end
