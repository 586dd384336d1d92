#include "protocol/nvme/async_event.h"

#include <gtest/gtest.h>

namespace protocol::nvme {
namespace {

TEST(AsyncEvent, DwordsThatHostsKnow) {
  EXPECT_EQ(event::namespace_attribute_changed.dword0(), 0x0004'0002u);
  EXPECT_EQ(event::ana_change.dword0(), 0x000c'0302u);
  EXPECT_EQ(event::discovery_log_change.dword0(), 0x0070'f002u);
  EXPECT_EQ(event::firmware_activation_starting.dword0(), 0x0003'0102u);
  EXPECT_EQ(event::temperature_threshold.dword0(), 0x0002'0101u);
  EXPECT_EQ(event::subsystem_reliability.dword0(), 0x0002'0001u);
  EXPECT_EQ(event::spare_below_threshold.dword0(), 0x0002'0201u);
  EXPECT_EQ(event::persistent_internal_error.dword0(), 0x0001'0300u);
  EXPECT_EQ(event::transient_internal_error.dword0(), 0x0001'0400u);
}

}  // namespace
}  // namespace protocol::nvme
