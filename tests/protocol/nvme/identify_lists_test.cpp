#include "protocol/nvme/identify_lists.h"

#include <gtest/gtest.h>

#include <vector>

#include "tests/protocol/nvme/page_bytes.h"

namespace protocol::nvme {
namespace {

std::vector<NamespaceId> count_up(std::uint32_t first, std::uint32_t count) {
  std::vector<NamespaceId> ids;
  for (std::uint32_t i = 0; i < count; ++i) ids.push_back({first + i});
  return ids;
}

TEST(IdentifyLists, NamespacesAfterTheOneGiven) {
  const std::vector<NamespaceId> ids{{1}, {5}, {9}};
  const auto list = [&](std::uint32_t after) {
    return PageBytes(build_namespace_list(ids, {after}).value());
  };
  EXPECT_EQ(list(0).number(0, 4), 1u);
  EXPECT_EQ(list(0).number(8, 4), 9u);
  EXPECT_TRUE(list(0).is_zero(12, 4096));
  EXPECT_EQ(list(1).number(0, 4), 5u) << "the given one is not repeated";
  EXPECT_EQ(list(4).number(0, 4), 5u) << "one that does not exist is a place all the same";
  EXPECT_TRUE(list(9).is_zero(0, 4096));
  EXPECT_TRUE(list(0xffff'fffd).is_zero(0, 4096));
}

TEST(IdentifyLists, MoreNamespacesThanFitContinueInTheNextPage) {
  const auto ids = count_up(1, 1500);
  const PageBytes first(build_namespace_list(ids, {0}).value());
  EXPECT_EQ(first.number(4092, 4), 1024u);
  const PageBytes second(build_namespace_list(ids, {1024}).value());
  EXPECT_EQ(second.number(0, 4), 1025u);
  EXPECT_EQ(second.number(475 * 4, 4), 1500u);
  EXPECT_TRUE(second.is_zero(476 * 4, 4096));
}

TEST(IdentifyLists, BroadcastIsNoPlaceInTheList) {
  for (const std::uint32_t after : {0xffff'fffeu, 0xffff'ffffu}) {
    const auto list = build_namespace_list({}, {after});
    ASSERT_FALSE(list);
    EXPECT_EQ(list.error().status, status::invalid_namespace);
  }
}

TEST(IdentifyLists, DescriptorsNameTheVolumeAndItsCommandSet) {
  const auto uuid = *engine::Uuid::parse("0fdb0a0e-6b3f-4f0a-8d8e-0d5a2c1b3e4f");
  const PageBytes page(build_namespace_descriptors(uuid));
  ASSERT_EQ(page.size(), 4096u);
  EXPECT_EQ(page.number(0, 4), 0x1002u) << "NGUID, 16 bytes";
  EXPECT_EQ(page.number(4, 8), 0x0a4f'3f6b'0e0a'db0fu);
  EXPECT_EQ(page.number(20, 4), 0x1003u) << "UUID, 16 bytes";
  EXPECT_EQ(page.number(24, 8), 0x0a4f'3f6b'0e0a'db0fu);
  EXPECT_EQ(page.number(32, 8), 0x4f3e'1b2c'5a0d'8e8du);
  EXPECT_EQ(page.number(40, 4), 0x0104u) << "command set, 1 byte";
  EXPECT_TRUE(page.is_zero(44, 4096)) << "NVM, then the end";
}

TEST(IdentifyLists, TheOnlyCommandSetIsNvm) {
  const PageBytes page(build_command_set_combinations());
  EXPECT_EQ(page.number(0, 8), 1u);
  EXPECT_TRUE(page.is_zero(8, 4096));
}

}  // namespace
}  // namespace protocol::nvme
