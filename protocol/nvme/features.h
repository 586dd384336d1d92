// Feature identifiers and the layouts of their dwords and structures (Base 2.1, "Feature Specific
// Information").
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>

#include "engine/foundation/units.h"
#include "protocol/nvme/entries.h"
#include "protocol/nvme/refusal.h"

namespace protocol::nvme {

// FID of the features that exist here; volatile_write_cache is named because VWC 0 means refusing
// it (invalid_field).
enum class FeatureId : std::uint8_t {
  arbitration = 0x01,
  power_management = 0x02,
  temperature_threshold = 0x04,
  error_recovery = 0x05,
  volatile_write_cache = 0x06,
  number_of_queues = 0x07,
  async_event_configuration = 0x0b,
  timestamp = 0x0e,
  keep_alive_timer = 0x0f,
  host_behavior = 0x16,
  host_identifier = 0x81,
  reservation_notification_mask = 0x82,
  reservation_persistence = 0x83,
  write_protection = 0x84,
};

// 0Eh. Both directions.
struct TimestampData {
  std::uint8_t milliseconds[6];  // little endian, since 1970-01-01 UTC
  std::uint8_t attributes;       // bit 0: may have stopped counting; 3:1 origin
  std::uint8_t reserved;
};
static_assert(sizeof(TimestampData) == 8 && alignof(TimestampData) == 1);
static_assert(offsetof(TimestampData, attributes) == 6);

enum class TimestampOrigin : std::uint8_t { cleared_at_reset = 0, set_by_host = 1 };
[[nodiscard]] TimestampData encode_timestamp(std::chrono::milliseconds since_epoch,
                                             TimestampOrigin origin);
// The time a host sets; its attributes are ignored.
[[nodiscard]] std::chrono::milliseconds decode_timestamp(const TimestampData& data);

// 16h.
struct HostBehaviorData {
  std::uint8_t advanced_command_retry;      // ACRE: 1 lets us use CRD
  std::uint8_t extended_telemetry;          // ETDAS
  std::uint8_t lba_format_extension;        // LBAFEE
  std::uint8_t dispersed_namespaces;        // HDISNS
  wire_types::U16 copy_descriptor_formats;  // CDFE
  std::uint8_t reserved[506];
};
static_assert(sizeof(HostBehaviorData) == 512 && alignof(HostBehaviorData) == 1);
static_assert(offsetof(HostBehaviorData, copy_descriptor_formats) == 4);
// CDFE: source ranges of Copy may name their namespace.
inline constexpr std::uint16_t copy_format_2_enabled = 1 << 2;
// Refusal: invalid_field for a value above 1 in one of the four flags.
[[nodiscard]] Parsed<void> check_host_behavior(const HostBehaviorData& data);

// 81h, extended form (EXHID, dword 11 bit 0, must be 1 over Fabrics).
using HostId = std::array<std::byte, 16>;
inline constexpr std::uint32_t host_identifier_extended = 1;

// Bytes that Set or Get Features with this dword 11 transfers for the feature; 0 for those that
// live in dwords alone.
[[nodiscard]] constexpr engine::ByteCount feature_data_bytes(std::uint8_t feature_id,
                                                             std::uint32_t dword11) {
  switch (static_cast<FeatureId>(feature_id)) {
    case FeatureId::timestamp:
      return {sizeof(TimestampData)};
    case FeatureId::host_behavior:
      return {sizeof(HostBehaviorData)};
    case FeatureId::host_identifier:
      // The short form is refused over Fabrics, but for its form, not for the length of its buffer.
      return {(dword11 & host_identifier_extended) != 0 ? sizeof(HostId) : sizeof(std::uint64_t)};
    case FeatureId::arbitration:
    case FeatureId::power_management:
    case FeatureId::temperature_threshold:
    case FeatureId::error_recovery:
    case FeatureId::volatile_write_cache:
    case FeatureId::number_of_queues:
    case FeatureId::async_event_configuration:
    case FeatureId::keep_alive_timer:
    case FeatureId::reservation_notification_mask:
    case FeatureId::reservation_persistence:
    case FeatureId::write_protection:
      break;
  }
  return {0};
}

// Completion dword 0 of Get Features with FeatureSelect::capabilities.
struct FeatureCapabilities {
  bool saveable = false;
  bool namespace_specific = false;
  bool changeable = false;
  [[nodiscard]] constexpr std::uint32_t dword() const {
    return (saveable ? 1u : 0u) | (namespace_specific ? 2u : 0u) | (changeable ? 4u : 0u);
  }
};

// 01h. Weights are 0's based there and here: with the round robin arbitration of CAP.AMS 0 they
// change nothing.
struct Arbitration {
  std::uint8_t burst_log2 = 7;  // 0..7, 7 is no limit
  std::uint8_t low_weight = 0;
  std::uint8_t medium_weight = 0;
  std::uint8_t high_weight = 0;
  friend constexpr bool operator==(const Arbitration&, const Arbitration&) = default;

  [[nodiscard]] constexpr std::uint32_t dword() const {
    return (burst_log2 & 7u) | (std::uint32_t{low_weight} << 8) |
           (std::uint32_t{medium_weight} << 16) | (std::uint32_t{high_weight} << 24);
  }
  [[nodiscard]] static constexpr Arbitration from_dword(std::uint32_t dword) {
    return {static_cast<std::uint8_t>(dword & 7u), static_cast<std::uint8_t>(dword >> 8),
            static_cast<std::uint8_t>(dword >> 16), static_cast<std::uint8_t>(dword >> 24)};
  }
};

// 02h. Only power state 0 exists (NPSS 0).
struct PowerManagement {
  std::uint8_t power_state = 0;    // 5 bits
  std::uint8_t workload_hint = 0;  // 3 bits
  friend constexpr bool operator==(PowerManagement, PowerManagement) = default;

  [[nodiscard]] constexpr std::uint32_t dword() const {
    return (power_state & 0x1fu) | ((workload_hint & 7u) << 5);
  }
  [[nodiscard]] static constexpr PowerManagement from_dword(std::uint32_t dword) {
    return {static_cast<std::uint8_t>(dword & 0x1fu), static_cast<std::uint8_t>((dword >> 5) & 7u)};
  }
};

// 04h.
struct TemperatureThreshold {
  std::uint16_t kelvin = 0;  // TMPTH
  std::uint8_t sensor = 0;   // TMPSEL: 0 composite, 1..8 sensors, 15 all (set only)
  bool under = false;        // THSEL: false over-temperature, true under-temperature
  friend constexpr bool operator==(TemperatureThreshold, TemperatureThreshold) = default;

  [[nodiscard]] constexpr std::uint32_t dword() const {
    return kelvin | ((sensor & 0xfu) << 16) | (under ? 1u << 20 : 0u);
  }
  // Refusal: invalid_field for a reserved sensor (9..14) or threshold type (2, 3).
  [[nodiscard]] static Parsed<TemperatureThreshold> from_dword(std::uint32_t dword);
};
inline constexpr std::uint8_t all_temperature_sensors = 15;

// 05h. DULBE is not supported (NSFEAT bit 2 is 0), so a set bit 16 is the executor's to refuse.
struct ErrorRecovery {
  std::uint16_t time_limit_100ms = 0;  // TLER; 0 is no limit
  bool deallocated_error = false;      // DULBE
  friend constexpr bool operator==(ErrorRecovery, ErrorRecovery) = default;

  [[nodiscard]] constexpr std::uint32_t dword() const {
    return time_limit_100ms | (deallocated_error ? 1u << 16 : 0u);
  }
  [[nodiscard]] static constexpr ErrorRecovery from_dword(std::uint32_t dword) {
    return {static_cast<std::uint16_t>(dword), ((dword >> 16) & 1u) != 0};
  }
};

// 07h: honest counts of I/O queues (the Admin queue is not among them).
struct QueueCounts {
  std::uint32_t submission = 1;  // 1..65535
  std::uint32_t completion = 1;
  friend constexpr bool operator==(QueueCounts, QueueCounts) = default;

  // Both counts must be in 1..65536.
  [[nodiscard]] constexpr std::uint32_t dword() const {
    return ((submission - 1) & 0xffffu) | ((completion - 1) << 16);
  }
  // Refusal: invalid_field for FFFFh (65536 queues).
  [[nodiscard]] static Parsed<QueueCounts> from_dword(std::uint32_t dword);
};

// 84h, dword 11 bits 2:0 (WPS, "Namespace Write Protection Config").
enum class WriteProtectionState : std::uint8_t {
  none = 0,
  write_protect = 1,
  until_power_cycle = 2,
  permanent = 3,
};
// Refusal: invalid_field for a reserved state.
[[nodiscard]] Parsed<WriteProtectionState> write_protection_from_dword(std::uint32_t dword);

// 0Bh: which events a host wants.
namespace event_bit {
inline constexpr std::uint32_t smart_warnings = 0xff;  // one for each critical warning bit
inline constexpr std::uint32_t namespace_attribute = 1u << 8;
inline constexpr std::uint32_t firmware_activation = 1u << 9;
inline constexpr std::uint32_t telemetry_log = 1u << 10;
inline constexpr std::uint32_t ana_change = 1u << 11;
inline constexpr std::uint32_t normal_shutdown = 1u << 15;
inline constexpr std::uint32_t discovery_log_change = 1u << 31;
}  // namespace event_bit

}  // namespace protocol::nvme
