#include "protocol/nvme/features.h"

#include <boost/endian/conversion.hpp>

namespace protocol::nvme {

TimestampData encode_timestamp(std::chrono::milliseconds since_epoch, TimestampOrigin origin) {
  TimestampData data{};
  boost::endian::store_little_u48(data.milliseconds,
                                  static_cast<std::uint64_t>(since_epoch.count()));
  data.attributes = static_cast<std::uint8_t>(static_cast<unsigned>(origin) << 1);
  return data;
}

std::chrono::milliseconds decode_timestamp(const TimestampData& data) {
  return std::chrono::milliseconds(
      static_cast<std::int64_t>(boost::endian::load_little_u48(data.milliseconds)));
}

Parsed<void> check_host_behavior(const HostBehaviorData& data) {
  for (const std::uint8_t flag : {data.advanced_command_retry, data.extended_telemetry,
                                  data.lba_format_extension, data.dispersed_namespaces}) {
    if (flag > 1) return Refusal{status::invalid_field};
  }
  return engine::success();
}

Parsed<TemperatureThreshold> TemperatureThreshold::from_dword(std::uint32_t dword) {
  const auto sensor = static_cast<std::uint8_t>((dword >> 16) & 0xfu);
  const unsigned type = (dword >> 20) & 3u;
  if (sensor > 8 && sensor != all_temperature_sensors)
    return Refusal{status::invalid_field, at_dword(11, 16)};
  if (type > 1) return Refusal{status::invalid_field, at_dword(11, 20)};
  return TemperatureThreshold{static_cast<std::uint16_t>(dword), sensor, type == 1};
}

Parsed<WriteProtectionState> write_protection_from_dword(std::uint32_t dword) {
  const std::uint32_t state = dword & 7u;
  if (state > static_cast<std::uint32_t>(WriteProtectionState::permanent)) {
    return Refusal{status::invalid_field, at_dword(11)};
  }
  return static_cast<WriteProtectionState>(state);
}

Parsed<QueueCounts> QueueCounts::from_dword(std::uint32_t dword) {
  if ((dword & 0xffffu) == 0xffffu) return Refusal{status::invalid_field, at_dword(11)};
  if ((dword >> 16) == 0xffffu) return Refusal{status::invalid_field, at_dword(11, 16)};
  return QueueCounts{(dword & 0xffffu) + 1, (dword >> 16) + 1};
}

}  // namespace protocol::nvme
