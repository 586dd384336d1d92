// Keys as text, and what is derived of them. The golden values were made by Python's hmac from the
// text of the specification; identities of version 1 also by nvme-cli 2.13 with libnvme 1.13
// (check-tls-key), which has the early derivation.
#include "protocol/tls/psk.h"

#include <gtest/gtest.h>

#include <string>

#include "tests/protocol/wire/hex.h"

namespace protocol::tls {
namespace {

constexpr std::string_view host =
    "nqn.2014-08.org.nvmexpress:uuid:1b4e28ba-2fa1-11d2-883f-0016d3cca427";
constexpr std::string_view subsystem = "nqn.2026-11.com.example:store1.db";
constexpr std::string_view key_of_32 =
    "NVMeTLSkey-1:01:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh+KfiaR:";
constexpr std::string_view key_of_48 =
    "NVMeTLSkey-1:02:AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyAhIiMkJSYnKCkqKywtLi8wyg3Bcw==:";
constexpr std::string_view key_without_hash =
    "NVMeTLSkey-1:00:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh+KfiaR:";

std::string compact(const Secret& secret) {
  std::string text = wire::hex(secret.bytes());
  std::erase(text, ' ');
  return text;
}

ConfiguredPsk parsed(std::string_view text) {
  return std::get<ConfiguredPsk>(parse_key_text(text));
}

struct Golden {
  std::string_view key;
  Derivation derivation;
  IdentityVersion version;
  std::string identity;  // without the names
  std::string_view psk;
};

const Golden golden[] = {
    {key_of_32, Derivation::rfc8446, IdentityVersion::v0, "NVMe0R01",
     "cadd13f9d90a93abb624d76a1008cc0531075a2881a243905d697f0a7f87b49d"},
    {key_of_32, Derivation::rfc8446, IdentityVersion::v1,
     "NVMe1R01 Xg1FqJ11IV3T8iKem9am34/3uhW98VFUD1jWp624QaQ=",
     "8f768dfe778d6e917b97b3f445f0c1ad146be985350a91d31c845e58c0768f6b"},
    {key_of_32, Derivation::early_libnvme, IdentityVersion::v0, "NVMe0R01",
     "a035f32375e9df5745fdace2a7507679eb88e5eeb4135dd027bf78b8f8de40d0"},
    {key_of_32, Derivation::early_libnvme, IdentityVersion::v1,
     "NVMe1R01 NurLyFNhPDY/vW42nZmJV8bnXu1FAwRpnEhtDr8cypU=",
     "0b458b268614a11d397824abd683bb8db1a5405732c2aa72d57ee150f1fe2f48"},
    {key_of_48, Derivation::rfc8446, IdentityVersion::v1,
     "NVMe1R02 wmS15S2xcSymTy+Sfn1d3LyDvxMBNhLnDySrj/+vurDiyPfuNiddnQjOKorGn/xi",
     "59d8ffb79ab66b0030692a1cf8c040b318bc314ba663eca16a37730da87837ea46838cd2c990a6ff9c3b9f2576802"
     "8"
     "00"},
    {key_of_48, Derivation::early_libnvme, IdentityVersion::v1,
     "NVMe1R02 Rcrh5p7V2znRPVFIVTQwtHxPL2ydOt17rbPv0m/Tp/4a6cEsNKiRUj374ruudchw",
     "8b3ef5e6a6c107250529bc49330bf129e7f2c9e5580ba387afaf6582cdb3dab74cf7c17cc62c777a602ac35cb4676"
     "2"
     "f8"},
    {key_without_hash, Derivation::rfc8446, IdentityVersion::v1,
     "NVMe1R01 W1NDT/0IdHrXl7nUCfCAXKKrOxOYjSOeYJ9SjXDPlbo=",
     "bbb5955a7d00e8b0afc3ff960aff8888f6bc5bed0b54864fe1383e13722f17bb"},
    {key_without_hash, Derivation::early_libnvme, IdentityVersion::v0, "NVMe0R01",
     "783bab2ef3cf8150ff7794acf082beac35eceabb06ffe0f5eecb7d0f627eef34"},
};

TEST(Psk, BothDerivationsAndBothIdentitiesAreThoseOfHosts) {
  for (const Golden& wanted : golden) {
    const ConfiguredPsk psk = parsed(wanted.key);
    const auto retained = retained_psk(psk, host, wanted.derivation);
    ASSERT_TRUE(retained);
    const std::string identity =
        psk_identity(wanted.version, psk.hash(), {host, subsystem}, *retained);
    const std::string names = std::string(host) + " " + std::string(subsystem);
    EXPECT_EQ(identity,
              wanted.identity.substr(0, 9) + (wanted.version == IdentityVersion::v0
                                                  ? " " + names
                                                  : names + " " + wanted.identity.substr(9)));
    const auto made = tls_psk(wanted.version, psk.hash(), identity, *retained, wanted.derivation);
    ASSERT_TRUE(made);
    EXPECT_EQ(compact(*made), wanted.psk) << identity;
  }
}

TEST(Psk, NamesThatHaveNoEncodingHaveNoKey) {
  const ConfiguredPsk psk = parsed(key_of_32);
  const std::string long_name = "nqn.2014-08.com.example:" + std::string(199, 'x');
  const auto retained = retained_psk(psk, long_name, Derivation::rfc8446);
  ASSERT_TRUE(retained);
  const std::string identity =
      psk_identity(IdentityVersion::v0, psk.hash(), {long_name, long_name}, *retained);
  EXPECT_FALSE(tls_psk(IdentityVersion::v0, psk.hash(), identity, *retained, Derivation::rfc8446));
  EXPECT_FALSE(
      tls_psk(IdentityVersion::v0, psk.hash(), identity, *retained, Derivation::early_libnvme));
}

TEST(KeyText, IsWrittenAsItIsRead) {
  for (const std::string_view text : {key_of_32, key_of_48, key_without_hash}) {
    EXPECT_EQ(key_text_of(parsed(text)), text);
  }
}

TEST(KeyText, WhatIsNoKeyIsRefusedWithItsReason) {
  const auto fault = [](std::string_view text) {
    const auto read = parse_key_text(text);
    return std::holds_alternative<KeyTextFault>(read) ? std::optional(std::get<KeyTextFault>(read))
                                                      : std::nullopt;
  };
  EXPECT_EQ(fault(""), KeyTextFault::no_prefix);
  EXPECT_EQ(fault("DHHC-1:00:AAAA:"), KeyTextFault::no_prefix);
  EXPECT_EQ(fault("NVMeTLSkey-1:03:AAAA:"), KeyTextFault::unknown_hash);
  EXPECT_EQ(fault("NVMeTLSkey-1:01:AAAA"), KeyTextFault::no_base64);
  EXPECT_EQ(fault("NVMeTLSkey-1:01:AA-A:"), KeyTextFault::no_base64);
  EXPECT_EQ(fault("NVMeTLSkey-1:01:AAAA:"), KeyTextFault::wrong_length);
  EXPECT_EQ(fault("NVMeTLSkey-1:02:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh+KfiaR:"),
            KeyTextFault::wrong_length);
  EXPECT_EQ(fault("NVMeTLSkey-1:01:BAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh+KfiaR:"),
            KeyTextFault::wrong_crc);
  // Cut anywhere, it is no key.
  for (std::size_t length = 0; length < key_of_48.size(); ++length) {
    EXPECT_TRUE(fault(key_of_48.substr(0, length))) << length;
  }
}

}  // namespace
}  // namespace protocol::tls
