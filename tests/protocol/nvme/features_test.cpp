#include "protocol/nvme/features.h"

#include <gtest/gtest.h>

#include "engine/foundation/byte_cursor.h"
#include "tests/protocol/nvme/page_bytes.h"

namespace protocol::nvme {
namespace {

TEST(Features, QueueCountsAreZeroBasedPairs) {
  EXPECT_EQ((QueueCounts{1, 1}.dword()), 0x0000'0000u);
  EXPECT_EQ((QueueCounts{128, 64}.dword()), 0x003f'007fu);
  const auto parsed = QueueCounts::from_dword(0x003f'007f);
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed.value(), (QueueCounts{128, 64}));
  EXPECT_EQ(QueueCounts::from_dword(0xfffe'fffe).value(), (QueueCounts{65535, 65535}));
}

TEST(Features, AskingFor65536QueuesIsRefused) {
  EXPECT_EQ(QueueCounts::from_dword(0x0000'ffff).error(),
            (Refusal{status::invalid_field, at_dword(11)}));
  EXPECT_EQ(QueueCounts::from_dword(0xffff'0000).error(),
            (Refusal{status::invalid_field, at_dword(11, 16)}));
}

TEST(Features, TemperatureThresholdRefusesReservedSensorsAndTypes) {
  const auto parsed = TemperatureThreshold::from_dword(0x0012'0157);
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed.value(), (TemperatureThreshold{0x157, 2, true}));
  EXPECT_EQ(parsed.value().dword(), 0x0012'0157u);
  for (std::uint32_t sensor = 0; sensor < 16; ++sensor) {
    EXPECT_EQ(TemperatureThreshold::from_dword(sensor << 16).has_value(),
              sensor <= 8 || sensor == 15)
        << sensor;
  }
  for (std::uint32_t type = 0; type < 4; ++type) {
    EXPECT_EQ(TemperatureThreshold::from_dword(type << 20).has_value(), type < 2) << type;
  }
}

TEST(Features, DwordsSurviveARoundTrip) {
  const Arbitration arbitration{3, 0x11, 0x22, 0x33};
  EXPECT_EQ(arbitration.dword(), 0x3322'1103u);
  EXPECT_EQ(Arbitration::from_dword(arbitration.dword()), arbitration);
  const PowerManagement power{0x1f, 5};
  EXPECT_EQ(power.dword(), 0xbfu);
  EXPECT_EQ(PowerManagement::from_dword(power.dword()), power);
  const ErrorRecovery recovery{0x1234, true};
  EXPECT_EQ(recovery.dword(), 0x0001'1234u);
  EXPECT_EQ(ErrorRecovery::from_dword(recovery.dword()), recovery);
}

TEST(Features, CapabilitiesAreThreeBits) {
  EXPECT_EQ((FeatureCapabilities{true, false, false}.dword()), 1u);
  EXPECT_EQ((FeatureCapabilities{false, true, false}.dword()), 2u);
  EXPECT_EQ((FeatureCapabilities{false, false, true}.dword()), 4u);
}

TEST(Features, TimestampIsSixBytesAndItsOrigin) {
  const auto data =
      encode_timestamp(std::chrono::milliseconds(0x0192'8374'6556), TimestampOrigin::set_by_host);
  EXPECT_EQ(PageBytes(data).number(0, 8), 0x0002'0192'8374'6556u);
  EXPECT_EQ(decode_timestamp(data), std::chrono::milliseconds(0x0192'8374'6556));
  const TimestampData latest{{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, 0xff, 0};
  EXPECT_EQ(decode_timestamp(latest).count(), 0xffff'ffff'ffff);
}

TEST(Features, HostBehaviorFlagsAreZeroOrOne) {
  HostBehaviorData data{};
  EXPECT_TRUE(check_host_behavior(data));
  data.advanced_command_retry = 1;
  data.lba_format_extension = 1;
  EXPECT_TRUE(check_host_behavior(data));
  data.advanced_command_retry = 2;
  EXPECT_EQ(check_host_behavior(data).error().status, status::invalid_field);
  data.advanced_command_retry = 0;
  data.dispersed_namespaces = 0xff;
  EXPECT_FALSE(check_host_behavior(data));
}

TEST(Features, ReservedStatesOfWriteProtectionAreRefused) {
  for (std::uint32_t state = 0; state < 8; ++state) {
    const auto parsed = write_protection_from_dword(state | 0xfff8u);
    ASSERT_EQ(parsed.has_value(), state <= 3) << state;
    if (parsed) {
      EXPECT_EQ(static_cast<std::uint32_t>(parsed.value()), state);
    } else {
      EXPECT_EQ(parsed.error(), (Refusal{status::invalid_field, at_dword(11)}));
    }
  }
}

}  // namespace
}  // namespace protocol::nvme
