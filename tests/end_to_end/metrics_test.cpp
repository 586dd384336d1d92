// What a loaded daemon tells those that watch it: its counts against the load generator's own, its
// readiness, and Debian's Prometheus asking it.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>

#include <boost/json/parse.hpp>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <regex>
#include <set>
#include <sstream>
#include <thread>

#include "tests/end_to_end/harness/daemon.h"
#include "tests/end_to_end/harness/host.h"
#include "tests/end_to_end/harness/initiator.h"
#include "tests/end_to_end/harness/scrape.h"
#include "tests/end_to_end/harness/suspended_thread.h"

namespace end_to_end {
namespace {

std::string read_file(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

bool await(const std::function<bool()>& holds, Milliseconds time_out = Milliseconds{30'000}) {
  const auto deadline = SteadyClock::now() + time_out;
  while (!holds()) {
    if (SteadyClock::now() > deadline) return false;
    std::this_thread::sleep_for(Milliseconds{20});
  }
  return true;
}

class Metrics : public testing::Test {
 protected:
  // Volumes "big" (4096) and "small" (512); "big" with a cache.
  ConfigText watched_config() {
    ConfigText config = file_config(workplace.make_pool("pool"));
    config.caches = {{.path = workplace.make_cache("cache", "64MiB")}};
    config.volumes.front().cache = "device: front, max_dirty_age: 1h";
    config.metrics_port = port = workplace.free_port();
    config.reactors = 2;
    return config;
  }
  // `count` commands; the load generator's report.
  boost::json::value load(const Daemon& daemon, const std::string& count,
                          const std::vector<std::string>& more = {}) {
    const std::string report = workplace.path("load.json");
    std::vector<std::string> arguments = {FOREBAY_LOAD,
                                          "--address",
                                          "127.0.0.1",
                                          "--port",
                                          std::to_string(daemon.endpoint().port),
                                          "--subsystem",
                                          default_subsystem,
                                          "--hostnqn",
                                          "nqn.2026-11.com.example:load",
                                          "--nsid",
                                          "1",
                                          "--quiet",
                                          "--warmup",
                                          "0",
                                          "--count",
                                          count,
                                          "--json",
                                          report};
    arguments.insert(arguments.end(), more.begin(), more.end());
    const Outcome outcome = run({.arguments = arguments}, Milliseconds{120'000});
    EXPECT_EQ(outcome.exit.code, 0) << outcome.output;
    return boost::json::parse(read_file(report));
  }

  Workplace workplace;
  std::uint16_t port = 0;
};

double number(const boost::json::value& report, const char* direction) {
  return report.at(direction).at("ios").to_number<double>();
}

// Of all reactors or volumes together.
double of_stage(const Scrape& now, const std::string& name, const std::string& stage) {
  double sum = 0;
  for (const auto& [series, value] : now.all()) {
    const bool is_of_stage = series.find("stage=\"" + stage + "\"") != std::string::npos;
    if (is_of_stage && series.rfind(name + "{", 0) == 0) sum += value;
  }
  return sum;
}

TEST_F(Metrics, CountsAgreeWithTheLoadGenerators) {
  Daemon daemon(workplace, watched_config());
  ASSERT_TRUE(daemon.start());
  const boost::json::value report = load(daemon, "8000",
                                         {"--block-size", "8192", "--mix", "60", "--depth", "16",
                                          "--queues", "3", "--range", "16MiB"});
  const double reads = number(report, "read");
  const double writes = number(report, "write");
  ASSERT_GT(reads, 1000);
  ASSERT_GT(writes, 1000);
  const std::string of_volume = "{volume=\"big\"}";
  const std::string of_host = "{host=\"nqn.2026-11.com.example:load\",protocol=\"nvme-tcp\"}";
  // What is answered is counted when the turn ends in which it is sent; the cache's figures are
  // those of its keeper's last look.
  EXPECT_TRUE(await([&] {
    const Scrape so_far = scrape(port);
    return so_far.value("forebay_host_sessions" + of_host) == 0 &&
           so_far.value("forebay_volume_cache_read_hits_total" + of_volume) +
                   so_far.value("forebay_volume_cache_read_misses_total" + of_volume) >=
               reads * 0.99 &&
           so_far.value("forebay_cache_stored_bytes_total{cache=\"front\"}") > writes * 8192;
  }));
  const Scrape now = scrape(port);
  EXPECT_NEAR(now.value("forebay_volume_reads_total" + of_volume), reads, reads / 100);
  EXPECT_NEAR(now.value("forebay_volume_writes_total" + of_volume), writes, writes / 100);
  EXPECT_NEAR(now.value("forebay_volume_read_bytes_total" + of_volume), reads * 8192, reads * 82);
  EXPECT_NEAR(now.value("forebay_volume_written_bytes_total" + of_volume), writes * 8192,
              writes * 82);
  EXPECT_EQ(now.value("forebay_volume_read_seconds_count" + of_volume),
            now.value("forebay_volume_reads_total" + of_volume));
  EXPECT_GT(now.value("forebay_volume_write_seconds_sum" + of_volume), 0);
  EXPECT_EQ(now.value("forebay_volume_in_flight" + of_volume), 0);
  EXPECT_EQ(now.sum("forebay_volume_read_errors_total"), 0);
  EXPECT_EQ(now.value("forebay_volume_reads_total{volume=\"small\"}"), 0);
  // What is counted by host is counted together, and yet every command once.
  EXPECT_EQ(now.value("forebay_host_reads_total" + of_host),
            now.value("forebay_volume_reads_total" + of_volume));
  EXPECT_EQ(now.value("forebay_host_written_bytes_total" + of_host),
            now.value("forebay_volume_written_bytes_total" + of_volume));
  EXPECT_EQ(now.value("forebay_host_connects_total" + of_host), 1);
  // All of it went through the cache, or around it, and by the reactors.
  const double hits = now.value("forebay_volume_cache_read_hits_total" + of_volume);
  const double misses = now.value("forebay_volume_cache_read_misses_total" + of_volume);
  EXPECT_NEAR(hits + misses, reads, reads / 100);
  EXPECT_GT(hits, 0);
  EXPECT_GT(misses, 0);
  EXPECT_GT(now.value("forebay_volume_dirty_bytes" + of_volume), 0);
  EXPECT_GT(now.value("forebay_volume_oldest_dirty_age_seconds" + of_volume), 0);
  EXPECT_GT(now.value("forebay_cache_stored_bytes_total{cache=\"front\"}"), writes * 8192);
  // One of 64 commands is timed, and each of those is received, taken on by its volume and sent.
  const double timed = (reads + writes) / 64;
  for (const char* stage : {"receive", "cache", "send"}) {
    EXPECT_NEAR(of_stage(now, "forebay_reactor_stage_seconds_count", stage), timed, 2) << stage;
  }
  // Which of them were writes, or misses, is chance.
  const double commits = of_stage(now, "forebay_reactor_stage_seconds_count", "commit");
  EXPECT_GT(commits, writes / 64 / 3);
  EXPECT_LT(commits, timed);
  EXPECT_GT(of_stage(now, "forebay_reactor_stage_seconds_count", "backing"), 0);
  EXPECT_LT(of_stage(now, "forebay_reactor_stage_seconds_count", "backing"), timed);
  EXPECT_EQ(of_stage(now, "forebay_reactor_stage_seconds_count", "qos_wait"), 0);
  EXPECT_GT(now.sum("forebay_reactor_busy_seconds_total"), 0);
}

TEST_F(Metrics, StagesTellOfNamedVolumesWhereTheTimeGoes) {
  ConfigText config = watched_config();
  config.volumes.back().qos = "write_iops: 20, burst: 100ms";
  Daemon daemon(workplace, config);
  ASSERT_TRUE(daemon.start());
  const auto tell_stages_of = [&](const std::string& volume) {
    std::string text = daemon.config().yaml();
    const std::string without = "port: " + std::to_string(port) + "}";
    ASSERT_NE(text.find(without), std::string::npos) << text;
    text.replace(text.find(without), without.size(),
                 "port: " + std::to_string(port) + ", stages: [" + volume + "]}");
    write_file(workplace.path("next.yaml"), text);
    Outcome applied;
    const auto apply = [&] {
      applied = run({.arguments = {FOREBAYCTL, "apply", workplace.path("next.yaml"), "--socket",
                                   daemon.config().control_socket}});
      return applied.exit.code == 0;
    };
    // Hosts are served a moment before changes are taken.
    EXPECT_TRUE(await(apply)) << applied.output;
  };
  ASSERT_NO_FATAL_FAILURE(tell_stages_of("small"));
  {
    Host host(daemon.endpoint());
    ASSERT_TRUE(host.connected());
    // Together, so that they are held back however slow this machine is.
    for (std::uint64_t i = 0; i < 10; ++i) {
      ASSERT_GOOD(host.queue->submit(client::io::write(2, i, pattern(512, i), 512)));
    }
    for (std::uint64_t i = 0; i < 10; ++i) {
      const auto done = host.queue->await_any();
      ASSERT_GOOD(done);
      EXPECT_EQ(done.value().status, 0);
    }
    for (std::uint64_t i = 0; i < 10; ++i) write(*host.queue, 1, i, pattern(4096, i), 4096);
    EXPECT_TRUE(read(*host.queue, 2, 3, 1, 512) == pattern(512, 3));
    EXPECT_NE(status_of(*host.queue, client::io::read(2, 1U << 30, 1, 512)), 0);
  }
  ASSERT_TRUE(await([&] { return scrape(port).sum("forebay_host_sessions") == 0; }));
  const Scrape now = scrape(port);
  const auto count = [&](const char* stage) {
    return of_stage(now, "forebay_volume_stage_seconds_count", stage);
  };
  EXPECT_EQ(count("receive"), 11) << "what is refused for its form reaches no stage";
  EXPECT_EQ(count("cache"), 11);
  EXPECT_EQ(count("send"), 11);
  EXPECT_EQ(count("backing"), 11) << "it has no cache";
  EXPECT_EQ(count("commit"), 0);
  EXPECT_GE(count("qos_wait"), 5);
  EXPECT_EQ(now.value("forebay_volume_stage_seconds_count{volume=\"small\",stage=\"send\"}"), 11);
  const auto seconds = [&](const char* stage) {
    return of_stage(now, "forebay_volume_stage_seconds_sum", stage);
  };
  EXPECT_GT(seconds("qos_wait"), 0.5) << "one passes each 50 ms";
  // Nothing is counted twice, and nothing is left out but the command that was refused.
  double all = 0;
  for (const char* stage : {"receive", "qos_wait", "cache", "commit", "backing", "send"}) {
    all += seconds(stage);
  }
  const double latency = now.value("forebay_volume_read_seconds_sum{volume=\"small\"}") +
                         now.value("forebay_volume_write_seconds_sum{volume=\"small\"}");
  EXPECT_NEAR(all, latency, 0.1 * latency);
  // Of the cached one the first is timed, for its reactor.
  EXPECT_EQ(of_stage(now, "forebay_reactor_stage_seconds_count", "commit"), 1);

  ASSERT_NO_FATAL_FAILURE(tell_stages_of("big"));
  const Scrape then = scrape(port);
  EXPECT_EQ(then.value("forebay_volume_stage_seconds_count{volume=\"big\",stage=\"send\"}"), 0);
  EXPECT_FALSE(
      then.all().contains("forebay_volume_stage_seconds_count{volume=\"small\",stage=\"send\"}"));
}

TEST_F(Metrics, HostsThatComeAgainAreCountedAsSuch) {
  Daemon daemon(workplace, watched_config());
  ASSERT_TRUE(daemon.start());
  const std::string nqn = "nqn.2026-11.com.example:again";
  const std::string of_host = "{host=\"" + nqn + "\",protocol=\"nvme-tcp\"}";
  for (int i = 0; i < 3; ++i) {
    Host host(daemon.endpoint(), {.host_nqn = nqn});
    ASSERT_TRUE(host.connected());
    host.queue.reset();
    host.controller.reset();
    ASSERT_TRUE(await([&] { return scrape(port).value("forebay_host_sessions" + of_host) == 0; }));
  }
  const Scrape now = scrape(port);
  EXPECT_EQ(now.value("forebay_host_connects_total" + of_host), 3);
  EXPECT_EQ(now.value("forebay_host_reconnects_total" + of_host), 2);
  EXPECT_EQ(now.value("forebay_host_digest_errors_total" + of_host), 0);
  EXPECT_EQ(now.value("forebay_host_authentication_failures_total" + of_host), 0);
}

TEST_F(Metrics, ErrorsCountByWhoseFaultTheyAre) {
  Daemon daemon(workplace, watched_config());
  ASSERT_TRUE(daemon.start());
  {
    Host host(daemon.endpoint());
    ASSERT_TRUE(host.connected());
    EXPECT_NE(status_of(*host.queue, client::io::read(1, 1U << 30, 1, 4096)), 0);
    EXPECT_NE(status_of(*host.queue, client::io::write(2, 1U << 30, Bytes(512), 512)), 0);
    EXPECT_EQ(status_of(*host.queue, client::io::flush(1)), 0);
  }
  ASSERT_TRUE(await([&] { return scrape(port).sum("forebay_host_sessions") == 0; }));
  const Scrape now = scrape(port);
  EXPECT_EQ(now.value("forebay_volume_read_errors_total{volume=\"big\",class=\"refused\"}"), 1);
  EXPECT_EQ(now.value("forebay_volume_reads_total{volume=\"big\"}"), 1);
  EXPECT_EQ(now.value("forebay_volume_write_errors_total{volume=\"small\",class=\"refused\"}"), 1);
  EXPECT_EQ(now.sum("forebay_volume_written_bytes_total"), 0);
  EXPECT_EQ(now.value("forebay_volume_other_commands_total{volume=\"big\"}"), 1);
  EXPECT_EQ(now.sum("forebay_volume_in_flight"), 0);
}

TEST_F(Metrics, InitiatorsAreCountedLikeHosts) {
  Daemon daemon(workplace, with_iscsi(watched_config()));
  ASSERT_TRUE(daemon.start());
  {
    const auto session = open_session(to_target(iscsi_endpoint(daemon.config())));
    ASSERT_NE(session, nullptr);
    write(*session, 0, 0, pattern(65536, 1), 4096);
    EXPECT_TRUE(read(*session, 0, 0, 16, 4096) == pattern(65536, 1));
    const Scrape now = scrape(port);
    EXPECT_EQ(now.sum("forebay_host_sessions"), 1);
    EXPECT_EQ(now.sum("forebay_host_connections"), 1);
  }
  ASSERT_TRUE(await([&] { return scrape(port).sum("forebay_host_sessions") == 0; }));
  const Scrape now = scrape(port);
  EXPECT_EQ(now.value("forebay_volume_reads_total{volume=\"big\"}"), 1);
  EXPECT_EQ(now.value("forebay_volume_writes_total{volume=\"big\"}"), 1);
  EXPECT_EQ(now.value("forebay_volume_read_bytes_total{volume=\"big\"}"), 65536);
  EXPECT_EQ(now.value("forebay_volume_written_bytes_total{volume=\"big\"}"), 65536);
  EXPECT_EQ(now.sum("forebay_host_writes_total"), 1);
  EXPECT_EQ(now.value("forebay_logins_total{protocol=\"iscsi\"}"), 1);
  EXPECT_EQ(now.sum("forebay_volume_in_flight"), 0);
}

TEST_F(Metrics, ReadyWhenEveryVolumeIsOnlineAndElseWhyNot) {
  ConfigText config = watched_config();
  const std::string missing = workplace.path("missing");
  config.pools.push_back({.name = "gone", .directory = missing});
  config.volumes.push_back({.name = "late", .pool = "gone", .size = "16MiB"});
  Daemon daemon(workplace, config);
  daemon.launch();
  ASSERT_TRUE(daemon.ready());
  EXPECT_EQ(http_get(port, "/healthz").status, 200);
  const HttpReply refused = http_get(port, "/readyz");
  EXPECT_EQ(refused.status, 503);
  EXPECT_NE(refused.body.find("volume late is late: "), std::string::npos) << refused.body;
  EXPECT_EQ(refused.body.find("volume big"), std::string::npos) << refused.body;
  const Scrape before = scrape(port);
  EXPECT_EQ(before.value("forebay_ready"), 0);
  EXPECT_EQ(before.value("forebay_volume_online{volume=\"late\"}"), 0);
  EXPECT_EQ(before.value("forebay_volume_online{volume=\"big\"}"), 1);
  workplace.make_pool("missing");
  ASSERT_TRUE(await([&] { return http_get(port, "/readyz").status == 200; }));
  EXPECT_EQ(scrape(port).value("forebay_ready"), 1);
}

TEST_F(Metrics, AReactorThatStandsStillIsNotHealthy) {
  Daemon daemon(workplace, watched_config());
  ASSERT_TRUE(daemon.start());
  {
    const SuspendedThread stuck(daemon.process().pid(), "reactor 1");
    ASSERT_TRUE(stuck.suspended());
    const HttpReply reply = http_get(port, "/healthz");
    EXPECT_EQ(reply.status, 504);
    EXPECT_NE(reply.body.find("a reactor has not run for 5 s"), std::string::npos) << reply.body;
  }
  EXPECT_TRUE(await([&] { return http_get(port, "/healthz").status == 200; }));
}

// Whoever copies counters is stopped, wherever he is then: if he had a lock that commands wait for,
// the host would wait too.
void expect_no_lock_of_commands(Daemon& daemon, std::uint16_t port) {
  Host host(daemon.endpoint());
  ASSERT_TRUE(host.connected());
  std::atomic<bool> ending{false};
  std::thread scraper([&] {
    while (!ending) EXPECT_EQ(http_get(port, "/metrics").status, 200);
  });
  for (std::uint64_t i = 1; i <= 40 && !testing::Test::HasFailure(); ++i) {
    const SuspendedThread copying(daemon.process().pid(), "forebayd");
    EXPECT_TRUE(copying.suspended());
    write_and_read_back(*host.queue, 1 + static_cast<std::uint32_t>(i), 0, 8, 4096, i);
  }
  ending = true;
  scraper.join();
}

// The figure stands in the output.
TEST_F(Metrics, AThousandVolumesAreCopiedAndTold) {
  constexpr int many = 1000;
  ConfigText config;
  config.reactors = 2;
  config.metrics_port = port = workplace.free_port();
  config.pools = {{.name = "mem"}};
  SubsystemText subsystem;
  for (int i = 1; i <= many; ++i) {
    const std::string name = "v" + std::to_string(i);
    config.volumes.push_back({.name = name, .size = "1MiB"});
    subsystem.namespaces.push_back({.nsid = static_cast<std::uint32_t>(i), .volume = name});
  }
  config.subsystems = {subsystem};
  Daemon daemon(workplace, config);
  ASSERT_TRUE(daemon.start());
  const Scrape now = scrape(port);
  EXPECT_EQ(now.sum("forebay_volume_online"), many);
  std::size_t series = 0;
  for (const auto& [name, value] : now.all()) {
    if (name.find("volume=\"v500\"") != std::string::npos) ++series;
  }
  EXPECT_LE(series, 60U);
  double quickest = now.value("forebay_scrape_copy_seconds");
  for (int i = 0; i < 8; ++i) {
    quickest = std::min(quickest, scrape(port).value("forebay_scrape_copy_seconds"));
  }
  std::cout << "metrics: copying the counters of " << many << " volumes took " << quickest * 1000
            << " ms\n";
  EXPECT_LT(quickest, 0.05) << "the best of nine, so that a busy machine does not decide";
  expect_no_lock_of_commands(daemon, port);
}

class Prometheus {
 public:
  Prometheus(Workplace& workplace, std::uint16_t of_daemon) : port_(workplace.free_port()) {
    const std::string config = workplace.path("prometheus.yml");
    write_file(config,
               "global: {scrape_interval: 1s}\nscrape_configs:\n  - job_name: forebay\n"
               "    static_configs: [{targets: [\"127.0.0.1:" +
                   std::to_string(of_daemon) + "\"]}]\n");
    process_ = std::make_unique<Process>(
        Started{.arguments = {"/usr/bin/prometheus", "--config.file=" + config,
                              "--storage.tsdb.path=" + workplace.path("tsdb"),
                              "--web.listen-address=127.0.0.1:" + std::to_string(port_),
                              "--log.level=warn"}});
  }
  // The values of an instant query, as text; none while it does not answer.
  std::vector<std::string> query(const std::string& expression) const {
    const HttpReply reply = try_http_get(port_, "/api/v1/query?query=" + expression);
    boost::system::error_code error;
    const auto answer = boost::json::parse(unchunked(reply.body), error);
    std::vector<std::string> values;
    if (error || reply.status != 200) return values;
    for (const auto& one : answer.at("data").at("result").as_array()) {
      values.emplace_back(one.at("value").at(1).as_string());
    }
    return values;
  }
  [[nodiscard]] std::set<std::string> names() const {
    const HttpReply reply = try_http_get(port_, "/api/v1/label/__name__/values");
    std::set<std::string> names;
    boost::system::error_code error;
    const auto answer = boost::json::parse(unchunked(reply.body), error);
    if (error || reply.status != 200) return names;
    for (const auto& name : answer.at("data").as_array()) names.emplace(name.as_string());
    return names;
  }
  [[nodiscard]] std::string log() const { return process_->output(); }

 private:
  // A short answer comes whole, a longer one in chunks.
  static std::string unchunked(const std::string& body) {
    if (body.empty() || body.front() == '{') return body;
    std::string whole;
    for (std::size_t at = 0; at < body.size();) {
      char* end = nullptr;
      const std::size_t bytes = std::strtoul(body.c_str() + at, &end, 16);
      const auto begin = static_cast<std::size_t>(end - body.c_str()) + 2;
      if (bytes == 0 || begin + bytes > body.size()) break;
      whole += body.substr(begin, bytes);
      at = begin + bytes + 2;
    }
    return whole;
  }

  const std::uint16_t port_;
  std::unique_ptr<Process> process_;
};

TEST_F(Metrics, PrometheusKnowsEveryNameThatIsTold) {
  Daemon daemon(workplace, watched_config());
  ASSERT_TRUE(daemon.start());
  const std::string text = http_get(port, "/metrics").body;
  write_file(workplace.path("metrics.txt"), text);
  const Outcome checked = run(
      {.arguments = {"/bin/sh", "-c", "promtool check metrics <" + workplace.path("metrics.txt")}});
  EXPECT_EQ(checked.exit.code, 0) << checked.output;

  const Prometheus prometheus(workplace, port);
  load(daemon, "2000", {"--block-size", "4096", "--mix", "50", "--range", "4MiB"});
  ASSERT_TRUE(await([&] {
    const auto reads = prometheus.query("forebay_volume_reads_total%7Bvolume%3D%22big%22%7D");
    return reads.size() == 1 && std::stod(reads.front()) > 900;
  })) << prometheus.log();
  EXPECT_EQ(prometheus.query("up"), std::vector<std::string>{"1"});
  EXPECT_EQ(prometheus.query("forebay_ready"), std::vector<std::string>{"1"});
  const auto p99 =
      prometheus.query("histogram_quantile(0.99,sum(forebay_volume_read_seconds_bucket)by(le))");
  ASSERT_EQ(p99.size(), 1U);
  EXPECT_GT(std::stod(p99.front()), 0);
  const std::set<std::string> known = prometheus.names();
  const Scrape told(text);
  for (const auto& [series, value] : told.all()) {
    const std::string name = series.substr(0, series.find('{'));
    EXPECT_TRUE(known.contains(name)) << name;
  }
}

}  // namespace
}  // namespace end_to_end
