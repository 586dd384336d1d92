// Our side of the handshake against OpenSSL's client, over memory.
#include "protocol/tls/server_handshake.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "protocol/tls/record_cipher.h"
#include "tests/client/tls_client.h"

namespace protocol::tls {
namespace {

using client::Bytes;

struct Shaken {
  std::optional<HandshakeResult> result;
  std::string error;         // ours
  std::string client_error;  // the client's
  Bytes rest;
};

ServerHandshake::Psk psk_of(const client::TlsOptions& options) {
  ServerHandshake::Psk psk{.identity = options.identity,
                           .hash = options.is_sha384 ? Hash::sha384 : Hash::sha256,
                           .key = {.size = options.psk.size()}};
  std::ranges::copy(options.psk, psk.key.space.begin());
  return psk;
}

// Every message goes over `step` bytes at a time.
Shaken shake(client::TlsClient& tls, const HandshakeContext& context, ServerHandshake::Psk psk,
             std::size_t step = 100000) {
  ServerHandshake ours(context, std::move(psk));
  Shaken shaken;
  bool client_done = false;
  for (int round = 0; round < 8 && !(client_done && shaken.result); ++round) {
    if (!client_done) {
      const auto done = tls.shake_hands();
      if (!done) shaken.client_error = done.error().text;
      client_done = done && done.value();
    }
    const Bytes sent = tls.to_send();
    for (std::size_t at = 0; at < sent.size() && !shaken.result; at += step) {
      std::vector<std::byte> out;
      const auto taken =
          ours.take(std::span(sent).subspan(at, std::min(step, sent.size() - at)), out);
      tls.feed(out);
      if (!taken) shaken.error = taken.error();
      if (taken) shaken.result = taken.value();
    }
    if (!shaken.error.empty()) {
      (void)tls.shake_hands();
      break;
    }
  }
  shaken.rest = ours.rest();
  return shaken;
}

TEST(ServerHandshake, BothSuitesEndWithSecretsThatBothSidesHave) {
  const HandshakeContext context({});
  for (const bool is_sha384 : {false, true}) {
    const client::TlsOptions options{.identity = "NVMe0R0x a b",
                                     .psk = Bytes(is_sha384 ? 48 : 32, std::byte{7}),
                                     .is_sha384 = is_sha384};
    client::TlsClient tls(options);
    const Shaken shaken = shake(tls, context, psk_of(options), is_sha384 ? 7 : 100000);
    ASSERT_TRUE(shaken.result) << shaken.error << shaken.client_error;
    EXPECT_EQ(shaken.result->suite, is_sha384 ? Hash::sha384 : Hash::sha256);
    EXPECT_EQ(tls.suite(), suite_of(shaken.result->suite));
    EXPECT_EQ(shaken.result->group, "x25519");

    // What we seal the client opens: nothing else was sent before it, no ticket above all.
    RecordCipher cipher(shaken.result->suite, shaken.result->server_secret,
                        RecordCipher::Direction::seal);
    const Bytes words(1000, std::byte{0x42});
    Bytes record(words.size() + record_overhead_bytes);
    cipher.begin_sealing(words.size(), record);
    cipher.add(words);
    cipher.end_sealing(ContentType::application_data);
    tls.feed(record);
    const auto heard = tls.read();
    ASSERT_TRUE(heard);
    EXPECT_EQ(heard.value(), words);
  }
}

TEST(ServerHandshake, AGroupThatWasNotGuessedIsAskedFor) {
  const HandshakeContext context({.suites = {Hash::sha256}, .groups = {"secp384r1"}});
  const client::TlsOptions options{
      .identity = "x", .psk = Bytes(32, std::byte{7}), .groups = "X25519:P-384"};
  client::TlsClient tls(options);
  const Shaken shaken = shake(tls, context, psk_of(options));
  ASSERT_TRUE(shaken.result) << shaken.error << shaken.client_error;
  EXPECT_EQ(shaken.result->group, "secp384r1");
}

TEST(ServerHandshake, NoGroupInCommonAndNoKeyInCommonEndWithAnAlert) {
  const HandshakeContext context({.suites = {Hash::sha256}, .groups = {"secp384r1"}});
  const client::TlsOptions options{.identity = "x", .psk = Bytes(32, std::byte{7})};
  client::TlsClient tls(options);
  EXPECT_NE(shake(tls, context, psk_of(options)).error, "");
  const HandshakeContext any({});
  client::TlsClient wrong(options);
  ServerHandshake::Psk other = psk_of(options);
  other.key.space[5] = std::byte{8};
  EXPECT_EQ(shake(wrong, any, other).error, "binder does not verify");
}

TEST(ServerHandshake, GroupsAreKnownByTheirNames) {
  EXPECT_TRUE(is_group("x25519"));
  EXPECT_TRUE(is_group("secp256r1"));
  EXPECT_FALSE(is_group("P-256"));
  EXPECT_FALSE(is_group(""));
}

}  // namespace
}  // namespace protocol::tls
