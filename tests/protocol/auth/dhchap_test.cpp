// Secrets, responses and Diffie-Hellman against values that another implementation has computed
// (Python's hmac, hashlib and zlib).
#include "protocol/auth/dhchap.h"

#include <gtest/gtest.h>

#include "protocol/auth/dh_key.h"
#include "tests/protocol/wire/hex.h"

namespace protocol::auth {
namespace {

// Without the spaces that make it readable.
std::string hex(std::span<const std::byte> bytes) {
  std::string digits = wire::hex(bytes);
  std::erase(digits, ' ');
  return digits;
}

constexpr std::string_view host_nqn =
    "nqn.2014-08.org.nvmexpress:uuid:1b4e28ba-2fa1-11d2-883f-0016d3cca427";
constexpr std::string_view subsystem_nqn = "nqn.2026-11.com.example:store1.db";

std::vector<std::byte> series(std::size_t bytes, unsigned step, unsigned first) {
  std::vector<std::byte> all(bytes);
  for (std::size_t i = 0; i < bytes; ++i) all[i] = static_cast<std::byte>(i * step + first);
  return all;
}
DhchapSecret secret_of(std::size_t bytes, std::optional<DhchapHash> transformation) {
  return {.bytes = series(bytes, 7, 3), .transformation = transformation};
}

struct SecretCase {
  std::string_view text;
  DhchapSecret secret;
  std::string_view transformed;
};
const SecretCase secret_cases[] = {
    {"DHHC-1:00:AwoRGB8mLTQ7QklQV15lbHN6gYiPlp2kq7K5wMfO1dyVhg6h:", secret_of(32, std::nullopt),
     "030a11181f262d343b424950575e656c737a81888f969da4abb2b9c0c7ced5dc"},
    {"DHHC-1:01:AwoRGB8mLTQ7QklQV15lbHN6gYiPlp2kq7K5wMfO1dyVhg6h:",
     secret_of(32, DhchapHash::sha256),
     "6f6ec17dcbe735e71f0860726cccb1054eabce07e9f18b8470d81cb8bf87fbc5"},
    {"DHHC-1:02:AwoRGB8mLTQ7QklQV15lbHN6gYiPlp2kq7K5wMfO1dzj6vH4/wYNFBsiKTA3PkVMRdxyRQ==:",
     secret_of(48, DhchapHash::sha384),
     "e5cb051ef32ae060d51cdaf88e39a7f7195200127e9733deb0d0632a4ae9ba63fbece0d62d05a1811b60e0de359b"
     "112d"},
    {"DHHC-1:03:"
     "AwoRGB8mLTQ7QklQV15lbHN6gYiPlp2kq7K5wMfO1dzj6vH4/"
     "wYNFBsiKTA3PkVMU1phaG92fYSLkpmgp661vPDs2cs=:",
     secret_of(64, DhchapHash::sha512),
     "547b9db4483f88fcdc67aa6ed8d01b1d342696a25dd16417ec5ba4c9a670ec9a095502649959a897049852632c93"
     "0d886688f95466bf562bf6bef2a35b1b15f9"},
};

TEST(DhchapSecret, IsReadAndTransformed) {
  for (const auto& [text, secret, transformed] : secret_cases) {
    const auto parsed = parse_dhchap_secret(text);
    ASSERT_TRUE(parsed.has_value()) << text;
    EXPECT_EQ(parsed.value(), secret) << text;
    EXPECT_EQ(hex(transformed_key(parsed.value(), host_nqn)), transformed) << text;
  }
}

TEST(DhchapSecret, EveryCharacterIsNeeded) {
  for (const auto& known : secret_cases) {
    for (std::size_t length = 0; length < known.text.size(); ++length) {
      EXPECT_FALSE(parse_dhchap_secret(known.text.substr(0, length)).has_value()) << length;
    }
  }
}

TEST(DhchapSecret, IsRefusedWithTheReason) {
  using F = DhchapSecretFault;
  const std::pair<std::string_view, F> cases[] = {
      {"correct horse battery staple", F::not_the_form},
      {"DHHC-2:00:AwoRGB8mLTQ7QklQV15lbHN6gYiPlp2kq7K5wMfO1dyVhg6h:", F::not_the_form},
      {"DHHC-1:00:AwoRGB8mLTQ7QklQV15lbHN6gYiPlp2kq7K5wMfO1dyVhg6h", F::not_the_form},
      {"DHHC-1:04:AwoRGB8mLTQ7QklQV15lbHN6gYiPlp2kq7K5wMfO1dyVhg6h:", F::unknown_transformation},
      {"DHHC-1:11:AwoRGB8mLTQ7QklQV15lbHN6gYiPlp2kq7K5wMfO1dyVhg6h:", F::unknown_transformation},
      {"DHHC-1:00:AwoRGB8mLTQ7QklQV15lbHN6gYiPlp2kq7K5wMfO1dyVhg6!:", F::not_base64},
      {"DHHC-1:00:AwoRGB8mLTQ7QklQV15lbHN6:", F::wrong_length},
      {"DHHC-1:00::", F::not_base64},
      {"DHHC-1:00:BwoRGB8mLTQ7QklQV15lbHN6gYiPlp2kq7K5wMfO1dyVhg6h:", F::wrong_checksum},
      {"DHHC-1:00:AwoRGB8mLTQ7QklQV15lbHN6gYiPlp2kq7K5wMfO1dyVhg6i:", F::wrong_checksum},
  };
  for (const auto& [text, fault] : cases) {
    const auto parsed = parse_dhchap_secret(text);
    ASSERT_FALSE(parsed.has_value()) << text;
    EXPECT_EQ(parsed.error(), fault) << text;
    EXPECT_FALSE(text_of(fault).empty());
  }
}

DhchapExchange exchange_of(DhchapHash hash, std::span<const std::byte> shared = {}) {
  return {.hash = hash,
          .transaction = 0xbeef,
          .host_nqn = host_nqn,
          .subsystem_nqn = subsystem_nqn,
          .shared_secret = shared};
}

struct ResponseCase {
  DhchapHash hash;
  std::string_view host_alone;  // secret 32 bytes, sha256
  std::string_view host;        // secret 48 bytes, sha384, with Diffie-Hellman
  std::string_view controller;  // secret 64 bytes, sha512, with Diffie-Hellman
};
const ResponseCase response_cases[] = {
    {DhchapHash::sha256, "3e7c46273748bf524c3cc3351f5ed6ab54cbd1bc32467607fea0e351d028c95e",
     "91f1b99ded397ff28aeb071cd1d117177543075a85054c3b008a2b511e365d22",
     "970a51be7d962b80106655da4eac47b1624a5c445ec624874ee4322fdb3b6f27"},
    {DhchapHash::sha384,
     "35aa22c0288fa59787e5b05680c71ac84ee6780b0fe519f4df761010e5b3b7eee3701050bf0fd1520a2c87ab5b2e"
     "f37c",
     "ff8f8003c408d4a5274f5336ebe6f53894bc7ad54bcc18e19dda0b3185bd086d3341ac2d1176158de05ddc2b4add"
     "7b4b",
     "4ef3100dd4639191a38e04546bd093b14356736dc038df45b6b3e2774e8325b547039de80d5a387b5490ed503acc"
     "91b4"},
    {DhchapHash::sha512,
     "190aa2a5176e954dec2eb1d2bc02b1fb2ccaa7040b27a8da67f0996d22ea7f426ed28c8730e1b89aadda03ec0da7"
     "2831e983acbef2efdcc8b5360daaefa98516",
     "8c7945c7a840a769e32bc770dea16babb459e026a334d8f883bbc54908bd9c973ccee58cf0ee2f9457aa04091ef8"
     "021e433c2ae2acd99b05b7a95e2a17cd3a4f",
     "6d6bacc9e32b09edfeb524cbf6ab016aab45ebda8b6c4fc7484b34249e5ddd94de5468c3c09f960cb0e0c252ab24"
     "1205f03fa9beda51c901b2f13da8ede13e93"},
};

TEST(DhchapResponse, IsWhatAnotherImplementationComputes) {
  const auto shared = series(256, 3, 1);
  for (const ResponseCase& known : response_cases) {
    const auto challenge = series(hash_bytes(known.hash), 5, 1);
    EXPECT_EQ(hex(host_response(exchange_of(known.hash), secret_of(32, DhchapHash::sha256),
                                challenge, 0x12345678)
                      .bytes()),
              known.host_alone);
    EXPECT_EQ(hex(host_response(exchange_of(known.hash, shared), secret_of(48, DhchapHash::sha384),
                                challenge, 0x12345678)
                      .bytes()),
              known.host);
    EXPECT_EQ(hex(controller_response(exchange_of(known.hash, shared),
                                      secret_of(64, DhchapHash::sha512), challenge, 0x87654321)
                      .bytes()),
              known.controller);
  }
}

// I/O queue 1 of Linux 6.12 with nvme-cli 2.13, as a guest of tests/vm had it on the wire.
TEST(DhchapResponse, IsWhatAKernelComputes) {
  const DhchapExchange exchange{
      .hash = DhchapHash::sha384,
      .transaction = 1,
      .host_nqn = "nqn.2014-08.org.nvmexpress:uuid:acdbf7db-1d72-5ad5-9cdb-e0e04b24dfb2",
      .subsystem_nqn = "nqn.2026-11.com.example:guests"};
  const auto host_key =
      parse_dhchap_secret("DHHC-1:01:in7EoFo3hZaaIrWdzm8Ev5sIY4GiPWw2rS7y5hlT0lGEQv3I:");
  const auto controller_key = parse_dhchap_secret(
      "DHHC-1:02:JuESs0qT3fBS72Rse3tFk5DOGuQc/HPO0nYJXNTGjN86SxB7YawiVQq9TDd4syR+KZ8ODg==:");
  ASSERT_TRUE(host_key.has_value());
  ASSERT_TRUE(controller_key.has_value());
  EXPECT_EQ(
      hex(host_response(exchange, host_key.value(),
                        wire::bytes_from_hex("094d23d82a3945a8f0551c0019bb338edff12dd42104b3cd1bca3"
                                             "fb129b843e5265872b7b278095c2fe96b0a8f1281c7"),
                        0x6440c0ba)
              .bytes()),
      "a1347e8966ffe31c4d499fdedb5c0810142c62cccc288fac0d1434f72505aae3aa6c31d470a09c014c45d8d3"
      "84529d19");
  EXPECT_EQ(
      hex(controller_response(exchange, controller_key.value(),
                              wire::bytes_from_hex(
                                  "9eaf68a5155531e20696fbb7f337eaf1c55b246f159f8cf80f16e0644021dc20"
                                  "44ca307e9e36f5bd11e3846cce6d4552"),
                              0xf6681013)
              .bytes()),
      "79e48b4991682ccd4453cf40c9f0c3e0fcc513c50c2584a084a0fca2c36067ca49a056d1f16475d0ac6a02eb"
      "26667582");
}

TEST(DhKey, BothSidesOfEveryGroupComeToOneSecret) {
  for (const DhGroup group : dh_groups) {
    if (group == DhGroup::null) continue;
    const auto one = DhKey::make(group);
    const auto other = DhKey::make(group);
    ASSERT_TRUE(one && other) << name_of(group);
    EXPECT_EQ(one->public_value().size(), dh_value_bytes(group));
    EXPECT_NE(hex(one->public_value()), hex(other->public_value()));
    const auto secret = one->shared_secret(other->public_value());
    ASSERT_TRUE(secret.has_value()) << name_of(group);
    EXPECT_EQ(secret->size(), dh_value_bytes(group));
    EXPECT_EQ(secret, other->shared_secret(one->public_value()));
  }
}

// With these the secret would be known to everybody.
TEST(DhKey, WeakPublicValuesAreRefused) {
  const auto key = DhKey::make(DhGroup::ffdhe2048);
  ASSERT_NE(key, nullptr);
  std::vector<std::byte> value(256);
  EXPECT_FALSE(key->shared_secret({}).has_value());
  EXPECT_FALSE(key->shared_secret(value).has_value()) << "0";
  value.back() = std::byte{1};
  EXPECT_FALSE(key->shared_secret(value).has_value()) << "1";
  EXPECT_FALSE(key->shared_secret(std::vector<std::byte>(256, std::byte{0xff})).has_value())
      << "more than p";
  EXPECT_FALSE(key->shared_secret(std::vector<std::byte>(257, std::byte{1})).has_value())
      << "longer than p";
  // p - 1: RFC 7919, A.1.
  const auto minus_one = wire::bytes_from_hex(
      "ffffffffffffffffadf85458a2bb4a9aafdc5620273d3cf1d8b9c583ce2d3695a9e13641146433fbcc939dce249b"
      "3ef97d2fe363630c75d8f681b202aec4617ad3df1ed5d5fd65612433f51f5f066ed0856365553ded1af3b557135e"
      "7f57c935984f0c70e0e68b77e2a689daf3efe8721df158a136ade73530acca4f483a797abc0ab182b324fb61d108"
      "a94bb2c8e3fbb96adab760d7f4681d4f42a3de394df4ae56ede76372bb190b07a7c8ee0a6d709e02fce1cdf7e2ec"
      "c03404cd28342f619172fe9ce98583ff8e4f1232eef28183c3fe3b1b4c6fad733bb5fcbc2ec22005c58ef1837d16"
      "83b2c6f34a26c1b2effa886b423861285c97fffffffffffffffe");
  ASSERT_EQ(minus_one.size(), 256U);
  EXPECT_FALSE(key->shared_secret(minus_one).has_value()) << "p - 1";
  value.back() = std::byte{2};
  EXPECT_TRUE(key->shared_secret(value).has_value()) << "2 is a value like others";
}

}  // namespace
}  // namespace protocol::auth
