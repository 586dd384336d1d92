#include "config/identity.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace config {
namespace {

TEST(Identity, NamesThatCannotBeFileNamesAreRefused) {
  for (const char* name : {"a", "db01", "Db-01_x.y"}) {
    EXPECT_TRUE(parse_name(name).has_value()) << name;
  }
  EXPECT_TRUE(parse_name(std::string(63, 'a')).has_value());
  for (const char* name :
       {"", ".", "..", "a/b", "../x", "-x", ".x", "1", "a b", "\xc3\xa4", "a\nb"}) {
    EXPECT_FALSE(parse_name(name).has_value()) << name;
  }
  EXPECT_FALSE(parse_name(std::string(64, 'a')).has_value());
  EXPECT_FALSE(parse_name(std::string("a\0b", 3)).has_value());
  EXPECT_EQ(parse_name("a/b").error().text,
            "\"a/b\" is not a name; begin with a letter and use only letters, digits, \".\", \"_\" "
            "and \"-\".");
}

TEST(Identity, NqnsHaveTheFormAndLengthOfTheSpecification) {
  const std::string longest = "nqn.2026-11.com.example:" + std::string(223 - 24, 'x');
  for (const std::string& nqn :
       {std::string("nqn.2026-11.com.example:store1.db"), std::string("nqn.2014-08.com.example"),
        std::string("nqn.2014-08.org.nvmexpress:uuid:1b4e28ba-2fa1-11d2-883f-0016d3cca427"),
        longest}) {
    EXPECT_TRUE(parse_nqn(nqn).has_value()) << nqn;
  }
  const std::string form =
      "; write nqn.YYYY-MM.REVERSED.DOMAIN:NAME, for example nqn.2026-11.com.example:store1.db.";
  const std::vector<std::pair<std::string, std::string>> wrong{
      {longest + "x", "the NQN has 224 bytes; at most 223 are allowed."},
      {"", "\"\" is not an NQN" + form},
      {"store1", "\"store1\" is not an NQN" + form},
      {"iqn.2026-11.com.example:x", "\"iqn.2026-11.com.example:x\" is not an NQN" + form},
      {"nqn.2026-11.com.example:a b", "\"nqn.2026-11.com.example:a b\" is not an NQN" + form},
      {"nqn.2026-13.com.example:x",
       "\"nqn.2026-13.com.example:x\" has no year and month after \"nqn.\"" + form},
      {"nqn.com.example:x", "\"nqn.com.example:x\" has no year and month after \"nqn.\"" + form},
      {"nqn.2026-11.", "\"nqn.2026-11.\" has no year and month after \"nqn.\"" + form},
      {"nqn.2026-11.com..example:x",
       "\"nqn.2026-11.com..example:x\" has no reversed domain name after the date, or no name "
       "after \":\"" +
           form},
      {"nqn.2026-11.:x",
       "\"nqn.2026-11.:x\" has no reversed domain name after the date, or no name after \":\"" +
           form},
      {"nqn.2026-11.com.example:",
       "\"nqn.2026-11.com.example:\" has no reversed domain name after the date, or no name after "
       "\":\"" +
           form},
      {"nqn.2014-08.org.nvmexpress:uuid:1b4e28ba",
       "\"nqn.2014-08.org.nvmexpress:uuid:1b4e28ba\" does not end in a UUID; write 36 characters, "
       "as in "
       "nqn.2014-08.org.nvmexpress:uuid:1b4e28ba-2fa1-11d2-883f-0016d3cca427."},
      {"nqn.2014-08.org.nvmexpress.discovery",
       "\"nqn.2014-08.org.nvmexpress.discovery\" is the discovery NQN, which every target serves "
       "by "
       "itself; choose another."},
  };
  for (const auto& [nqn, message] : wrong) {
    const auto parsed = parse_nqn(nqn);
    ASSERT_FALSE(parsed.has_value()) << nqn;
    EXPECT_EQ(parsed.error().text, message);
  }
}

TEST(Identity, AddressesAreReadInBothFamilies) {
  EXPECT_EQ(parse_address("10.10.1.5").value().family, IpAddress::Family::ipv4);
  EXPECT_EQ(parse_address("10.10.1.5").value().bytes[3], std::byte{5});
  EXPECT_EQ(parse_address("FD00:2:0:0::5").value().text, "fd00:2::5");
  EXPECT_EQ(parse_address("fe80::1%eth0").value().scope, "eth0");
  EXPECT_EQ(parse_address("fe80::1%eth0").value().text, "fe80::1%eth0");
  EXPECT_EQ(parse_address("*").value().family, IpAddress::Family::any);
  for (const char* wildcard : {"*", "0.0.0.0", "::"}) {
    EXPECT_TRUE(parse_address(wildcard).value().is_wildcard()) << wildcard;
    EXPECT_FALSE(parse_address(wildcard).value().is_loopback()) << wildcard;
  }
  for (const char* loopback : {"127.0.0.1", "127.3.2.1", "::1"}) {
    EXPECT_TRUE(parse_address(loopback).value().is_loopback()) << loopback;
  }
  EXPECT_FALSE(parse_address("1.0.0.127").value().is_loopback());
}

TEST(Identity, AddressesThatNothingCanListenOnAreRefused) {
  const std::vector<std::pair<std::string, std::string>> wrong{
      {"store1.example.com",
       "\"store1.example.com\" is not an IP address; write an IPv4 or IPv6 address, or \"*\" for "
       "every address."},
      {"10.10.1",
       "\"10.10.1\" is not an IP address; write an IPv4 or IPv6 address, or \"*\" for every "
       "address."},
      {"010.1.1.1",
       "\"010.1.1.1\" is not an IP address; write an IPv4 or IPv6 address, or \"*\" for every "
       "address."},
      {"10.1.1.1/24",
       "\"10.1.1.1/24\" is not an IP address; write an IPv4 or IPv6 address, or \"*\" for every "
       "address."},
      {"10.1.1.1:4420",
       "\"10.1.1.1:4420\" is not an IPv6 address; write it without brackets, port or prefix "
       "length."},
      {"[::1]",
       "\"[::1]\" is not an IPv6 address; write it without brackets, port or prefix length."},
      {"224.0.0.1",
       "\"224.0.0.1\" is multicast, broadcast or reserved and nothing can listen there; use a "
       "unicast address."},
      {"ff02::1", "\"ff02::1\" is multicast and nothing can listen there; use a unicast address."},
      {"::ffff:10.1.1.1", "\"::ffff:10.1.1.1\" is an IPv4 address in IPv6 form; write 10.1.1.1."},
      {"fe80::1", "\"fe80::1\" is link-local; write its interface too, for example fe80::1%eth0."},
      {"fd00::1%eth0",
       "\"fd00::1%eth0\": only a link-local address (fe80::/10) has an interface, of at most 15 "
       "characters; remove the part from % on."},
  };
  for (const auto& [text, message] : wrong) {
    const auto address = parse_address(text);
    ASSERT_FALSE(address.has_value()) << text;
    EXPECT_EQ(address.error().text, message);
  }
  EXPECT_FALSE(parse_address(std::string("10.1.1.1\0x", 10)).has_value());
  EXPECT_FALSE(parse_address("").has_value());
}

TEST(Identity, OverlapIsWhatBindWouldRefuse) {
  const auto overlaps = [](const char* a, const char* b) {
    return overlap(parse_address(a).value(), parse_address(b).value());
  };
  EXPECT_TRUE(overlaps("*", "10.1.1.1"));
  EXPECT_TRUE(overlaps("*", "::1"));
  EXPECT_TRUE(overlaps("0.0.0.0", "10.1.1.1"));
  EXPECT_TRUE(overlaps("::", "fd00::1"));
  EXPECT_TRUE(overlaps("fd00::1", "fd00:0::1"));
  EXPECT_FALSE(overlaps("0.0.0.0", "fd00::1"));
  EXPECT_FALSE(overlaps("10.1.1.1", "10.1.1.2"));
  EXPECT_FALSE(overlaps("fe80::1%a", "fe80::1%b"));
}

TEST(Identity, IscsiNamesAreReadInSmallLetters) {
  const std::string longest = "iqn.2026-11.com.example:" + std::string(223 - 24, 'x');
  const std::vector<std::pair<std::string, std::string>> good{
      {"iqn.1993-08.org.debian:01:5a7c1e9f2b", "iqn.1993-08.org.debian:01:5a7c1e9f2b"},
      {"iqn.1991-05.com.Microsoft:HOST-1", "iqn.1991-05.com.microsoft:host-1"},
      {"IQN.2026-11.com.example", "iqn.2026-11.com.example"},
      {"iqn.2004-04.com.vendor:box_1", "iqn.2004-04.com.vendor:box_1"},
      {"iqn.2026-11.com.example:a:b", "iqn.2026-11.com.example:a:b"},
      {"eui.02004567A425678D", "eui.02004567a425678d"},
      {"naa.52004567BA64678D", "naa.52004567ba64678d"},
      {"naa.62004567BA64678D0123456789ABCDEF", "naa.62004567ba64678d0123456789abcdef"},
      {longest, longest},
  };
  for (const auto& [text, name] : good) {
    const auto parsed = parse_iscsi_name(text);
    ASSERT_TRUE(parsed.has_value()) << text;
    EXPECT_EQ(parsed.value(), name);
  }
  for (const std::string& bad :
       {std::string(), std::string("iqn."), std::string("iqn.2026-11"), std::string("iqn.2026-11."),
        std::string("iqn.2026-00.com.example:a"), std::string("iqn.2026-11.com..example:a"),
        std::string("iqn.2026-11.com.example:"), std::string("iqn.2026-11.com.example:a b"),
        std::string("iqn.2026-11.com.example:a/b"), "iqn.2026-11.com." + std::string(64, 'x'),
        std::string("iqn.2026-11.com.example:\xc3\xa4"), std::string("eui.02004567A425678"),
        std::string("eui.02004567A425678D0"), std::string("eui.02004567A425678G"),
        std::string("naa.62004567BA64678D0123456789ABCDE"), std::string("naa."),
        std::string("nqn.2026-11.com.example:a"), std::string("iqn\0.2026-11.com.example:a", 25),
        longest + "x"}) {
    EXPECT_FALSE(parse_iscsi_name(bad).has_value()) << bad;
  }
  EXPECT_EQ(parse_iscsi_name("store1").error().text,
            "\"store1\" is not an iSCSI name; write iqn.YYYY-MM.REVERSED.DOMAIN:NAME, for example "
            "iqn.2026-11.com.example:store1.vm.");
}

TEST(Identity, SecretsAreNamedNeverWritten) {
  EXPECT_EQ(parse_secret("file:/etc//forebay/a b#c").value(),
            (SecretRef{SecretRef::Source::file, "/etc/forebay/a b#c"}));
  EXPECT_EQ(parse_secret("credential:host_1.chap").value(),
            (SecretRef{SecretRef::Source::credential, "host_1.chap"}));
  EXPECT_TRUE(parse_secret("credential:" + std::string(255, 'x')).has_value());
  for (const std::string& bad :
       {std::string(), std::string("file:"), std::string("file:secrets/a"),
        std::string("file:/a/../b"), std::string("credential:"), std::string("credential:."),
        std::string("credential:.."), std::string("credential:a/b"), std::string("credential:a b"),
        std::string("credential:a:b"), std::string("credential:" + std::string(256, 'x')),
        std::string("File:/a"), std::string("opensesame123"), std::string("/etc/a")}) {
    EXPECT_FALSE(parse_secret(bad).has_value()) << bad;
  }
  EXPECT_EQ(parse_secret("opensesame123").error().text.find("opensesame"), std::string::npos)
      << "a secret that stands in the file by mistake is not spread further";
}

TEST(Identity, NetworksHaveAPrefixAndNothingBehindIt) {
  const std::vector<std::pair<std::string, std::string>> good{{"10.0.0.0/8", "10.0.0.0/8"},
                                                              {"10.1.2.3", "10.1.2.3/32"},
                                                              {"0.0.0.0/0", "0.0.0.0/0"},
                                                              {"10.128.0.0/9", "10.128.0.0/9"},
                                                              {"fd00:0::/8", "fd00::/8"},
                                                              {"::1", "::1/128"},
                                                              {"::/0", "::/0"},
                                                              {"10.1.2.3/32", "10.1.2.3/32"}};
  for (const auto& [text, network] : good) {
    const auto parsed = parse_network(text);
    ASSERT_TRUE(parsed.has_value()) << text << ": " << parsed.error().text;
    EXPECT_EQ(parsed.value().text, network);
  }
  EXPECT_EQ(parse_network("10.128.0.0/9").value().bytes[1], std::byte{128});
  EXPECT_EQ(parse_network("10.128.0.0/9").value().prefix, 9U);
  EXPECT_EQ(parse_network("fd00::/8").value().family, IpAddress::Family::ipv6);
  const std::vector<std::pair<std::string, std::string>> wrong{
      {"10.0.0.1/8", "\"10.0.0.1/8\" has bits behind its prefix; write 10.0.0.0/8."},
      {"10.192.0.0/9", "\"10.192.0.0/9\" has bits behind its prefix; write 10.128.0.0/9."},
      {"fd00::1/64", "\"fd00::1/64\" has bits behind its prefix; write fd00::/64."},
      {"10.0.0.0/33", "\"10.0.0.0/33\": the prefix is not a whole number from 0 to 32."},
      {"::/129", "\"::/129\": the prefix is not a whole number from 0 to 128."},
      {"::/", "\"::/\": the prefix is not a whole number from 0 to 128."},
      {"::/-1", "\"::/-1\": the prefix is not a whole number from 0 to 128."},
      {"::/8x", "\"::/8x\": the prefix is not a whole number from 0 to 128."},
      {"*", "\"*\" is not a network; write one as 10.0.0.0/8 or fd00::/8."},
      {"10/8", "\"10/8\" is not a network; write one as 10.0.0.0/8 or fd00::/8."},
      {"host", "\"host\" is not a network; write one as 10.0.0.0/8 or fd00::/8."}};
  for (const auto& [text, message] : wrong) {
    const auto parsed = parse_network(text);
    ASSERT_FALSE(parsed.has_value()) << text;
    EXPECT_EQ(parsed.error().text, message);
  }
}

TEST(Identity, PathsAreAbsoluteAndMadeNormal) {
  EXPECT_EQ(parse_path("/srv//pool/./x/", 99).value(), "/srv/pool/x");
  EXPECT_EQ(parse_path("/", 99).value(), "/");
  EXPECT_EQ(parse_path("//srv", 99).value(), "/srv");
  EXPECT_EQ(parse_path("/srv/poo\xc3\xa4l", 99).value(), "/srv/poo\xc3\xa4l");
  EXPECT_EQ(parse_path("srv/x", 99).error().text,
            "\"srv/x\" is not an absolute path; begin with \"/\".");
  EXPECT_EQ(parse_path("/srv/../x", 99).error().text,
            "\"/srv/../x\" goes back with \"..\"; write the path without it.");
  EXPECT_EQ(parse_path("/12345", 5).error().text, "the path has 6 bytes; at most 5 are allowed.");
  EXPECT_FALSE(parse_path(std::string("/a\0b", 4), 99).has_value());
  EXPECT_FALSE(parse_path("", 99).has_value());
}

TEST(Identity, SerialAndModelAreAscii) {
  EXPECT_TRUE(parse_ascii("FB 0001", 20).has_value());
  for (const char* text : {"", " a", "a ", "123456789012345678901", "\xc3\xa4", "a\tb"}) {
    EXPECT_FALSE(parse_ascii(text, 20).has_value()) << text;
  }
}

TEST(Identity, GroupsAreNamesNotNumbers) {
  EXPECT_TRUE(parse_group("forebay").has_value());
  EXPECT_TRUE(parse_group("_san-admins2").has_value());
  for (const char* text : {"", "0", "1000", "-x", "a b", "Wheel", "a:b"}) {
    EXPECT_FALSE(parse_group(text).has_value()) << text;
  }
}

}  // namespace
}  // namespace config
