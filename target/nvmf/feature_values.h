// FeatureValues: what Set Features has set and Get Features gets (Base 2.1, "Feature Values").
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <span>
#include <vector>

#include "engine/foundation/clock.h"
#include "protocol/nvme/admin_command.h"
#include "protocol/nvme/command_effects_log.h"
#include "protocol/nvme/features.h"
#include "target/nvmf/limits.h"

namespace target::nvmf {

struct FeatureReply {
  std::uint32_t dword0 = 0;
  std::vector<std::byte> data;  // for features that are a structure
};

// Guarded by its controller's lock. No feature is saveable.
class FeatureValues {
 public:
  struct Settings {
    bool discovery = false;
    std::uint16_t max_io_queues = 0;
    std::uint32_t keep_alive_ms = 0;  // from Connect
    protocol::nvme::HostId host_id{};
    engine::Instant now;
  };
  explicit FeatureValues(const Settings& settings);

  // Refusals: invalid_field (unknown feature, bad value), feature_not_saveable,
  // feature_not_namespace_specific, command_sequence_error (queue count with I/O queues, host
  // identifier), keep_alive_invalid (0: the transport requires it, NVMe/TCP 1.1, "Keep Alive
  // Model"). The value is dword 0 of the completion. `data` is as long as the feature's structure,
  // or empty. An NSID has been looked up already.
  [[nodiscard]] protocol::nvme::Parsed<std::uint32_t> set(
      const protocol::nvme::SetFeatures& command, std::span<const std::byte> data,
      bool has_io_queues, engine::Instant now);
  [[nodiscard]] protocol::nvme::Parsed<FeatureReply> get(const protocol::nvme::GetFeatures& command,
                                                         engine::Instant now) const;
  // Controller Level Reset: everything but what Connect set.
  void reset(engine::Instant now);

  // The feature holds a value for each namespace.
  [[nodiscard]] static bool is_namespace_specific(std::uint8_t feature_id);

  [[nodiscard]] std::uint32_t keep_alive_ms() const { return values_.keep_alive_ms; }
  [[nodiscard]] std::uint32_t event_bits() const { return values_.event_bits; }
  // I/O queues the host may connect: qid 1 .. this.
  [[nodiscard]] std::uint32_t granted_queues() const { return values_.granted_queues; }
  // 82h: notifications of reservations there that the host does not want.
  [[nodiscard]] std::uint32_t reservation_mask(std::uint32_t nsid) const {
    const auto own = values_.reservation_mask_of.find(nsid);
    return own != values_.reservation_mask_of.end() ? own->second : values_.reservation_mask;
  }
  // Copy: source ranges of format 2h are enabled.
  [[nodiscard]] bool copies_between_namespaces() const {
    return (values_.host_behavior.copy_descriptor_formats &
            protocol::nvme::copy_format_2_enabled) != 0;
  }
  // The host honours Command Retry Delays (ACRE).
  [[nodiscard]] bool delays_retries() const {
    return values_.host_behavior.advanced_command_retry != 0;
  }
  // 0Eh, as it is read now.
  [[nodiscard]] protocol::nvme::TimestampData timestamp(engine::Instant now) const;
  // The nominal temperature is outside of what the host set.
  [[nodiscard]] bool temperature_warning() const;

 private:
  struct Values {
    protocol::nvme::Arbitration arbitration;
    std::uint8_t workload_hint = 0;
    std::uint16_t over_temperature = warning_temperature_kelvin;
    std::uint16_t under_temperature = 0;
    std::uint32_t error_recovery = 0;                            // of namespaces not in the map
    std::map<std::uint32_t, std::uint32_t> error_recovery_of;    // by NSID
    std::uint32_t reservation_mask = 0;                          // as error_recovery
    std::map<std::uint32_t, std::uint32_t> reservation_mask_of;  // by NSID
    std::uint32_t granted_queues = 0;
    std::uint32_t event_bits = 0;
    std::uint32_t keep_alive_ms = 0;
    std::chrono::milliseconds timestamp{0};
    engine::Instant timestamp_set_at;
    protocol::nvme::TimestampOrigin timestamp_origin =
        protocol::nvme::TimestampOrigin::cleared_at_reset;
    protocol::nvme::HostBehaviorData host_behavior{};
  };
  [[nodiscard]] Values defaults(engine::Instant now) const;
  [[nodiscard]] static protocol::nvme::TimestampData timestamp_of(const Values& values,
                                                                  engine::Instant now);
  [[nodiscard]] protocol::nvme::Parsed<void> set_reservation_mask(std::uint32_t nsid,
                                                                  std::uint32_t dword11);
  [[nodiscard]] protocol::nvme::Parsed<void> set_temperature(std::uint32_t dword11);
  [[nodiscard]] protocol::nvme::Parsed<std::uint32_t> set_queues(std::uint32_t dword11,
                                                                 bool has_io_queues);
  [[nodiscard]] protocol::nvme::Parsed<void> set_events(std::uint32_t dword11);
  [[nodiscard]] protocol::nvme::Parsed<FeatureReply> read(
      const Values& values, const protocol::nvme::GetFeatures& command, engine::Instant now) const;
  [[nodiscard]] protocol::nvme::EffectsOf kind() const;

  const Settings settings_;
  Values values_;
};

}  // namespace target::nvmf
