// `forebayctl pool add-member`: a linear pool has another disk, for which files stand here, while
// hosts write; and what `forebayd --check` says of members meanwhile.
#include <gtest/gtest.h>

#include <boost/json/array.hpp>
#include <filesystem>
#include <fstream>
#include <memory>

#include "tests/end_to_end/harness/daemon.h"
#include "tests/end_to_end/harness/host.h"

namespace end_to_end {
namespace {

constexpr const char* backup_uuid = "77a1c0de-1111-4222-8333-444455556666";

class AddMember : public testing::Test {
 protected:
  std::string disk(const std::string& name, std::uint64_t bytes = 96U << 20) {
    const std::string path = workplace.path(name);
    write_file(path, "");
    std::filesystem::resize_file(path, bytes);
    return path;
  }
  // A pool of blank disks, with one volume of 48 MiB as NSID 1.
  std::unique_ptr<Daemon> daemon_of(const std::string& layout,
                                    const std::vector<std::string>& names) {
    std::vector<std::string> arguments = {FOREBAYCTL, "pool", "init", "--layout", layout};
    for (const std::string& name : names) arguments.push_back(disk(name));
    const Outcome made = run({.arguments = std::move(arguments)});
    EXPECT_EQ(made.exit.code, 0) << made.output;
    ConfigText config;
    config.pools = {{.name = "fast", .members = list_of(names), .layout = layout}};
    config.volumes = {{.name = "data", .pool = "fast", .size = "48MiB"}};
    config.subsystems = {{.namespaces = {{.nsid = 1, .volume = "data"}}}};
    return std::make_unique<Daemon>(workplace, config);
  }
  std::string list_of(const std::vector<std::string>& names) const {
    std::string list = "[";
    for (const std::string& name : names) {
      list += (list.size() == 1 ? "" : ", ") + workplace.path(name);
    }
    return list + "]";
  }
  static Outcome ask(Daemon& daemon, std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), FOREBAYCTL);
    arguments.insert(arguments.end(), {"--socket", daemon.config().control_socket});
    return run({.arguments = std::move(arguments)});
  }
  static Outcome add(Daemon& daemon, const std::string& path, std::vector<std::string> more = {}) {
    std::vector<std::string> arguments = {"pool", "add-member", "fast", path};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return ask(daemon, std::move(arguments));
  }
  static boost::json::object pool(Daemon& daemon) {
    return named(daemon.status(), "pools", "fast");
  }
  static Outcome check(Daemon& daemon) {
    return run({.arguments = {FOREBAYD, "--check", daemon.config_path()}});
  }

  Workplace workplace;
};

TEST_F(AddMember, HostsGoOnAndTheVolumeGrowsOntoIt) {
  const auto daemon = daemon_of("linear", {"m0"});
  ASSERT_TRUE(daemon->start());
  ASSERT_EQ(ask(*daemon, {"volume", "grow", "data", "100MiB"}).exit.code, 1) << "no space";
  Process load({.arguments = {FOREBAY_LOAD,
                              "--address",
                              "127.0.0.1",
                              "--port",
                              std::to_string(daemon->endpoint().port),
                              "--subsystem",
                              default_subsystem,
                              "--verify",
                              "--quiet",
                              "--duration",
                              std::to_string(rounds(12, 60)),
                              "--nsid",
                              "1",
                              "--block-size",
                              "4096",
                              "--depth",
                              "16",
                              "--queues",
                              "2",
                              "--mix",
                              "50",
                              "--pattern",
                              "random"}});
  ASSERT_TRUE(daemon->await_status(
      [](const auto& status) { return !status.at("hosts").as_array().empty(); }));
  const std::string m1 = disk("m1");
  const Outcome added = add(*daemon, m1);
  EXPECT_EQ(added.exit.code, 0) << added.output;
  EXPECT_EQ(added.output,
            m1 +
                " is now a member of pool fast, which has 80MiB free.\n"
                "Write it into the configuration, or the pool misses it when the daemon starts "
                "again:\n    members: " +
                list_of({"m0", "m1"}) + "\n");
  EXPECT_TRUE(daemon->await_log({"pool=fast", "member=" + m1, "added"}));
  EXPECT_TRUE(daemon->await_log({": pools.fast.members: ", m1 + " has become a member"}));
  EXPECT_EQ(pool(*daemon).at("advice").as_array().size(), 1U);
  const Outcome screen = ask(*daemon, {"status"});
  EXPECT_EQ(screen.exit.code, 0) << "no trouble\n" << screen.output;
  EXPECT_NE(screen.output.find("- pool fast: " + m1 + " has become a member"), std::string::npos)
      << screen.output;
  const Outcome grown = ask(*daemon, {"volume", "grow", "data", "100MiB"});
  EXPECT_EQ(grown.exit.code, 0) << grown.output;
  EXPECT_TRUE(load.running()) << "all of that was to be under load\n" << load.output();
  {
    Host host(daemon->endpoint());
    ASSERT_TRUE(host.connected());
    EXPECT_TRUE(read(*host.queue, 1, 25'599, 1, 4096) == Bytes(4096));
    ASSERT_NO_FATAL_FAILURE(write(*host.queue, 1, 25'599, pattern(4096, 5), 4096));
  }
  const Outcome again = add(*daemon, m1);
  EXPECT_EQ(again.exit.code, 0);
  EXPECT_EQ(again.output.find(m1 + " was already a member of pool fast"), 0U) << again.output;
  const auto exit = load.await_exit(Milliseconds{rounds(120'000, 600'000)});
  ASSERT_TRUE(exit) << load.output();
  EXPECT_EQ(exit->code, 0) << load.output();

  // What the file does not name is missing, and said so before and after the start.
  daemon->kill();
  const Outcome checked = check(*daemon);
  EXPECT_EQ(checked.exit.code, 0) << checked.output;
  EXPECT_NE(checked.output.find("warning: pools.fast.members: member 1 of 2"), std::string::npos)
      << checked.output;
  EXPECT_NE(checked.output.find("it was " + m1 + " last"), std::string::npos) << checked.output;
  daemon->launch();
  ASSERT_TRUE(daemon->ready());
  EXPECT_TRUE(daemon->await_log({": pools.fast.members: member 1 of 2", m1}));
  daemon->stop();
  daemon->config().pools[0].members = list_of({"m0", "m1"});
  daemon->config().volumes[0].size = "100MiB";
  ASSERT_TRUE(daemon->start());
  EXPECT_TRUE(pool(*daemon).at("advice").as_array().empty());
  Host host(daemon->endpoint());
  ASSERT_TRUE(host.connected());
  EXPECT_TRUE(read(*host.queue, 1, 25'599, 1, 4096) == pattern(4096, 5));
  const Outcome valid = check(*daemon);
  EXPECT_EQ(valid.output, daemon->config_path() + ": valid\n") << "while it is served";
}

TEST_F(AddMember, WhatIsOnADiskIsDestroyedOnlyByItsUuid) {
  const auto daemon = daemon_of("linear", {"m0"});
  ASSERT_TRUE(daemon->start());
  const std::string m1 = disk("m1");
  const Outcome made =
      run({.arguments = {"/sbin/mkfs.ext4", "-q", "-F", "-L", "backup", "-U", backup_uuid, m1}});
  ASSERT_EQ(made.exit.code, 0) << made.output;
  for (const std::vector<std::string>& words :
       std::vector<std::vector<std::string>>{{}, {"--overwrite", "ext4"}}) {
    const Outcome refused = add(*daemon, m1, words);
    EXPECT_EQ(refused.exit.code, 1);
    EXPECT_NE(
        refused.output.find(m1 + " holds an ext4 file system \"backup\" (UUID " + backup_uuid +
                            "); refused. If it may be destroyed, add "
                            "--overwrite " +
                            backup_uuid + "\n"),
        std::string::npos)
        << refused.output;
  }
  const Outcome added = add(*daemon, m1, {"--overwrite", backup_uuid});
  EXPECT_EQ(added.exit.code, 0) << added.output;
  // Another pool's member, by that pool's.
  const std::string other = disk("other");
  const Outcome init =
      run({.arguments = {FOREBAYCTL, "pool", "init", "--layout", "single", other}});
  ASSERT_EQ(init.exit.code, 0) << init.output;
  const std::string uuid = init.output.substr(init.output.find("the pool ") + 9, 36);
  const Outcome labelled = add(*daemon, other);
  EXPECT_EQ(labelled.exit.code, 1);
  EXPECT_NE(labelled.output.find("is member 0 of pool " + uuid), std::string::npos)
      << labelled.output;
  EXPECT_EQ(add(*daemon, other, {"--overwrite", uuid}).exit.code, 0);
  EXPECT_EQ(pool(*daemon).at("advice").as_array().size(), 2U);
  const Outcome unknown = ask(*daemon, {"pool", "add-member", "none", m1});
  EXPECT_EQ(unknown.exit.code, 1);
  EXPECT_NE(unknown.output.find("there is no pool none"), std::string::npos) << unknown.output;
}

TEST_F(AddMember, OtherPoolsRefuseWithTheReason) {
  const std::string more = disk("more");
  for (const auto& [layout, names] : std::vector<std::pair<std::string, std::vector<std::string>>>{
           {"single", {"a"}}, {"stripe", {"b", "c"}}}) {
    const auto daemon = daemon_of(layout, names);
    ASSERT_TRUE(daemon->start());
    const Outcome refused = add(*daemon, more);
    EXPECT_EQ(refused.exit.code, 1);
    EXPECT_NE(refused.output.find(layout), std::string::npos) << refused.output;
    // What the file says of it otherwise is told at that key.
    daemon->stop();
    daemon->config().pools[0].layout = "linear";
    daemon->launch();
    ASSERT_TRUE(daemon->ready());
    EXPECT_TRUE(
        daemon->await_log({": pools.fast.layout: ", "has the layout " + layout + ", not linear"}));
    const Outcome checked = check(*daemon);
    EXPECT_NE(checked.output.find(": warning: pools.fast.layout: "), std::string::npos)
        << checked.output;
    daemon->stop();
  }
  Daemon files(workplace, file_config(workplace.make_pool("pool")));
  ASSERT_TRUE(files.start());
  const Outcome refused = ask(files, {"pool", "add-member", "disk", more});
  EXPECT_EQ(refused.exit.code, 1);
  EXPECT_NE(refused.output.find("pool disk has no members"), std::string::npos) << refused.output;
  std::string begin(8, 'x');
  std::ifstream(more, std::ios::binary).read(begin.data(), 8);
  EXPECT_EQ(begin, std::string(8, '\0')) << "nothing was written";
}

}  // namespace
}  // namespace end_to_end
