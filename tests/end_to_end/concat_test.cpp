// Secure channel concatenation: the proof on a plain Admin queue makes the key with which the host
// comes back inside TLS, and nobody else comes in with it.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/end_to_end/harness/bystander.h"
#include "tests/end_to_end/harness/dhchap_daemon.h"
#include "tests/end_to_end/harness/tls_proof.h"

namespace end_to_end {
namespace {

using client::DhchapHost;
namespace auth_failure = client::auth_failure;

class Concatenation : public DhchapDaemon {
 protected:
  static client::DhchapOptions making(std::uint8_t concatenation, std::uint8_t hash = 1) {
    client::DhchapOptions keys = usual();
    keys.concatenation = concatenation;
    keys.hashes = {hash};
    keys.groups = {1};
    return keys;
  }
  static client::TransportOptions inside(const client::TlsOptions& tls) {
    return {.tls = std::make_shared<const client::TlsOptions>(tls)};
  }
  static HostOptions host_inside(const client::TlsOptions& tls) {
    return {.transport = inside(tls), .host_nqn = nqn_with_dhchap};
  }

  // What a transaction on a queue ends with: the explanation of AUTH_Failure1, or 0.
  static unsigned outcome_of(Queue& queue, DhchapHost& prover) {
    const auto proved = prover.prove(queue);
    if (proved) return 0;
    const std::string text = proved.error().describe();
    for (unsigned explanation = 1; explanation <= 7; ++explanation) {
      if (text.find(fmt::format("reason 1, explanation {}", explanation)) != std::string::npos) {
        return explanation;
      }
    }
    ADD_FAILURE() << text;
    return 99;
  }
  static DhchapHost prover_of(client::DhchapOptions keys) {
    return {std::move(keys), nqn_with_dhchap, default_subsystem};
  }
  // Of a fresh Admin queue.
  unsigned attempt_on(const client::Endpoint& endpoint, const client::DhchapOptions& keys,
                      const client::TransportOptions& transport = {}) {
    auto queue = Queue::open(endpoint, transport);
    EXPECT_GOOD(queue);
    if (!queue) return 99;
    EXPECT_GOOD(queue.value()->connect(connect_fields()));
    DhchapHost prover = prover_of(keys);
    return outcome_of(*queue.value(), prover);
  }
  // The key that a host makes on a plain Admin queue, which it then leaves.
  client::TlsOptions made(const client::DhchapOptions& keys) {
    auto queue = Queue::open(with_tls());
    EXPECT_GOOD(queue);
    if (!queue) return {};
    EXPECT_GOOD(queue.value()->connect(connect_fields()));
    DhchapHost prover = prover_of(keys);
    EXPECT_GOOD(prover.prove(*queue.value()));
    auto tls = prover.generated_tls();
    EXPECT_GOOD(tls);
    return tls ? tls.value() : client::TlsOptions{};
  }
  [[nodiscard]] std::string refusal_of(const client::TlsOptions& options) const {
    const auto opened = client::TlsTunnel::open(with_tls(), options);
    return opened ? std::string("let in") : opened.error().describe();
  }
  void demand(const char* policy) {
    configure(fmt::format("key: {}, controller_key: {}, concat: {}", place("host", host_secret),
                          place("controller", controller_secret), policy));
  }
};

TEST_F(Concatenation, TheProofMakesTheKeyOfTheConnectionsInsideTls) {
  ASSERT_TRUE(daemon_.start());
  const auto bystander_options = HostOptions{};
  Bystander bystander(plain(), bystander_options);
  for (const std::uint8_t hash : {std::uint8_t{1}, std::uint8_t{2}}) {
    client::DhchapOptions keys = making(client::new_tls_psk, hash);
    // Both ways, every other time; and as earlier kernels compute their response.
    if (hash == 2) keys.controller_secret = controller_secret;
    if (hash == 1) keys.proved_concatenation = 0;
    const client::TlsOptions tls = made(keys);
    {
      Host host(with_tls(), host_inside(tls));
      ASSERT_TRUE(host.connected());
      write_and_read_back(*host.queue, 1, 100, 128, 4096, hash);
      const std::string security =
          fmt::format("tls1.3/aes-{}-gcm/generated", hash == 1 ? 128 : 256);
      EXPECT_TRUE(daemon_.await_status([&](const auto& now) {
        const auto& hosts = now.at("hosts").as_array();
        return std::any_of(hosts.begin(), hosts.end(), [&](const auto& one) {
          return std::string_view(one.at("security").as_string()).starts_with(security);
        });
      })) << security;
    }
    // With the association the key has ended.
    EXPECT_TRUE(daemon_.await_status(
        [](const auto& now) { return now.at("hosts").as_array().size() == 1; }));
    EXPECT_NE(refusal_of(tls).find("decrypt error"), std::string::npos);
  }
  EXPECT_TRUE(daemon_.await_log({"host authenticated", nqn_with_dhchap, "concatenation=yes"}));
  EXPECT_TRUE(daemon_.await_log({"tls agreed", nqn_with_dhchap, "key=generated"}));
  EXPECT_TRUE(daemon_.await_log({"tls refused", nqn_with_dhchap, "generated key is not known"}));
  bystander.expect_undisturbed();
}

TEST_F(Concatenation, AKeyIsOneControllersAndNobodyElses) {
  ASSERT_TRUE(daemon_.start());
  const client::TlsOptions tls = made(making(client::new_tls_psk));
  Host host(with_tls(), host_inside(tls));
  ASSERT_TRUE(host.connected());
  // The same key again, for another controller.
  const auto again = client::Controller::attach({.endpoint = with_tls(),
                                                 .transport = inside(tls),
                                                 .subsystem_nqn = default_subsystem,
                                                 .host_nqn = nqn_with_dhchap});
  ASSERT_FALSE(again);
  EXPECT_TRUE(daemon_.await_log({"connect refused", nqn_with_dhchap, "another controller's"}));
  // Another key, for a queue of this controller.
  const client::TlsOptions other = made(making(client::new_tls_psk));
  auto queue = Queue::open(with_tls(), inside(other));
  ASSERT_GOOD(queue);
  const auto joined = queue.value()->connect(host.controller->io_connect_fields(2, 32));
  ASSERT_GOOD(joined);
  EXPECT_FALSE(joined.value().ok());
  // A wrong key by its name.
  client::TlsOptions wrong = tls;
  wrong.psk[0] ^= std::byte{1};
  EXPECT_NE(refusal_of(wrong).find("decrypt error"), std::string::npos);
  write_and_read_back(*host.queue, 1, 0, 8, 4096, 3);
}

TEST_F(Concatenation, TheKeyIsReplacedInsideTlsUnderIo) {
  ASSERT_TRUE(daemon_.start());
  client::TlsOptions tls = made(making(client::new_tls_psk));
  Host host(with_tls(), host_inside(tls));
  ASSERT_TRUE(host.connected());
  for (std::uint64_t round = 0; round < 3; ++round) {
    const auto cid =
        host.queue->submit(client::io::write(1, round * 64, pattern(64 * 4096, round), 4096));
    ASSERT_GOOD(cid);
    DhchapHost prover = prover_of(making(client::replace_tls_psk));
    ASSERT_GOOD(prover.prove(host.controller->admin()));
    const auto done = host.queue->await(cid.value());
    ASSERT_GOOD(done);
    EXPECT_TRUE(done.value().ok());
    // From now on it is the new one that opens queues.
    EXPECT_NE(refusal_of(tls).find("decrypt error"), std::string::npos);
    const auto next = prover.generated_tls();
    ASSERT_GOOD(next);
    tls = next.value();
    auto queue = Queue::open(with_tls(), inside(tls));
    ASSERT_GOOD(queue);
    const auto joined = queue.value()->connect(host.controller->io_connect_fields(2, 32));
    ASSERT_GOOD(joined);
    ASSERT_TRUE(joined.value().ok()) << joined.value().describe();
    EXPECT_TRUE(read(*queue.value(), 1, round * 64, 64, 4096) == pattern(64 * 4096, round));
  }
}

TEST_F(Concatenation, WhereItIsRequiredNothingElseWillDo) {
  demand("required");
  ASSERT_TRUE(daemon_.start());
  auto queue = Queue::open(with_tls());
  ASSERT_GOOD(queue);
  const auto connected = queue.value()->connect(connect_fields());
  ASSERT_GOOD(connected);
  EXPECT_NE(connected.value().dw0() & client::connect_wants_authentication, 0U);
  EXPECT_NE(connected.value().dw0() & client::connect_wants_concatenation, 0U);
  EXPECT_EQ(attempt_on(with_tls(), usual()), auth_failure::wrong_concatenation);
  // Where there is no TLS it cannot be.
  EXPECT_NE(attempt(usual()).find("refused: Connect"), std::string::npos);
  EXPECT_TRUE(daemon_.await_log({"connect refused", nqn_with_dhchap, "the listener has no TLS"}));
  // A plain controller has no I/O queues.
  DhchapHost prover = prover_of(making(client::new_tls_psk));
  ASSERT_GOOD(prover.prove(*queue.value()));
  client::ConnectFields io = connect_fields();
  io.queue_id = 1;
  io.controller_id = static_cast<std::uint16_t>(connected.value().result & 0xffff);
  auto second = Queue::open(with_tls());
  ASSERT_GOOD(second);
  const auto joined = second.value()->connect(io);
  ASSERT_GOOD(joined);
  EXPECT_FALSE(joined.value().ok());
  EXPECT_TRUE(daemon_.await_log({"connect refused", "its I/O queues are inside TLS alone"}));

  const auto tls = prover.generated_tls();
  ASSERT_GOOD(tls);
  Host host(with_tls(), host_inside(tls.value()));
  ASSERT_TRUE(host.connected());
  write_and_read_back(*host.queue, 1, 0, 8, 4096, 1);
}

TEST_F(Concatenation, WhatCannotBeMadeIsRefusedWithItsReason) {
  ASSERT_TRUE(daemon_.start());
  EXPECT_EQ(attempt_on(plain(), making(client::new_tls_psk)), auth_failure::wrong_concatenation)
      << "no TLS";
  EXPECT_EQ(attempt_on(with_tls(), making(1)), auth_failure::wrong_concatenation)
      << "none of the kinds";
  EXPECT_EQ(attempt_on(with_tls(), making(client::replace_tls_psk)),
            auth_failure::wrong_concatenation);
  const auto configured = inside(options_of({.host = nqn_with_dhchap}));
  EXPECT_EQ(attempt_on(with_tls(), making(client::new_tls_psk), configured),
            auth_failure::wrong_concatenation);
  EXPECT_EQ(attempt(usual()), "let in");
  EXPECT_EQ(attempt_on(with_tls(), making(client::new_tls_psk, 3)), auth_failure::no_hash)
      << "TLS has no such";
  client::DhchapOptions without = making(client::new_tls_psk);
  without.groups = {0};
  EXPECT_EQ(attempt_on(with_tls(), without), auth_failure::no_group) << "nothing to make a key of";
  EXPECT_EQ(attempt(usual()), "let in");

  // An I/O queue makes none.
  Host host(with_tls(), host_with(usual()));
  ASSERT_TRUE(host.connected());
  DhchapHost prover = prover_of(making(client::new_tls_psk));
  EXPECT_EQ(outcome_of(*host.queue, prover), auth_failure::wrong_concatenation);

  // Without the host's challenge.
  auto queue = Queue::open(with_tls());
  ASSERT_GOOD(queue);
  ASSERT_GOOD(queue.value()->connect(connect_fields()));
  DhchapHost blunt = prover_of(making(client::new_tls_psk));
  ASSERT_GOOD(client::send_message(*queue.value(), blunt.negotiate()));
  const auto challenge = client::receive_message(*queue.value());
  ASSERT_GOOD(challenge);
  ASSERT_GOOD(blunt.take_challenge(challenge.value()));
  auto reply = blunt.reply();
  ASSERT_GOOD(reply);
  client::put<std::uint8_t>(reply.value(), 8, 0);
  ASSERT_GOOD(client::send_message(*queue.value(), reply.value()));
  const auto answer = client::receive_message(*queue.value());
  ASSERT_GOOD(answer);
  EXPECT_EQ(client::explanation_of(answer.value()), auth_failure::failed);

  demand("none");
  daemon_.reload();
  EXPECT_EQ(attempt_on(with_tls(), making(client::new_tls_psk)), auth_failure::wrong_concatenation);
  EXPECT_EQ(attempt(usual()), "let in");
}

}  // namespace
}  // namespace end_to_end
