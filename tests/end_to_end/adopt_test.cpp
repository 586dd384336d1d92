// Images of other programs as volumes, volumes' images in other programs, and another name.
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>

#include "tests/end_to_end/harness/daemon.h"
#include "tests/end_to_end/harness/host.h"

namespace end_to_end {
namespace {

constexpr const char* qemu_img = "/usr/bin/qemu-img";
constexpr const char* qemu_io = "/usr/bin/qemu-io";

// What forebayctl says.
Outcome ask_of(Daemon& daemon, const std::string& action, std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), {FOREBAYCTL, "volume", action});
  arguments.insert(arguments.end(), {"--socket", daemon.config().control_socket});
  return run({.arguments = std::move(arguments)});
}

Outcome qemu(std::vector<std::string> arguments) {
  Outcome outcome = run({.arguments = std::move(arguments)});
  EXPECT_EQ(outcome.exit.code, 0) << outcome.output;
  return outcome;
}

// The volume beside those of the configuration, as NSID 3.
ConfigText with_volume(ConfigText config, const std::string& name, const std::string& size) {
  config.volumes.push_back({.name = name, .pool = "disk", .size = size});
  config.subsystems[0].namespaces.push_back({.nsid = 3, .volume = name});
  return config;
}

class Adopted : public testing::Test {
 protected:
  Workplace workplace;
  const std::string pool = workplace.make_pool("pool");
  const ConfigText without = file_config(pool);
  Daemon daemon{workplace, without};

  void restart(const ConfigText& config) {
    daemon.stop();
    daemon.config().volumes = config.volumes;
    daemon.config().subsystems = config.subsystems;
    ASSERT_TRUE(daemon.start());
  }
};

TEST_F(Adopted, AnImageOfQemusIsAVolumeAndAVolumesImageIsOneOfQemus) {
  const std::string image = pool + "/copied.raw";
  qemu({qemu_img, "create", "-q", "-f", "raw", image, "16M"});
  qemu({qemu_io, "-f", "raw", "-c", "write -P 0x5a 8192 4096", image});
  ASSERT_TRUE(daemon.start());
  const Outcome adopted =
      ask_of(daemon, "adopt", {"guest", "--pool", "disk", "--file", "copied.raw"});
  EXPECT_EQ(adopted.exit.code, 0) << adopted.output;
  EXPECT_NE(adopted.output.find("volume guest of pool disk is copied.raw as it is"),
            std::string::npos)
      << adopted.output;
  EXPECT_NE(adopted.output.find("thin"), std::string::npos) << "it has holes: " << adopted.output;
  EXPECT_TRUE(daemon.await_log({"volume=guest", "adopted", "copied.raw"}));
  const auto retained = named(daemon.status(), "pools", "disk").at("retained").as_array();
  ASSERT_EQ(retained.size(), 1U);
  const std::string uuid(retained[0].at("uuid").as_string());
  EXPECT_NE(adopted.output.find(uuid), std::string::npos) << adopted.output;
  const Outcome elsewhere =
      ask_of(daemon, "adopt", {"more", "--pool", "none", "--file", "more.raw"});
  EXPECT_EQ(elsewhere.exit.code, 1);
  EXPECT_NE(elsewhere.output.find("there is no file pool none"), std::string::npos)
      << elsewhere.output;

  ASSERT_NO_FATAL_FAILURE(restart(with_volume(without, "guest", "16MiB")));
  EXPECT_EQ(named(daemon.status(), "volumes", "guest").at("uuid").as_string(), uuid);
  {
    Host host(daemon.endpoint());
    ASSERT_TRUE(host.connected());
    EXPECT_TRUE(read(*host.queue, 3, 2, 1, 4096) == client::Bytes(4096, std::byte{0x5a}));
    EXPECT_TRUE(read(*host.queue, 3, 1, 1, 4096) == client::Bytes(4096));
    ASSERT_NO_FATAL_FAILURE(write(*host.queue, 3, 5, client::Bytes(4096, std::byte{0x77}), 4096));
    ASSERT_NO_FATAL_FAILURE(write(*host.queue, 1, 7, client::Bytes(4096, std::byte{0x66}), 4096));
  }
  daemon.stop();
  qemu({qemu_io, "-f", "raw", "-r", "-c", "read -P 0x5a 8192 4096", "-c", "read -P 0x77 20480 4096",
        "-c", "read -P 0 0 8192", image});
  // And one that was made here, by qemu-img and by whoever reads files.
  const std::string own = pool + "/" + without.volumes[0].name + ".raw";
  const Outcome same = qemu({qemu_io, "-f", "raw", "-r", "-c", "read -P 0x66 28672 4096", own});
  EXPECT_EQ(same.output.find("Pattern verification failed"), std::string::npos) << same.output;
  const std::string copy = workplace.path("copy.qcow2");
  qemu({qemu_img, "convert", "-q", "-f", "raw", "-O", "qcow2", own, copy});
  qemu({qemu_img, "compare", "-q", "-f", "raw", "-F", "qcow2", own, copy});
  std::ifstream file(own, std::ios::binary);
  file.seekg(28672);
  std::string block(4096, '\0');
  file.read(block.data(), 4096);
  EXPECT_EQ(block, std::string(4096, '\x66'));
}

TEST_F(Adopted, RenamedAVolumeKeepsItsUuidAndItsData) {
  const ConfigText with_old = with_volume(without, "old", "16MiB");
  daemon.config().volumes = with_old.volumes;
  daemon.config().subsystems = with_old.subsystems;
  ASSERT_TRUE(daemon.start());
  const std::string uuid(named(daemon.status(), "volumes", "old").at("uuid").as_string());
  {
    Host host(daemon.endpoint());
    ASSERT_TRUE(host.connected());
    ASSERT_NO_FATAL_FAILURE(write(*host.queue, 3, 5, pattern(4096, 1), 4096));
  }
  const Outcome served = ask_of(daemon, "rename", {"old", "new", "--uuid", uuid});
  EXPECT_EQ(served.exit.code, 1);
  EXPECT_NE(served.output.find("volume old is in the configuration"), std::string::npos)
      << served.output;

  ASSERT_NO_FATAL_FAILURE(restart(without));
  EXPECT_EQ(ask_of(daemon, "rename", {"old", "new", "--uuid", "x"}).exit.code, 1);
  const Outcome renamed = ask_of(daemon, "rename", {"old", "new", "--uuid", uuid});
  EXPECT_EQ(renamed.exit.code, 0) << renamed.output;
  EXPECT_NE(renamed.output.find("is called new now"), std::string::npos) << renamed.output;
  EXPECT_TRUE(daemon.await_log({"volume=old", uuid, "renamed", "to=new"}));

  ASSERT_NO_FATAL_FAILURE(restart(with_volume(without, "new", "16MiB")));
  EXPECT_EQ(named(daemon.status(), "volumes", "new").at("uuid").as_string(), uuid);
  Host host(daemon.endpoint());
  ASSERT_TRUE(host.connected());
  EXPECT_TRUE(read(*host.queue, 3, 5, 1, 4096) == pattern(4096, 1));
}

}  // namespace
}  // namespace end_to_end
