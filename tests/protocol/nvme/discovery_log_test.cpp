#include "protocol/nvme/discovery_log.h"

#include <gtest/gtest.h>

#include "tests/protocol/nvme/page_bytes.h"

namespace protocol::nvme {
namespace {

TEST(DiscoveryLog, GoldenPageOfTwoRecords) {
  const DiscoveryRecord records[] = {
      {.type = SubsystemType::current_discovery,
       .family = AddressFamily::ipv4,
       .address = "192.0.2.10",
       .port = 8009,
       .port_id = 1,
       .subsystem_nqn = discovery_nqn,
       .flags = discovery_flag::duplicate_information | discovery_flag::persistent_connections},
      {.type = SubsystemType::nvm,
       .family = AddressFamily::ipv6,
       .address = "2001:db8::1",
       .port = 4420,
       .port_id = 2,
       .subsystem_nqn = "nqn.2024-01.io.example:one",
       .admin_queue_entries = 128,
       .secure_channel = SecureChannel::required,
       .security = SecurityType::tls_1_3,
       .sq_flow_control_may_be_disabled = false},
  };
  const PageBytes page(build_discovery_log(0x1122'3344, records));
  ASSERT_EQ(page.size(), 3u * 1024);
  EXPECT_EQ(page.number(0, 8), 0x1122'3344u) << "GENCTR";
  EXPECT_EQ(page.number(8, 8), 2u) << "NUMREC";
  EXPECT_TRUE(page.is_zero(16, 1024)) << "RECFMT 0";

  EXPECT_EQ(page.number(1024, 4), 0x0403'0103u) << "TCP, IPv4, current discovery, TREQ";
  EXPECT_EQ(page.number(1028, 2), 1u) << "PORTID";
  EXPECT_EQ(page.number(1030, 2), 0xffffu) << "CNTLID";
  EXPECT_EQ(page.number(1032, 2), 32u) << "ASQSZ";
  EXPECT_EQ(page.number(1034, 2), 3u) << "EFLAGS";
  EXPECT_TRUE(page.is_zero(1036, 1056));
  EXPECT_EQ(page.text(1056, 32), "8009" + std::string(28, ' ')) << "TRSVCID";
  EXPECT_TRUE(page.is_zero(1088, 1280));
  EXPECT_EQ(page.text(1280, 256),
            std::string(discovery_nqn) + std::string(256 - discovery_nqn.size(), '\0'));
  EXPECT_EQ(page.text(1536, 256), "192.0.2.10" + std::string(246, ' ')) << "TRADDR";
  EXPECT_TRUE(page.is_zero(1792, 2048)) << "no security";

  EXPECT_EQ(page.number(2048, 4), 0x0102'0203u);
  EXPECT_EQ(page.number(2056, 2), 128u);
  EXPECT_EQ(page.text(2080, 5), "4420 ");
  EXPECT_EQ(page.text(2560, 12), "2001:db8::1 ");
  EXPECT_EQ(page.number(2816, 1), 2u) << "TLS 1.3";
}

TEST(DiscoveryLog, EmptyLogIsAHeader) {
  EXPECT_EQ(discovery_log_generation(build_discovery_log(5, {})), 5u);
  const PageBytes page(build_discovery_log(5, {}));
  ASSERT_EQ(page.size(), 1024u);
  EXPECT_EQ(page.number(8, 8), 0u);
}

}  // namespace
}  // namespace protocol::nvme
