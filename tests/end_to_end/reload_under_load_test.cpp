// What a reload changes below a host that works on: limits, cache devices, pool members, where the
// metrics are. Nobody else sees anything of it.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <optional>

#include "tests/end_to_end/harness/bystander.h"
#include "tests/end_to_end/harness/daemon.h"
#include "tests/end_to_end/harness/scrape.h"

namespace end_to_end {
namespace {

constexpr const char* worked_on = "nqn.2026-11.com.example:worked-on";

// A bystander works on NSID 1 of the default subsystem, the host on "w1" in one of its own.
class ReloadUnderLoad : public testing::Test {
 protected:
  ReloadUnderLoad() : daemon_(workplace_, config()) {}

  ConfigText config() {
    ConfigText text = file_config(workplace_.make_pool("pool"));
    text.volumes.push_back({.name = "w1", .pool = "disk", .size = "16MiB"});
    text.subsystems.push_back({.nqn = worked_on, .namespaces = {{.nsid = 1, .volume = "w1"}}});
    return text;
  }
  static VolumeText& volume_of(ConfigText& config) {
    return *std::ranges::find(config.volumes, "w1", &VolumeText::name);
  }
  Outcome ctl(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), FOREBAYCTL);
    arguments.insert(arguments.end(), {"--socket", daemon_.config().control_socket});
    return run({.arguments = std::move(arguments)});
  }
  void apply_well(const ConfigText& next) {
    daemon_.notify().forget();
    write_file(workplace_.path("next.yaml"), next.yaml());
    const Outcome outcome = ctl({"apply", workplace_.path("next.yaml")});
    EXPECT_EQ(outcome.exit.code, 0) << outcome.output;
    if (outcome.exit.code == 0) daemon_.config() = next;
  }
  void start_all() {
    ASSERT_TRUE(daemon_.start());
    // Hosts are served a moment before changes are taken.
    ASSERT_TRUE(daemon_.await_status([this](const auto&) {
      return ctl({"plan", daemon_.config_path()}).exit.code == 0;
    }));
    bystander_.emplace(daemon_.endpoint());
    host_.emplace(daemon_.endpoint(), HostOptions{.subsystem = worked_on});
    ASSERT_TRUE(host_->connected());
  }
  // All at once.
  void write_many(int count) {
    Queue& queue = *host_->queue;
    for (int i = 0; i < count; ++i) {
      ASSERT_GOOD(
          queue.submit(client::io::write(1, static_cast<std::uint64_t>(i), Bytes(4096), 4096)));
    }
    for (int i = 0; i < count; ++i) {
      const auto done = queue.await_any();
      ASSERT_GOOD(done);
      EXPECT_EQ(done.value().status, 0);
    }
  }
  double held_us() {
    return named(daemon_.status(), "volumes", "w1")
        .at("qos")
        .at("write_hold_us_total")
        .to_number<double>();
  }

  Workplace workplace_;
  Daemon daemon_;
  std::optional<Bystander> bystander_;
  std::optional<Host> host_;
};

// By what the daemon says that it has held back: of N commands that come together each is held for
// as long as those before it take at the rate, N * N / 2 in all.
TEST_F(ReloadUnderLoad, LimitsHoldAtOnceToFivePercent) {
  ASSERT_NO_FATAL_FAILURE(start_all());
  constexpr int many = 100;
  for (const int rate : {100, 200}) {
    SCOPED_TRACE(rate);
    ConfigText next = daemon_.config();
    volume_of(next).qos = fmt::format("write_iops: {}, burst: 100ms", rate);
    apply_well(next);
    // A machine that stands still lets commands go late, or keeps some for a burst; then once more.
    double ratio = 0;
    for (int attempt = 0; attempt < 5 && std::abs(ratio - 1) > 0.05; ++attempt) {
      ASSERT_NO_FATAL_FAILURE(write_many(rate / 5));  // what was kept for a burst is used up
      const double before = held_us();
      ASSERT_NO_FATAL_FAILURE(write_many(many));
      ratio = (held_us() - before) / (1e6 * many * many / 2 / rate);
    }
    EXPECT_NEAR(ratio, 1, 0.05);
  }
  ConfigText next = daemon_.config();
  volume_of(next).qos = "";
  apply_well(next);
  const double before = held_us();
  ASSERT_NO_FATAL_FAILURE(write_many(many));
  EXPECT_EQ(held_us(), before) << "there are no limits any more";
  bystander_->expect_undisturbed();
}

TEST_F(ReloadUnderLoad, TheMetricsMove) {
  const std::uint16_t first = daemon_.config().metrics_port = workplace_.free_port();
  ASSERT_NO_FATAL_FAILURE(start_all());
  EXPECT_EQ(scrape(first).value("forebay_volume_online{volume=\"w1\"}"), 1);
  ConfigText next = daemon_.config();
  const std::uint16_t second = next.metrics_port = workplace_.free_port();
  apply_well(next);
  EXPECT_EQ(scrape(second).value("forebay_config_last_reload_success"), 1);
  EXPECT_EQ(try_http_get(first, "/metrics").status, 0) << "nobody listens there any more";
  next.metrics_port = 0;
  apply_well(next);
  EXPECT_EQ(try_http_get(second, "/metrics").status, 0);
  bystander_->expect_undisturbed();
}

TEST_F(ReloadUnderLoad, ACacheDeviceIsTakenOutAndAnotherOneComes) {
  daemon_.config().caches = {{.name = "front", .path = workplace_.make_cache("cache", "24MiB")}};
  volume_of(daemon_.config()).cache = "device: front, max_dirty_age: 1h";
  ASSERT_NO_FATAL_FAILURE(start_all());
  write(*host_->queue, 1, 5, pattern(4096, 5), 4096);
  EXPECT_EQ(ctl({"drain", "w1"}).exit.code, 0);
  ConfigText next = daemon_.config();
  volume_of(next).cache = "";
  apply_well(next);
  next.caches.clear();
  apply_well(next);
  EXPECT_TRUE(daemon_.status().at("caches").as_array().empty());
  EXPECT_TRUE(read(*host_->queue, 1, 5, 1, 4096) == pattern(4096, 5));

  next.caches = {{.name = "second", .path = workplace_.make_cache("cache2", "24MiB")}};
  volume_of(next).cache = "device: second, max_dirty_age: 1h";
  apply_well(next);
  EXPECT_EQ(named(daemon_.status(), "volumes", "w1").at("cache").as_string(), "second");
  EXPECT_TRUE(read(*host_->queue, 1, 5, 1, 4096) == pattern(4096, 5));
  write_and_read_back(*host_->queue, 1, 40, 8, 4096, 3);
  bystander_->expect_undisturbed();
}

// For disks files stand here.
TEST_F(ReloadUnderLoad, ALinearPoolHasAnotherMember) {
  const auto disk = [this](const char* name) {
    const std::string path = workplace_.path(name);
    write_file(path, "");
    std::filesystem::resize_file(path, 96U << 20);
    return path;
  };
  const std::string first = disk("m0");
  const Outcome made =
      run({.arguments = {FOREBAYCTL, "pool", "init", "--layout", "linear", first}});
  ASSERT_EQ(made.exit.code, 0) << made.output;
  daemon_.config().pools.push_back(
      {.name = "disks", .members = "[" + first + "]", .layout = "linear"});
  volume_of(daemon_.config()).pool = "disks";
  ASSERT_NO_FATAL_FAILURE(start_all());
  write(*host_->queue, 1, 5, pattern(4096, 5), 4096);
  ConfigText next = daemon_.config();
  next.pools.back().members = "[" + first + ", " + disk("m1") + "]";
  apply_well(next);
  volume_of(next).size = "100MiB";
  apply_well(next);
  EXPECT_TRUE(read(*host_->queue, 1, 5, 1, 4096) == pattern(4096, 5));
  write_and_read_back(*host_->queue, 1, 25'590, 8, 4096, 4);
  bystander_->expect_undisturbed();
}

}  // namespace
}  // namespace end_to_end
