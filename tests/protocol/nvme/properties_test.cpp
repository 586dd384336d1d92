#include "protocol/nvme/properties.h"

#include <gtest/gtest.h>

namespace protocol::nvme {
namespace {

TEST(Properties, CapabilitiesOfAnIoController) {
  const ControllerCapabilities capabilities{.max_queue_entries = 1024, .timeout_500ms = 30};
  // MQES 3FFh, CQR, TO 1Eh, CSS bits 0 and 6 (37, 43), CRWMS (59); MPSMIN and MPSMAX 0.
  EXPECT_EQ(capabilities.encode(), 0x0800'0820'1e01'03ffu);
  EXPECT_EQ(ControllerCapabilities::decode(capabilities.encode()), capabilities);
}

TEST(Properties, CapabilitiesOfADiscoveryController) {
  const ControllerCapabilities capabilities{.max_queue_entries = 65536,
                                            .timeout_500ms = 255,
                                            .nvm_command_set = false,
                                            .all_io_command_sets = false,
                                            .no_io_command_set = true,
                                            .subsystem_reset = true,
                                            .ready_with_media = false};
  EXPECT_EQ(capabilities.encode(), 0x0000'1010'ff01'ffffu);
  EXPECT_EQ(ControllerCapabilities::decode(capabilities.encode()), capabilities);
}

// What Linux writes to enable a controller: EN, IOSQES 6, IOCQES 4; with CSS 110b when CAP says so.
TEST(Properties, ConfigurationAsALinuxHostWritesIt) {
  const auto configuration = ControllerConfiguration::decode(0x0046'0061);
  EXPECT_TRUE(configuration.enable);
  EXPECT_EQ(configuration.command_set, static_cast<std::uint8_t>(CommandSetSelect::all_supported));
  EXPECT_EQ(configuration.memory_page_size, 0);
  EXPECT_EQ(configuration.shutdown, ShutdownNotification::none);
  EXPECT_EQ(configuration.submission_entry_log2, 6);
  EXPECT_EQ(configuration.completion_entry_log2, 4);
  EXPECT_EQ(configuration.encode(), 0x0046'0061u);
}

TEST(Properties, EveryConfigurationBitIsKept) {
  constexpr std::uint32_t defined = 0x01ff'fff1;
  for (unsigned bit = 0; bit < 32; ++bit) {
    const std::uint32_t value = 1u << bit;
    EXPECT_EQ(ControllerConfiguration::decode(value).encode(), value & defined) << bit;
  }
  EXPECT_EQ(ControllerConfiguration::decode(0x0000'8000).shutdown, ShutdownNotification::abrupt);
}

TEST(Properties, StatusBits) {
  EXPECT_EQ((ControllerStatus{.ready = true}.encode()), 0x01u);
  EXPECT_EQ((ControllerStatus{.fatal = true}.encode()), 0x02u);
  EXPECT_EQ((ControllerStatus{.ready = true, .shutdown = ShutdownStatus::complete}.encode()),
            0x09u);
  const ControllerStatus everything{true, true, ShutdownStatus::occurring, true, true};
  EXPECT_EQ(everything.encode(), 0x37u);
  EXPECT_EQ(ControllerStatus::decode(0x37), everything);
}

TEST(Properties, VersionsAndTimeouts) {
  EXPECT_EQ(version_2_1, 0x0002'0100u);
  EXPECT_EQ(make_version(1, 4), 0x0001'0400u);
  EXPECT_EQ(make_ready_timeouts(30, 5), 0x0005'001eu);
}

}  // namespace
}  // namespace protocol::nvme
