#include "target/net/socket_address.h"

#include <gtest/gtest.h>

namespace target {
namespace {

std::string text(const std::string& address, std::uint16_t port = 4420) {
  const auto parsed = SocketAddress::parse(address, port);
  return parsed ? parsed->text() : "refused";
}

TEST(SocketAddress, EveryFormIsWrittenAsItWasMeant) {
  EXPECT_EQ(text("192.0.2.1"), "192.0.2.1:4420");
  EXPECT_EQ(text("0.0.0.0", 0), "0.0.0.0:0");
  EXPECT_EQ(text("2001:DB8:0:0::1"), "[2001:db8::1]:4420");
  EXPECT_EQ(text("::"), "[::]:4420");
  EXPECT_EQ(text("*", 8009), "*:8009");
  EXPECT_EQ(text("fe80::1%lo"), "[fe80::1%lo]:4420");
}

TEST(SocketAddress, WhatIsNoAddressIsRefusedAndNeverLookedUp) {
  for (const char* bad :
       {"", "localhost", "192.0.2.256", "2001:db8::g", "192.0.2.1:4420", "[::1]"}) {
    EXPECT_EQ(text(bad), "refused") << bad;
  }
}

}  // namespace
}  // namespace target
