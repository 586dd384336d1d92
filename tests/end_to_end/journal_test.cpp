// A daemon is killed in the middle of its write-back, and its cache is lost: with a journal the
// pool has the volume of one moment.
#include <gtest/gtest.h>

#include <atomic>
#include <cstring>
#include <filesystem>
#include <thread>
#include <utility>
#include <vector>

#include "engine/foundation/random.h"
#include "tests/end_to_end/harness/daemon.h"
#include "tests/end_to_end/harness/host.h"

namespace end_to_end {
namespace {

constexpr std::uint32_t journal_block = 4096;
constexpr std::size_t blocks = 256;

using Versions = std::vector<std::uint64_t>;  // of each block

Bytes content(std::uint64_t version) {
  Bytes bytes(journal_block);
  for (std::size_t at = 0; at < journal_block; at += sizeof(version)) {
    std::memcpy(bytes.data() + at, &version, sizeof(version));
  }
  return bytes;
}

class Journal : public testing::Test {
 protected:
  [[nodiscard]] ConfigText config() {
    ConfigText config = file_config(workplace.make_pool("pool"));
    config.caches = {{.path = workplace.make_cache("cache", "12MiB")}};
    for (VolumeText& volume : config.volumes) {
      volume.cache = "device: front, max_dirty_age: 1h, ordered: journal";
    }
    return config;
  }
  [[nodiscard]] Outcome ask(std::vector<std::string> words) {
    words.insert(words.begin(), FOREBAYCTL);
    words.insert(words.end(), {"--socket", daemon.config().control_socket});
    return run({.arguments = std::move(words)});
  }
  // One block after the other, in an order that is not that of their addresses; everything
  // that is answered goes to the pool as soon as it can. Ends with the daemon, which is killed.
  void write_until_killed(std::size_t writes) {
    Host host(daemon.endpoint());
    ASSERT_TRUE(host.connected());
    std::atomic<bool> ending{false};
    std::thread drains([this, &ending] {
      while (!ending) (void)ask({"drain", "big"});
    });
    for (std::size_t done = 0; done < writes; ++done) {
      const std::size_t at = done * 97 % blocks;
      write(*host.queue, 1, at, content(++version), journal_block);
      log.emplace_back(at, version);
    }
    daemon.kill();
    ending = true;
    drains.join();
  }
  [[nodiscard]] Versions read_all() {
    Host host(daemon.endpoint());
    Versions found(blocks);
    for (std::size_t at = 0; at < blocks; ++at) {
      const Bytes bytes = read(*host.queue, 1, at, 1, journal_block);
      std::memcpy(&found[at], bytes.data(), sizeof(found[at]));
      EXPECT_TRUE(bytes == content(found[at])) << "block " << at << " is torn";
    }
    return found;
  }

  Workplace workplace;
  Daemon daemon{workplace, config()};
  std::uint64_t version = 0;
  std::vector<std::pair<std::size_t, std::uint64_t>> log;  // block, version; since the last kill
};

TEST_F(Journal, AKilledDaemonsLostCacheLeavesTheVolumeOfOneMoment) {
  engine::SeededRandom random(20261127);
  Versions before(blocks, 0);
  std::size_t reached = 0;
  for (int round = 0; round < 2; ++round) {
    SCOPED_TRACE(round);
    ASSERT_TRUE(daemon.start());
    const auto status = daemon.status();
    EXPECT_EQ(named(status, "volumes", "big").at("ordered").as_string(), "journal");
    const std::string lost(status.at("caches").at(0).at("uuid").as_string());
    ASSERT_NO_FATAL_FAILURE(write_until_killed(600 + random.below(1000)));
    std::filesystem::remove(workplace.path("cache"));
    (void)workplace.make_cache("cache", "12MiB");
    ASSERT_TRUE(daemon.start());
    ASSERT_TRUE(daemon.await_status([](const boost::json::value& now) {
      return named(now, "volumes", "big").at("state").as_string() == "cache-missing";
    }));
    const std::string reason(named(daemon.status(), "volumes", "big").at("reason").as_string());
    EXPECT_NE(reason.find("the volume is then as it was "), std::string::npos) << reason;
    EXPECT_EQ(reason.find("besides"), std::string::npos) << reason;
    EXPECT_NE(reason.find("Lost with it: "), std::string::npos) << reason;
    const Outcome abandoned = ask({"abandon", "big", "--cache", lost});
    ASSERT_EQ(abandoned.exit.code, 0) << abandoned.output;
    EXPECT_NE(abandoned.output.find("The volume is now as it was "), std::string::npos)
        << abandoned.output;
    EXPECT_NE(abandoned.output.find("Lost with it: "), std::string::npos) << abandoned.output;
    ASSERT_TRUE(daemon.await_status([](const boost::json::value& now) {
      return named(now, "volumes", "big").at("state").as_string() == "online";
    }));

    const Versions found = read_all();
    std::size_t moment = 0;
    Versions then = before;
    for (; then != found && moment < log.size(); ++moment) {
      then[log[moment].first] = log[moment].second;
    }
    ASSERT_TRUE(then == found) << "it is the volume of no moment";
    reached += moment;
    before = found;
    log.clear();
    daemon.stop();
  }
  EXPECT_GT(reached, 0U) << "nothing has reached the pool";
}

}  // namespace
}  // namespace end_to_end
