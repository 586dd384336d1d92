// Discovery controllers: what they answer, persistence, snapshots, change events.
#include <gtest/gtest.h>

#include "protocol/nvme/discovery_log.h"
#include "tests/target/nvmf/target_harness.h"

namespace target::nvmf {
namespace {

using namespace std::chrono_literals;

SubsystemOptions another(std::string name, HostRule hosts) {
  SubsystemOptions options;
  options.nqn = "nqn.2026-11.com.example:" + std::move(name);
  options.hosts = std::move(hosts);
  options.listeners = {"san-a"};
  return options;
}

class DiscoveryTest : public TargetHarness {
 protected:
  nvme::DiscoveryLogHeader header(Link& made, bool retain = true) {
    return page_of<nvme::DiscoveryLogHeader>(made.must(log_entry(0x70, 1024, 0, retain)));
  }
  std::string nqn_at(Link& made, std::uint64_t record) {
    const auto answer = made.must(log_entry(0x70, 1024, 1024 * (1 + record), true));
    return page_of<nvme::DiscoveryLogRecord>(answer).subsystem_nqn;
  }
};

TEST_F(DiscoveryTest, LogIsFilteredByHost) {
  auto one = discovery(30'000, host_1);
  auto three = discovery(30'000, host_3);
  // Two listeners with discovery beside the wildcard, then A twice and B once.
  EXPECT_EQ(header(*one).record_count, 3U + 2U + 1U);
  EXPECT_EQ(header(*three).record_count, 3U + 1U);
  EXPECT_EQ(nqn_at(*three, 0), unique_discovery);
  EXPECT_EQ(nqn_at(*three, 3), subsystem_b);
}

TEST_F(DiscoveryTest, AnyListenerWithDiscoveryAnswersTheSame) {
  auto by_port_8009 = discovery();
  auto by_san = link("san-a");
  EXPECT_EQ(by_san->connect({.subsystem = unique_discovery}).status, status::success);
  by_san->must(property_set(nvme::property::cc, cc_enable));
  EXPECT_EQ(header(*by_san).record_count, header(*by_port_8009).record_count);
  EXPECT_EQ(header(*by_san).generation, header(*by_port_8009).generation);
}

TEST_F(DiscoveryTest, OffsetReadsAreOfOneGeneration) {
  auto made = discovery(30'000, host_3);
  const auto first = header(*made);
  ASSERT_EQ(nqn_at(*made, 3), subsystem_b);
  EXPECT_TRUE(target.add_subsystem(another("aaa", {.allow_any = true, .nqns = {}})));
  EXPECT_EQ(nqn_at(*made, 3), subsystem_b) << "still the page whose header was read";
  const auto beyond = made->must(log_entry(0x70, 1024, 1024 * 5, true));
  EXPECT_TRUE(std::all_of(beyond.data.begin(), beyond.data.end(),
                          [](std::byte b) { return b == std::byte{0}; }));
  const auto second = header(*made);
  EXPECT_GT(second.generation, first.generation) << "so the host begins again";
  EXPECT_EQ(second.record_count, first.record_count + 1);
  EXPECT_EQ(nqn_at(*made, 3), "nqn.2026-11.com.example:aaa");
}

TEST_F(DiscoveryTest, FirstReadNeedNotBeTheHeader) {
  auto made = discovery();
  EXPECT_EQ(nqn_at(*made, 0), unique_discovery);
  EXPECT_EQ(made->must(log_entry(0x70, 1024, 1 << 20, true)).status.code,
            status::invalid_field.code);
}

TEST_F(DiscoveryTest, PersistentHostIsToldOfWhatConcernsIt) {
  auto one = discovery(30'000, host_1);
  auto three = discovery(30'000, host_3);
  const auto ask = entry_of(nvme::AdminOpcode::async_event_request);
  std::map<Link*, std::uint16_t> requests;
  for (auto* made : {one.get(), three.get()}) {
    EXPECT_EQ(made->must(get_feature(nvme::FeatureId::async_event_configuration)).result, 1U << 31)
        << "a keep-alive timeout asks for notifications";
    EXPECT_EQ(made->run(ask), nullptr);
    requests[made] = made->last_command();
  }
  EXPECT_TRUE(target.add_subsystem(another("for-one", {.allow_any = false, .nqns = {host_1}})));
  reactor.run_until_idle();
  ASSERT_NE(one->port.answer_to(requests[one.get()]), nullptr);
  EXPECT_EQ(one->port.answer_to(requests[one.get()])->result, 0x0070'f002U);
  EXPECT_EQ(three->port.answer_to(requests[three.get()]), nullptr);

  // One notification until the log has been read without RAE.
  one->run(ask);
  const auto next = one->last_command();
  EXPECT_TRUE(target.remove_subsystem("nqn.2026-11.com.example:for-one"));
  reactor.run_until_idle();
  EXPECT_EQ(one->port.answer_to(next), nullptr);
  header(*one, /*retain=*/false);
  EXPECT_TRUE(target.set_hosts(subsystem_a, {.allow_any = true, .nqns = {}}));
  reactor.run_until_idle();
  EXPECT_NE(one->port.answer_to(next), nullptr);
  EXPECT_NE(three->port.answer_to(requests[three.get()]), nullptr) << "now it may use A";
}

// A host that reads the log in pieces ends with the last piece, without RAE.
TEST_F(DiscoveryTest, LastPieceOfAnOldPageDoesNotHideANewerChange) {
  auto made = discovery();
  header(*made);
  EXPECT_TRUE(target.add_subsystem(another("new", {.allow_any = true, .nqns = {}})));
  reactor.run_until_idle();
  made->must(log_entry(0x70, 1024, 1024, /*retain=*/false));
  const auto ask = entry_of(nvme::AdminOpcode::async_event_request);
  EXPECT_EQ(made->must(ask).result, 0x0070'f002U);
  made->must(log_entry(0x70, 1024, 1024, /*retain=*/false));
  EXPECT_EQ(made->run(ask), nullptr) << "told once until it looks";
  header(*made, /*retain=*/false);
  reactor.run_until_idle();
  EXPECT_EQ(made->port.answer_to(static_cast<std::uint16_t>(made->last_command() - 1)), nullptr);
}

TEST_F(DiscoveryTest, ChangeBetweenTheReadAndTheRequestForNotificationsIsTold) {
  auto made = discovery(0);
  header(*made, /*retain=*/false);
  EXPECT_TRUE(target.add_subsystem(another("new", {.allow_any = true, .nqns = {}})));
  made->must(set_feature(nvme::FeatureId::async_event_configuration, 1U << 31));
  EXPECT_EQ(made->must(entry_of(nvme::AdminOpcode::async_event_request)).result, 0x0070'f002U);
}

TEST_F(DiscoveryTest, HostWithoutKeepAliveGetsNoNotificationUnasked) {
  auto made = discovery(0);
  EXPECT_EQ(made->must(get_feature(nvme::FeatureId::async_event_configuration)).result, 0U);
  EXPECT_EQ(made->must(get_feature(nvme::FeatureId::keep_alive_timer)).result, 0U);
}

TEST_F(DiscoveryTest, ConnectionWithoutKeepAliveEndsAfterTwoIdleMinutes) {
  auto made = discovery(0);
  pass(100s);
  header(*made);
  pass(20s);
  EXPECT_FALSE(made->port.ended) << "a command came meanwhile";
  pass(120s);
  EXPECT_EQ(made->port.ended, EndReason::keep_alive_timeout);
}

TEST_F(DiscoveryTest, PersistentConnectionLivesOnKeepAlive) {
  auto made = discovery(30'000);
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(made->must(entry_of(nvme::AdminOpcode::keep_alive)).status, status::success);
    pass(29s);
  }
  EXPECT_FALSE(made->port.ended);
  pass(31s);
  pass(31s);
  EXPECT_EQ(made->port.ended, EndReason::keep_alive_timeout);
}

TEST_F(DiscoveryTest, FeaturesAreThoseOfDiscovery) {
  auto made = discovery();
  EXPECT_EQ(made->must(set_feature(nvme::FeatureId::async_event_configuration, 0x100)).status.code,
            status::invalid_field.code);
  EXPECT_EQ(made->must(set_feature(nvme::FeatureId::async_event_configuration, 1U << 31)).status,
            status::success);
  EXPECT_EQ(made->must(get_feature(nvme::FeatureId::number_of_queues)).status.code,
            status::invalid_field.code);
  EXPECT_EQ(made->must(fabrics_entry(nvme::FabricsType::disconnect)).status.code,
            status::invalid_queue_type.code);
}

TEST_F(DiscoveryTest, WildcardShowsTheAddressThatWasReached) {
  auto v4 = discovery(0, host_3, "198.51.100.7:8009");
  auto v6 = discovery(0, host_3, "[2001:db8::99]:8009");
  const auto address = [&](Link& made) {
    const auto record =
        page_of<nvme::DiscoveryLogRecord>(made.must(log_entry(0x70, 1024, 1024, true)));
    std::string text(record.address, sizeof(record.address));
    return std::to_string(record.address_family) + " " + text.substr(0, text.find(' '));
  };
  EXPECT_EQ(address(*v4), "1 198.51.100.7");
  EXPECT_EQ(address(*v6), "2 2001:db8::99");
}

TEST_F(DiscoveryTest, ThousandSubsystemsAreListedWhole) {
  for (int i = 0; i < 1000; ++i) {
    EXPECT_TRUE(
        target.add_subsystem(another("s" + std::to_string(i), {.allow_any = true, .nqns = {}})));
  }
  auto made = discovery(0, host_3);
  const auto count = header(*made).record_count;
  EXPECT_EQ(count, 1004U);
  std::set<std::string> seen;
  for (std::uint64_t record = 0; record < count; ++record) seen.insert(nqn_at(*made, record));
  EXPECT_EQ(seen.size(), 1002U);
}

}  // namespace
}  // namespace target::nvmf
