#include "protocol/nvme/log_pages.h"

#include <gtest/gtest.h>

#include <limits>
#include <vector>

#include "protocol/nvme/changed_namespaces_log.h"
#include "protocol/nvme/firmware_log.h"
#include "tests/protocol/nvme/page_bytes.h"

namespace protocol::nvme {
namespace {

TEST(LogPages, SupportedPagesAreThoseAnswered) {
  const PageBytes page(build_supported_log_pages(io_controller_log_pages()));
  ASSERT_EQ(page.size(), 1024u);
  for (unsigned id = 0; id < 256; ++id) {
    // Persistent events: their context can be established with the header read.
    const std::uint64_t expected = id == 0x0d ? 0x0001'0001u : 1u;
    EXPECT_EQ(
        page.number(id * 4, 4),
        has_log_page(io_controller_log_pages(), static_cast<std::uint8_t>(id)) ? expected : 0u)
        << id;
  }
  for (const unsigned id : {0x00u, 0x01u, 0x02u, 0x03u, 0x04u, 0x05u, 0x0cu, 0x12u, 0x80u}) {
    EXPECT_EQ(page.number(id * 4, 4), 1u) << id;
  }
  EXPECT_EQ(page.number(0x70 * 4, 4), 0u) << "only discovery controllers have the discovery log";
  const PageBytes discovery(build_supported_log_pages(discovery_controller_log_pages()));
  EXPECT_EQ(discovery.number(0x70 * 4, 4), 1u);
  EXPECT_EQ(discovery.number(0x02 * 4, 4), 0u);
  EXPECT_EQ(discovery.number(0x0c * 4, 4), 0u);
}

TEST(LogPages, PartsNeverLeaveThePage) {
  const std::vector<std::byte> page(100);
  constexpr auto most = std::numeric_limits<std::uint64_t>::max();
  EXPECT_EQ(log_page_part(page, 0, 100).size(), 100u);
  EXPECT_EQ(log_page_part(page, 4, 8).data(), page.data() + 4);
  EXPECT_EQ(log_page_part(page, 4, 8).size(), 8u);
  EXPECT_EQ(log_page_part(page, 96, 4096).size(), 4u);
  EXPECT_EQ(log_page_part(page, 99, most).size(), 1u);
  EXPECT_TRUE(log_page_part(page, 100, 4).empty());
  EXPECT_TRUE(log_page_part(page, most, most).empty());
}

TEST(LogPages, FirmwareHasOneSlot) {
  const PageBytes page(build_firmware_log("0.1.0"));
  ASSERT_EQ(page.size(), 512u);
  EXPECT_EQ(page.number(0, 1), 1u);
  EXPECT_EQ(page.text(8, 8), "0.1.0   ");
  EXPECT_TRUE(page.is_zero(16, 512));
}

TEST(LogPages, ChangedNamespacesEndWithZero) {
  const std::vector<NamespaceId> changed{{2}, {3}};
  const PageBytes page(build_changed_namespaces(changed));
  ASSERT_EQ(page.size(), 4096u);
  EXPECT_EQ(page.number(0, 4), 2u);
  EXPECT_EQ(page.number(4, 4), 3u);
  EXPECT_TRUE(page.is_zero(8, 4096));
}

TEST(LogPages, MoreChangesThanFitAreOneBroadcastEntry) {
  std::vector<NamespaceId> changed(1024, NamespaceId{7});
  EXPECT_EQ(PageBytes(build_changed_namespaces(changed)).number(4092, 4), 7u);
  changed.push_back({8});
  const PageBytes page(build_changed_namespaces(changed));
  EXPECT_EQ(page.number(0, 4), 0xffff'ffffu);
  EXPECT_TRUE(page.is_zero(4, 4096));
}

}  // namespace
}  // namespace protocol::nvme
