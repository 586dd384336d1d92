#include "target/block/party_id.h"

#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

#include "tests/target/block/reservation_parties.h"

namespace target::block {
namespace {

std::string name_of(const PartyId& party) {
  std::array<char, PartyId::longest_name + 1> room{};
  return std::string(party.iscsi_name(room));
}

TEST(PartyId, EachIsAnotherParty) {
  const std::set parties{PartyId(),
                         test_host(1),
                         test_host(2),
                         test_nexus("iqn.2026-11.com.example:a", 1),
                         test_nexus("iqn.2026-11.com.example:a", 2),
                         test_nexus("iqn.2026-11.com.example:a", 1, 2),
                         test_nexus("iqn.2026-11.com.example:ab", 1)};
  EXPECT_EQ(parties.size(), 7U);
  EXPECT_EQ(test_nexus("iqn.2026-11.com.example:a", 1), test_nexus("iqn.2026-11.com.example:a", 1));
  EXPECT_TRUE(PartyId().is_nobody());
  EXPECT_FALSE(test_host(1).is_nobody());
}

TEST(PartyId, BytesMakeItAgain) {
  for (const PartyId& party : {test_host(5), test_nexus("iqn.2026-11.com.example:a", 3, 9),
                               test_nexus(std::string(PartyId::longest_name, 'x'), 3)}) {
    EXPECT_EQ(PartyId::from_bytes(party.kind(), party.target_port(), party.bytes()), party);
  }
  const std::vector<std::byte> bytes(PartyId::longest_bytes + 1);
  using Kind = PartyId::Kind;
  const auto first = [&](std::size_t count) { return std::span(bytes).first(count); };
  EXPECT_TRUE(PartyId::from_bytes(Kind::nvme_host, 0, first(15)).is_nobody());
  EXPECT_TRUE(PartyId::from_bytes(Kind::nvme_host, 1, first(16)).is_nobody());
  EXPECT_TRUE(PartyId::from_bytes(Kind::scsi_nexus, 1, first(6)).is_nobody());
  EXPECT_TRUE(PartyId::from_bytes(Kind::scsi_nexus, 1, bytes).is_nobody());
  EXPECT_TRUE(PartyId::from_bytes(static_cast<Kind>(3), 0, first(16)).is_nobody());
}

TEST(PartyId, EachProtocolSeesTheOthersParties) {
  EXPECT_EQ(name_of(test_host(0x2a)),
            "iqn.2014-08.org.nvmexpress:hostid:f000000000000000000000000000002a");
  EXPECT_EQ(test_host(1).isid(), (std::array<std::byte, 6>{}));
  const PartyId nexus = test_nexus("iqn.2026-11.com.example:a", 7, 2);
  EXPECT_EQ(name_of(nexus), "iqn.2026-11.com.example:a");
  EXPECT_EQ(nexus.isid()[5], std::byte{7});
  EXPECT_EQ(test_host(1).as_host_id()[15], std::byte{1});

  // Never another one: hosts remember it, and docs/reservations.md says how it is made.
  const std::array<std::uint8_t, 16> golden{0x74, 0x62, 0x2e, 0xe5, 0x18, 0x3e, 0xad, 0x87,
                                            0x14, 0x6a, 0x47, 0x0c, 0x50, 0x61, 0x4c, 0x98};
  const auto id = nexus.as_host_id();
  for (std::size_t at = 0; at < id.size(); ++at) {
    EXPECT_EQ(std::to_integer<int>(id[at]), golden[at]) << at;
  }
  const std::set ids{nexus.as_host_id(), test_nexus("iqn.2026-11.com.example:a", 7, 1).as_host_id(),
                     test_nexus("iqn.2026-11.com.example:a", 8, 2).as_host_id(),
                     test_nexus("iqn.2026-11.com.example:b", 7, 2).as_host_id()};
  EXPECT_EQ(ids.size(), 4U);
}

}  // namespace
}  // namespace target::block
