#include "target/net/ip_network.h"

#include <gtest/gtest.h>

namespace target {
namespace {

bool lies_in(const char* network, const char* address) {
  return IpNetwork::parse(network)->contains(*IpAddress::parse(address));
}

TEST(IpNetwork, PrefixesAreHonouredToTheBit) {
  EXPECT_TRUE(lies_in("192.0.2.0/24", "192.0.2.255"));
  EXPECT_FALSE(lies_in("192.0.2.0/24", "192.0.3.0"));
  EXPECT_TRUE(lies_in("192.0.2.64/26", "192.0.2.127"));
  EXPECT_FALSE(lies_in("192.0.2.64/26", "192.0.2.128"));
  EXPECT_TRUE(lies_in("192.0.2.77/26", "192.0.2.64"));  // bits behind the prefix
  EXPECT_TRUE(lies_in("0.0.0.0/0", "203.0.113.9"));
  EXPECT_TRUE(lies_in("192.0.2.7", "192.0.2.7"));
  EXPECT_FALSE(lies_in("192.0.2.7", "192.0.2.6"));
  EXPECT_TRUE(lies_in("2001:db8::/33", "2001:db8:7fff::1"));
  EXPECT_FALSE(lies_in("2001:db8::/33", "2001:db8:8000::1"));
}

TEST(IpNetwork, FamiliesAreKeptApartButForMappedAddresses) {
  EXPECT_FALSE(lies_in("::/0", "192.0.2.1"));
  EXPECT_FALSE(lies_in("0.0.0.0/0", "2001:db8::1"));
  EXPECT_TRUE(lies_in("192.0.2.0/24", "::ffff:192.0.2.1"));
}

TEST(IpNetwork, WhatIsNoNetworkIsRefused) {
  for (const char* text : {"", "/", "192.0.2.0/", "192.0.2.0/33", "192.0.2.0/-1", "192.0.2.0/8 ",
                           "192.0.2/24", "2001:db8::/129", "host", "192.0.2.0/24/24", "*"}) {
    EXPECT_FALSE(IpNetwork::parse(text)) << text;
  }
}

TEST(IpAddress, OfTheEndOfAConnection) {
  EXPECT_EQ(IpAddress::of_endpoint("192.0.2.10:4420")->text(), "192.0.2.10");
  EXPECT_EQ(IpAddress::of_endpoint("[2001:db8::1]:4420")->text(), "2001:db8::1");
  EXPECT_EQ(IpAddress::of_endpoint("[fe80::1%eth0]:3260")->text(), "fe80::1");
  EXPECT_EQ(IpAddress::of_endpoint("[::ffff:192.0.2.1]:3260")->text(), "192.0.2.1");
  EXPECT_FALSE(IpAddress::of_endpoint("unknown:3260"));
  EXPECT_FALSE(IpAddress::of_endpoint("192.0.2.10"));
}

}  // namespace
}  // namespace target
