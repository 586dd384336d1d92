// A disk that does not answer hurts its own pool and nothing else: not the start, not other pools,
// not status, watchdog or the end.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <thread>

#include "tests/end_to_end/harness/daemon.h"
#include "tests/end_to_end/harness/holdings.h"
#include "tests/end_to_end/harness/host.h"
#include "tests/end_to_end/harness/hung_disk.h"
#include "tests/end_to_end/harness/leased_file.h"

namespace end_to_end {
namespace {

// NSID 1 and 2 on the pool "stuck", 3 on "good".
ConfigText two_pools(Workplace& workplace) {
  ConfigText config = file_config(workplace.make_pool("stuck"));
  config.pools[0].name = "stuck";
  for (VolumeText& volume : config.volumes) volume.pool = "stuck";
  config.pools.push_back({.name = "good", .directory = workplace.make_pool("good")});
  config.volumes.push_back({.name = "other", .pool = "good"});
  config.subsystems[0].namespaces.push_back({.nsid = 3, .volume = "other"});
  return config;
}

TEST(HangingDisk, HoldsUpNobodyButItsOwnPool) {
  Workplace workplace;
  Daemon daemon(workplace, two_pools(workplace));
  ASSERT_TRUE(daemon.start());  // makes the volumes
  daemon.stop();
  LeasedFile stuck(workplace.path("stuck/big.raw"));
  daemon.environment = {"WATCHDOG_USEC=1000000"};
  daemon.launch();
  ASSERT_TRUE(daemon.ready());
  {
    Host host(daemon.endpoint());
    ASSERT_TRUE(host.connected());
    write_and_read_back(*host.queue, 3, 0, 8, 4096, 1);
    EXPECT_EQ(status_of(*host.queue, client::io::read(1, 0, 1, 4096)), 0x302) << "hosts queue";
  }
  const std::size_t heard = daemon.notify().count("WATCHDOG=1");
  EXPECT_TRUE(
      daemon.notify().await("WATCHDOG=1", daemon.process(), Milliseconds{15'000}, heard + 6));
  const auto asked = SteadyClock::now();
  const auto status = daemon.status();
  EXPECT_LT(SteadyClock::now() - asked, Milliseconds{1'000 * sanitizer_slowness});
  EXPECT_FALSE(status.at("healthy").as_bool());
  EXPECT_EQ(named(status, "volumes", "big").at("state").as_string(), "late");
  EXPECT_NE(named(status, "volumes", "big").at("reason").as_string().find("opening since "),
            std::string::npos);
  EXPECT_NE(named(status, "pools", "stuck").at("reason").as_string().find("has not answered yet"),
            std::string::npos);
  EXPECT_EQ(named(status, "volumes", "other").at("state").as_string(), "online");
  EXPECT_EQ(named(status, "pools", "good").at("reason").as_string(), "");

  daemon.process().signal(SIGTERM);
  const auto exit = daemon.process().await_exit(stop_time_out);
  ASSERT_TRUE(exit) << daemon.log();
  EXPECT_EQ(exit->describe(), "exit code 1") << "it says that a disk was left behind";
  daemon.kill();
}

// The same, as hosts see it that look at access states: each of its namespaces is a group.
TEST(HangingDisk, ItsGroupsAreInaccessibleUntilItAnswers) {
  Workplace workplace;
  Daemon daemon(workplace, two_pools(workplace));
  ASSERT_TRUE(daemon.start());
  daemon.stop();
  LeasedFile stuck(workplace.path("stuck/big.raw"));
  daemon.launch();
  ASSERT_TRUE(daemon.ready());
  Host host(daemon.endpoint());
  ASSERT_TRUE(host.connected());
  EXPECT_EQ(status_of(*host.queue, client::io::read(1, 0, 1, 4096)), 0x302);
  EXPECT_EQ(ana_state(*host.controller, 1), 3);
  EXPECT_EQ(ana_state(*host.controller, 3), 1) << "the pool that is well";
  const auto event = request_event(*host.controller, ana_change_notices);
  ASSERT_GOOD(event);
  stuck.give_back();
  const auto told = host.controller->admin().await(event.value(), start_time_out);
  ASSERT_GOOD(told);
  EXPECT_EQ(told.value().dw0(), 0x0c0302U) << "a notice, ANA change, log 0Ch";
  EXPECT_TRUE(daemon.await_status(
      [](const boost::json::value& now) { return now.at("healthy").as_bool(); }));
  EXPECT_EQ(ana_state(*host.controller, 1), 1);
  write_and_read_back(*host.queue, 1, 0, 8, 4096, 1);
}

bool has_thread(pid_t process, const std::string& name) {
  std::error_code error;
  for (const auto& task :
       std::filesystem::directory_iterator(fmt::format("/proc/{}/task", process), error)) {
    std::ifstream file(task.path() / "comm");
    std::string found;
    if (std::getline(file, found) && found == name) return true;
  }
  return false;
}

TEST(HangingDisk, SigtermCountsAlsoWhileTheDaemonStarts) {
  Workplace workplace;
  Daemon daemon(workplace, two_pools(workplace));
  ASSERT_TRUE(daemon.start());
  daemon.stop();
  const LeasedFile stuck(workplace.path("stuck/big.raw"));
  daemon.launch();
  const auto begin = SteadyClock::now();
  while (!has_thread(daemon.process().pid(), "pool stuck")) {
    ASSERT_LT(SteadyClock::now() - begin, start_time_out) << daemon.log();
    std::this_thread::sleep_for(Milliseconds{1});  // threads can only be looked for
  }
  daemon.process().signal(SIGTERM);
  const auto exit = daemon.process().await_exit(stop_time_out);
  ASSERT_TRUE(exit) << daemon.log();
  EXPECT_EQ(exit->describe(), "exit code 1");
  daemon.kill();
}

// A write that the disk has and never ends, as in uninterruptible sleep: who stops the daemon does
// not wait for it, is told why, and the host is never told that it was written.
TEST(HangingDisk, SigtermDoesNotWaitForAWriteThatNeverEnds) {
  Workplace workplace;
  ConfigText config = file_config(workplace.make_pool("stuck"));
  config.pools.push_back({.name = "mem"});
  config.volumes.push_back({.name = "other", .pool = "mem"});
  config.subsystems[0].namespaces.push_back({.nsid = 3, .volume = "other"});
  Daemon daemon(workplace, config);
  const std::string hung = workplace.path("hung");
  daemon.environment = hung_disk_environment(hung);
  ASSERT_TRUE(daemon.start());
  const Bytes before = pattern(4096, 1);
  {
    Host host(daemon.endpoint());
    ASSERT_TRUE(host.connected());
    ASSERT_NO_FATAL_FAILURE(write(*host.queue, 1, 0, before, 4096));
    write_file(hung, "");
    const auto cid = host.queue->submit(client::io::write(1, 8, pattern(4096, 2), 4096));
    ASSERT_GOOD(cid);
    ASSERT_TRUE(daemon.await_status(
        [](const auto& status) { return holdings_of(status).disk_operations == 1; }));
    write_and_read_back(*host.queue, 3, 0, 8, 4096, 3);
    daemon.process().signal(SIGTERM);
    const auto exit = daemon.process().await_exit(stop_time_out);
    ASSERT_TRUE(exit) << daemon.log();
    EXPECT_EQ(exit->describe(), "exit code 1");
    daemon.await_log({"reactor=reactor 0", "a disk did not answer in time"});
    const auto done = host.queue->await(cid.value());
    EXPECT_FALSE(done) << "answered: " << done.value().describe();
  }
  daemon.kill();
  daemon.environment.clear();
  ASSERT_TRUE(daemon.start());
  Host host(daemon.endpoint());
  ASSERT_TRUE(host.connected());
  EXPECT_TRUE(read(*host.queue, 1, 0, 1, 4096) == before) << "what was answered is safe";
}

// While it answers nothing, all that the kernel has been given is still there to be counted.
TEST(HangingDisk, IsGivenNoMoreThanItsQueueDepthByAllReactors) {
  Workplace workplace;
  ConfigText config = file_config(workplace.make_pool("disk"));
  config.reactors = 2;
  config.pools[0].options = "queue_depth: 6";
  Daemon daemon(workplace, config);
  const std::string hung = workplace.path("hung");
  const std::string deepest = workplace.path("deepest");
  daemon.environment = hung_disk_environment(hung);
  daemon.environment.push_back("FOREBAY_TEST_QUEUE_DEPTH=" + deepest);
  ASSERT_TRUE(daemon.start());
  EXPECT_EQ(named(daemon.status(), "pools", config.pools[0].name).at("queue_depth"), 6);
  Host one(daemon.endpoint());
  Host other(daemon.endpoint());
  ASSERT_TRUE(one.connected() && other.connected());
  for (const char* depth : {"6", "9"}) {
    const std::string options = std::string("queue_depth: ") + depth;
    if (daemon.config().pools[0].options != options) {
      daemon.config().pools[0].options = options;
      daemon.reload();
    }
    write_file(hung, "");
    for (std::uint64_t lba = 0; lba < 20; ++lba) {
      for (const Host* host : {&one, &other}) {
        ASSERT_GOOD(host->queue->submit(client::io::read(1, lba, 1, 4096)));
      }
    }
    ASSERT_TRUE(daemon.await_status(
        [](const auto& status) { return holdings_of(status).disk_operations == 40; }));
    std::string most;
    std::ifstream(deepest) >> most;
    EXPECT_EQ(most, depth);
    std::filesystem::remove(hung);
    for (const Host* host : {&one, &other}) {  // whoever has slept on it looks again
      ASSERT_GOOD(host->queue->submit(client::io::read(1, 20, 1, 4096)));
    }
    for (int at = 0; at < 21; ++at) {
      for (const Host* host : {&one, &other}) {
        const auto done = host->queue->await_any();
        ASSERT_GOOD(done);
        EXPECT_TRUE(done.value().ok()) << done.value().describe();
      }
    }
    std::ifstream(deepest) >> most;
    EXPECT_EQ(most, depth) << "nor while they ended";
  }
}

// The pool waits for it once, for as long as a disk needs that has been asleep.
TEST(HangingDisk, AMemberThatHangsAtOpeningTakesDownOnlyWhatLiesOnIt) {
  Workplace workplace;
  std::vector<std::string> init{FOREBAYCTL, "pool", "init", "--layout", "linear"};
  for (const char* name : {"m0", "m1"}) {
    init.push_back(workplace.path(name));
    write_file(init.back(), "");
    std::filesystem::resize_file(init.back(), 64U << 20);
  }
  ASSERT_EQ(run({.arguments = init}).exit.code, 0);
  ConfigText config;
  config.pools = {{.name = "disks",
                   .members = "[" + workplace.path("m0") + ", " + workplace.path("m1") + "]",
                   .layout = "linear"},
                  {.name = "mem"}};
  config.volumes = {{.name = "first", .pool = "disks", .size = "16MiB"},
                    {.name = "on_both", .pool = "disks", .size = "32MiB"},
                    {.name = "other", .pool = "mem"}};
  config.subsystems = {{.namespaces = {{.nsid = 1, .volume = "first"},
                                       {.nsid = 2, .volume = "on_both"},
                                       {.nsid = 3, .volume = "other"}}}};
  Daemon daemon(workplace, config);
  daemon.environment = hung_disk_environment(workplace.path("never"));
  ASSERT_TRUE(daemon.start());
  {
    Host host(daemon.endpoint());
    ASSERT_TRUE(host.connected());
    write(*host.queue, 1, 5, pattern(4096, 1), 4096);
    write(*host.queue, 2, 8000, pattern(4096, 2), 4096);
  }
  daemon.stop();

  write_file(workplace.path("m1.hung"), "");
  daemon.launch();
  ASSERT_TRUE(daemon.ready());
  EXPECT_EQ(named(daemon.status(), "volumes", "other").at("state").as_string(), "online");
  const auto state_of = [](const boost::json::value& status, const char* volume) {
    return std::string(named(status, "volumes", volume).at("state").as_string());
  };
  ASSERT_TRUE(
      daemon.await_status([&](const auto& status) { return state_of(status, "first") == "online"; },
                          Milliseconds{60'000}))
      << daemon.log();
  const auto status = daemon.status();
  EXPECT_EQ(state_of(status, "on_both"), "late");
  const auto pool = named(status, "pools", "disks");
  EXPECT_TRUE(pool.at("open").as_bool());
  ASSERT_EQ(pool.at("members").as_array().size(), 2U);
  EXPECT_EQ(pool.at("members").at(0).at("state").as_string(), "there");
  EXPECT_EQ(pool.at("members").at(1).at("state").as_string(), "missing");
  EXPECT_EQ(std::string(pool.at("members").at(1).at("reason").as_string()),
            workplace.path("m1") + " does not answer; it is asked again when it does");
  Host host(daemon.endpoint());
  ASSERT_TRUE(host.connected());
  EXPECT_TRUE(read(*host.queue, 1, 5, 1, 4096) == pattern(4096, 1));
  write_and_read_back(*host.queue, 1, 6, 1, 4096, 3);

  std::filesystem::remove(workplace.path("m1.hung"));
  ASSERT_TRUE(daemon.await_status(
      [&](const auto& now) { return state_of(now, "on_both") == "online"; }, Milliseconds{60'000}))
      << daemon.log();
  EXPECT_TRUE(read(*host.queue, 2, 8000, 1, 4096) == pattern(4096, 2));
  EXPECT_EQ(named(daemon.status(), "pools", "disks").at("members").at(1).at("state").as_string(),
            "there");
}

// What is not a file where the label should be must not make anybody wait for its other end.
TEST(HangingDisk, APipeInPlaceOfTheLabelIsRefused) {
  Workplace workplace;
  Daemon daemon(workplace, two_pools(workplace));
  const std::string label = workplace.path("stuck/forebay-pool.label");
  std::filesystem::rename(label, label + ".kept");
  ASSERT_EQ(::mkfifo(label.c_str(), 0600), 0);
  ASSERT_TRUE(daemon.start());
  Host host(daemon.endpoint());
  ASSERT_TRUE(host.connected());
  write_and_read_back(*host.queue, 3, 0, 8, 4096, 1);
  EXPECT_NE(named(daemon.status(), "pools", "stuck").at("reason").as_string().find("label"),
            std::string::npos);
  std::filesystem::rename(label + ".kept", label);
  EXPECT_TRUE(daemon.await_status(
      [](const boost::json::value& now) { return now.at("healthy").as_bool(); }));
}

}  // namespace
}  // namespace end_to_end
