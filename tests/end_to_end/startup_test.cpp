// Starting: what is refused, with which exit code and which one line that says what to change.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <thread>

#include "tests/end_to_end/harness/daemon.h"
#include "tests/end_to_end/harness/host.h"
#include "tests/end_to_end/harness/leased_file.h"

namespace end_to_end {
namespace {

// Path related status (SCT 3): Asymmetric Access Inaccessible. A host with multipath queues on it.
constexpr std::uint16_t ana_inaccessible = 0x302;
// Everything that is refused is refused soon.
constexpr Milliseconds refusal_time_out{20'000};

Outcome forebayd(const std::vector<std::string>& arguments) {
  std::vector<std::string> all = {FOREBAYD};
  all.insert(all.end(), arguments.begin(), arguments.end());
  return run({.arguments = all}, refusal_time_out);
}

std::size_t lines_with(const std::string& text, std::string_view word) {
  std::size_t count = 0;
  for (std::size_t at = text.find(word); at != std::string::npos; at = text.find(word, at + 1)) {
    ++count;
  }
  return count;
}

TEST(Startup, AMissingFileIsNamed) {
  for (const bool check : {false, true}) {
    std::vector<std::string> arguments = {"/nonexistent/forebay.yaml"};
    if (check) arguments.insert(arguments.begin(), "--check");
    const Outcome outcome = forebayd(arguments);
    EXPECT_EQ(outcome.exit.code, 1) << outcome.output;
    EXPECT_NE(outcome.output.find("/nonexistent/forebay.yaml"), std::string::npos);
    EXPECT_NE(outcome.output.find("No such file"), std::string::npos) << outcome.output;
    EXPECT_EQ(lines_with(outcome.output, "\n"), 1U) << outcome.output;
  }
}

TEST(Startup, WithoutAFileItSaysHowItIsCalled) {
  for (const auto& arguments : std::vector<std::vector<std::string>>{
           {}, {"--nonsense", "forebay.yaml"}, {"one.yaml", "two.yaml"}}) {
    const Outcome outcome = forebayd(arguments);
    EXPECT_EQ(outcome.exit.code, 2) << outcome.output;
    EXPECT_NE(outcome.output.find("--help"), std::string::npos) << outcome.output;
  }
  for (const char* asked : {"--help", "--version"}) EXPECT_EQ(forebayd({asked}).exit.code, 0);
}

TEST(Startup, AllErrorsOfTheFileAtOnceWithTheirPlaces) {
  Workplace workplace;
  const std::string path = workplace.path("wrong.yaml");
  write_file(path,
             "apiVersion: forebay/v1\n"
             "node: test\n"
             "listeners:\n"
             "  lo: {protocol: nvme-tcp, address: 127.0.0.1, ports: 4420}\n"
             "pools:\n"
             "  mem: {kind: memory}\n"
             "volumes:\n"
             "  one: {pool: mem, size: \"2000\"}\n"
             "  two: {pool: men, size: 1GiB}\n"
             "subsystems:\n"
             "  nqn.2026-11.com.example:store:\n"
             "    listeners: [lo]\n"
             "    namespaces:\n"
             "      1: {volume: three}\n");
  for (const bool check : {false, true}) {
    std::vector<std::string> arguments = {path};
    if (check) arguments.insert(arguments.begin(), "--check");
    const Outcome outcome = forebayd(arguments);
    EXPECT_EQ(outcome.exit.code, 1);
    std::size_t last = 0;
    for (const char* words : {":4:", ":8:", ":9:", ":11:", ":14:"}) {  // sorted by line
      const std::size_t at = outcome.output.find(path + words);
      EXPECT_NE(at, std::string::npos) << words << " in\n" << outcome.output;
      EXPECT_GE(at, last);
      last = at;
    }
    EXPECT_NE(outcome.output.find("did you mean \"port\""), std::string::npos) << outcome.output;
    EXPECT_NE(outcome.output.find("2000MiB"), std::string::npos) << outcome.output;
    EXPECT_NE(outcome.output.find("known: mem"), std::string::npos) << outcome.output;
  }
}

TEST(Startup, CheckTouchesNothingOfTheMachine) {
  Workplace workplace;
  ConfigText config = file_config(workplace.path("not-there"));
  Daemon daemon(workplace, config);
  const std::string path = workplace.path("good.yaml");
  write_file(path, daemon.config().yaml());
  const Outcome outcome = forebayd({"--check", path});
  EXPECT_EQ(outcome.exit.code, 0) << outcome.output;
  EXPECT_NE(outcome.output.find("valid"), std::string::npos) << outcome.output;
  EXPECT_EQ(outcome.output.find(path + ":"), 0U) << outcome.output;
  EXPECT_NE(outcome.output.find(": warning: pools.disk.directory: " + workplace.path("not-there") +
                                " does not exist"),
            std::string::npos)
      << outcome.output;
  EXPECT_NE(::access(workplace.path("not-there").c_str(), F_OK), 0);
}

// Beside a daemon that serves the pool, whose volumes it says more of than the file could.
TEST(Startup, CheckWarnsOfWhatThisMachineCannotServe) {
  Workplace workplace;
  Daemon daemon(workplace, file_config(workplace.make_pool("pool")));
  ASSERT_TRUE(daemon.start());
  ConfigText changed = daemon.config();
  changed.volumes[0].size = "32MiB";
  changed.volumes[1].block_size = 4096;
  const std::string path = workplace.path("changed.yaml");
  write_file(path, changed.yaml());
  const Outcome outcome = forebayd({"--check", path});
  EXPECT_EQ(outcome.exit.code, 0) << outcome.output;
  EXPECT_NE(outcome.output.find(
                ": warning: volumes.big.size: 32MiB is smaller than the existing 64MiB; shrinking "
                "is refused."),
            std::string::npos)
      << outcome.output;
  EXPECT_NE(
      outcome.output.find(": warning: volumes.small.block_size: 4096 is not the existing 512"),
      std::string::npos)
      << outcome.output;
  EXPECT_EQ(lines_with(outcome.output, "\n"), 3U) << outcome.output;
}

// One line for each, at its place in the file, and nothing of the devices is touched.
TEST(Startup, CheckLooksAtCacheDevices) {
  Workplace workplace;
  ConfigText config = file_config(workplace.make_pool("pool"));
  const std::string blank = workplace.path("blank");
  write_file(blank, std::string(1U << 20, '\0'));
  config.memory = "64MiB";
  config.caches = {{.name = "front", .path = workplace.make_cache("front", "16MiB")},
                   {.name = "gone", .path = workplace.path("not-there")},
                   {.name = "blank", .path = blank}};
  config.volumes[0].cache = "device: front, guaranteed: 12MiB";
  config.volumes[1].cache = "device: front, guaranteed: 8MiB";
  Daemon daemon(workplace, config);
  const std::string path = workplace.path("caches.yaml");
  write_file(path, daemon.config().yaml());
  const Outcome outcome = forebayd({"--check", path});
  EXPECT_EQ(outcome.exit.code, 0) << outcome.output;
  for (const std::string& part :
       {": warning: cache_devices.gone.path: " + workplace.path("not-there") +
            " cannot be opened: No such file",
        ": warning: cache_devices.blank.path: " + blank + ": there is no cache on this device",
        std::string(": warning: volumes.small.cache.guaranteed: guaranteed shares on front add up "
                    "to 20MiB, the device offers ")}) {
    EXPECT_NE(outcome.output.find(part), std::string::npos) << part << "\n" << outcome.output;
  }
  EXPECT_EQ(lines_with(outcome.output, "\n"), 4U) << outcome.output;
}

TEST(Startup, WithoutAPlaceToRememberItWarnsOnceAndServes) {
  Workplace workplace;
  Daemon daemon(workplace, file_config(workplace.make_pool("pool")));
  daemon.state_directory = "/nonexistent";
  ASSERT_TRUE(daemon.start());
  EXPECT_TRUE(daemon.await_log({"nothing is remembered of volumes", "/nonexistent", "No such file",
                                "StateDirectory=forebay"}));
  EXPECT_EQ(lines_with(daemon.log(), "nothing is remembered"), 1U) << daemon.log();
  daemon.stop();
  daemon.state_directory = workplace.directory();
  std::filesystem::create_directories(workplace.path("known-volumes/in-the-way"));
  ASSERT_TRUE(daemon.start());
  EXPECT_TRUE(daemon.await_log({workplace.path("known-volumes"), "cannot be written"}));
  daemon.stop();
  EXPECT_EQ(lines_with(daemon.log(), "cannot be written"), 1U) << daemon.log();
}

TEST(Startup, TheExampleConfigurationIsValid) {
  const Outcome outcome = forebayd({"--check", FOREBAY_EXAMPLE});
  EXPECT_EQ(outcome.exit.code, 0) << outcome.output;
}

bool listens(const client::Endpoint& endpoint) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(endpoint.port);
  const bool connected =
      ::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  ::close(fd);
  return connected;
}

// The one line of an unsuccessful start.
void expect_refused(Daemon& daemon, const std::vector<std::string>& words) {
  daemon.launch();
  const auto exit = daemon.process().await_exit(refusal_time_out);
  ASSERT_TRUE(exit) << "it runs\n" << daemon.log();
  EXPECT_EQ(exit->code, 1) << exit->describe();
  EXPECT_EQ(daemon.notify().count("READY=1"), 0U);
  EXPECT_TRUE(daemon.await_log(words));
  daemon.kill();
}

TEST(Startup, AnAddressInUseIsNamedWithItsListener) {
  Workplace workplace;
  ConfigText config = memory_config();
  config.listeners = {{.name = "san-a", .port = workplace.free_port()}};
  config.subsystems[0].listeners = "[san-a]";
  const int taken = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(config.listeners[0].port);
  ASSERT_EQ(::bind(taken, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  ASSERT_EQ(::listen(taken, 1), 0);
  Daemon daemon(workplace, config);
  expect_refused(
      daemon, {"san-a", fmt::format("127.0.0.1:{}", config.listeners[0].port), "another process"});
  ::close(taken);
  EXPECT_TRUE(daemon.start());
}

// A host that connects before would be told that its subsystem, or its volume, does not exist.
// While a pool hangs, loading takes as long as the daemon waits for pools: until then nobody
// listens.
TEST(Startup, NobodyListensBeforeTheWholeConfigurationIsLoaded) {
  Workplace workplace;
  Daemon daemon(workplace, file_config(workplace.make_pool("pool")));
  ASSERT_TRUE(daemon.start());
  daemon.stop();
  LeasedFile stuck(workplace.path("pool/big.raw"));
  const auto begin = SteadyClock::now();
  daemon.launch();
  while (!listens(daemon.endpoint())) {
    ASSERT_LT(SteadyClock::now() - begin, start_time_out) << daemon.log();
    std::this_thread::sleep_for(Milliseconds{1});  // an open port can only be tried
  }
  EXPECT_GE(SteadyClock::now() - begin, Milliseconds{1'500}) << "it has not waited for its pool";
  Host host(daemon.endpoint());  // at once, not at READY=1
  ASSERT_TRUE(host.connected());
  const auto namespaces = host.controller->active_namespaces();
  ASSERT_GOOD(namespaces);
  EXPECT_EQ(namespaces.value(), (std::vector<std::uint32_t>{1, 2}));
  stuck.give_back();
}

// The second daemon serves nothing of the pool, and says whose it is.
TEST(Startup, TwoDaemonsOnOnePoolAreRefusedWithTheOthersPid) {
  Workplace first_place;
  Workplace second_place;
  const std::string pool = first_place.make_pool("pool");
  Daemon first(first_place, file_config(pool));
  ASSERT_TRUE(first.start());
  Daemon second(second_place, file_config(pool));
  ASSERT_TRUE(second.start()) << "a pool that is served elsewhere is like a disk that is late";
  const std::string pid = std::to_string(first.process().pid());
  const auto refused = named(second.status(), "pools", "disk");
  EXPECT_FALSE(refused.at("open").as_bool());
  EXPECT_NE(refused.at("reason").as_string().find(pid), std::string::npos) << refused.at("reason");
  EXPECT_TRUE(second.await_log({second.config_path() + ":", ": pools.disk.directory: ", pid}));
  Host host(second.endpoint());
  ASSERT_TRUE(host.connected());
  EXPECT_EQ(status_of(*host.queue, client::io::write(1, 0, Bytes(4096), 4096)), ana_inaccessible);
  // And once the first is gone, the pool is the second's.
  first.kill();
  EXPECT_TRUE(second.await_status([](const boost::json::value& status) {
    return named(status, "volumes", "big").at("state").as_string() == "online";
  }));
}

TEST(Startup, AControlSocketInUseIsRefusedAndAStaleOneIsReplaced) {
  Workplace workplace;
  Workplace other;
  Daemon first(workplace, memory_config());
  ASSERT_TRUE(first.start());
  ConfigText config = memory_config();
  config.control_socket = first.config().control_socket;
  Daemon second(other, config);
  expect_refused(second, {config.control_socket});
  EXPECT_EQ(first.status().at("node").as_string(), "test") << "the first one still answers";
  first.kill();  // leaves its socket behind
  ASSERT_TRUE(second.start());
  EXPECT_EQ(second.status().at("healthy").as_bool(), true);
}

TEST(Startup, IoUringThatIsForbiddenIsNamedWithWhatForbidsIt) {
  Workplace workplace;
  Daemon daemon(workplace, memory_config());
  daemon.without_io_uring = true;
  expect_refused(daemon, {"io_uring"});
  daemon.without_io_uring = false;
  EXPECT_TRUE(daemon.start());
}

TEST(Startup, WithoutPermissionItSaysForWhat) {
  Workplace workplace;
  ConfigText config = memory_config();
  config.control_socket = workplace.path("control");  // in a directory of root's
  Daemon daemon(workplace, config);
  ASSERT_EQ(::chmod(workplace.directory().c_str(), 0755), 0);
  daemon.as_nobody = true;
  expect_refused(daemon, {config.control_socket, "ermission"});
}

TEST(Startup, MemoryThatCannotServeIsRefused) {
  Workplace workplace;
  ConfigText config = memory_config();
  config.memory = "64MiB";
  config.reactors = 64;
  Daemon daemon(workplace, config);
  expect_refused(daemon, {daemon.config_path() + ":", ": memory: 64MiB cannot serve 64 reactors",
                          "write 128MiB or more"});
  EXPECT_EQ(lines_with(daemon.log(), "cannot serve"), 1U) << daemon.log();
  daemon.config().reactors = 2;
  ASSERT_TRUE(daemon.start());
  Host host(daemon.endpoint());
  ASSERT_TRUE(host.connected());
  write_and_read_back(*host.queue, 1, 0, 256, 4096, 1);
}

}  // namespace
}  // namespace end_to_end
