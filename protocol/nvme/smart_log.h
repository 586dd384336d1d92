// SMART / Health Information (log page 02h).
#pragma once

#include <cstddef>
#include <cstdint>

#include "protocol/nvme/counter128.h"
#include "protocol/nvme/entries.h"

namespace protocol::nvme {

// Critical Warning bits.
namespace critical_warning {
inline constexpr std::uint8_t spare_low = 1 << 0;
inline constexpr std::uint8_t temperature = 1 << 1;
inline constexpr std::uint8_t reliability_degraded = 1 << 2;
inline constexpr std::uint8_t read_only = 1 << 3;
}  // namespace critical_warning

struct SmartLogPage {
  std::uint8_t critical_warning;
  wire_types::U16 composite_temperature;  // kelvin
  std::uint8_t available_spare;           // percent
  std::uint8_t available_spare_threshold;
  std::uint8_t percentage_used;
  std::uint8_t endurance_group_warning;
  std::uint8_t reserved7[25];
  Counter128 data_units_read;  // thousands of 512 bytes, rounded up
  Counter128 data_units_written;
  Counter128 host_read_commands;
  Counter128 host_write_commands;
  Counter128 controller_busy_minutes;
  Counter128 power_cycles;
  Counter128 power_on_hours;
  Counter128 unsafe_shutdowns;
  Counter128 media_errors;
  Counter128 error_log_entries;
  wire_types::U32 warning_temperature_minutes;
  wire_types::U32 critical_temperature_minutes;
  wire_types::U16 temperature_sensor[8];
  wire_types::U32 thermal_transitions[2];
  wire_types::U32 thermal_seconds[2];
  std::uint8_t reserved232[280];
};
static_assert(sizeof(SmartLogPage) == 512 && alignof(SmartLogPage) == 1);
static_assert(offsetof(SmartLogPage, composite_temperature) == 1);
static_assert(offsetof(SmartLogPage, available_spare) == 3);
static_assert(offsetof(SmartLogPage, percentage_used) == 5);
static_assert(offsetof(SmartLogPage, data_units_read) == 32);
static_assert(offsetof(SmartLogPage, host_read_commands) == 64);
static_assert(offsetof(SmartLogPage, controller_busy_minutes) == 96);
static_assert(offsetof(SmartLogPage, media_errors) == 160);
static_assert(offsetof(SmartLogPage, error_log_entries) == 176);
static_assert(offsetof(SmartLogPage, warning_temperature_minutes) == 192);
static_assert(offsetof(SmartLogPage, temperature_sensor) == 200);

// Counters in the units they are counted in; the builder converts.
struct SmartCounters {
  std::uint8_t critical_warning = 0;
  std::uint16_t temperature_kelvin = 0;  // 0: not reported
  std::uint8_t available_spare_percent = 100;
  std::uint8_t spare_threshold_percent = 10;
  std::uint8_t percentage_used = 0;
  std::uint64_t bytes_read = 0;
  std::uint64_t bytes_written = 0;
  std::uint64_t read_commands = 0;
  std::uint64_t write_commands = 0;
  std::uint64_t busy_milliseconds = 0;
  std::uint64_t power_cycles = 0;
  std::uint64_t powered_seconds = 0;
  std::uint64_t unsafe_shutdowns = 0;
  std::uint64_t media_errors = 0;
  std::uint64_t error_log_entries = 0;
};
[[nodiscard]] SmartLogPage build_smart_log(const SmartCounters& counters);

}  // namespace protocol::nvme
