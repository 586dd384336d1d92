// SmartReport: what a disk says of its own health, as smartctl's JSON has it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace target {

struct SmartReport {
  enum class Verdict : std::uint8_t {
    unavailable,  // nobody tells: no smartctl, a disk without SMART, or one that cannot be asked
    passed,
    failed,  // the disk expects to fail
  };
  Verdict verdict = Verdict::unavailable;
  std::string why{};  // unavailable: one sentence, printable
  // What it does not tell is nullopt.
  std::optional<std::int64_t> temperature_celsius{};
  std::optional<std::uint64_t> power_on_hours{};
  std::optional<std::uint64_t> reallocated_sectors{};  // ATA attribute 5; SCSI: grown defects
  std::optional<std::uint64_t> pending_sectors{};      // ATA attribute 197
  std::optional<std::uint64_t> percentage_used{};      // of the media's wear; may be over 100
  std::optional<std::uint64_t> spare_percent{};        // NVMe: what is left of the spare blocks
  friend bool operator==(const SmartReport&, const SmartReport&) = default;
};
[[nodiscard]] const char* text(SmartReport::Verdict verdict);

// `output`: of `smartctl --json -H -A DEVICE`, and `exit_status` what it ended with (smartctl(8),
// "EXIT STATUS": bit 3, the disk says that it fails). Any bytes and numbers: what is not as
// documented is not told.
[[nodiscard]] SmartReport smart_report_of(std::string_view output, int exit_status);

}  // namespace target
