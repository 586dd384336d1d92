// Namespaces, queues and associations that change under a host again and again, by changes of the
// configuration.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <set>

#include "tests/end_to_end/harness/daemon.h"
#include "tests/end_to_end/harness/host.h"

namespace end_to_end {
namespace {

constexpr const char* own_nqn = "nqn.2026-11.com.example:churned";

class NamespaceChurn : public testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(daemon_.start()); }

  void apply(const ConfigText& next, bool disconnects = false) {
    write_file(workplace_.path("next.yaml"), next.yaml());
    daemon_.notify().forget();
    std::vector<std::string> arguments{FOREBAYCTL, "apply", workplace_.path("next.yaml"),
                                       "--socket", daemon_.config().control_socket};
    if (disconnects) arguments.insert(arguments.end(), {"--disconnect", own_nqn});
    const Outcome outcome = run({.arguments = std::move(arguments)});
    ASSERT_EQ(outcome.exit.code, 0) << outcome.output;
    daemon_.config() = next;
  }
  // The notification that `event` waits for, with the list of what changed; then the next one is
  // asked for.
  static void expect_told(Controller& controller, std::uint16_t& event,
                          const std::set<std::uint32_t>& changed) {
    const auto told = controller.admin().await(event);
    ASSERT_GOOD(told);
    EXPECT_EQ(told.value().dw0(), 0x040002U);
    const auto list = controller.read_log({.lid = 0x04, .bytes = 4096});
    ASSERT_GOOD(list);
    std::set<std::uint32_t> named;
    for (std::size_t at = 0; at < 4096; at += 4) {
      std::uint32_t nsid = 0;
      std::memcpy(&nsid, list.value().data() + at, 4);
      if (nsid != 0) named.insert(nsid);
    }
    EXPECT_EQ(named, changed);
    const auto next = controller.admin().submit(client::admin::async_event_request());
    ASSERT_GOOD(next);
    event = next.value();
  }
  static std::vector<std::uint32_t> listed(Controller& controller) {
    const auto namespaces = controller.active_namespaces();
    EXPECT_GOOD(namespaces);
    return namespaces ? namespaces.value() : std::vector<std::uint32_t>();
  }

  Workplace workplace_;
  Daemon daemon_{workplace_, memory_config()};
};

// What blktests checks by nvme/052.
TEST_F(NamespaceChurn, NamespacesThatComeAndGoAreThereAndGoneEachTime) {
  Host host(daemon_.endpoint(), {.host_nqn = own_nqn});
  ASSERT_TRUE(host.connected());
  const auto before = listed(*host.controller);
  const auto asked = request_event(*host.controller, attribute_notices);
  ASSERT_GOOD(asked);
  std::uint16_t event = asked.value();
  const ConfigText without = daemon_.config();
  const std::uint32_t end = 10 + static_cast<std::uint32_t>(rounds(6, 20));
  for (std::uint32_t nsid = 10; nsid < end; ++nsid) {
    SCOPED_TRACE(nsid);
    ConfigText with = without;
    with.volumes.push_back({.name = fmt::format("v{}", nsid), .size = "1MiB"});
    with.subsystems[0].namespaces.push_back({.nsid = nsid, .volume = fmt::format("v{}", nsid)});
    ASSERT_NO_FATAL_FAILURE(apply(with));
    ASSERT_NO_FATAL_FAILURE(expect_told(*host.controller, event, {nsid}));
    EXPECT_TRUE(std::ranges::count(listed(*host.controller), nsid) == 1);
    write_and_read_back(*host.queue, nsid, 0, 8, 4096, nsid);
    ASSERT_NO_FATAL_FAILURE(apply(without, /*disconnects=*/true));
    ASSERT_NO_FATAL_FAILURE(expect_told(*host.controller, event, {nsid}));
    EXPECT_EQ(listed(*host.controller), before);
    EXPECT_EQ(status_of(*host.queue, client::io::read(nsid, 0, 1, 4096)), 0x0b);
  }
}

// What blktests checks by nvme/058: the same identifiers, each time of other volumes.
TEST_F(NamespaceChurn, AnIdentifierThatIsMappedAnewIsTheOtherVolume) {
  ConfigText config = daemon_.config();
  for (const char* name : {"va", "vb", "vc"})
    config.volumes.push_back({.name = name, .size = "1MiB"});
  ASSERT_NO_FATAL_FAILURE(apply(config));
  Host host(daemon_.endpoint(), {.host_nqn = own_nqn});
  ASSERT_TRUE(host.connected());
  const auto asked = request_event(*host.controller, attribute_notices);
  ASSERT_GOOD(asked);
  std::uint16_t event = asked.value();
  std::vector<std::string> volumes{"va", "vb", "vc"};
  std::map<std::string, decltype(client::NamespaceData::nguid)> known;
  const std::size_t own = config.subsystems[0].namespaces.size();
  for (int round = 0; round < 4; ++round) {
    SCOPED_TRACE(round);
    ConfigText none = daemon_.config();
    none.subsystems[0].namespaces.resize(own);
    if (round != 0) {
      ASSERT_NO_FATAL_FAILURE(apply(none, /*disconnects=*/true));
      ASSERT_NO_FATAL_FAILURE(expect_told(*host.controller, event, {11, 12, 13}));
    }
    ConfigText mapped = none;
    for (std::uint32_t i = 0; i < 3; ++i) {
      mapped.subsystems[0].namespaces.push_back({.nsid = 11 + i, .volume = volumes[i]});
    }
    ASSERT_NO_FATAL_FAILURE(apply(mapped));
    ASSERT_NO_FATAL_FAILURE(expect_told(*host.controller, event, {11, 12, 13}));
    for (std::uint32_t i = 0; i < 3; ++i) {
      const auto data = host.controller->identify_namespace(11 + i);
      ASSERT_GOOD(data);
      const auto [found, is_new] = known.emplace(volumes[i], data.value().nguid);
      EXPECT_EQ(found->second, data.value().nguid) << volumes[i] << " is itself wherever it is";
      const std::uint64_t seed = static_cast<std::uint64_t>(volumes[i].back());
      if (is_new) {
        write(*host.queue, 11 + i, 0, pattern(4096, seed), 4096);
      }
      EXPECT_TRUE(read(*host.queue, 11 + i, 0, 1, 4096) == pattern(4096, seed)) << volumes[i];
    }
    std::rotate(volumes.begin(), volumes.begin() + 1, volumes.end());
  }
}

// What blktests checks by nvme/048 and nvme/060.
TEST_F(NamespaceChurn, AHostThatIsSentAwayComesBackWithAsManyQueuesAsThereAreNow) {
  for (const std::uint16_t queues : std::initializer_list<std::uint16_t>{1, 2, 3, 1}) {
    SCOPED_TRACE(queues);
    Host host(daemon_.endpoint(), {.host_nqn = own_nqn});
    ASSERT_TRUE(host.connected());
    ConfigText next = daemon_.config();
    next.subsystems[0].options = fmt::format("max_io_queues: {}\n", queues);
    ASSERT_NO_FATAL_FAILURE(apply(next, /*disconnects=*/true));
    EXPECT_FALSE(host.controller->keep_alive()) << "the association has ended";
    const auto back = attach(daemon_.endpoint());
    ASSERT_TRUE(back);
    const auto granted = back->request_io_queues(8);
    ASSERT_GOOD(granted);
    EXPECT_EQ(granted.value(), queues);
    for (std::uint16_t id = 1; id <= queues; ++id) EXPECT_TRUE(open_queue(*back, id));
    EXPECT_FALSE(back->open_io_queue(static_cast<std::uint16_t>(queues + 1)));
  }
}

}  // namespace
}  // namespace end_to_end
