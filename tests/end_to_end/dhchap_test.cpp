// DH-HMAC-CHAP by the project's own host: who has the keys reaches its volumes on every queue, and
// whoever has not is told, counted and turned away.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/end_to_end/harness/bystander.h"
#include "tests/end_to_end/harness/dhchap_daemon.h"
#include "tests/end_to_end/harness/scrape.h"
#include "tests/end_to_end/harness/tls_proof.h"

namespace end_to_end {
namespace {

using Dhchap = DhchapDaemon;
using client::DhchapHost;

bool refused_with(const std::string& outcome, unsigned explanation) {
  return outcome.find(fmt::format("AUTH_Failure1: reason 1, explanation {}", explanation)) !=
         std::string::npos;
}

TEST_F(Dhchap, EachHashAndEachGroupOpensEveryQueue) {
  ASSERT_TRUE(daemon_.start());
  std::uint64_t seed = 1;
  for (std::uint8_t hash = 1; hash <= 3; ++hash) {
    // Each group with one hash, and each hash with two groups: they have nothing to do with one
    // another, and large groups take their time.
    for (std::uint8_t group = 0; group < (hash == 2 ? 6 : 2); ++group) {
      client::DhchapOptions keys = usual();
      keys.hashes = {hash};
      keys.groups = {group};
      if (seed % 2 == 0) keys.controller_secret = controller_secret;
      Host host(plain(), host_with(keys));
      ASSERT_TRUE(host.connected()) << unsigned{hash} << " " << unsigned{group};
      write_and_read_back(*host.queue, 1, seed * 300, 64, 4096, seed);
      ++seed;
    }
  }
  EXPECT_TRUE(daemon_.await_log({"host authenticated", "hash=sha384", "group=ffdhe8192"}));
}

TEST_F(Dhchap, TheTargetProvesItselfToWhomeverAsks) {
  ASSERT_TRUE(daemon_.start());
  client::DhchapOptions keys = usual();
  keys.controller_secret = controller_secret;
  {
    Host host(plain(), host_with(keys));
    ASSERT_TRUE(host.connected());
    EXPECT_TRUE(daemon_.await_status([](const auto& now) {
      const auto& hosts = now.at("hosts").as_array();
      return hosts.size() == 1 && hosts[0].at("security").as_string() == "mutual dhchap";
    }));
  }
  // A host that does not believe us says so, and its connection ends; also when it takes its own
  // key for ours.
  for (const auto& wrong : {next_secret, host_secret}) {
    keys.controller_secret = wrong;
    EXPECT_NE(attempt(keys).find("the controller has another key"), std::string::npos) << wrong;
  }
  EXPECT_TRUE(daemon_.await_log({"authentication failed", nqn_with_dhchap,
                                 "side=\"the host refuses us\"", "reason=\"wrong key\""}));
}

TEST_F(Dhchap, AWrongKeyIsToldCountedAndLoggedOnEveryQueue) {
  ASSERT_TRUE(daemon_.start());
  Bystander bystander(plain());
  client::DhchapOptions wrong{.secret = std::string(strangers_secret)};
  EXPECT_TRUE(refused_with(attempt(wrong), 1)) << attempt(wrong);
  EXPECT_TRUE(daemon_.await_log({"authentication failed", nqn_with_dhchap, "queue=0",
                                 "side=\"the host is refused\"", "reason=\"wrong key\""}));
  // The right secret as if it were the key of another name.
  client::DhchapOptions transformed = usual();
  transformed.secret[8] = '1';
  EXPECT_TRUE(refused_with(attempt(transformed), 1));
  // Nothing in common.
  client::DhchapOptions odd = usual();
  odd.hashes = {4};
  EXPECT_TRUE(refused_with(attempt(odd), 4));
  odd = usual();
  odd.groups = {77};
  EXPECT_TRUE(refused_with(attempt(odd), 5));

  // An I/O queue of a controller that has proved itself.
  const auto controller = attach(plain(), host_with(usual()));
  ASSERT_NE(controller, nullptr);
  auto queue = controller->open_transport();
  ASSERT_GOOD(queue);
  const auto connected = queue.value()->connect(controller->io_connect_fields(1, 32));
  ASSERT_GOOD(connected);
  EXPECT_NE(connected.value().dw0() & client::connect_wants_authentication, 0U);
  DhchapHost stranger(wrong, nqn_with_dhchap, default_subsystem);
  const auto proved = stranger.prove(*queue.value());
  ASSERT_FALSE(proved);
  EXPECT_TRUE(refused_with(proved.error().describe(), 1));
  EXPECT_GOOD(queue.value()->raw().await_end());
  EXPECT_TRUE(daemon_.await_log({"authentication failed", "queue=1"}));
  EXPECT_GOOD(controller->keep_alive());

  const Scrape figures = scrape(daemon_.config().metrics_port);
  EXPECT_GE(figures.value("forebay_authentication_failures_total{protocol=\"nvme-tcp\"}"), 5);
  bystander.expect_undisturbed();
}

TEST_F(Dhchap, WhoTriesTooOftenIsTurnedAwayAndNobodyElse) {
  ASSERT_TRUE(daemon_.start());
  Bystander bystander(plain());
  const client::DhchapOptions wrong{.secret = std::string(strangers_secret)};
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(refused_with(attempt(wrong), 1)) << i;
  EXPECT_NE(attempt(usual()).find("refused: Connect"), std::string::npos);
  EXPECT_EQ(attempt(usual(), default_subsystem, nqn_of_strict), "let in");
  bystander.expect_undisturbed();
}

TEST_F(Dhchap, NothingIsDoneOnAQueueBeforeItsHostHasProvedItself) {
  ASSERT_TRUE(daemon_.start());
  EXPECT_NE(attempt({}).find("asks for authentication"), std::string::npos);
  // The Admin queue.
  auto admin = Queue::open(plain());
  ASSERT_GOOD(admin);
  const auto connected = admin.value()->connect(connect_fields());
  ASSERT_GOOD(connected);
  EXPECT_NE(connected.value().dw0() & client::connect_wants_authentication, 0U);
  for (const auto& command : {client::admin::identify({.cns = 1}), client::admin::keep_alive(),
                              client::property_get_command(client::property::cap, 1),
                              client::property_set_command(client::property::cc, 0x460001, 0)}) {
    EXPECT_EQ(status_of(*admin.value(), command), authentication_required);
  }

  // An I/O queue: what it writes is not written.
  Host host(plain(), host_with(usual()));
  ASSERT_TRUE(host.connected());
  write_and_read_back(*host.queue, 1, 0, 8, 4096, 1);
  auto queue = host.controller->open_transport();
  ASSERT_GOOD(queue);
  ASSERT_GOOD(queue.value()->connect(host.controller->io_connect_fields(2, 32)));
  const Bytes other = pattern(8 * 4096, 2);
  EXPECT_EQ(status_of(*queue.value(), client::io::write(1, 0, other, 4096)),
            authentication_required);
  EXPECT_EQ(status_of(*queue.value(), client::io::read(1, 0, 8, 4096)), authentication_required);
  EXPECT_TRUE(read(*host.queue, 1, 0, 8, 4096) == pattern(8 * 4096, 1));
  DhchapHost late(usual(), nqn_with_dhchap, default_subsystem);
  ASSERT_GOOD(late.prove(*queue.value()));
  write_and_read_back(*queue.value(), 1, 0, 8, 4096, 3);
}

TEST_F(Dhchap, DiscoveryAsksWhereItIsConfigured) {
  ASSERT_TRUE(daemon_.start());
  EXPECT_EQ(attempt({}, client::discovery_nqn), "let in");
  EXPECT_NE(attempt({}, client::discovery_nqn, nqn_of_strict).find("asks for authentication"),
            std::string::npos);
  EXPECT_TRUE(refused_with(
      attempt({.secret = std::string(strangers_secret)}, client::discovery_nqn, nqn_of_strict), 1));
  HostOptions strict = host_with(usual(), nqn_of_strict);
  strict.subsystem = client::discovery_nqn;
  const auto controller = attach(plain(), strict);
  ASSERT_NE(controller, nullptr);
  const auto log = controller->discovery_log();
  ASSERT_GOOD(log);
  EXPECT_FALSE(log.value().entries.empty());
}

// Commands of the same queue are under way all the time.
TEST_F(Dhchap, QueuesProveThemselvesAnewUnderIo) {
  ASSERT_TRUE(daemon_.start());
  Host host(plain(), host_with(usual()));
  ASSERT_TRUE(host.connected());
  for (std::uint64_t round = 0; round < 6; ++round) {
    client::DhchapOptions keys = usual();
    keys.groups = {static_cast<std::uint8_t>(round % 3)};
    if (round % 2 == 0) keys.controller_secret = controller_secret;
    DhchapHost prover(keys, nqn_with_dhchap, default_subsystem);
    prover.transaction = static_cast<std::uint16_t>(100 + round);
    std::vector<std::uint16_t> writes;
    for (std::uint64_t i = 0; i < 16; ++i) {
      const auto cid = host.queue->submit(
          client::io::write(1, i * 16, pattern(16 * 4096, round * 100 + i), 4096));
      ASSERT_GOOD(cid);
      writes.push_back(cid.value());
    }
    ASSERT_GOOD(prover.prove(*host.queue));
    ASSERT_GOOD(prover.prove(host.controller->admin()));
    for (const std::uint16_t cid : writes) {
      const auto done = host.queue->await(cid);
      ASSERT_GOOD(done);
      EXPECT_TRUE(done.value().ok()) << done.value().describe();
    }
    for (std::uint64_t i = 0; i < 16; ++i) {
      EXPECT_TRUE(read(*host.queue, 1, i * 16, 16, 4096) == pattern(16 * 4096, round * 100 + i));
    }
  }
}

TEST_F(Dhchap, KeysAreExchangedUnderIo) {
  ASSERT_TRUE(daemon_.start());
  Bystander connected(plain(), host_with(usual()));
  Host host(plain(), host_with(usual()));
  ASSERT_TRUE(host.connected());
  connected.await_rounds(5);
  const client::DhchapOptions next{.secret = std::string(next_secret)};
  EXPECT_TRUE(refused_with(attempt(next), 1));
  const auto rotated = [&](const char* until) {
    configure(
        fmt::format("key: {}, dhgroup: [ffdhe2048, none], previous: {{key: {}, until: \"{}\"}}",
                    place("next", next_secret), place("host", host_secret), until));
    daemon_.reload();
  };
  rotated("2199-01-01T00:00:00Z");
  EXPECT_EQ(attempt(usual()), "let in");
  EXPECT_TRUE(daemon_.await_log({"host authenticated", nqn_with_dhchap, "key=previous"}));
  EXPECT_EQ(attempt(next), "let in");
  connected.await_rounds(5);

  rotated("2026-01-01T00:00:00Z");
  EXPECT_TRUE(refused_with(attempt(usual()), 1));
  EXPECT_EQ(attempt(next), "let in");
  // Who is connected stays so, and has the new key when it proves itself anew.
  write_and_read_back(*host.queue, 1, 0, 8, 4096, 7);
  DhchapHost anew(next, nqn_with_dhchap, default_subsystem);
  ASSERT_GOOD(anew.prove(*host.queue));
  write_and_read_back(*host.queue, 1, 0, 8, 4096, 8);
  DhchapHost late(usual(), nqn_with_dhchap, default_subsystem);
  const auto refused = late.prove(*host.queue);
  ASSERT_FALSE(refused);
  EXPECT_TRUE(refused_with(refused.error().describe(), 1));
  EXPECT_GOOD(host.queue->raw().await_end());
  connected.expect_undisturbed();
}

TEST_F(Dhchap, InsideTlsItIsAskedForAllTheSame) {
  ASSERT_TRUE(daemon_.start());
  const auto inside = [&](HostOptions options) {
    options.transport.tls =
        std::make_shared<const client::TlsOptions>(options_of({.host = nqn_with_dhchap}));
    return options;
  };
  Host host(with_tls(), inside(host_with(usual())));
  ASSERT_TRUE(host.connected());
  write_and_read_back(*host.queue, 1, 0, 64, 4096, 1);
  EXPECT_TRUE(daemon_.await_log({"tls agreed", nqn_with_dhchap}));
  EXPECT_TRUE(daemon_.await_log({"host authenticated", nqn_with_dhchap, "listener=tls"}));
  const auto keyless = inside({});
  const auto made = client::Controller::attach({.endpoint = with_tls(),
                                                .transport = keyless.transport,
                                                .subsystem_nqn = default_subsystem,
                                                .host_nqn = nqn_with_dhchap});
  ASSERT_FALSE(made);
  EXPECT_NE(made.error().describe().find("asks for authentication"), std::string::npos);
}

}  // namespace
}  // namespace end_to_end
