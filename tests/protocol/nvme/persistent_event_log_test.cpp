#include "protocol/nvme/persistent_event_log.h"

#include <gtest/gtest.h>

#include "tests/protocol/nvme/page_bytes.h"

namespace protocol::nvme {
namespace {

constexpr std::chrono::milliseconds some_time{0x0102'0304'0506};

std::vector<std::byte> bytes_of_text(std::string_view text) {
  const auto view = std::as_bytes(std::span(text));
  return {view.begin(), view.end()};
}

TEST(PersistentEventLog, GoldenHeader) {
  const PageBytes page(build_persistent_log_header({.events = 3,
                                                    .length = 0x1'0000,
                                                    .at = some_time,
                                                    .power_on_hours = 77,
                                                    .power_cycles = 5,
                                                    .serial_number = "SERIAL",
                                                    .model_number = "Model",
                                                    .subsystem_nqn = "nqn.2026-11.com.example:a",
                                                    .generation = 0xfffe,
                                                    .context_existed = true,
                                                    .port = 9}));
  ASSERT_EQ(page.size(), 512u);
  EXPECT_EQ(page.number(0, 4), 0x0du);
  EXPECT_EQ(page.number(4, 4), 3u);
  EXPECT_EQ(page.number(8, 8), 0x1'0000u);
  EXPECT_EQ(page.number(16, 1), 3u) << "revision";
  EXPECT_EQ(page.number(18, 2), 492u) << "what follows byte 19";
  EXPECT_EQ(page.number(20, 6), 0x0102'0304'0506u);
  EXPECT_EQ(page.number(26, 1), 0x02u) << "since 1970";
  EXPECT_EQ(page.number(28, 8), 77u);
  EXPECT_EQ(page.number(44, 8), 5u);
  EXPECT_EQ(page.number(52, 4), 0u) << "no vendor of PCI";
  EXPECT_EQ(page.text(56, 8), "SERIAL  ");
  EXPECT_EQ(page.text(76, 7), "Model  ");
  EXPECT_EQ(page.text(116, 25), "nqn.2026-11.com.example:a");
  EXPECT_TRUE(page.is_zero(116 + 25, 372));
  EXPECT_EQ(page.number(372, 2), 0xfffeu);
  EXPECT_EQ(page.number(374, 4), 0x0005'0009u) << "there was a context, made by port 9";
  EXPECT_TRUE(page.is_zero(378, 480));
  EXPECT_EQ(page.number(480, 2), 0x087au) << "01h, 03h to 06h, 0Bh";
  EXPECT_TRUE(page.is_zero(482, 507));
  EXPECT_EQ(page.number(507, 1), 0x40u) << "DEh";
  EXPECT_TRUE(page.is_zero(508, 512));
}

TEST(PersistentEventLog, ACommandThatFindsNoContextSaysSo) {
  const PageBytes page(build_persistent_log_header({.context_existed = false, .port = 9}));
  EXPECT_EQ(page.number(374, 4), 0u);
}

TEST(PersistentEventLog, GoldenEventOfAController) {
  const auto data = bytes_of_text("abcd");
  const PageBytes event(build_persistent_event(PersistentEventType::hardware_error,
                                               {.controller = {7}, .port = 2}, some_time, data));
  ASSERT_EQ(event.size(), 28u);
  EXPECT_EQ(event.number(0, 1), 0x05u);
  EXPECT_EQ(event.number(1, 1), 2u) << "revision of hardware errors";
  EXPECT_EQ(event.number(2, 1), 21u) << "what follows byte 2";
  EXPECT_EQ(event.number(3, 1), 1u) << "a port of the subsystem";
  EXPECT_EQ(event.number(4, 2), 7u);
  EXPECT_EQ(event.number(6, 8), 0x0102'0304'0506u);
  EXPECT_EQ(event.number(14, 2), 2u);
  EXPECT_EQ(event.number(20, 2), 0u);
  EXPECT_EQ(event.number(22, 2), 4u);
  EXPECT_EQ(event.text(24, 4), "abcd");
}

TEST(PersistentEventLog, AnEventOfTheSubsystemIsOfNoControllerAndNoPort) {
  const PageBytes event(
      build_persistent_event(PersistentEventType::power_on_or_reset, {}, some_time, {}));
  EXPECT_EQ(event.number(1, 1), 1u);
  EXPECT_EQ(event.number(3, 1), 3u);
  EXPECT_EQ(event.number(4, 2), 0xffffu);
  EXPECT_EQ(event.number(14, 2), 0u);
}

TEST(PersistentEventLog, DataOfEventsLieWhereTheSpecificationHasThem) {
  ControllerResetInfo info{};
  info.controller = 3;
  info.power_cycles = 4;
  info.power_on_milliseconds = 5;
  const PageBytes reset(power_on_or_reset_data("1.2", std::span(&info, 1)));
  ASSERT_EQ(reset.size(), 44u);
  EXPECT_EQ(reset.text(0, 8), "1.2     ");
  EXPECT_EQ(reset.number(8, 2), 3u);
  EXPECT_EQ(reset.number(24, 4), 4u);
  EXPECT_EQ(reset.number(28, 8), 5u);

  const PageBytes error(hardware_error_data(HardwareErrorCode::media_and_data_integrity,
                                            bytes_of_text("0123456789abcdef")));
  ASSERT_EQ(error.size(), 20u);
  EXPECT_EQ(error.number(0, 4), 0x0au);
  EXPECT_EQ(error.text(4, 16), "0123456789abcdef");

  SubmissionEntry command{};
  command.cdw10 = 0x84;
  command.cdw11 = 1;
  command.cdw15 = 6;
  const PageBytes feature(set_feature_data(command));
  ASSERT_EQ(feature.size(), 28u);
  EXPECT_EQ(feature.number(0, 4), 6u) << "six dwords, neither dword 0 of the completion nor memory";
  EXPECT_EQ(feature.number(4, 4), 0x84u);
  EXPECT_EQ(feature.number(8, 4), 1u);
  EXPECT_EQ(feature.number(24, 4), 6u);

  const PageBytes vendor(
      vendor_event_data(VendorEventCode::host_connected, "host connected", "nqn"));
  ASSERT_EQ(vendor.size(), 6u + 14 + 6 + 3);
  EXPECT_EQ(vendor.number(0, 2), 1u);
  EXPECT_EQ(vendor.number(2, 1), 1u) << "an event's name";
  EXPECT_EQ(vendor.number(4, 2), 14u);
  EXPECT_EQ(vendor.text(6, 14), "host connected");
  EXPECT_EQ(vendor.number(20, 2), 1u);
  EXPECT_EQ(vendor.number(22, 1), 2u) << "ASCII";
  EXPECT_EQ(vendor.number(24, 2), 3u);
  EXPECT_EQ(vendor.text(26, 3), "nqn");
  EXPECT_EQ(vendor_event_data(VendorEventCode::host_connected, "n", std::string(1000, 'x')).size(),
            6u + 1 + 6 + 255);
}

TEST(PersistentEventLog, OnlyWholeEventsAreEvents) {
  const auto event = build_persistent_event(PersistentEventType::set_feature, {}, some_time,
                                            bytes_of_text("four"));
  EXPECT_TRUE(is_persistent_event(event));
  for (std::size_t length = 0; length < event.size(); ++length) {
    EXPECT_FALSE(is_persistent_event(std::span(event).first(length))) << length;
  }
  auto longer = event;
  longer.push_back(std::byte{0});
  EXPECT_FALSE(is_persistent_event(longer));
  auto no_type = event;
  no_type[0] = std::byte{0};
  EXPECT_FALSE(is_persistent_event(no_type));
  auto other_header = event;
  other_header[2] = std::byte{22};
  EXPECT_FALSE(is_persistent_event(other_header));
}

}  // namespace
}  // namespace protocol::nvme
