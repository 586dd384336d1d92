#include "protocol/nvme/ana_log.h"

#include <gtest/gtest.h>

#include "tests/protocol/nvme/page_bytes.h"

namespace protocol::nvme {
namespace {

const std::vector<NamespaceId> one{{1}};
const std::vector<NamespaceId> two_and_three{{2}, {3}};

TEST(AnaLog, GroupsLieOneAfterAnother) {
  const AnaGroup groups[] = {
      {.id = 1, .change_count = 4, .state = AnaState::optimized, .namespaces = one},
      {.id = 2, .change_count = 5, .state = AnaState::inaccessible, .namespaces = two_and_three},
      {.id = 3, .change_count = 0, .state = AnaState::change, .namespaces = {}},
  };
  const PageBytes page(build_ana_log(0x77, groups, false));
  ASSERT_EQ(page.size(), 16u + 36 + 40 + 32);
  EXPECT_EQ(page.number(0, 8), 0x77u);
  EXPECT_EQ(page.number(8, 2), 3u);
  EXPECT_TRUE(page.is_zero(10, 16));
  EXPECT_EQ(page.number(16, 4), 1u);
  EXPECT_EQ(page.number(20, 4), 1u);
  EXPECT_EQ(page.number(24, 8), 4u);
  EXPECT_EQ(page.number(32, 1), 0x1u);
  EXPECT_TRUE(page.is_zero(33, 48));
  EXPECT_EQ(page.number(48, 4), 1u);
  EXPECT_EQ(page.number(52, 4), 2u);
  EXPECT_EQ(page.number(56, 4), 2u);
  EXPECT_EQ(page.number(68, 1), 0x3u);
  EXPECT_EQ(page.number(84, 4), 2u);
  EXPECT_EQ(page.number(88, 4), 3u);
  EXPECT_EQ(page.number(92, 4), 3u);
  EXPECT_EQ(page.number(96, 4), 0u);
  EXPECT_EQ(page.number(108, 1), 0xfu);
}

TEST(AnaLog, GroupsOnlyLeavesTheNamespacesOut) {
  const AnaGroup groups[] = {
      {.id = 2, .change_count = 5, .state = AnaState::optimized, .namespaces = two_and_three}};
  const PageBytes page(build_ana_log(1, groups, true));
  ASSERT_EQ(page.size(), 48u);
  EXPECT_EQ(page.number(20, 4), 0u);
}

TEST(AnaLog, EmptyLogIsAHeader) { EXPECT_EQ(build_ana_log(1, {}, false).size(), 16u); }

TEST(AnaLog, StatesThatDoNotServeAnswerWithTheirPathStatus) {
  EXPECT_TRUE(io_status(AnaState::optimized).is_success());
  EXPECT_TRUE(io_status(AnaState::non_optimized).is_success());
  EXPECT_EQ(io_status(AnaState::inaccessible), status::ana_inaccessible);
  EXPECT_EQ(io_status(AnaState::persistent_loss), status::ana_persistent_loss);
  EXPECT_EQ(io_status(AnaState::change), status::ana_transition);
}

}  // namespace
}  // namespace protocol::nvme
