#include "protocol/nvme/smart_log.h"

namespace protocol::nvme {

namespace {

// Data units: thousands of 512-byte units, rounded up (Base 2.1, "SMART / Health Information").
std::uint64_t data_units(std::uint64_t bytes) {
  constexpr std::uint64_t unit_bytes = 512'000;
  return bytes / unit_bytes + (bytes % unit_bytes != 0 ? 1 : 0);
}

}  // namespace

SmartLogPage build_smart_log(const SmartCounters& counters) {
  SmartLogPage page{};
  page.critical_warning = counters.critical_warning;
  page.composite_temperature = counters.temperature_kelvin;
  page.available_spare = counters.available_spare_percent;
  page.available_spare_threshold = counters.spare_threshold_percent;
  page.percentage_used = counters.percentage_used;
  page.data_units_read.low = data_units(counters.bytes_read);
  page.data_units_written.low = data_units(counters.bytes_written);
  page.host_read_commands.low = counters.read_commands;
  page.host_write_commands.low = counters.write_commands;
  page.controller_busy_minutes.low = counters.busy_milliseconds / 60'000;
  page.power_cycles.low = counters.power_cycles;
  page.power_on_hours.low = counters.powered_seconds / 3600;
  page.unsafe_shutdowns.low = counters.unsafe_shutdowns;
  page.media_errors.low = counters.media_errors;
  page.error_log_entries.low = counters.error_log_entries;
  return page;
}

}  // namespace protocol::nvme
