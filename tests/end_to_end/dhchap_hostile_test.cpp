// Hosts that break the rules of DH-HMAC-CHAP: what was overheard is of no use, each mistake has its
// answer (NVMe Base 2.0, 8.13.5; in later editions 8.3.5.5), and nothing is left of anybody.
#include <gtest/gtest.h>

#include <thread>

#include "tests/end_to_end/harness/bystander.h"
#include "tests/end_to_end/harness/dhchap_daemon.h"

namespace end_to_end {
namespace {

using client::Bytes;
using client::DhchapHost;
namespace message = client::auth_message;
namespace auth_failure = client::auth_failure;

// A queue that is connected and has proved nothing, and a host that could.
struct Prey {
  explicit Prey(const client::Endpoint& endpoint, client::DhchapOptions keys,
                std::uint16_t transaction = 1)
      : host(std::move(keys), nqn_with_dhchap, default_subsystem) {
    host.transaction = transaction;
    auto opened = Queue::open(endpoint);
    EXPECT_GOOD(opened);
    if (!opened) return;
    queue = std::move(opened.value());
    const auto connected = queue->connect(DhchapDaemon::connect_fields());
    EXPECT_GOOD(connected);
    EXPECT_TRUE(connected && connected.value().ok());
  }

  // The challenge of a fresh transaction.
  Bytes challenged() {
    EXPECT_GOOD(client::send_message(*queue, host.negotiate()));
    auto challenge = client::receive_message(*queue);
    EXPECT_GOOD(challenge);
    if (!challenge) return {};
    EXPECT_GOOD(host.take_challenge(challenge.value()));
    return challenge.value();
  }
  Bytes reply() {
    auto made = host.reply();
    EXPECT_GOOD(made);
    return made ? made.value() : Bytes{};
  }
  // What the target answers to `bytes`: the explanation of AUTH_Failure1 (and then the connection
  // ends), or 0.
  unsigned explanation_to(const Bytes& bytes) {
    EXPECT_GOOD(client::send_message(*queue, bytes));
    const auto answer = client::receive_message(*queue);
    EXPECT_GOOD(answer);
    if (!answer) return 0;
    const unsigned explanation = client::explanation_of(answer.value());
    if (explanation == 0) return 0;
    EXPECT_EQ(client::get<std::uint8_t>(answer.value(), 6), 1) << "the reason code";
    EXPECT_GOOD(queue->raw().await_end());
    return explanation;
  }

  DhchapHost host;
  std::unique_ptr<Queue> queue;
};

class DhchapHostile : public DhchapDaemon {
 protected:
  void SetUp() override {
    ASSERT_TRUE(daemon_.start());
    bystander_ = std::make_unique<Bystander>(plain());
    bystander_->await_rounds(5);
    before_ = daemon_.usage();
  }
  // An honest attempt: also makes the failures before it forgotten.
  void expect_served() { EXPECT_EQ(attempt(usual()), "let in"); }
  void TearDown() override {
    bystander_->expect_undisturbed();
    bystander_.reset();
    daemon_.expect_nothing_left();
    const auto now = daemon_.usage();
    EXPECT_LE(now.descriptors, before_.descriptors);
    constexpr std::uint64_t allowed = (std::uint64_t{8} << 20) + sanitizer_bytes;
    EXPECT_LE(now.resident_bytes, before_.resident_bytes + allowed);
  }
  static client::DhchapOptions mutual() {
    auto keys = usual();
    keys.controller_secret = controller_secret;
    return keys;
  }
  static client::DhchapOptions with_group(std::uint8_t group) {
    auto keys = usual();
    keys.groups = {group};
    return keys;
  }

  std::unique_ptr<Bystander> bystander_;
  Usage before_;
};

TEST_F(DhchapHostile, WhatWasOverheardIsOfNoUse) {
  for (const std::uint8_t group : {std::uint8_t{0}, std::uint8_t{1}}) {
    Prey first(plain(), with_group(group));
    (void)first.challenged();
    const Bytes overheard = first.reply();
    EXPECT_EQ(first.explanation_to(overheard), 0U);
    // On another connection, the same transaction id.
    Prey second(plain(), with_group(group));
    (void)second.challenged();
    EXPECT_EQ(second.explanation_to(overheard), auth_failure::failed);
    // On the same one, behind its own success, without a challenge, and to the next one.
    EXPECT_EQ(first.explanation_to(overheard), auth_failure::wrong_message);
    Prey third(plain(), with_group(group));
    (void)third.challenged();
    const Bytes used = third.reply();
    EXPECT_EQ(third.explanation_to(used), 0U);
    (void)third.challenged();
    EXPECT_EQ(third.explanation_to(used), auth_failure::failed);
    expect_served();
  }
}

TEST_F(DhchapHostile, AReplyIsOfItsOwnTransactionAndQueue) {
  Prey one(plain(), usual(), 11);
  Prey other(plain(), usual(), 12);
  (void)one.challenged();
  (void)other.challenged();
  EXPECT_EQ(one.explanation_to(other.reply()), auth_failure::wrong_payload) << "the other's T_ID";
  Bytes renamed = one.reply();
  client::put<std::uint16_t>(renamed, 4, 12);
  EXPECT_EQ(other.explanation_to(renamed), auth_failure::failed)
      << "T_ID is part of what is proved";
  Prey late(plain(), mutual(), 13);
  (void)late.challenged();
  EXPECT_EQ(late.explanation_to(late.reply()), 0U);
  late.host.transaction = 14;
  EXPECT_EQ(late.explanation_to(late.host.success2()), auth_failure::wrong_payload);
  expect_served();
}

// A Negotiate begins anew, and what was under way is nothing any more.
TEST_F(DhchapHostile, ANegotiateInTheMiddleBeginsAnew) {
  Prey prey(plain(), usual());
  (void)prey.challenged();
  const Bytes old = prey.reply();
  (void)prey.challenged();
  EXPECT_EQ(prey.explanation_to(old), auth_failure::failed);
  Prey honest(plain(), mutual());
  (void)honest.challenged();
  EXPECT_EQ(honest.explanation_to(honest.reply()), 0U);
  // In the place of Success2: the queue is not open, and opens when this one is done.
  EXPECT_EQ(status_of(*honest.queue, client::admin::identify({.cns = 1})), authentication_required);
  ASSERT_GOOD(honest.host.prove(*honest.queue));
  EXPECT_NE(status_of(*honest.queue, client::property_get_command(client::property::cap, 1)),
            authentication_required);
}

TEST_F(DhchapHostile, MessagesThatAreNotDueAreToldSo) {
  Prey reply_first(plain(), usual());
  Bytes reply(16 + 64);
  client::put<std::uint8_t>(reply, 0, 1);
  client::put<std::uint8_t>(reply, 1, 2);
  client::put<std::uint8_t>(reply, 6, 32);
  EXPECT_EQ(reply_first.explanation_to(reply), auth_failure::wrong_message);
  expect_served();
  // Before the challenge has been fetched: it is answered to what it cannot have seen.
  Prey blind(plain(), usual());
  ASSERT_GOOD(client::send_message(*blind.queue, blind.host.negotiate()));
  EXPECT_EQ(blind.explanation_to(reply), auth_failure::wrong_message);
  Prey success_first(plain(), usual());
  EXPECT_EQ(success_first.explanation_to(success_first.host.success2()),
            auth_failure::wrong_message);
  Prey success_instead(plain(), mutual());
  (void)success_instead.challenged();
  EXPECT_EQ(success_instead.explanation_to(success_instead.host.success2()),
            auth_failure::wrong_message);
  expect_served();
  // The controller's own messages, and such as there are none.
  for (const std::uint16_t id : {message::challenge, message::success1, message::failure1,
                                 std::uint16_t{0x0105}, std::uint16_t{0x0200}}) {
    Prey prey(plain(), usual());
    Bytes wrong(64);
    client::put<std::uint8_t>(wrong, 0, static_cast<std::uint8_t>(id >> 8));
    client::put<std::uint8_t>(wrong, 1, static_cast<std::uint8_t>(id & 0xff));
    EXPECT_EQ(prey.explanation_to(wrong), auth_failure::wrong_message) << id;
  }
  expect_served();
  // Nothing is there to be fetched.
  Prey asks(plain(), usual());
  EXPECT_EQ(status_of(*asks.queue, client::authentication_receive()), command_sequence_error);
}

TEST_F(DhchapHostile, FieldsThatAreNotSoAreToldSo) {
  const auto negotiated = [&](std::size_t at, std::uint8_t value) {
    Prey prey(plain(), usual());
    Bytes negotiate = prey.host.negotiate();
    client::put(negotiate, at, value);
    return prey.explanation_to(negotiate);
  };
  EXPECT_EQ(negotiated(7, 0), auth_failure::wrong_payload) << "no descriptor";
  EXPECT_EQ(negotiated(7, 2), auth_failure::wrong_payload) << "fewer descriptors than it says";
  EXPECT_EQ(negotiated(8, 2), auth_failure::no_protocol);
  EXPECT_EQ(negotiated(10, 31), auth_failure::wrong_payload) << "more hashes than there is room";
  EXPECT_EQ(negotiated(11, 31), auth_failure::wrong_payload) << "more groups than there is room";
  EXPECT_EQ(negotiated(6, 1), auth_failure::wrong_concatenation);
  expect_served();

  const auto replied = [&](std::uint8_t group, const auto& spoil) {
    Prey prey(plain(), with_group(group));
    const Bytes challenge = prey.challenged();
    Bytes reply = prey.reply();
    spoil(reply, challenge);
    return prey.explanation_to(reply);
  };
  constexpr std::size_t c2 = 16 + 32, value = 16 + 64;
  EXPECT_EQ(replied(0, [](Bytes& reply, const Bytes&) { reply.resize(16 + 63); }),
            auth_failure::wrong_payload);
  EXPECT_EQ(replied(0, [](Bytes& reply, const Bytes&) { reply.resize(12); }),
            auth_failure::wrong_payload);
  EXPECT_EQ(replied(0, [](Bytes& reply, const Bytes&) { client::put<std::uint8_t>(reply, 6, 33); }),
            auth_failure::wrong_payload);
  EXPECT_EQ(replied(0, [](Bytes& reply, const Bytes&) { client::put<std::uint8_t>(reply, 8, 2); }),
            auth_failure::wrong_payload);
  EXPECT_EQ(
      replied(1, [](Bytes& reply, const Bytes&) { client::put<std::uint16_t>(reply, 10, 0); }),
      auth_failure::wrong_payload)
      << "no public value";
  expect_served();
  EXPECT_EQ(replied(0,
                    [](Bytes& reply, const Bytes& challenge) {
                      client::put<std::uint8_t>(reply, 8, 1);
                      std::copy_n(challenge.begin() + 16, 32, reply.begin() + c2);
                    }),
            auth_failure::failed)
      << "it wants us to answer our own challenge";
  // Public values that make the secret known: 0, 1, p - 1 is among those of the unit tests.
  for (const std::uint8_t last : {std::uint8_t{0}, std::uint8_t{1}}) {
    EXPECT_EQ(replied(1,
                      [last](Bytes& reply, const Bytes&) {
                        std::fill(reply.begin() + value, reply.end(), std::byte{0});
                        reply.back() = std::byte{last};
                      }),
              auth_failure::wrong_payload);
  }
  EXPECT_EQ(replied(1,
                    [](Bytes& reply, const Bytes&) {
                      std::fill(reply.begin() + value, reply.end(), std::byte{0xff});
                    }),
            auth_failure::wrong_payload)
      << "beyond the prime";
  expect_served();
}

// Whatever it does meanwhile, the time that began with Connect ends.
TEST_F(DhchapHostile, WithoutAnEndTheTimeIsUp) {
  Prey silent(hasty(), usual());
  Prey half(hasty(), usual());
  (void)half.challenged();
  // The last message is missing: the controller has proved itself, and waits to be believed.
  Prey unbelieving(hasty(), mutual());
  (void)unbelieving.challenged();
  EXPECT_EQ(unbelieving.explanation_to(unbelieving.reply()), 0U);
  EXPECT_EQ(status_of(*unbelieving.queue, client::admin::keep_alive()), authentication_required);
  // Again and again, and never a reply.
  Prey endless(hasty(), usual());
  const auto deadline = std::chrono::steady_clock::now() + client::default_time_out;
  bool is_open = true;
  while (is_open && std::chrono::steady_clock::now() < deadline) {
    is_open = static_cast<bool>(client::send_message(*endless.queue, endless.host.negotiate()));
  }
  EXPECT_FALSE(is_open) << "it may go on for ever";
  for (Prey* prey : {&silent, &half, &unbelieving}) EXPECT_GOOD(prey->queue->raw().await_end());
  EXPECT_TRUE(daemon_.await_log({"authentication failed", "reason=\"no end in time\""}));
}

// The dearest arithmetic there is, begun many times at once and never finished.
TEST_F(DhchapHostile, HandshakesThatOnlyCostTimeHoldNobodyUp) {
  std::vector<std::unique_ptr<Prey>> crowd;
  for (int i = 0; i < 24; ++i) {
    crowd.push_back(std::make_unique<Prey>(plain(), with_group(5)));
    const auto cid =
        crowd.back()->queue->submit(client::authentication_send(crowd.back()->host.negotiate()));
    ASSERT_GOOD(cid);
  }
  bystander_->await_rounds(5);
  crowd.clear();
  expect_served();
}

}  // namespace
}  // namespace end_to_end
