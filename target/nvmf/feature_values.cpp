#include "target/nvmf/feature_values.h"

#include <algorithm>
#include <cstring>

#include "engine/foundation/byte_cursor.h"
#include "protocol/nvme/reservation.h"
#include "target/nvmf/keep_alive.h"

namespace target::nvmf {

namespace nvme = protocol::nvme;
using nvme::FeatureId;
using nvme::Parsed;
using nvme::Refusal;

namespace {

constexpr std::uint32_t broadcast = nvme::every_namespace.value;

template <class T>
T structure_of(std::span<const std::byte> data) {
  T value{};
  std::memcpy(&value, data.data(), std::min(sizeof(value), data.size()));
  return value;
}

template <class T>
std::vector<std::byte> copy_of(const T& value) {
  const auto bytes = engine::bytes_of(value);
  return {bytes.begin(), bytes.end()};
}

Refusal bad_dword11(unsigned bit = 0) {
  return {nvme::status::invalid_field, nvme::at_dword(11, bit)};
}

std::chrono::milliseconds whole_milliseconds(engine::Duration duration) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(duration);
}

}  // namespace

FeatureValues::FeatureValues(const Settings& settings)
    : settings_(settings), values_(defaults(settings.now)) {}

FeatureValues::Values FeatureValues::defaults(engine::Instant now) const {
  Values values;
  values.granted_queues = settings_.max_io_queues;
  values.keep_alive_ms = settings_.keep_alive_ms;
  values.timestamp_set_at = now;
  // Asking for a keep-alive is how a host asks a discovery controller for notifications (Base 2.1,
  // "Discovery Controller Asynchronous Event Configuration").
  if (settings_.discovery && settings_.keep_alive_ms != 0) {
    values.event_bits = nvme::event_bit::discovery_log_change;
  }
  return values;
}

void FeatureValues::reset(engine::Instant now) { values_ = defaults(now); }

nvme::EffectsOf FeatureValues::kind() const {
  return settings_.discovery ? nvme::EffectsOf::discovery_controller
                             : nvme::EffectsOf::io_controller;
}

bool FeatureValues::is_namespace_specific(std::uint8_t feature_id) {
  const auto feature = static_cast<FeatureId>(feature_id);
  return feature == FeatureId::error_recovery ||
         feature == FeatureId::reservation_notification_mask ||
         feature == FeatureId::reservation_persistence || feature == FeatureId::write_protection;
}

bool FeatureValues::temperature_warning() const {
  return nominal_temperature_kelvin >= values_.over_temperature ||
         nominal_temperature_kelvin <= values_.under_temperature;
}

Parsed<std::uint32_t> FeatureValues::set(const nvme::SetFeatures& command,
                                         std::span<const std::byte> data, bool has_io_queues,
                                         engine::Instant now) {
  if (!nvme::has_feature(kind(), command.feature_id)) {
    return Refusal{nvme::status::invalid_field, nvme::at_dword(10)};
  }
  if (command.save) return Refusal{nvme::status::feature_not_saveable, nvme::at_dword(10, 31)};
  const std::uint32_t nsid = command.nsid.value;
  if (!is_namespace_specific(command.feature_id) && nsid != 0 && nsid != broadcast) {
    return Refusal{nvme::status::feature_not_namespace_specific, nvme::at_byte(4)};
  }
  const std::uint32_t dword11 = command.dword11;
  switch (static_cast<FeatureId>(command.feature_id)) {
    case FeatureId::arbitration:
      values_.arbitration = nvme::Arbitration::from_dword(dword11);
      return 0U;
    case FeatureId::power_management: {
      const auto power = nvme::PowerManagement::from_dword(dword11);
      if (power.power_state != 0) return bad_dword11();
      values_.workload_hint = power.workload_hint;
      return 0U;
    }
    case FeatureId::temperature_threshold: {
      TRY(set_temperature(dword11));
      return 0U;
    }
    case FeatureId::error_recovery:
      if (nvme::ErrorRecovery::from_dword(dword11).deallocated_error) return bad_dword11(16);
      if (nsid == 0 || nsid == broadcast) {
        values_.error_recovery = dword11 & 0xffffU;
        values_.error_recovery_of.clear();
      } else {
        values_.error_recovery_of[nsid] = dword11 & 0xffffU;
      }
      return 0U;
    case FeatureId::number_of_queues:
      return set_queues(dword11, has_io_queues);
    case FeatureId::async_event_configuration: {
      TRY(set_events(dword11));
      return 0U;
    }
    case FeatureId::timestamp:
      values_.timestamp = nvme::decode_timestamp(structure_of<nvme::TimestampData>(data));
      values_.timestamp_set_at = now;
      values_.timestamp_origin = nvme::TimestampOrigin::set_by_host;
      return 0U;
    case FeatureId::keep_alive_timer:
      if (dword11 == 0) return Refusal{nvme::status::keep_alive_invalid, nvme::at_dword(11)};
      values_.keep_alive_ms = round_keep_alive_ms(dword11);
      return 0U;
    case FeatureId::host_behavior: {
      const auto behavior = structure_of<nvme::HostBehaviorData>(data);
      TRY(nvme::check_host_behavior(behavior));
      values_.host_behavior = behavior;
      return 0U;
    }
    case FeatureId::host_identifier:  // Connect has set it (Base 2.1, "Host Identifier")
      return Refusal{nvme::status::command_sequence_error, nvme::at_dword(10)};
    case FeatureId::reservation_notification_mask: {
      TRY(set_reservation_mask(nsid, dword11));
      return 0U;
    }
    case FeatureId::reservation_persistence:  // the volume's: see AdminQueue
    case FeatureId::write_protection:
    case FeatureId::volatile_write_cache:
      break;
  }
  return Refusal{nvme::status::invalid_field, nvme::at_dword(10)};
}

Parsed<void> FeatureValues::set_reservation_mask(std::uint32_t nsid, std::uint32_t dword11) {
  if (nsid == 0) return Refusal{nvme::status::invalid_namespace, nvme::at_byte(4)};
  const std::uint32_t mask = dword11 & nvme::reservation_mask_bits;
  if (nsid == broadcast) {
    values_.reservation_mask = mask;
    values_.reservation_mask_of.clear();
  } else {
    values_.reservation_mask_of[nsid] = mask;
  }
  return engine::success();
}

Parsed<void> FeatureValues::set_temperature(std::uint32_t dword11) {
  TRY(const auto threshold, nvme::TemperatureThreshold::from_dword(dword11));
  if (threshold.sensor != 0 && threshold.sensor != nvme::all_temperature_sensors) {
    return bad_dword11(16);  // only the composite temperature is there
  }
  (threshold.under ? values_.under_temperature : values_.over_temperature) = threshold.kelvin;
  return engine::success();
}

Parsed<std::uint32_t> FeatureValues::set_queues(std::uint32_t dword11, bool has_io_queues) {
  if (has_io_queues) return Refusal{nvme::status::command_sequence_error, nvme::at_dword(10)};
  TRY(const auto asked, nvme::QueueCounts::from_dword(dword11));
  // A Fabrics queue is a pair: as many of one kind as of the other.
  const auto pairs = std::min(asked.submission, asked.completion);
  values_.granted_queues = std::min<std::uint32_t>(pairs, settings_.max_io_queues);
  return nvme::QueueCounts{values_.granted_queues, values_.granted_queues}.dword();
}

Parsed<void> FeatureValues::set_events(std::uint32_t dword11) {
  const std::uint32_t known =
      settings_.discovery ? nvme::event_bit::discovery_log_change
                          : nvme::event_bit::smart_warnings | nvme::event_bit::namespace_attribute |
                                nvme::event_bit::ana_change | nvme::event_bit::normal_shutdown;
  if ((dword11 & ~known) != 0) return bad_dword11();
  values_.event_bits = dword11;
  return engine::success();
}

nvme::TimestampData FeatureValues::timestamp_of(const Values& values, engine::Instant now) {
  const auto elapsed = whole_milliseconds(now - values.timestamp_set_at);
  return nvme::encode_timestamp(values.timestamp + elapsed, values.timestamp_origin);
}

nvme::TimestampData FeatureValues::timestamp(engine::Instant now) const {
  return timestamp_of(values_, now);
}

Parsed<FeatureReply> FeatureValues::get(const nvme::GetFeatures& command,
                                        engine::Instant now) const {
  if (!nvme::has_feature(kind(), command.feature_id)) {
    return Refusal{nvme::status::invalid_field, nvme::at_dword(10)};
  }
  switch (command.select) {
    case nvme::FeatureSelect::current:
      return read(values_, command, now);
    case nvme::FeatureSelect::by_default:
    case nvme::FeatureSelect::saved:  // nothing is saveable: the default (Base 2.1, "Get Features")
      return read(defaults(now), command, now);
    case nvme::FeatureSelect::capabilities:
      break;
  }
  const bool changeable = static_cast<FeatureId>(command.feature_id) != FeatureId::host_identifier;
  return FeatureReply{
      .dword0 =
          nvme::FeatureCapabilities{.saveable = false,
                                    .namespace_specific = is_namespace_specific(command.feature_id),
                                    .changeable = changeable}
              .dword(),
      .data = {}};
}

Parsed<FeatureReply> FeatureValues::read(const Values& values, const nvme::GetFeatures& command,
                                         engine::Instant now) const {
  const auto number = [](std::uint32_t dword0) { return FeatureReply{dword0, {}}; };
  switch (static_cast<FeatureId>(command.feature_id)) {
    case FeatureId::arbitration:
      return number(values.arbitration.dword());
    case FeatureId::power_management:
      return number(nvme::PowerManagement{0, values.workload_hint}.dword());
    case FeatureId::temperature_threshold: {
      TRY(const auto asked, nvme::TemperatureThreshold::from_dword(command.dword11));
      if (asked.sensor != 0) return bad_dword11(16);
      return number(asked.under ? values.under_temperature : values.over_temperature);
    }
    case FeatureId::error_recovery: {
      const auto own = values.error_recovery_of.find(command.nsid.value);
      return number(own != values.error_recovery_of.end() ? own->second : values.error_recovery);
    }
    case FeatureId::number_of_queues:
      return number(nvme::QueueCounts{values.granted_queues, values.granted_queues}.dword());
    case FeatureId::async_event_configuration:
      return number(values.event_bits);
    case FeatureId::timestamp:
      return FeatureReply{0, copy_of(timestamp_of(values, now))};
    case FeatureId::keep_alive_timer:
      return number(values.keep_alive_ms);
    case FeatureId::host_behavior:
      return FeatureReply{0, copy_of(values.host_behavior)};
    case FeatureId::host_identifier:
      // The short form cannot hold what a Fabrics host has (Base 2.1, "Host Identifier").
      if ((command.dword11 & nvme::host_identifier_extended) == 0) return bad_dword11();
      return FeatureReply{0, copy_of(settings_.host_id)};
    case FeatureId::reservation_notification_mask: {
      const std::uint32_t nsid = command.nsid.value;
      if (nsid == 0 || nsid == broadcast) {
        return Refusal{nvme::status::invalid_namespace, nvme::at_byte(4)};
      }
      const auto own = values.reservation_mask_of.find(nsid);
      return number(own != values.reservation_mask_of.end() ? own->second
                                                            : values.reservation_mask);
    }
    case FeatureId::reservation_persistence:
    case FeatureId::write_protection:
      return number(0);  // what it is by default; what it is now AdminQueue knows
    case FeatureId::volatile_write_cache:
      break;
  }
  return Refusal{nvme::status::invalid_field, nvme::at_dword(10)};
}

}  // namespace target::nvmf
