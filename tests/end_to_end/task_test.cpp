// Long work as forebayctl asks for it and shows it: tasks, flush, scrub, lost.
#include <gtest/gtest.h>

#include <boost/json/parse.hpp>
#include <fstream>
#include <ios>
#include <string>
#include <vector>

#include "tests/end_to_end/harness/daemon.h"
#include "tests/end_to_end/harness/host.h"
#include "tests/engine/file_content.h"

namespace end_to_end {
namespace {

constexpr std::size_t big_block = 4096;

class Tasks : public testing::Test {
 protected:
  [[nodiscard]] ConfigText config() {
    ConfigText config = file_config(workplace.make_pool("pool"));
    config.caches = {{.name = "front", .path = workplace.make_cache("front", "24MiB")}};
    for (VolumeText& volume : config.volumes) volume.cache = "device: front, max_dirty_age: 1h";
    return config;
  }
  Outcome ask(std::vector<std::string> words) {
    words.insert(words.begin(), FOREBAYCTL);
    words.insert(words.end(), {"--socket", daemon.config().control_socket});
    return run({.arguments = words}, Milliseconds{60'000});
  }
  void expect(const std::vector<std::string>& arguments, int code,
              const std::vector<std::string>& words) {
    const Outcome done = ask(arguments);
    EXPECT_EQ(done.exit.describe(), "exit code " + std::to_string(code)) << done.output;
    for (const std::string& word : words) {
      EXPECT_NE(done.output.find(word), std::string::npos) << word << " is not in " << done.output;
    }
  }
  [[nodiscard]] boost::json::value json_of(std::vector<std::string> arguments) {
    arguments.insert(arguments.end(), {"-o", "json"});
    return boost::json::parse(ask(arguments).output);
  }
  // One byte of where `content` lies in the file, while the daemon has it open.
  void flip(const std::string& path, const Bytes& content) const {
    const std::string all = engine::file_content(path);
    const std::size_t at =
        all.find(std::string(reinterpret_cast<const char*>(content.data()), content.size()));
    ASSERT_NE(at, std::string::npos);
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(static_cast<std::streamoff>(at + 100));
    file.put(static_cast<char>(all[at + 100] ^ 1));
  }
  [[nodiscard]] bool has_event(const std::string& name, const std::string& word) {
    const auto events = json_of({"events"});
    for (const auto& event : events.at("events").as_array()) {
      const std::string text(event.at("text").as_string());
      if (event.at("name").as_string() == name && text.find(word) != std::string::npos) return true;
    }
    return false;
  }

  Workplace workplace;
  Daemon daemon{workplace, config()};
};

TEST_F(Tasks, AScrubNamesAByteFlippedInTheCacheAndPutsItRight) {
  ASSERT_TRUE(daemon.start());
  Host host(daemon.endpoint());
  ASSERT_TRUE(host.connected());
  ASSERT_NO_FATAL_FAILURE(write(*host.queue, 1, 70, pattern(big_block, 7), big_block));
  expect({"flush", "big"}, 0, {"flush of big: done: the pool has everything"});
  EXPECT_EQ(named(daemon.status(), "volumes", "big").at("dirty_bytes").to_number<int>(), 0);
  expect({"scrub", "big"}, 0, {"scrub of big: done: all is well: 64 MiB read from the pool"});
  ASSERT_NO_FATAL_FAILURE(flip(workplace.path("front"), pattern(big_block, 7)));
  expect({"scrub", "big", "--rate", "1GiB"}, 2,
         {"1 block is bad in 1 place", "block 70: bad in the cache, well in the pool"});
  EXPECT_TRUE(has_event("scrub.healed", "block 70"));
  EXPECT_TRUE(has_event("task.ended", "scrub (task 3) done"));
  expect({"scrub", "big"}, 0, {"all is well"});
  EXPECT_EQ(read(*host.queue, 1, 70, 1, big_block), pattern(big_block, 7));
  EXPECT_EQ(named(daemon.status(), "volumes", "big").at("scrub").at("bad_blocks"), 0);
}

TEST_F(Tasks, AScrubNamesAByteFlippedInThePool) {
  ASSERT_TRUE(daemon.start());
  Host host(daemon.endpoint());
  ASSERT_TRUE(host.connected());
  ASSERT_NO_FATAL_FAILURE(write(*host.queue, 1, 70, pattern(big_block, 7), big_block));
  expect({"flush", "--all"}, 0, {"flush of big: done", "flush of small: done"});
  ASSERT_NO_FATAL_FAILURE(flip(workplace.path("pool") + "/big.raw", pattern(big_block, 7)));
  expect(
      {"scrub", "--all"}, 2,
      {"block 70: the pool has other bytes than the cache", "scrub of small: done: all is well"});
  EXPECT_TRUE(has_event("scrub.found", "block 70"));
  EXPECT_EQ(read(*host.queue, 1, 70, 1, big_block), pattern(big_block, 7));
  EXPECT_EQ(named(daemon.status(), "volumes", "big").at("scrub").at("bad_blocks"), 1);
}

TEST_F(Tasks, WhatOnlyTheCacheHadIsNamedAndListedWhenItIsGivenUp) {
  ASSERT_TRUE(daemon.start());
  Host host(daemon.endpoint());
  ASSERT_TRUE(host.connected());
  ASSERT_NO_FATAL_FAILURE(write(*host.queue, 1, 70, pattern(big_block, 7), big_block));
  ASSERT_NO_FATAL_FAILURE(flip(workplace.path("front"), pattern(big_block, 7)));
  expect({"scrub", "big"}, 2, {"block 70: bad in the cache, which alone has them"});
  expect({"lost", "big"}, 2, {"bad in the cache, which alone has them", "70", "give-up-lost big"});
  expect({"flush", "big", "--no-wait"}, 0, {"has begun"});
  ASSERT_TRUE(daemon.await_status([](const boost::json::value& status) {
    return named(status, "volumes", "big").at("state").as_string() == "degraded";
  }));
  expect({"give-up-lost", "big"}, 0, {});
  ASSERT_TRUE(daemon.await_status([](const boost::json::value& status) {
    return named(status, "volumes", "big").at("lost_bytes").to_number<int>() > 0;
  }));
  expect({"lost", "big"}, 2, {"reads of these blocks fail", "FIRST BLOCK", "70"});
  expect({"tasks", "wait", "2"}, 0, {"flush of big: done"});
  expect({"scrub", "big"}, 0, {"all is well"});  // what is known to be lost is passed by
}

TEST_F(Tasks, WhatOnlyTheCacheHadStaysLostUntilAWriteCoversIt) {
  ASSERT_TRUE(daemon.start());
  {
    Host host(daemon.endpoint());
    ASSERT_TRUE(host.connected());
    ASSERT_NO_FATAL_FAILURE(write(*host.queue, 1, 70, pattern(big_block, 7), big_block));
    ASSERT_NO_FATAL_FAILURE(flip(workplace.path("front"), pattern(big_block, 7)));
    expect({"scrub", "big"}, 2, {"block 70"});
    expect({"lost", "big"}, 2, {"70"});
  }
  daemon.kill();
  ASSERT_TRUE(daemon.start());
  Host host(daemon.endpoint());
  ASSERT_TRUE(host.connected());
  EXPECT_NE(status_of(*host.queue, client::io::read(1, 70, 1, big_block)), 0);
  // Without another scrub it is known when write-back comes there.
  expect({"flush", "big", "--no-wait"}, 0, {"has begun"});
  const auto lists = [](bool any) {
    return [any](const boost::json::value& status) {
      const auto big = named(status, "volumes", "big");
      return big.at("scrub").at("lost").as_array().empty() != any;
    };
  };
  ASSERT_TRUE(daemon.await_status(lists(true)));
  expect({"lost", "big"}, 2, {"70", "give-up-lost big"});
  expect({"scrub", "big"}, 2, {"block 70"});
  expect({"lost", "big"}, 2, {"70"});
  ASSERT_NO_FATAL_FAILURE(write_and_read_back(*host.queue, 1, 70, 1, big_block, 8));
  expect({"scrub", "big"}, 0, {"all is well"});
  ASSERT_TRUE(daemon.await_status(lists(false)));
  expect({"lost", "big"}, 0, {"nothing is lost"});
}

TEST_F(Tasks, AreListedShownAndCancelled) {
  ASSERT_TRUE(daemon.start());
  expect({"tasks"}, 0, {"There is none."});
  expect({"scrub", "big", "--rate", "1MiB", "--no-wait"}, 0, {"task 1 has begun"});
  expect({"scrub", "small", "--no-wait"}, 0, {"task 2 has begun"});
  expect({"scrub", "big"}, 1, {"is being scrubbed already: task 1"});
  const auto tasks = json_of({"tasks"});
  EXPECT_EQ(tasks.at("tasks").at(0).at("state"), "running");
  EXPECT_EQ(tasks.at("tasks").at(0).at("total_bytes"), 64 << 20);
  EXPECT_NE(tasks.at("tasks").at(0).at("started_by").as_string(), "");
  EXPECT_EQ(tasks.at("tasks").at(1).at("state"), "queued");
  expect({"tasks", "cancel", "1"}, 0, {});
  expect({"tasks", "wait", "1"}, 1, {"scrub of big: cancelled"});
  expect({"tasks", "wait", "2"}, 0, {"scrub of small: done: all is well"});
  expect({"tasks"}, 0, {"cancelled", "done", "STARTED BY"});
  expect({"tasks", "show", "2"}, 0, {"task 2: scrub of small, done"});
  expect({"tasks", "cancel", "2"}, 1, {"has ended already: done"});
  expect({"tasks", "show", "9"}, 1, {"there is no task 9"});
  expect({"scrub", "nobody"}, 1, {"there is no volume nobody"});
  expect({"scrub", "big", "--rate", "1KiB"}, 1, {"from 1 MiB to 16 GiB"});
  expect({"flush", "nobody"}, 1, {"nobody"});
  // One that goes on when the daemon ends does not hold it.
  expect({"scrub", "big", "--rate", "1MiB", "--no-wait"}, 0, {});
  daemon.stop();
  expect({"tasks"}, 1, {"forebayctl: "});
}

TEST_F(Tasks, OneWhoseVolumeIsTakenOutHasFailed) {
  ASSERT_TRUE(daemon.start());
  expect({"scrub", "big", "--rate", "1MiB", "--no-wait"}, 0, {});
  auto& config = daemon.config();
  config.subsystems.front().namespaces.erase(config.subsystems.front().namespaces.begin());
  std::erase_if(config.volumes, [](const VolumeText& volume) { return volume.name == "big"; });
  daemon.reload();
  expect({"tasks", "wait", "1"}, 1, {"scrub of big: failed"});
  EXPECT_TRUE(daemon.await_event("task.failed", "big"));
}

TEST_F(Tasks, DrainAndDetachAreSuchToo) {
  ASSERT_TRUE(daemon.start());
  expect({"drain", "big"}, 0, {});
  expect({"detach", "big"}, 0, {"is now served without a cache"});
  const auto tasks = json_of({"tasks"});
  EXPECT_EQ(tasks.at("tasks").at(0).at("kind"), "drain");
  EXPECT_EQ(tasks.at("tasks").at(0).at("state"), "done");
  EXPECT_EQ(tasks.at("tasks").at(1).at("kind"), "detach");
  EXPECT_EQ(tasks.at("tasks").at(1).at("state"), "done");
  expect({"scrub", "big"}, 0, {"the cache had nothing of it"});
}

}  // namespace
}  // namespace end_to_end
