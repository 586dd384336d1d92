// Volumes that are taken out of the configuration while hosts are connected leave nothing behind.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/end_to_end/harness/bystander.h"
#include "tests/end_to_end/harness/daemon.h"
#include "tests/end_to_end/harness/holdings.h"
#include "tests/end_to_end/harness/initiator.h"
#include "tests/end_to_end/harness/process_usage.h"

namespace end_to_end {
namespace {

constexpr const char* guest_nqn = "nqn.2026-11.com.example:guest";
constexpr const char* guest_iqn = "iqn.2026-11.com.example:guest";
constexpr std::uint32_t its_number = 9;  // NSID and LUN of what comes and goes

class RemovedVolumes : public testing::Test {
 protected:
  RemovedVolumes() : daemon_(workplace_, config()) {}

  ConfigText config() {
    ConfigText text = with_iscsi(file_config(workplace_.make_pool("pool")));
    text.reactors = 2;
    text.hosts = {{.name = "guest", .nqn = guest_nqn, .iqn = guest_iqn}};
    text.caches = {{.name = "front", .path = workplace_.make_cache("cache", "16MiB")}};
    return text;
  }
  static ConfigText with_guest(ConfigText text, const std::string& qos = {}) {
    text.volumes.push_back({.name = "guest", .pool = "disk", .size = "4MiB", .qos = qos});
    if (qos.empty()) text.volumes.back().cache = "device: front, mode: write-back";
    text.subsystems[0].namespaces.push_back(
        {.nsid = its_number, .volume = "guest", .hosts = "[guest]"});
    text.targets[0].luns.push_back({.lun = its_number, .volume = "guest", .hosts = "[guest]"});
    return text;
  }
  void apply(const ConfigText& next, bool disconnects = false) {
    write_file(workplace_.path("next.yaml"), next.yaml());
    daemon_.notify().forget();
    std::vector<std::string> arguments{FOREBAYCTL, "apply", workplace_.path("next.yaml"),
                                       "--socket", daemon_.config().control_socket};
    if (disconnects) arguments.insert(arguments.end(), {"--disconnect", "guest"});
    const Outcome outcome = run({.arguments = std::move(arguments)});
    ASSERT_EQ(outcome.exit.code, 0) << outcome.output;
    daemon_.config() = next;
  }
  bool await_removed(std::uint64_t count) {
    return daemon_.await_status(
        [count](const auto& status) { return holdings_of(status).removed_volumes == count; });
  }
  [[nodiscard]] std::unique_ptr<iscsi::Session> open_guest_session() {
    iscsi::LoginOptions options = to_target(iscsi_endpoint(daemon_.config()));
    options.initiator = guest_iqn;
    return open_session(options);
  }

  Workplace workplace_;
  Daemon daemon_;
};

TEST_F(RemovedVolumes, LeaveNothingBehindHoweverOftenTheyComeAndGo) {
  ASSERT_TRUE(daemon_.start());
  const ConfigText without = daemon_.config();
  Bystander bystander(daemon_.endpoint());
  Host host(daemon_.endpoint(), {.host_nqn = guest_nqn});
  const auto session = open_guest_session();
  ASSERT_TRUE(host.connected() && session != nullptr);

  const auto round = [&](std::uint64_t number) {
    ASSERT_NO_FATAL_FAILURE(apply(with_guest(without)));
    write_and_read_back(*host.queue, its_number, 0, 8, 4096, number);
    take_unit_attentions(*session, its_number);
    write(*session, its_number, 16, pattern(4096, number), 4096);
    EXPECT_TRUE(read(*session, its_number, 16, 1, 4096) == pattern(4096, number));
    ASSERT_NO_FATAL_FAILURE(apply(without, /*disconnects=*/true));
  };
  constexpr int first = 4;  // what is made once is there by then
  for (int i = 0; i < first; ++i) ASSERT_NO_FATAL_FAILURE(round(static_cast<std::uint64_t>(i)));
  ASSERT_TRUE(await_removed(0)) << "hosts that send nothing more keep nothing";
  const Holdings held = holdings_of(daemon_.status());
  const Usage used = daemon_.usage();
  const int all = first + rounds(16, 200);
  for (int i = first; i < all; ++i) {
    ASSERT_NO_FATAL_FAILURE(round(static_cast<std::uint64_t>(i)));
  }
  EXPECT_TRUE(daemon_.await_status([&](const auto& status) { return holdings_of(status) == held; }))
      << holdings_of(daemon_.status()) << ", and was " << held;
  const Usage now = daemon_.usage();
  EXPECT_EQ(now.descriptors, used.descriptors);
  EXPECT_LE(now.resident_bytes, used.resident_bytes + (std::uint64_t{8} << 20) + sanitizer_bytes);
  bystander.expect_undisturbed();
}

TEST_F(RemovedVolumes, StayUntilTheLastCommandThatWasUnderWayHasEnded) {
  ASSERT_TRUE(daemon_.start());
  const ConfigText without = daemon_.config();
  // Ten writes a second: the others are held back.
  ASSERT_NO_FATAL_FAILURE(apply(with_guest(without, "write_iops: 10, burst: 100ms")));
  Host host(daemon_.endpoint(), {.host_nqn = guest_nqn});
  const auto idle = open_guest_session();
  ASSERT_TRUE(host.connected() && idle != nullptr);
  std::vector<std::uint16_t> writes;
  for (std::uint64_t i = 0; i < 30; ++i) {
    const auto cid = host.queue->submit(client::io::write(its_number, i, pattern(4096, i), 4096));
    ASSERT_GOOD(cid);
    writes.push_back(cid.value());
  }
  ASSERT_NO_FATAL_FAILURE(apply(without, /*disconnects=*/true));
  EXPECT_EQ(holdings_of(daemon_.status()).removed_volumes, 1U) << "its writes are held back";
  int refused = 0;
  for (const auto cid : writes) {
    const auto done = host.queue->await(cid);
    ASSERT_GOOD(done);
    if (!done.value().ok()) ++refused;
  }
  EXPECT_GE(refused, 1) << "what had not begun is not there any more";
  EXPECT_TRUE(await_removed(0));
  // The identifiers are free, and what comes there is not mistaken for what was.
  ASSERT_NO_FATAL_FAILURE(apply(with_guest(without)));
  write_and_read_back(*host.queue, its_number, 0, 8, 4096, 77);
}

}  // namespace
}  // namespace end_to_end
