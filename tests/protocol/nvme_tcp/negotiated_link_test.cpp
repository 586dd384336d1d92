#include "protocol/nvme_tcp/negotiated_link.h"

#include <gtest/gtest.h>

namespace protocol::nvme_tcp {
namespace {

TEST(Negotiate, TakesWhatBothEndsWant) {
  for (unsigned wanted = 0; wanted < 4; ++wanted) {
    for (unsigned allowed = 0; allowed < 4; ++allowed) {
      const InitializeRequest request{.dgst = static_cast<std::uint8_t>(wanted)};
      const LinkLimits limits{.allow_hdgst = (allowed & 1U) != 0,
                              .allow_ddgst = (allowed & 2U) != 0};
      const auto link = negotiate(request, limits);
      ASSERT_TRUE(link.has_value());
      EXPECT_EQ(link.value().hdgst, (wanted & allowed & 1U) != 0);
      EXPECT_EQ(link.value().ddgst, (wanted & allowed & 2U) != 0);
    }
  }
}

TEST(Negotiate, ZeroBasedCountsBecomeHonest) {
  const auto link = negotiate({.hpda = 31, .maxr2t = 0}, {.cpda = 3, .maxh2cdata = 4096});
  ASSERT_TRUE(link.has_value());
  EXPECT_EQ(link.value().host_alignment(), 128U);
  EXPECT_EQ(link.value().controller_alignment(), 16U);
  EXPECT_EQ(link.value().outstanding_r2t, 1U);
  EXPECT_EQ(link.value().maxh2cdata, 4096U);

  const auto most = negotiate({.maxr2t = 0xffffffff}, {});
  ASSERT_TRUE(most.has_value());
  EXPECT_EQ(most.value().outstanding_r2t, std::uint64_t{1} << 32U);
}

TEST(Negotiate, AnUnsupportedParameterIsNamedByItsOffset) {
  struct Case {
    InitializeRequest request;
    std::uint32_t fei;
    PduFault fault;
  };
  const Case cases[] = {
      {{.pfv = 1}, 8, PduFault::unsupported_pfv},
      {{.pfv = 0xffff}, 8, PduFault::unsupported_pfv},
      {{.hpda = 32}, 10, PduFault::unsupported_hpda},
      {{.hpda = 255}, 10, PduFault::unsupported_hpda},
      {{.dgst = 0x04}, 11, PduFault::unsupported_dgst},
      {{.dgst = 0x80}, 11, PduFault::unsupported_dgst},
      // The first bad field wins.
      {{.pfv = 1, .hpda = 32, .dgst = 0xff}, 8, PduFault::unsupported_pfv},
      {{.hpda = 32, .dgst = 0xff}, 10, PduFault::unsupported_hpda},
  };
  for (const auto& expected : cases) {
    const auto link = negotiate(expected.request, {});
    ASSERT_TRUE(link.has_error());
    EXPECT_EQ(link.error(),
              (PduError{FatalErrorStatus::unsupported_parameter, expected.fei, expected.fault}));
  }
}

}  // namespace
}  // namespace protocol::nvme_tcp
