// Keys that authentication has made: for whom, for how long, and how many.
#include "target/tls/generated_key_store.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "target/tls/key_store.h"
#include "tests/client/tls_client.h"

namespace target::tls {
namespace {

namespace ptls = protocol::tls;
using namespace std::chrono_literals;

constexpr engine::Instant start{1h};

GeneratedKey generated(unsigned fill, bool is_sha384 = false) {
  return {.host_nqn = "nqn.2026-11.com.example:host",
          .subsystem_nqn = "nqn.2026-11.com.example:store",
          .is_sha384 = is_sha384,
          .psk = std::vector<std::byte>(is_sha384 ? 48 : 32, static_cast<std::byte>(fill))};
}

// A hello of a host that has that key. Its bytes outlive the view of them.
struct MadeHello {
  MadeHello(const GeneratedKey& key, const std::string& identity) {
    const auto hash = key.is_sha384 ? ptls::Hash::sha384 : ptls::Hash::sha256;
    ptls::Secret retained{.size = key.psk.size()};
    std::ranges::copy(key.psk, retained.bytes().begin());
    const auto psk = ptls::tls_psk(ptls::IdentityVersion::v1, hash, identity, retained,
                                   ptls::Derivation::rfc8446);
    const auto bytes = psk->bytes();
    client::TlsClient tls(
        {.identity = identity, .psk = {bytes.begin(), bytes.end()}, .is_sha384 = key.is_sha384});
    EXPECT_FALSE(tls.shake_hands().value());
    EXPECT_TRUE(gatherer.add(tls.to_send()).value());
  }
  [[nodiscard]] ptls::ClientHello parsed() const {
    return ptls::parse_client_hello(gatherer.message()).value();
  }
  ptls::HelloGatherer gatherer;
};

TEST(GeneratedKeyStore, FindsTheKeyThatAHelloWasMadeWith) {
  GeneratedKeyStore store;
  for (const bool is_sha384 : {false, true}) {
    const GeneratedKey key = generated(1, is_sha384);
    const std::string identity = store.keep(key, start);
    EXPECT_TRUE(identity.starts_with(std::string("NVMe1G") + (is_sha384 ? "02 " : "01 ") +
                                     key.host_nqn + " " + key.subsystem_nqn + " "));
    const MadeHello hello(key, identity);
    const auto chosen = store.choose(hello.parsed(), start);
    ASSERT_TRUE(chosen.has_value());
    EXPECT_EQ(chosen->identity, identity);
    EXPECT_EQ(chosen->host_nqn, key.host_nqn);
    EXPECT_EQ(chosen->subsystem_nqn, key.subsystem_nqn);
    EXPECT_EQ(chosen->origin, ptls::Origin::generated);
    const MadeHello wrong(generated(2, is_sha384), identity);
    EXPECT_FALSE(store.choose(wrong.parsed(), start).has_value());
  }
}

TEST(GeneratedKeyStore, AKeyIsOneHoldersAndEndsWithHim) {
  GeneratedKeyStore store;
  const GeneratedKey key = generated(1);
  const std::string identity = store.keep(key, start);
  const MadeHello hello(key, identity);
  auto hold = store.hold(identity, start);
  ASSERT_NE(hold, nullptr);
  EXPECT_EQ(hold->identity(), identity);
  EXPECT_EQ(store.hold(identity, start), nullptr);
  EXPECT_TRUE(store.choose(hello.parsed(), start + 24h).has_value()) << "as long as it is held";
  hold.reset();
  EXPECT_FALSE(store.choose(hello.parsed(), start).has_value());
  EXPECT_EQ(store.hold(identity, start), nullptr);
  EXPECT_EQ(store.size(), 0U);
}

TEST(GeneratedKeyStore, AHostThatDoesNotComeBackIsForgotten) {
  GeneratedKeyStore store;
  const GeneratedKey key = generated(1);
  const std::string identity = store.keep(key, start);
  const MadeHello hello(key, identity);
  const auto last = start + GeneratedKeyStore::time_to_return;
  EXPECT_TRUE(store.choose(hello.parsed(), last).has_value());
  EXPECT_FALSE(store.choose(hello.parsed(), last + 1ms).has_value());
  EXPECT_EQ(store.hold(identity, last + 1ms), nullptr);
  (void)store.keep(generated(2), last + 1ms);
  EXPECT_EQ(store.size(), 1U);
}

TEST(GeneratedKeyStore, WhatWaitsIsBoundedAndWhatIsHeldStays) {
  GeneratedKeyStore store;
  const auto numbered = [](unsigned number) {
    GeneratedKey key = generated(1);
    key.psk[0] = static_cast<std::byte>(number);
    key.psk[1] = static_cast<std::byte>(number >> 8);
    return key;
  };
  const std::string first = store.keep(numbered(0), start);
  const auto hold = store.hold(first, start);
  const std::string oldest = store.keep(numbered(1), start);
  for (unsigned i = 2; i < GeneratedKeyStore::most_waiting + 2; ++i) {
    (void)store.keep(numbered(i), start + 1ms);
  }
  EXPECT_EQ(store.size(), GeneratedKeyStore::most_waiting + 1);
  EXPECT_EQ(store.hold(oldest, start + 1ms), nullptr);
  const MadeHello hello(numbered(0), first);
  EXPECT_TRUE(store.choose(hello.parsed(), start + 1ms).has_value());
}

TEST(KeyStore, SaysThatAGeneratedKeyIsNotKnownAnyMore) {
  KeyStore store;
  const GeneratedKey key = generated(1);
  const std::string identity = store.generated().keep(key, start);
  const MadeHello hello(key, identity);
  EXPECT_TRUE(std::holds_alternative<ChosenKey>(store.choose(hello.parsed(), {}, start)));
  const auto late = store.choose(hello.parsed(), {}, start + 1h);
  ASSERT_TRUE(std::holds_alternative<KeyRefusal>(late));
  EXPECT_EQ(std::get<KeyRefusal>(late).fault, TlsFault::unknown_generated_key);
  EXPECT_EQ(std::get<KeyRefusal>(late).host_nqn, key.host_nqn);
}

}  // namespace
}  // namespace target::tls
