// Which key a hello was made with.
#include "target/tls/key_ring.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/client/tls_client.h"

namespace target::tls {
namespace {

namespace ptls = protocol::tls;
using ptls::Derivation;
using ptls::IdentityVersion;

constexpr std::string_view host = "nqn.2026-11.com.example:host";
constexpr std::string_view subsystem = "nqn.2026-11.com.example:store";
constexpr WallTime noon{std::chrono::hours(500'000)};

HostKey key_of(std::string name, std::byte fill, std::optional<WallTime> until = {}) {
  HostKey key{.name = std::move(name),
              .psk = {.retained_by = ptls::Hash::sha256, .key = {.size = 32}},
              .until = until};
  std::ranges::fill(key.psk.key.bytes(), fill);
  return key;
}

struct Proof {
  IdentityVersion version = IdentityVersion::v0;
  Derivation derivation = Derivation::rfc8446;
  std::string_view who = host;
  std::optional<ptls::Hash> proved_with{};  // nullopt: as the key has it
};

std::variant<ChosenKey, KeyRefusal> choose(const KeyRing& ring, const HostKey& used,
                                           const Proof& proof) {
  const auto [version, derivation, who, proved_with] = proof;
  const auto retained = ptls::retained_psk(used.psk, who, derivation);
  const std::string identity =
      ptls::psk_identity(version, used.psk.hash(), {who, subsystem}, *retained);
  const auto psk = ptls::tls_psk(version, used.psk.hash(), identity, *retained, derivation);
  const auto bytes = psk->bytes();
  client::TlsClient tls({.identity = identity,
                         .psk = {bytes.begin(), bytes.end()},
                         .is_sha384 = proved_with.value_or(used.psk.hash()) == ptls::Hash::sha384});
  EXPECT_FALSE(tls.shake_hands().value());
  ptls::HelloGatherer gatherer;
  EXPECT_TRUE(gatherer.add(tls.to_send()).value());
  const auto hello = ptls::parse_client_hello(gatherer.message());
  return ring.choose(hello.value(), noon);
}

TlsFault fault_of(const std::variant<ChosenKey, KeyRefusal>& chosen) {
  return std::get<KeyRefusal>(chosen).fault;
}

TEST(KeyRing, FindsTheKeyInEveryVersionAndDerivation) {
  const HostKey one = key_of("one", std::byte{1});
  const HostKey two = key_of("two", std::byte{2});
  const KeyRing ring({{.host_nqn = std::string(host), .keys = {one, two}}});
  for (const HostKey& used : {one, two}) {
    for (const auto version : {IdentityVersion::v0, IdentityVersion::v1}) {
      for (const auto derivation : {Derivation::rfc8446, Derivation::early_libnvme}) {
        const auto chosen = choose(ring, used, {.version = version, .derivation = derivation});
        ASSERT_TRUE(std::holds_alternative<ChosenKey>(chosen));
        const auto& key = std::get<ChosenKey>(chosen);
        EXPECT_EQ(key.name, used.name);
        EXPECT_EQ(key.host_nqn, host);
        EXPECT_EQ(key.subsystem_nqn, subsystem);
        EXPECT_EQ(key.version, version);
        EXPECT_EQ(key.derivation, derivation);
      }
    }
  }
}

TEST(KeyRing, SaysWhyThereIsNone) {
  const HostKey key = key_of("one", std::byte{1});
  const KeyRing ring({{.host_nqn = std::string(host), .keys = {key}}});
  const HostKey other = key_of("other", std::byte{2});
  EXPECT_EQ(fault_of(choose(ring, other, {})), TlsFault::wrong_key);
  EXPECT_EQ(fault_of(choose(ring, key, {.who = "nqn.2026-11.com.example:stranger"})),
            TlsFault::unknown_identity);
  EXPECT_EQ(fault_of(choose(KeyRing(), key, {.version = IdentityVersion::v1})),
            TlsFault::unknown_identity);
}

TEST(KeyRing, AKeyOfSha384IsProvedWithSha384) {
  HostKey key = key_of("long", std::byte{3});
  key.psk.retained_by = ptls::Hash::sha384;
  key.psk.key.size = 48;
  std::ranges::fill(key.psk.key.bytes(), std::byte{3});
  const KeyRing ring({{.host_nqn = std::string(host), .keys = {key}}});
  for (const auto derivation : {Derivation::rfc8446, Derivation::early_libnvme}) {
    EXPECT_TRUE(std::holds_alternative<ChosenKey>(
        choose(ring, key, {.version = IdentityVersion::v1, .derivation = derivation})));
    // As GnuTLS does it that knows no other hash for external keys.
    EXPECT_EQ(fault_of(choose(ring, key,
                              {.version = IdentityVersion::v1,
                               .derivation = derivation,
                               .proved_with = ptls::Hash::sha256})),
              TlsFault::wrong_hash);
  }
  HostKey other = key;
  other.psk.key.bytes()[0] = std::byte{4};
  EXPECT_EQ(fault_of(choose(ring, other, {.proved_with = ptls::Hash::sha256})),
            TlsFault::wrong_key);
}

TEST(KeyRing, AKeyEndsAtItsTime) {
  const auto chosen_until = [](WallTime until) {
    const HostKey key = key_of("old", std::byte{1}, until);
    const KeyRing ring({{.host_nqn = std::string(host), .keys = {key}}});
    return choose(ring, key,
                  {.version = IdentityVersion::v1, .derivation = Derivation::early_libnvme});
  };
  EXPECT_TRUE(std::holds_alternative<ChosenKey>(chosen_until(noon + std::chrono::seconds(1))));
  EXPECT_EQ(fault_of(chosen_until(noon)), TlsFault::expired_key);
}

}  // namespace
}  // namespace target::tls
