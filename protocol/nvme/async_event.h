// What an Asynchronous Event Request completes with (Base 2.1, "Asynchronous Event Request
// command").
#pragma once

#include <cstdint>

namespace protocol::nvme {

enum class EventType : std::uint8_t {
  error = 0,
  smart = 1,
  notice = 2,
  immediate = 3,
  command_set = 6,
  vendor = 7
};

// Dword 0: type 2:0, information 15:8, log page to read (and so to clear the event with) 23:16.
struct AsyncEvent {
  EventType type = EventType::notice;
  std::uint8_t information = 0;
  std::uint8_t log_page = 0;
  friend constexpr bool operator==(AsyncEvent, AsyncEvent) = default;

  [[nodiscard]] constexpr std::uint32_t dword0() const {
    return static_cast<std::uint32_t>(type) | (std::uint32_t{information} << 8) |
           (std::uint32_t{log_page} << 16);
  }
};

namespace event {
inline constexpr AsyncEvent persistent_internal_error{EventType::error, 0x03, 0x01};
inline constexpr AsyncEvent transient_internal_error{EventType::error, 0x04, 0x01};
inline constexpr AsyncEvent subsystem_reliability{EventType::smart, 0x00, 0x02};
inline constexpr AsyncEvent temperature_threshold{EventType::smart, 0x01, 0x02};
inline constexpr AsyncEvent spare_below_threshold{EventType::smart, 0x02, 0x02};
inline constexpr AsyncEvent namespace_attribute_changed{EventType::notice, 0x00, 0x04};
inline constexpr AsyncEvent firmware_activation_starting{EventType::notice, 0x01, 0x03};
inline constexpr AsyncEvent normal_shutdown{EventType::immediate, 0x00, 0x00};
inline constexpr AsyncEvent ana_change{EventType::notice, 0x03, 0x0c};
inline constexpr AsyncEvent reservation_notification{EventType::command_set, 0x00, 0x80};
inline constexpr AsyncEvent discovery_log_change{EventType::notice, 0xf0, 0x70};  // 0070F002h
}  // namespace event

}  // namespace protocol::nvme
