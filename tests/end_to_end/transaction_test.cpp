// A change of the configuration is one transaction: whichever step fails, what ran before runs on;
// killed at any step, the next start serves the old file or the new one, with all that was
// answered.
#include <fcntl.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <boost/json.hpp>
#include <cerrno>
#include <csignal>
#include <memory>
#include <new>
#include <set>
#include <thread>

#include "tests/end_to_end/harness/daemon.h"
#include "tests/end_to_end/harness/fault_plan.h"
#include "tests/end_to_end/harness/host.h"
#include "tests/end_to_end/harness/initiator.h"

namespace end_to_end {
namespace {

constexpr const char* written_subsystem = "nqn.2026-11.com.example:written";
constexpr const char* leaving_subsystem = "nqn.2026-11.com.example:leaving";
constexpr std::uint32_t written_block_bytes = 4096;
constexpr std::uint64_t written_blocks = 16;

// What fault_preload.cpp does in the daemon.
class Faults {
 public:
  explicit Faults(const std::string& path) : path_(path) {
    const int file = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    EXPECT_EQ(::ftruncate(file, sizeof(FaultPlan)), 0);
    void* const memory =
        ::mmap(nullptr, sizeof(FaultPlan), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    ::close(file);
    EXPECT_NE(memory, MAP_FAILED);
    plan_ = new (memory) FaultPlan;
  }
  Faults(const Faults&) = delete;
  Faults& operator=(const Faults&) = delete;
  ~Faults() { ::munmap(plan_, sizeof(FaultPlan)); }

  [[nodiscard]] std::vector<std::string> environment() const {
    return {std::string("LD_PRELOAD=") + FAULT_PRELOAD, "FOREBAY_TEST_FAULTS=" + path_,
            "ASAN_OPTIONS=verify_asan_link_order=0"};
  }
  // From now on: the call after `calls` others.
  void arm(FaultPlan::Act act, std::int64_t calls) {
    plan_->act = act;
    plan_->error = EIO;
    plan_->calls = 0;
    plan_->has_happened = false;
    plan_->where = {};
    plan_->left = calls;
  }
  void disarm() { plan_->left = -1; }
  [[nodiscard]] std::int64_t calls() const { return plan_->calls; }
  [[nodiscard]] bool has_happened() const { return plan_->has_happened; }
  [[nodiscard]] std::string where() const { return plan_->where.data(); }

 private:
  const std::string path_;
  FaultPlan* plan_ = nullptr;
};

// Writes one block after the other, each time with other bytes, and knows which were answered.
class SteadyWriter {
 public:
  void write_until_it_ends(const client::Endpoint& endpoint) {
    Host host(endpoint, {.subsystem = written_subsystem});
    if (!host.connected()) return;
    has_begun_ = true;
    while (!stop_) {
      const std::uint64_t seed = ++seed_;
      begun_.at(seed % written_blocks) = seed;
      const auto done = host.queue->execute(client::io::write(
          1, seed % written_blocks, pattern(written_block_bytes, seed), written_block_bytes));
      if (!done || !done.value().ok()) return;
      answered_.at(seed % written_blocks) = seed;
    }
  }
  void stop() { stop_ = true; }
  void again() { stop_ = has_begun_ = false; }
  [[nodiscard]] bool has_begun() const { return has_begun_; }

  // What was answered is there, or what was on its way over it.
  void expect_nothing_lost(const client::Endpoint& endpoint) {
    Host host(endpoint, {.subsystem = written_subsystem});
    ASSERT_TRUE(host.connected());
    for (std::uint64_t at = 0; at < written_blocks; ++at) {
      if (answered_.at(at) == 0) continue;
      const Bytes found = read(*host.queue, 1, at, 1, written_block_bytes);
      const bool is_there = found == pattern(written_block_bytes, answered_.at(at)) ||
                            found == pattern(written_block_bytes, begun_.at(at));
      EXPECT_TRUE(is_there) << "block " << at << " is not what was answered";
      if (found == pattern(written_block_bytes, begun_.at(at))) answered_.at(at) = begun_.at(at);
    }
  }

 private:
  std::atomic<bool> stop_{false};
  std::atomic<bool> has_begun_{false};
  std::uint64_t seed_ = 0;
  std::array<std::uint64_t, written_blocks> begun_{};
  std::array<std::uint64_t, written_blocks> answered_{};
};

class Transaction : public testing::Test {
 protected:
  Transaction() : faults_(workplace_.path("faults")), daemon_(workplace_, config()) {
    daemon_.environment = faults_.environment();
    other_port_ = workplace_.free_port();
    second_pool_ = workplace_.make_pool("second");
    fresh_cache_ = workplace_.make_cache("fresh", "16MiB");
  }

  ConfigText config() {
    ConfigText text = with_iscsi(file_config(workplace_.make_pool("pool")));
    text.caches = {{.name = "front", .path = workplace_.make_cache("front", "32MiB")},
                   {.name = "leaving", .path = workplace_.make_cache("leaving", "16MiB")}};
    text.pools.push_back({.name = "leaving", .directory = workplace_.make_pool("leaving-pool")});
    text.volumes.push_back({.name = "written",
                            .pool = "disk",
                            .size = "4MiB",
                            .cache = "device: front, mode: write-back"});
    text.volumes.push_back({.name = "detached",
                            .pool = "disk",
                            .size = "4MiB",
                            .cache = "device: front, mode: write-through"});
    text.volumes.push_back({.name = "leaving", .pool = "leaving", .size = "4MiB"});
    text.subsystems.push_back(
        {.nqn = written_subsystem, .namespaces = {{.nsid = 1, .volume = "written"}}});
    text.subsystems.push_back(
        {.nqn = leaving_subsystem, .namespaces = {{.nsid = 1, .volume = "leaving"}}});
    return text;
  }

  // Something of every kind comes, goes or changes; each time with a volume that never was.
  ConfigText changed() {
    ConfigText next = daemon_.config();
    next.listeners.push_back({.name = "other", .port = other_port_});
    next.caches[1] = {.name = "fresh", .path = fresh_cache_};
    next.pools.back() = {.name = "second", .directory = second_pool_};
    const std::string name = fmt::format("new{}", ++made_);
    for (VolumeText& volume : next.volumes) {
      if (volume.name == "written") {
        volume.cache = "device: front, mode: write-through, guaranteed: 8MiB";
        volume.qos = "write_iops: 100000";
      }
      if (volume.name == "detached") volume.cache.clear();
      if (volume.name == "leaving") {
        volume = {.name = "second",
                  .pool = "second",
                  .size = "4MiB",
                  .cache = "device: fresh, mode: write-back"};
      }
    }
    next.volumes.push_back({.name = name, .pool = "disk", .size = "4MiB"});
    next.hosts.push_back({.name = "d", .nqn = "nqn.2026-11.com.example:host-d"});
    next.subsystems.back() = {
        .nqn = "nqn.2026-11.com.example:second",
        .listeners = "[lo, other]",
        .hosts = "[d]",
        .namespaces = {{.nsid = 1, .volume = "second"}, {.nsid = 2, .volume = name}}};
    next.targets.back().luns.push_back({.lun = 7, .volume = name});
    return next;
  }

  Outcome ctl(std::vector<std::string> arguments) {
    daemon_.notify().forget();
    arguments.insert(arguments.begin(), FOREBAYCTL);
    arguments.insert(arguments.end(), {"--socket", daemon_.config().control_socket});
    return run({.arguments = std::move(arguments)}, start_time_out);
  }
  Outcome apply(const ConfigText& next) {
    write_file(workplace_.path("next.yaml"), next.yaml());
    return ctl({"apply", workplace_.path("next.yaml")});
  }

  // What is served, to whom; without figures.
  static std::string picture_of(const boost::json::value& status) {
    boost::json::object picture;
    for (const auto& [list, keys] :
         std::initializer_list<std::pair<const char*, std::vector<const char*>>>{
             {"listeners", {"name", "address", "listening"}},
             {"pools", {"name", "open", "reason"}},
             {"caches", {"name", "open", "reason"}},
             {"volumes",
              {"name", "pool", "cache", "cache_mode", "state", "size_bytes", "detaching"}},
             {"known_hosts", {"name", "nqn", "iqn"}},
             {"subsystems", {"nqn", "allow_any_host", "hosts", "listeners", "namespaces"}},
             {"targets", {"name", "allow_any_host", "initiators", "listeners", "luns"}}}) {
      std::set<std::string> entries;
      for (const auto& entry : status.at(list).as_array()) {
        boost::json::array shown;
        for (const char* key : keys) shown.push_back(entry.at(key));
        if (std::string_view(list) == "volumes") shown.push_back(entry.at("qos").at("write_iops"));
        entries.insert(boost::json::serialize(shown));
      }
      picture[list] = boost::json::array(entries.begin(), entries.end());
    }
    picture["hash"] = status.at("config_hash");
    return boost::json::serialize(picture);
  }
  std::string picture() { return picture_of(daemon_.status()); }
  void expect_picture(const std::string& wanted) {
    std::string last;
    const bool is_so = daemon_.await_status([&](const auto& status) {
      last = picture_of(status);
      return last == wanted;
    });
    EXPECT_TRUE(is_so) << "served:\n" << last << "\nexpected:\n" << wanted;
  }

  Workplace workplace_;
  Faults faults_;
  Daemon daemon_;
  SteadyWriter writer_;
  std::uint16_t other_port_ = 0;
  std::string second_pool_;
  std::string fresh_cache_;
  int made_ = 0;
};

// Spread over all of them, those at the end, where most is done already, the more.
std::vector<std::int64_t> some_of(std::int64_t calls, int count) {
  std::vector<std::int64_t> chosen;
  for (int i = 0; i < count; ++i) chosen.push_back(calls * (2 * i + 1) / (2 * count));
  chosen.erase(std::unique(chosen.begin(), chosen.end()), chosen.end());
  return chosen;
}

TEST_F(Transaction, WhicheverStepFailsWhatRanBeforeRunsOn) {
  ASSERT_TRUE(daemon_.start());
  const ConfigText old = daemon_.config();
  const std::string before = picture();
  std::thread writing([&] { writer_.write_until_it_ends(daemon_.endpoint()); });

  faults_.arm(FaultPlan::Act::count, std::int64_t{1} << 40);
  const Outcome first = apply(changed());
  const std::int64_t calls = faults_.calls();
  faults_.disarm();
  EXPECT_EQ(first.exit.code, 0) << first.output;
  EXPECT_NE(picture(), before);
  const auto go_back = [&] {
    const Outcome back = apply(old);
    EXPECT_EQ(back.exit.code, 0) << back.output;
  };
  go_back();
  expect_picture(before);

  int failed = 0;
  std::set<std::string> failing;
  for (const std::int64_t at : some_of(calls, rounds(32, static_cast<int>(calls)))) {
    if (HasFailure()) break;
    faults_.arm(FaultPlan::Act::fail, at);
    const ConfigText next = changed();
    const Outcome outcome = apply(next);
    faults_.disarm();
    SCOPED_TRACE(fmt::format("call {} of {}: {}\n{}", at, calls, faults_.where(), outcome.output));
    if (outcome.exit.code == 0) {
      // It was nothing that the change needed, or was tried again.
      EXPECT_NE(picture(), before);
      go_back();
    } else {
      ++failed;
      failing.insert(faults_.where());
    }
    expect_picture(before);
  }
  EXPECT_GE(failed, 8) << "they do not reach what the change needs";
  writer_.stop();
  writing.join();
  writer_.expect_nothing_lost(daemon_.endpoint());
}

// By a reload the file is the new one when it is killed; by an apply of another file, the old one.
// A volume whose `cache:` a reload takes away is not served before its cache has been written back:
// a kill before that leaves it cache-missing, until the file names its cache again.
TEST_F(Transaction, KilledAtAnyStepTheNextStartServesOneOfTheTwo) {
  ASSERT_TRUE(daemon_.start());
  const ConfigText old = daemon_.config();
  const std::string before = picture();
  faults_.arm(FaultPlan::Act::count, std::int64_t{1} << 40);
  ASSERT_EQ(apply(changed()).exit.code, 0);
  const std::int64_t calls = faults_.calls();
  faults_.disarm();
  ASSERT_EQ(apply(old).exit.code, 0);

  int killed = 0;
  for (const std::int64_t at : some_of(calls, rounds(8, static_cast<int>(calls)))) {
    const bool is_reload = killed % 2 == 1;
    daemon_.config() = old;
    const ConfigText next = changed();
    SCOPED_TRACE(fmt::format("call {} of {}, by {}", at, calls, is_reload ? "reload" : "apply"));
    writer_.again();
    std::thread writing([&] { writer_.write_until_it_ends(daemon_.endpoint()); });
    const auto deadline = SteadyClock::now() + start_time_out;
    while (!writer_.has_begun() && SteadyClock::now() < deadline) std::this_thread::yield();
    if (is_reload) write_file(daemon_.config_path(), next.yaml());
    faults_.arm(FaultPlan::Act::kill, at);
    const Outcome outcome = is_reload ? ctl({"reload"}) : apply(next);
    faults_.disarm();
    if (!faults_.has_happened()) daemon_.kill();  // it needed fewer this time
    writing.join();
    EXPECT_TRUE(daemon_.process().await_exit(stop_time_out)) << outcome.output;
    killed += 1;

    daemon_.config() = is_reload ? next : old;
    ASSERT_TRUE(daemon_.start()) << faults_.where();
    EXPECT_TRUE(daemon_.await_status(
        [](const auto& now) {
          return now.at("healthy").as_bool() && now.at("config_hash") == now.at("config_disk_hash");
        },
        start_time_out))
        << faults_.where() << daemon_.log();
    if (!is_reload) {
      expect_picture(before);
    } else {
      EXPECT_EQ(ctl({"plan", daemon_.config_path()}).exit.code, 0) << "it is not the file";
    }
    writer_.expect_nothing_lost(daemon_.endpoint());
    const Outcome back = apply(old);
    EXPECT_EQ(back.exit.code, 0) << back.output;
    expect_picture(before);
    if (HasFailure()) break;
  }
  EXPECT_GE(killed, 6);
}

}  // namespace
}  // namespace end_to_end
