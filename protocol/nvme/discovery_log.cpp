#include "protocol/nvme/discovery_log.h"

#include <cstring>
#include <string>

#include "engine/foundation/byte_cursor.h"
#include "engine/foundation/check.h"
#include "protocol/nvme/ascii_field.h"

namespace protocol::nvme {

DiscoveryLogRecord build_discovery_record(const DiscoveryRecord& record) {
  DiscoveryLogRecord wire{};
  wire.transport_type = transport_type_tcp;
  wire.address_family = static_cast<std::uint8_t>(record.family);
  wire.subsystem_type = static_cast<std::uint8_t>(record.type);
  wire.transport_requirements = static_cast<std::uint8_t>(
      static_cast<unsigned>(record.secure_channel) |
      (record.sq_flow_control_may_be_disabled ? treq_sq_flow_control_disable : 0u));
  wire.port_id = record.port_id;
  wire.controller_id = record.controller.value;
  wire.admin_queue_entries = record.admin_queue_entries;
  wire.flags = record.flags;
  put_ascii(wire.service_id, std::to_string(record.port));
  put_nul_padded(wire.subsystem_nqn, record.subsystem_nqn);
  put_ascii(wire.address, record.address);
  wire.security_type = static_cast<std::uint8_t>(record.security);
  return wire;
}

std::vector<std::byte> build_discovery_log(std::uint64_t generation,
                                           std::span<const DiscoveryRecord> records) {
  std::vector<std::byte> page;
  page.reserve(sizeof(DiscoveryLogHeader) + records.size() * sizeof(DiscoveryLogRecord));
  DiscoveryLogHeader header{};
  header.generation = generation;
  header.record_count = records.size();
  const auto header_bytes = engine::bytes_of(header);
  page.insert(page.end(), header_bytes.begin(), header_bytes.end());
  for (const auto& record : records) {
    const auto wire = build_discovery_record(record);
    const auto record_bytes = engine::bytes_of(wire);
    page.insert(page.end(), record_bytes.begin(), record_bytes.end());
  }
  return page;
}

std::uint64_t discovery_log_generation(std::span<const std::byte> page) {
  CHECK(page.size() >= sizeof(DiscoveryLogHeader));
  DiscoveryLogHeader header;
  std::memcpy(&header, page.data(), sizeof(header));
  return header.generation;
}

}  // namespace protocol::nvme
