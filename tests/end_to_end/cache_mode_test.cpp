// What `forebayctl mode` and `forebayctl drain` do to a volume whose host goes on working.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <fstream>
#include <thread>

#include "tests/end_to_end/harness/bystander.h"
#include "tests/end_to_end/harness/daemon.h"
#include "tests/end_to_end/harness/host.h"
#include "tests/end_to_end/harness/hung_disk.h"

namespace end_to_end {
namespace {

constexpr std::uint32_t block = 4096;

class CacheMode : public testing::Test {
 protected:
  [[nodiscard]] ConfigText config() {
    ConfigText config = file_config(workplace.make_pool("pool"));
    config.caches = {{.path = workplace.make_cache("cache", "24MiB")}};
    for (VolumeText& volume : config.volumes) volume.cache = "device: front, max_dirty_age: 1h";
    return config;
  }
  Outcome ask(const std::vector<std::string>& words) {
    std::vector<std::string> arguments{FOREBAYCTL};
    arguments.insert(arguments.end(), words.begin(), words.end());
    arguments.insert(arguments.end(), {"--socket", daemon.config().control_socket});
    return run({.arguments = arguments});
  }
  void change(const std::string& mode) {
    const Outcome changed = ask({"mode", "big", mode});
    EXPECT_EQ(changed.exit.code, 0) << changed.output;
    EXPECT_NE(changed.output.find("volume big: its cache is " + mode), std::string::npos)
        << changed.output;
    EXPECT_EQ(named(daemon.status(), "volumes", "big").at("cache_mode").as_string(), mode);
  }
  // The pool's image alone, as somebody would find it who has lost the cache.
  [[nodiscard]] Bytes in_image(std::uint64_t lba, std::uint32_t blocks) const {
    std::ifstream image(workplace.path("pool") + "/big.raw", std::ios::binary);
    image.seekg(static_cast<std::streamoff>(lba * block));
    Bytes bytes(std::size_t{blocks} * block);
    image.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
    return bytes;
  }

  Workplace workplace;
  Daemon daemon{workplace, config()};
};

TEST_F(CacheMode, ChangesUnderAHostThatSeesNoneOfIt) {
  ASSERT_TRUE(daemon.start());
  Bystander bystander(daemon.endpoint());
  std::atomic<bool> ending{false};
  std::thread worker([this, &ending] {
    Host host(daemon.endpoint());
    ASSERT_TRUE(host.connected());
    for (std::uint64_t seed = 1; !ending && !HasFailure(); ++seed) {
      write_and_read_back(*host.queue, 1, seed * 37 % 8000, 16, block, seed);
    }
  });
  for (const char* mode : {"write-through", "write-around", "write-back", "pass-through",
                           "write-through", "pass-through", "write-around", "write-back"}) {
    change(mode);
    bystander.await_rounds(10);
  }
  ending = true;
  worker.join();
  bystander.expect_undisturbed();
}

TEST_F(CacheMode, WhatIsDrainedIsInThePool) {
  ASSERT_TRUE(daemon.start());
  Host host(daemon.endpoint());
  ASSERT_TRUE(host.connected());
  ASSERT_NO_FATAL_FAILURE(write(*host.queue, 1, 64, pattern(128 * block, 1), block));
  EXPECT_FALSE(in_image(64, 128) == pattern(128 * block, 1)) << "the cache alone has it";
  const Outcome drained = ask({"drain", "big"});
  EXPECT_EQ(drained.exit.code, 0) << drained.output;
  EXPECT_TRUE(in_image(64, 128) == pattern(128 * block, 1));
  const auto then = named(daemon.status(), "volumes", "big");
  EXPECT_EQ(then.at("dirty_bytes").to_number<int>(), 0);
  EXPECT_EQ(then.at("drain_bytes").to_number<int>(), 0);
  EXPECT_EQ(then.at("drain_seconds").to_number<int>(), 0);

  change("pass-through");
  ASSERT_NO_FATAL_FAILURE(write(*host.queue, 1, 64, pattern(8 * block, 2), block));
  EXPECT_TRUE(in_image(64, 8) == pattern(8 * block, 2)) << "answered when the pool has it";
}

// How long it takes is told as soon as it is known how fast the pool is, and while it gets on.
TEST_F(CacheMode, ADrainThatDoesNotGetOnPromisesNoTime) {
  const std::string hung = workplace.path("hung");
  daemon.environment = hung_disk_environment(hung);
  ASSERT_TRUE(daemon.start());
  Host host(daemon.endpoint());
  ASSERT_TRUE(host.connected());
  ASSERT_NO_FATAL_FAILURE(write(*host.queue, 1, 64, pattern(128 * block, 1), block));
  const auto tells_time = [](bool known) {
    return [known](const boost::json::value& status) {
      const auto big = named(status, "volumes", "big");
      return big.at("dirty_bytes").to_number<int>() > 0 &&
             (big.at("drain_seconds").to_number<int>() > 0) == known;
    };
  };
  EXPECT_TRUE(daemon.await_status(tells_time(false))) << "nothing has been written back yet";
  EXPECT_EQ(ask({"drain", "big"}).exit.code, 0);
  ASSERT_NO_FATAL_FAILURE(write(*host.queue, 1, 64, pattern(64 * block, 2), block));
  EXPECT_TRUE(daemon.await_status(tells_time(true)));
  write_file(hung, "");
  Process draining(
      {.arguments = {FOREBAYCTL, "drain", "big", "--socket", daemon.config().control_socket}});
  EXPECT_TRUE(daemon.await_status(tells_time(false)));
  const Outcome screen = ask({"status"});
  EXPECT_NE(screen.output.find("volume big: being drained: 256 KiB left; it does not get on"),
            std::string::npos)
      << screen.output;
  std::filesystem::remove(hung);
  EXPECT_TRUE(draining.await_exit(stop_time_out));
}

TEST_F(CacheMode, ReadOnlyIsToldToTheHostBeforeItWrites) {
  ASSERT_TRUE(daemon.start());
  Host host(daemon.endpoint());
  ASSERT_TRUE(host.connected());
  ASSERT_NO_FATAL_FAILURE(write(*host.queue, 1, 5, pattern(block, 1), block));
  const auto event = request_event(*host.controller, attribute_notices);
  ASSERT_GOOD(event);
  change("read-only");
  const auto told = host.controller->admin().await(event.value());
  ASSERT_GOOD(told);
  EXPECT_EQ(told.value().dw0(), 0x040002U) << "a notice, Namespace Attribute Changed, log 04h";
  const auto space = host.controller->identify_namespace(1);
  ASSERT_GOOD(space);
  EXPECT_TRUE(space.value().write_protected);
  constexpr std::uint16_t namespace_is_write_protected = 0x20;
  EXPECT_EQ(status_of(*host.queue, client::io::write(1, 5, pattern(block, 2), block)) & 0x7ff,
            namespace_is_write_protected);
  EXPECT_TRUE(read(*host.queue, 1, 5, 1, block) == pattern(block, 1));
  change("write-back");
  write_and_read_back(*host.queue, 1, 5, 1, block, 3);
}

TEST_F(CacheMode, IsRefusedInOneLine) {
  daemon.config().volumes.back().cache.clear();
  ASSERT_TRUE(daemon.start());
  struct Row {
    std::vector<std::string> words;
    const char* reason;
  };
  const std::string plain = daemon.config().volumes.back().name;
  for (const Row& row :
       {Row{{"mode", "big", "write-only"}, "\"write-only\" is no mode"},
        Row{{"mode", "none", "write-back"}, "there is no volume none"},
        Row{{"mode", plain, "write-back"}, "has no cache"}, Row{{"drain", plain}, "has no cache"},
        Row{{"drain", "../status"}, "there is no volume"}}) {
    const Outcome refused = ask(row.words);
    EXPECT_EQ(refused.exit.code, 1) << refused.output;
    EXPECT_NE(refused.output.find(row.reason), std::string::npos) << refused.output;
    EXPECT_EQ(std::count(refused.output.begin(), refused.output.end(), '\n'), 1) << refused.output;
  }
}

}  // namespace
}  // namespace end_to_end
