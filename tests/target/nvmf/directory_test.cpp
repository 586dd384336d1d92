#include "target/nvmf/directory.h"

#include <gtest/gtest.h>

#include <cstring>

#include "protocol/nvme/discovery_log.h"

namespace target::nvmf {
namespace {

namespace nvme = protocol::nvme;
using Family = ListenerOptions::Family;
using Discovery = ListenerOptions::Discovery;

struct Log {
  nvme::DiscoveryLogHeader header;
  std::vector<nvme::DiscoveryLogRecord> records;
  // "type nqn-tail family address:port"
  std::vector<std::string> text() const {
    std::vector<std::string> lines;
    for (const auto& record : records) {
      const std::string nqn(record.subsystem_nqn);
      const auto trimmed = [](const auto& field) {
        std::string value(field, sizeof(field));
        return value.substr(0, value.find(' '));
      };
      lines.push_back(std::to_string(record.subsystem_type) + " " + nqn.substr(nqn.rfind(':') + 1) +
                      " " + std::to_string(record.address_family) + " " + trimmed(record.address) +
                      " " + trimmed(record.service_id));
    }
    return lines;
  }
};

Log parse(const std::vector<std::byte>& bytes) {
  Log log{};
  EXPECT_GE(bytes.size(), sizeof(log.header));
  std::memcpy(&log.header, bytes.data(), sizeof(log.header));
  EXPECT_EQ(bytes.size(), 1024 * (1 + log.header.record_count));
  for (std::size_t at = 1024; at < bytes.size(); at += 1024) {
    log.records.emplace_back();
    std::memcpy(&log.records.back(), bytes.data() + at, 1024);
  }
  return log;
}

SubsystemOptions subsystem(std::string name, HostRule hosts, std::vector<std::string> listeners) {
  SubsystemOptions options;
  options.nqn = "nqn.2026-11.com.example:" + std::move(name);
  options.hosts = std::move(hosts);
  options.listeners = std::move(listeners);
  return options;
}

class DirectoryTest : public testing::Test {
 protected:
  DirectoryTest() {
    add({.name = "a",
         .family = Family::ipv4,
         .address = "192.0.2.10",
         .port = 4420,
         .discovery = Discovery::none});
    add({.name = "b",
         .family = Family::ipv6,
         .address = "2001:db8::5",
         .port = 4421,
         .discovery = Discovery::none});
    EXPECT_TRUE(directory.add_subsystem(
        subsystem("one", {.allow_any = false, .nqns = {"h1"}}, {"a", "b"})));
    EXPECT_TRUE(directory.add_subsystem(subsystem("all", {.allow_any = true, .nqns = {}}, {"b"})));
  }
  void add(const ListenerOptions& options) { EXPECT_TRUE(directory.add_listener(options)); }
  std::vector<std::string> log(const std::string& host,
                               const std::string& local = "192.0.2.10:8009") {
    return parse(directory.discovery_log(host, local)).text();
  }
  using Lines = std::vector<std::string>;
  Directory directory{"nqn.2014-08.org.nvmexpress:uuid:own"};
};

TEST_F(DirectoryTest, HostIsShownWhatItMayUseAndNothingElse) {
  EXPECT_EQ(log("h1"), (Lines{"2 all 2 2001:db8::5 4421", "2 one 1 192.0.2.10 4420",
                              "2 one 2 2001:db8::5 4421"}));
  EXPECT_EQ(log("h2"), (Lines{"2 all 2 2001:db8::5 4421"}));
}

TEST_F(DirectoryTest, DiscoveryListenersAreThemselvesEntries) {
  add({.name = "d",
       .family = Family::ipv4,
       .address = "192.0.2.11",
       .port = 8009,
       .discovery = Discovery::only});
  const auto page = parse(directory.discovery_log("h2", "192.0.2.11:8009"));
  ASSERT_EQ(page.records.size(), 2U);
  const auto& own = page.records[0];
  EXPECT_EQ(own.subsystem_type, 3) << "current discovery subsystem";
  EXPECT_EQ(own.flags, 3) << "duplicate information, persistent connections";
  EXPECT_STREQ(own.subsystem_nqn, "nqn.2014-08.org.nvmexpress:uuid:own");
  EXPECT_EQ(own.controller_id, 0xffff);
  EXPECT_GE(own.admin_queue_entries, 32);
  EXPECT_EQ(own.transport_type, 3);
  EXPECT_EQ(own.transport_requirements, 4)
      << "secure channel not specified; SQ flow control may be disabled";
  EXPECT_NE(own.port_id, page.records[1].port_id);
}

TEST_F(DirectoryTest, ListenerThatCannotListenYetIsNotShown) {
  const auto before = directory.generation_for("h1");
  EXPECT_TRUE(directory.announce_listener("a", false));
  EXPECT_FALSE(directory.announce_listener("a", false)) << "nothing new";
  EXPECT_EQ(log("h1"), (Lines{"2 all 2 2001:db8::5 4421", "2 one 2 2001:db8::5 4421"}));
  const auto hidden = directory.generation_for("h1");
  EXPECT_GT(hidden, before);
  EXPECT_TRUE(directory.announce_listener("a", true));
  EXPECT_EQ(log("h1").size(), 3U);
  EXPECT_GT(directory.generation_for("h1"), hidden);
  EXPECT_FALSE(directory.announce_listener("nobody", false));
}

TEST_F(DirectoryTest, WildcardBecomesTheAddressTheHostReached) {
  add({.name = "w",
       .family = Family::any,
       .address = "",
       .port = 8009,
       .discovery = Discovery::only});
  add({.name = "w4",
       .family = Family::ipv4,
       .address = "",
       .port = 4424,
       .discovery = Discovery::none});
  EXPECT_TRUE(directory.add_subsystem(subsystem("wild", {.allow_any = true, .nqns = {}}, {"w4"})));
  EXPECT_EQ(log("h2", "198.51.100.7:8009"),
            (Lines{"3 own 1 198.51.100.7 8009", "2 all 2 2001:db8::5 4421",
                   "2 wild 1 198.51.100.7 4424"}));
  // A socket for both families shows IPv4 hosts as mapped addresses.
  EXPECT_EQ(log("h2", "[::ffff:198.51.100.7]:8009")[0], "3 own 1 198.51.100.7 8009");
  // An IPv4 listener cannot be reached where an IPv6 host is: nothing is made up.
  EXPECT_EQ(log("h2", "[2001:db8::9]:8009"),
            (Lines{"3 own 2 2001:db8::9 8009", "2 all 2 2001:db8::5 4421"}));
  EXPECT_EQ(log("h2", "[fe80::1%eth0]:8009")[0], "3 own 2 fe80::1 8009");
  EXPECT_EQ(log("h2", "nonsense").size(), 1U);
}

TEST_F(DirectoryTest, GenerationMovesWithVisibleChangesOnly) {
  auto h1 = directory.generation_for("h1");
  auto h2 = directory.generation_for("h2");
  const auto moved = [&](const char* what, bool for_h1, bool for_h2) {
    EXPECT_EQ(directory.generation_for("h1") > h1, for_h1) << what;
    EXPECT_EQ(directory.generation_for("h2") > h2, for_h2) << what;
    h1 = directory.generation_for("h1");
    h2 = directory.generation_for("h2");
  };
  moved("nothing", false, false);
  EXPECT_TRUE(directory.add_subsystem(subsystem("x", {.allow_any = false, .nqns = {"h1"}}, {"a"})));
  moved("subsystem for h1", true, false);
  EXPECT_TRUE(
      directory.set_hosts("nqn.2026-11.com.example:x", {.allow_any = false, .nqns = {"h1", "h2"}}));
  moved("h2 admitted", false, true);
  EXPECT_TRUE(
      directory.set_hosts("nqn.2026-11.com.example:x", {.allow_any = false, .nqns = {"h2"}}));
  moved("h1 taken out", true, false);
  EXPECT_TRUE(directory.remove_subsystem("nqn.2026-11.com.example:x"));
  moved("subsystem of h2 gone", false, true);
  EXPECT_TRUE(directory.set_hosts("nqn.2026-11.com.example:one", {.allow_any = true, .nqns = {}}));
  moved("opened to all", true, true);
  EXPECT_TRUE(
      directory.set_hosts("nqn.2026-11.com.example:one", {.allow_any = false, .nqns = {"h1"}}));
  moved("closed again", true, true);
  EXPECT_TRUE(directory.remove_listener("a"));
  moved("a listener that only h1's subsystem has", true, false);
  add({.name = "a",
       .family = Family::ipv4,
       .address = "192.0.2.10",
       .port = 4420,
       .discovery = Discovery::none});
  moved("and back", true, false);
  add({.name = "d",
       .family = Family::ipv4,
       .address = "192.0.2.11",
       .port = 8009,
       .discovery = Discovery::only});
  moved("a discovery listener", true, true);
  EXPECT_TRUE(directory.remove_listener("d"));
  moved("and gone", true, true);
}

TEST_F(DirectoryTest, GenerationInTheLogIsTheHosts) {
  EXPECT_EQ(parse(directory.discovery_log("h2", "192.0.2.10:8009")).header.generation,
            directory.generation_for("h2"));
}

TEST_F(DirectoryTest, NamesAreUsedOnce) {
  EXPECT_FALSE(directory.add_listener({.name = "a", .address = "192.0.2.12"}));
  EXPECT_FALSE(directory.add_subsystem(subsystem("one", {}, {})));
  EXPECT_FALSE(directory.remove_listener("z"));
  EXPECT_FALSE(directory.remove_subsystem("nqn.2026-11.com.example:z"));
  EXPECT_FALSE(directory.set_hosts("nqn.2026-11.com.example:z", {}));
}

TEST(Options, DerivedNamesNeverChange) {
  EXPECT_EQ(make_discovery_nqn("store1"), make_discovery_nqn("store1"));
  EXPECT_NE(make_discovery_nqn("store1"), make_discovery_nqn("store2"));
  EXPECT_FALSE(nvme::check_nqn(make_discovery_nqn("store1")));
  const auto serial = make_serial("nqn.2026-11.com.example:one");
  EXPECT_EQ(serial.size(), 20U);
  EXPECT_EQ(serial, make_serial("nqn.2026-11.com.example:one"));
  EXPECT_NE(serial, make_serial("nqn.2026-11.com.example:two"));
}

}  // namespace
}  // namespace target::nvmf
