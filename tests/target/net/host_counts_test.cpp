#include "target/net/host_counts.h"

#include <gtest/gtest.h>

namespace target {
namespace {

TEST(HostLedger, KeepsHostsApartAndAddsLedgersUp) {
  HostLedger one;
  one.of("a").reads = 3;
  one.of("b").writes = 5;
  HostLedger two;
  two.of("a").reads = 4;
  two.of("a").connects = 1;
  one.add(two);
  EXPECT_EQ(one.all().at("a").reads, 7U);
  EXPECT_EQ(one.all().at("a").connects, 1U);
  EXPECT_EQ(one.all().at("b").writes, 5U);
}

// A stranger may call himself what he likes, and come again and again.
TEST(HostLedger, HostsBeyondTheBoundAreCountedTogether) {
  HostLedger ledger;
  for (std::size_t i = 0; i < HostLedger::most_hosts; ++i) ledger.of(std::to_string(i)).reads = 1;
  ledger.of("late").reads += 2;
  ledger.of("later").reads += 3;
  ledger.of("7").reads += 1;
  EXPECT_EQ(ledger.all().size(), HostLedger::most_hosts + 1);
  EXPECT_EQ(ledger.all().at(HostLedger::others).reads, 5U);
  EXPECT_EQ(ledger.all().at("7").reads, 2U);
}

}  // namespace
}  // namespace target
