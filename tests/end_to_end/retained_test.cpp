// A volume that is taken out of the configuration: kept until somebody destroys it by name and
// UUID. And one that is named otherwise there: the same disk.
#include <gtest/gtest.h>

#include "tests/end_to_end/harness/daemon.h"
#include "tests/end_to_end/harness/host.h"

namespace end_to_end {
namespace {

// What forebayctl says of it.
Outcome destroy(Daemon& daemon, const std::string& name, const std::string& uuid) {
  return run({.arguments = {FOREBAYCTL, "volume", "destroy", name, "--uuid", uuid, "--socket",
                            daemon.config().control_socket}});
}

boost::json::array retained(Daemon& daemon) {
  return named(daemon.status(), "pools", "disk").at("retained").as_array();
}

TEST(Retained, AVolumeIsKeptUntilItIsDestroyedByItsUuid) {
  Workplace workplace;
  ConfigText with = file_config(workplace.make_pool("pool"));
  ConfigText without = with;
  std::erase_if(without.volumes, [](const auto& volume) { return volume.name == "small"; });
  std::erase_if(without.subsystems[0].namespaces,
                [](const auto& space) { return space.volume == "small"; });
  Daemon daemon(workplace, with);
  const auto restart = [&](const ConfigText& config) {
    daemon.stop();
    daemon.config().volumes = config.volumes;
    daemon.config().subsystems = config.subsystems;
    ASSERT_TRUE(daemon.start());
  };
  ASSERT_TRUE(daemon.start());
  const std::string uuid(named(daemon.status(), "volumes", "small").at("uuid").as_string());
  {
    Host host(daemon.endpoint());
    ASSERT_TRUE(host.connected());
    ASSERT_NO_FATAL_FAILURE(write(*host.queue, 2, 5, pattern(512, 1), 512));
  }

  ASSERT_NO_FATAL_FAILURE(restart(without));
  ASSERT_EQ(retained(daemon).size(), 1U);
  EXPECT_EQ(retained(daemon)[0].at("uuid").as_string(), uuid);
  const Outcome screen =
      run({.arguments = {FOREBAYCTL, "status", "--socket", daemon.config().control_socket}});
  EXPECT_EQ(screen.exit.code, 0) << "no trouble\n" << screen.output;
  EXPECT_NE(screen.output.find("1 volume that the configuration does not name is retained"),
            std::string::npos)
      << screen.output;
  const Outcome listed =
      run({.arguments = {FOREBAYCTL, "volumes", "--socket", daemon.config().control_socket}});
  EXPECT_NE(listed.output.find("retained  " + uuid), std::string::npos) << listed.output;

  ASSERT_NO_FATAL_FAILURE(restart(with));
  EXPECT_TRUE(retained(daemon).empty());
  {
    Host host(daemon.endpoint());
    ASSERT_TRUE(host.connected());
    EXPECT_TRUE(read(*host.queue, 2, 5, 1, 512) == pattern(512, 1));
  }
  const Outcome served = destroy(daemon, "small", uuid);
  EXPECT_EQ(served.exit.code, 1);
  EXPECT_NE(served.output.find("volume small is in the configuration"), std::string::npos)
      << served.output;

  ASSERT_NO_FATAL_FAILURE(restart(without));
  EXPECT_EQ(destroy(daemon, "small", "x").exit.code, 1);
  const Outcome gone = destroy(daemon, "small", uuid);
  EXPECT_EQ(gone.exit.code, 0) << gone.output;
  EXPECT_NE(gone.output.find("its data is deleted"), std::string::npos) << gone.output;
  EXPECT_TRUE(daemon.await_log({"volume=small", "destroyed", uuid}));
  EXPECT_TRUE(retained(daemon).empty());

  ASSERT_NO_FATAL_FAILURE(restart(with));
  const auto anew = named(daemon.status(), "volumes", "small");
  EXPECT_EQ(anew.at("state").as_string(), "online") << anew.at("reason");
  EXPECT_NE(std::string(anew.at("uuid").as_string()), uuid);
  Host host(daemon.endpoint());
  ASSERT_TRUE(host.connected());
  EXPECT_TRUE(read(*host.queue, 2, 5, 1, 512) == client::Bytes(512));
}

TEST(Renamed, AServedVolumeIsTheSameDiskAndFoundByEveryStart) {
  Workplace workplace;
  Daemon daemon(workplace, file_config(workplace.make_pool("pool")));
  ASSERT_TRUE(daemon.start());
  const ConfigText before = daemon.config();
  const auto called = [&before](const std::string& name, const std::string& was) {
    ConfigText config = before;
    for (VolumeText& volume : config.volumes) {
      if (volume.name != "small") continue;
      volume.name = name;
      volume.was = was;
    }
    for (NamespaceText& space : config.subsystems[0].namespaces) {
      if (space.volume == "small") space.volume = name;
    }
    return config;
  };
  const auto uuid_of = [&daemon](const std::string& name) {
    return std::string(named(daemon.status(), "volumes", name).at("uuid").as_string());
  };
  const auto ctl = [&](std::vector<std::string> words) {
    words.insert(words.begin(), FOREBAYCTL);
    words.insert(words.end(), {"--socket", daemon.config().control_socket});
    return run({.arguments = std::move(words)});
  };
  const auto apply = [&](const ConfigText& next, const std::vector<std::string>& more = {}) {
    write_file(workplace.path("next.yaml"), next.yaml());
    std::vector<std::string> words{"apply", workplace.path("next.yaml")};
    words.insert(words.end(), more.begin(), more.end());
    daemon.notify().forget();
    const Outcome outcome = ctl(words);
    EXPECT_EQ(outcome.exit.code, 0) << outcome.output;
    return outcome.output;
  };
  const std::string uuid = uuid_of("small");
  {
    Host host(daemon.endpoint());
    ASSERT_TRUE(host.connected());
    ASSERT_GOOD(request_event(*host.controller, attribute_notices));
    write(*host.queue, 2, 5, pattern(512, 1), 512);

    // Unless nobody confirms it.
    EXPECT_NE(apply(called("db01", "small"), {"--confirm-within", "1s"}).find("renamed from small"),
              std::string::npos);
    EXPECT_EQ(uuid_of("db01"), uuid);
    EXPECT_TRUE(read(*host.queue, 2, 5, 1, 512) == pattern(512, 1));
    EXPECT_TRUE(daemon.await_log({"applied by=nobody has confirmed"}, start_time_out));
    EXPECT_EQ(uuid_of("small"), uuid);

    (void)apply(called("db01", "small"));
    write(*host.queue, 2, 6, pattern(512, 2), 512);
    (void)apply(called("db01", ""));
    EXPECT_EQ(uuid_of("db01"), uuid);
    EXPECT_TRUE(read(*host.queue, 2, 5, 1, 512) == pattern(512, 1));
    EXPECT_TRUE(read(*host.queue, 2, 6, 1, 512) == pattern(512, 2));
    ASSERT_TRUE(host.controller->keep_alive());
    EXPECT_EQ(host.controller->admin().in_flight(), 1U) << "hosts are told nothing";
    const Outcome command = ctl({"volume", "rename", "db01", "db02", "--uuid", uuid});
    EXPECT_EQ(command.exit.code, 1);
    EXPECT_NE(command.output.find("name it db02 there, with `was: db01`"), std::string::npos)
        << command.output;
  }
  // A file that was changed while nothing ran, and the one after that.
  for (const char* was : {"db01", ""}) {
    daemon.stop();
    daemon.config().volumes = called("db03", was).volumes;
    daemon.config().subsystems = called("db03", was).subsystems;
    ASSERT_TRUE(daemon.start());
    EXPECT_EQ(uuid_of("db03"), uuid);
    Host host(daemon.endpoint());
    ASSERT_TRUE(host.connected());
    EXPECT_TRUE(read(*host.queue, 2, 6, 1, 512) == pattern(512, 2));
  }
}

}  // namespace
}  // namespace end_to_end
