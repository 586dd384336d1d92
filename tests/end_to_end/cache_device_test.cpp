// What `forebayctl detach`, `attach` and `retire` do to volumes whose hosts go on working.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <thread>

#include "tests/end_to_end/harness/bystander.h"
#include "tests/end_to_end/harness/daemon.h"
#include "tests/end_to_end/harness/host.h"
#include "tests/end_to_end/harness/hung_disk.h"
#include "tests/engine/file_content.h"

namespace end_to_end {
namespace {

constexpr std::size_t big_block = 4096;

// A host that writes all the time to the front of NSID 1, reads back, and knows what is where.
class BusyHost {
 public:
  explicit BusyHost(const client::Endpoint& endpoint) : host_(std::in_place, endpoint) {
    if (host_->connected()) thread_ = std::thread([this] { work(); });
  }
  BusyHost(const BusyHost&) = delete;
  BusyHost& operator=(const BusyHost&) = delete;
  ~BusyHost() { stop(); }

  void stop() {
    ending_ = true;
    if (thread_.joinable()) thread_.join();
    host_.reset();
  }
  // Waits until it has written `count` times more; false, and a test failure, when it cannot.
  [[nodiscard]] bool goes_on(std::uint64_t count) {
    const std::uint64_t wanted = rounds_ + count;
    while (rounds_ < wanted && !ending_ && thread_.joinable()) {
      std::this_thread::sleep_for(Milliseconds{1});  // until it has answers, or its time-out
    }
    return rounds_ >= wanted;
  }
  // After stop(): all that it has written is there.
  void expect_all(const client::Endpoint& endpoint) const {
    Host reader(endpoint);
    ASSERT_TRUE(reader.connected());
    for (std::size_t i = 0; i < extents; ++i) {
      if (last_[i] == 0) continue;
      EXPECT_TRUE(read(*reader.queue, 1, i * blocks, blocks, big_block) ==
                  pattern(blocks * big_block, last_[i]))
          << "extent " << i << " is not what was written last, which was round " << last_[i];
    }
  }

 private:
  static constexpr std::size_t extents = 32;
  static constexpr std::uint32_t blocks = 16;

  void work() {
    for (std::uint64_t round = 1; !ending_; ++round) {
      const std::size_t extent = round * 7 % extents;
      write_and_read_back(*host_->queue, 1, extent * blocks, blocks, big_block, round);
      last_[extent] = round;
      if (testing::Test::HasFailure()) ending_ = true;
      rounds_ = round;
    }
  }

  std::optional<Host> host_;
  std::atomic<bool> ending_{false};
  std::atomic<std::uint64_t> rounds_{0};
  std::array<std::uint64_t, extents> last_{};  // round in which it was written; 0: never
  std::thread thread_;
};

// Both volumes through "front"; "spare" is there and not used.
class CacheDevice : public testing::Test {
 protected:
  [[nodiscard]] ConfigText config() {
    ConfigText config = file_config(workplace.make_pool("pool"));
    config.caches = {{.name = "front", .path = workplace.make_cache("front", "24MiB")},
                     {.name = "spare", .path = workplace.make_cache("spare", "24MiB")}};
    for (VolumeText& volume : config.volumes) volume.cache = through("front");
    return config;
  }
  [[nodiscard]] static std::string through(const std::string& device) {
    return "device: " + device + ", max_dirty_age: 1h";
  }
  [[nodiscard]] std::vector<std::string> command(std::vector<std::string> words) {
    words.insert(words.begin(), FOREBAYCTL);
    words.insert(words.end(), {"--socket", daemon.config().control_socket});
    return words;
  }
  Outcome ask(const std::vector<std::string>& words) {
    return run({.arguments = command(words)}, Milliseconds{60'000});
  }
  // It ends well, and says all of `words`.
  void expect_done(const std::vector<std::string>& arguments,
                   const std::vector<std::string>& words) {
    const Outcome done = ask(arguments);
    EXPECT_EQ(done.exit.describe(), "exit code 0") << done.output;
    for (const std::string& word : words) {
      EXPECT_NE(done.output.find(word), std::string::npos) << word << " is not in " << done.output;
    }
  }
  // "" : without a cache.
  void expect_served_through(const std::string& device) {
    const auto volume = named(daemon.status(), "volumes", "big");
    EXPECT_EQ(volume.at("state").as_string(), "online");
    EXPECT_EQ(volume.at("cache").as_string(), device);
    EXPECT_EQ(volume.at("cache_mode").as_string(), device.empty() ? "" : "write-back");
    EXPECT_FALSE(volume.at("detaching").as_bool());
    EXPECT_EQ(volume.at("detach_error").as_string(), "");
  }
  // One byte of where `content` lies in the file.
  void rot(const std::string& cache, const Bytes& content) const {
    const std::string all = engine::file_content(workplace.path(cache));
    const std::size_t at =
        all.find(std::string(reinterpret_cast<const char*>(content.data()), content.size()));
    ASSERT_NE(at, std::string::npos);
    std::fstream file(workplace.path(cache), std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(static_cast<std::streamoff>(at + 100));
    file.put(static_cast<char>(all[at + 100] ^ 1));
  }
  [[nodiscard]] Exit inspect(const std::string& cache) const {
    return run({.arguments = {FOREBAY_MEDIA, "inspect", workplace.path(cache)}}).exit;
  }
  // The pool's image alone.
  [[nodiscard]] Bytes in_image(std::uint64_t lba, std::uint32_t blocks) const {
    std::ifstream image(workplace.path("pool") + "/big.raw", std::ios::binary);
    image.seekg(static_cast<std::streamoff>(lba * big_block));
    Bytes bytes(std::size_t{blocks} * big_block);
    image.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
    return bytes;
  }

  Workplace workplace;
  Daemon daemon{workplace, config()};
};

TEST_F(CacheDevice, IsTakenOutUnderAHostThatSeesNoneOfIt) {
  ASSERT_TRUE(daemon.start());
  Bystander bystander(daemon.endpoint());
  BusyHost busy(daemon.endpoint());
  ASSERT_TRUE(busy.goes_on(100));
  std::optional<Host> other(std::in_place, daemon.endpoint());
  ASSERT_TRUE(other->connected());
  const Bytes small = pattern(std::size_t{64} * 512, 5);
  ASSERT_NO_FATAL_FAILURE(write(*other->queue, 2, 100, small, 512));

  expect_done({"detach", "big"}, {"volume big is now served without a cache", "names front"});
  expect_served_through("");
  ASSERT_TRUE(busy.goes_on(100));
  expect_done({"attach", "big", "--cache", "spare"},
              {"volume big is now served through spare", "still names front: write device: spare"});
  expect_served_through("spare");
  ASSERT_TRUE(busy.goes_on(100));

  EXPECT_NE(inspect("front").describe(), "exit code 0") << "the daemon has it";
  expect_done({"retire", "front"},
              {"cache front is retired", "cache_devices: remove front",
               "volumes.big.cache: write device: spare", "volumes.small: remove cache"});
  const auto status = daemon.status();
  EXPECT_TRUE(status.at("healthy").as_bool()) << "it was asked for";
  EXPECT_TRUE(named(status, "caches", "front").at("retired").as_bool());
  EXPECT_FALSE(named(status, "caches", "front").at("open").as_bool());
  EXPECT_EQ(named(status, "volumes", "small").at("cache").as_string(), "");
  EXPECT_EQ(inspect("front").describe(), "exit code 0");
  EXPECT_TRUE(std::filesystem::remove(workplace.path("front")));
  ASSERT_TRUE(busy.goes_on(100));
  bystander.expect_undisturbed();
  busy.stop();
  busy.expect_all(daemon.endpoint());
  EXPECT_TRUE(read(*other->queue, 2, 100, 64, 512) == small);
  other.reset();

  daemon.stop();
  daemon.config().caches.erase(daemon.config().caches.begin());
  daemon.config().volumes[0].cache = through("spare");
  daemon.config().volumes[1].cache.clear();
  ASSERT_TRUE(daemon.start());
  expect_served_through("spare");
  busy.expect_all(daemon.endpoint());
  const Host again(daemon.endpoint());
  ASSERT_TRUE(again.connected());
  EXPECT_TRUE(read(*again.queue, 2, 100, 64, 512) == small);
}

TEST_F(CacheDevice, OfADetachedVolumeIsNotNeededAnyMore) {
  ASSERT_TRUE(daemon.start());
  {
    Host host(daemon.endpoint());
    ASSERT_TRUE(host.connected());
    ASSERT_NO_FATAL_FAILURE(write(*host.queue, 1, 64, pattern(128 * big_block, 1), big_block));
    EXPECT_FALSE(in_image(64, 128) == pattern(128 * big_block, 1)) << "the cache alone has it";
    expect_done({"detach", "big"}, {"without a cache"});
    EXPECT_TRUE(in_image(64, 128) == pattern(128 * big_block, 1));
    ASSERT_NO_FATAL_FAILURE(write(*host.queue, 1, 64, pattern(8 * big_block, 2), big_block));
    EXPECT_TRUE(in_image(64, 8) == pattern(8 * big_block, 2)) << "answered when the pool has it";
    EXPECT_TRUE(read(*host.queue, 1, 64, 8, big_block) == pattern(8 * big_block, 2));
  }
  daemon.kill();
  daemon.config().volumes[0].cache.clear();
  ASSERT_TRUE(daemon.start());
  expect_served_through("");
  Host host(daemon.endpoint());
  ASSERT_TRUE(host.connected());
  EXPECT_TRUE(read(*host.queue, 1, 64, 8, big_block) == pattern(8 * big_block, 2));
}

TEST_F(CacheDevice, OfTheConfigurationCountsAgainAtTheNextStart) {
  ASSERT_TRUE(daemon.start());
  {
    Host host(daemon.endpoint());
    ASSERT_TRUE(host.connected());
    ASSERT_NO_FATAL_FAILURE(write(*host.queue, 1, 5, pattern(big_block, 1), big_block));
    expect_done({"detach", "big"}, {"without a cache"});
    ASSERT_NO_FATAL_FAILURE(write(*host.queue, 1, 5, pattern(big_block, 2), big_block));
  }
  daemon.stop();
  ASSERT_TRUE(daemon.start());
  expect_served_through("front");
  Host host(daemon.endpoint());
  ASSERT_TRUE(host.connected());
  EXPECT_TRUE(read(*host.queue, 1, 5, 1, big_block) == pattern(big_block, 2))
      << "what the cache had before must not come back";
  write_and_read_back(*host.queue, 1, 5, 1, big_block, 3);
}

// Status, a check of the file and whoever decides are told how much is lost, and since when.
TEST_F(CacheDevice, ThatIsLostIsGivenUpWithWhatIsLostOnRecord) {
  ASSERT_TRUE(daemon.start());
  const std::string lost(named(daemon.status(), "caches", "front").at("uuid").as_string().c_str());
  {
    Host host(daemon.endpoint());
    ASSERT_TRUE(host.connected());
    ASSERT_NO_FATAL_FAILURE(write(*host.queue, 1, 64, pattern(25 * big_block, 1), big_block));
  }
  daemon.stop();
  ASSERT_TRUE(std::filesystem::remove(workplace.path("front")));
  (void)workplace.make_cache("front", "24MiB");
  const std::string told = "as it was before it was cached. Lost with it: up to 100 KiB as of 20";
  const Outcome check =
      run({.arguments = {FOREBAYD, "--check", daemon.config_path()}}, Milliseconds{60'000});
  EXPECT_NE(
      check.output.find("forebayctl abandon big --cache " + lost + "; the volume is then " + told),
      std::string::npos)
      << check.output;
  ASSERT_TRUE(daemon.start());
  ASSERT_TRUE(daemon.await_status([](const auto& status) {
    return named(status, "volumes", "big").at("state").as_string() == "cache-missing";
  }));
  const Outcome screen = ask({"status"});
  EXPECT_NE(screen.output.find("the volume is then " + told), std::string::npos) << screen.output;
  expect_done({"abandon", "big", "--cache", lost}, {"volume big", "The volume is now " + told});
  EXPECT_TRUE(daemon.await_log({"volume=big", lost, "the volume is now " + told}));
  ASSERT_TRUE(daemon.await_status([](const auto& status) {
    return named(status, "volumes", "big").at("state").as_string() == "online";
  }));
  const Host again(daemon.endpoint());
  ASSERT_TRUE(again.connected());
  EXPECT_TRUE(read(*again.queue, 1, 64, 25, big_block) == Bytes(25 * big_block, std::byte{0}));
}

// Listed and counted until it is written anew, with the cache and without it.
TEST_F(CacheDevice, ThatHasLostABlockSaysWhichAndHowOftenItWasAskedFor) {
  constexpr std::uint16_t unrecovered_read_error = 0x281;
  const auto big = [this] { return named(daemon.status(), "volumes", "big"); };
  ASSERT_TRUE(daemon.start());
  {
    Host host(daemon.endpoint());
    ASSERT_TRUE(host.connected());
    ASSERT_NO_FATAL_FAILURE(write(*host.queue, 1, 70, pattern(big_block, 7), big_block));
    EXPECT_EQ(big().at("lost_reads").to_number<int>(), 0);
  }
  daemon.stop();
  ASSERT_NO_FATAL_FAILURE(rot("front", pattern(big_block, 7)));
  ASSERT_TRUE(daemon.start());
  {
    Host host(daemon.endpoint());
    ASSERT_TRUE(host.connected());
    EXPECT_EQ(status_of(*host.queue, client::io::read(1, 70, 1, big_block)) & 0x7ff,
              unrecovered_read_error);
    EXPECT_EQ(big().at("lost_reads").to_number<int>(), 1);
    const Outcome before = ask({"status"});
    EXPECT_NE(before.output.find("volume big: 1 read has failed of what its cache had"),
              std::string::npos)
        << before.output;
    Process draining({.arguments = command({"drain", "big"})});
    ASSERT_TRUE(daemon.await_status([](const auto& status) {
      return named(status, "volumes", "big").at("state").as_string() == "degraded";
    }));
    expect_done({"give-up-lost", "big"}, {"forebayctl status lists it"});
    EXPECT_TRUE(daemon.await_event("volume.blocks-lost", "big"));
    EXPECT_TRUE(draining.await_exit(stop_time_out));
    EXPECT_EQ(status_of(*host.queue, client::io::read(1, 70, 1, big_block)) & 0x7ff,
              unrecovered_read_error);
  }
  expect_done({"detach", "big"}, {"without a cache"});
  Host host(daemon.endpoint());
  ASSERT_TRUE(host.connected());
  EXPECT_EQ(status_of(*host.queue, client::io::read(1, 64, 16, big_block)) & 0x7ff,
            unrecovered_read_error);
  const auto lost = big();
  EXPECT_EQ(lost.at("lost_bytes").to_number<std::uint64_t>(), big_block);
  EXPECT_EQ(lost.at("lost_ranges").at(0).at("offset_bytes").to_number<std::uint64_t>(),
            70 * big_block);
  EXPECT_EQ(lost.at("lost_reads").to_number<int>(), 3);
  const Outcome screen = ask({"status"});
  EXPECT_NE(screen.output.find("volume big: 4.0 KiB of it are lost (blocks 70): reading them fails "
                               "until they are written; 3 reads have failed"),
            std::string::npos)
      << screen.output;
  write_and_read_back(*host.queue, 1, 70, 1, big_block, 8);
  EXPECT_EQ(big().at("lost_bytes").to_number<int>(), 0);
  EXPECT_TRUE(daemon.await_event("volume.blocks-mended", "big"));
}

TEST_F(CacheDevice, IsKeptWhenItsDetachmentIsInterrupted) {
  const std::string hung = workplace.path("hung");
  daemon.environment = hung_disk_environment(hung);
  ASSERT_TRUE(daemon.start());
  Host host(daemon.endpoint());
  ASSERT_TRUE(host.connected());
  ASSERT_NO_FATAL_FAILURE(write(*host.queue, 1, 5, pattern(big_block, 1), big_block));
  write_file(hung, "");
  Process detaching({.arguments = command({"detach", "big"})});
  EXPECT_TRUE(daemon.await_status([](const auto& status) {
    return named(status, "volumes", "big").at("detaching").as_bool();
  }));
  const Outcome screen = ask({"status"});
  EXPECT_NE(screen.output.find("volume big: being detached from front"), std::string::npos)
      << screen.output;
  detaching.signal(SIGINT);
  const auto exit = detaching.await_exit(stop_time_out);
  ASSERT_TRUE(exit);
  EXPECT_EQ(exit->describe(), "exit code 1");
  EXPECT_TRUE(detaching.await_output(
      [](const std::string& output) {
        return output.find("volume big: cancelled; it keeps its cache") != std::string::npos;
      },
      stop_time_out))
      << detaching.output();
  std::filesystem::remove(hung);
  const auto volume = named(daemon.status(), "volumes", "big");
  EXPECT_EQ(volume.at("cache").as_string(), "front");
  EXPECT_EQ(volume.at("cache_mode").as_string(), "write-back");
  EXPECT_FALSE(volume.at("detaching").as_bool());
  EXPECT_NE(volume.at("detach_error").as_string().find("cancelled"), std::string::npos);
  EXPECT_TRUE(read(*host.queue, 1, 5, 1, big_block) == pattern(big_block, 1));
  write_and_read_back(*host.queue, 1, 5, 1, big_block, 2);
}

TEST_F(CacheDevice, IsGivenToAVolumeThatHasNeverHadOne) {
  daemon.config().volumes[0].cache.clear();
  ASSERT_TRUE(daemon.start());
  {
    BusyHost busy(daemon.endpoint());
    ASSERT_TRUE(busy.goes_on(100));
    expect_served_through("");
    expect_done({"attach", "big", "--cache", "spare"},
                {"volume big is now served through spare", "cache: { device: spare }"});
    expect_served_through("spare");
    ASSERT_TRUE(busy.goes_on(100));
    expect_done({"detach", "big"}, {"volume big is now served without a cache.\n"});
    expect_done({"attach", "big", "--cache", "front"}, {"volume big is now served through front"});
    ASSERT_TRUE(busy.goes_on(100));
    busy.stop();
    busy.expect_all(daemon.endpoint());
  }
  daemon.stop();
  daemon.config().volumes[0].cache = through("front");
  ASSERT_TRUE(daemon.start());
  expect_served_through("front");
}

TEST_F(CacheDevice, IsRefusedInOneLine) {
  daemon.config().volumes[1].cache.clear();
  ASSERT_TRUE(daemon.start());
  struct Row {
    std::vector<std::string> words;
    const char* names;
  };
  for (const Row& row : {Row{{"detach", "none"}, "there is no volume none"},
                         Row{{"detach", "small"}, "volume small has no cache"},
                         Row{{"detach", "../status"}, "there is no volume"},
                         Row{{"attach", "none", "--cache", "spare"}, "there is no volume none"},
                         Row{{"attach", "big", "--cache", "none"}, "none"},
                         Row{{"attach", "big", "--cache", "spare"}, "big"},
                         Row{{"retire", "none"}, "there is no cache device none"},
                         Row{{"retire", "../status"}, "there is no cache device"}}) {
    const Outcome refused = ask(row.words);
    EXPECT_EQ(refused.exit.describe(), "exit code 1") << refused.output;
    EXPECT_NE(refused.output.find(row.names), std::string::npos) << refused.output;
    EXPECT_EQ(std::count(refused.output.begin(), refused.output.end(), '\n'), 1) << refused.output;
  }
  expect_served_through("front");
}

}  // namespace
}  // namespace end_to_end
