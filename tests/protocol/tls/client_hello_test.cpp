// Hellos as OpenSSL's client writes them: whole, cut into records, and damaged.
#include "protocol/tls/client_hello.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "protocol/tls/psk_binder.h"
#include "tests/client/tls_client.h"

namespace protocol::tls {
namespace {

using client::Bytes;

const Bytes test_key(32, std::byte{7});

client::TlsOptions options() { return {.identity = "NVMe0R01 a b", .psk = test_key}; }

Bytes hello_of(client::TlsOptions wanted) {
  client::TlsClient tls(std::move(wanted));
  EXPECT_FALSE(tls.shake_hands().value());
  return tls.to_send();
}

Bytes message_of(const Bytes& raw) {
  HelloGatherer gatherer;
  EXPECT_TRUE(gatherer.add(raw).value());
  return {gatherer.message().begin(), gatherer.message().end()};
}

// The message in records of so many bytes each.
Bytes in_records(const Bytes& message, std::size_t fragment) {
  Bytes raw;
  for (std::size_t at = 0; at < message.size(); at += fragment) {
    const std::size_t length = std::min(fragment, message.size() - at);
    for (const std::size_t byte :
         {std::size_t{22}, std::size_t{3}, std::size_t{1}, length >> 8, length & 0xff}) {
      raw.push_back(static_cast<std::byte>(byte));
    }
    raw.insert(raw.end(), message.begin() + static_cast<std::ptrdiff_t>(at),
               message.begin() + static_cast<std::ptrdiff_t>(at + length));
  }
  return raw;
}

TEST(ClientHello, IdentityAndBinderAreThoseOfTheClient) {
  const Bytes message = message_of(hello_of(options()));
  const auto hello = parse_client_hello(message);
  ASSERT_TRUE(hello);
  ASSERT_EQ(hello.value().psks.size(), 1U);
  EXPECT_EQ(hello.value().psks[0].identity, "NVMe0R01 a b");
  Secret psk{.size = 32};
  std::ranges::copy(test_key, psk.space.begin());
  const Secret binder = external_psk_binder(Hash::sha256, psk, hello.value().truncated);
  EXPECT_TRUE(std::ranges::equal(binder.bytes(), hello.value().psks[0].binder));
  psk.space[0] ^= std::byte{1};
  const Secret other = external_psk_binder(Hash::sha256, psk, hello.value().truncated);
  EXPECT_FALSE(std::ranges::equal(other.bytes(), hello.value().psks[0].binder));
}

TEST(ClientHello, CutIntoRecordsAndBytesItIsTheSame) {
  const Bytes message = message_of(hello_of(options()));
  for (const std::size_t fragment : {std::size_t{1}, std::size_t{3}, std::size_t{100}}) {
    const Bytes raw = in_records(message, fragment);
    HelloGatherer gatherer;
    for (std::size_t at = 0; at < raw.size(); ++at) {
      const auto complete = gatherer.add(std::span(raw).subspan(at, 1));
      ASSERT_TRUE(complete);
      EXPECT_EQ(complete.value(), at + 1 == raw.size());
    }
    EXPECT_TRUE(std::ranges::equal(gatherer.message(), message));
  }
}

TEST(ClientHello, WhatIsNoHelloIsRefused) {
  const auto fault = [](const Bytes& raw) {
    HelloGatherer gatherer;
    const auto added = gatherer.add(raw);
    return added ? std::nullopt : std::optional(added.error());
  };
  const Bytes good = hello_of(options());
  Bytes bad = good;
  bad[0] = std::byte{0};  // an ICReq
  EXPECT_EQ(fault(bad), HelloFault::no_tls);
  bad = good;
  bad[5] = std::byte{2};  // another message
  EXPECT_EQ(fault(bad), HelloFault::no_tls);
  bad = good;
  bad[3] = bad[4] = std::byte{0};  // an empty record
  EXPECT_EQ(fault(bad), HelloFault::malformed);
  bad = good;
  bad[6] = std::byte{1};  // a message of 64 KiB and more
  EXPECT_EQ(fault(bad), HelloFault::too_large);
  bad = message_of(good);
  bad.push_back(std::byte{0});  // something behind it
  EXPECT_EQ(fault(in_records(bad, 16000)), HelloFault::malformed);
  EXPECT_EQ(fault(Bytes(largest_hello_bytes + 1, std::byte{22})), HelloFault::too_large);
}

TEST(ClientHello, OldVersionsAndKeysWithoutExchangeAreRefused) {
  client::TlsOptions old = options();
  old.is_tls_1_2 = true;
  const auto parsed = parse_client_hello(message_of(hello_of(old)));
  ASSERT_FALSE(parsed);
  EXPECT_EQ(parsed.error(), HelloFault::old_version);
  Bytes message = message_of(hello_of(options()));
  // psk_key_exchange_modes: 45, 2 bytes, a list of 1: psk_dhe_ke.
  const Bytes modes{std::byte{0}, std::byte{45}, std::byte{0},
                    std::byte{2}, std::byte{1},  std::byte{1}};
  const auto at = std::search(message.begin(), message.end(), modes.begin(), modes.end());
  ASSERT_NE(at, message.end());
  at[5] = std::byte{0};
  EXPECT_EQ(parse_client_hello(message).error(), HelloFault::no_psk);
}

TEST(ClientHello, CutAnywhereItIsMalformedAndNothingIsReadBehindIt) {
  const Bytes whole = message_of(hello_of(options()));
  for (std::size_t length = 0; length < whole.size(); ++length) {
    // An exact heap block, and a header that tells of it.
    Bytes cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(length));
    if (length >= 4) {
      cut[2] = static_cast<std::byte>((length - 4) >> 8);
      cut[3] = static_cast<std::byte>((length - 4) & 0xff);
    }
    EXPECT_FALSE(parse_client_hello(cut)) << length;
  }
}

}  // namespace
}  // namespace protocol::tls
