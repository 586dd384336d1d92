#include "protocol/nvme/fabrics_command.h"

#include <algorithm>
#include <cstring>

namespace protocol::nvme {

namespace {

// Fabrics commands use the bytes of CDW10..CDW15 in their own way.
Parsed<FabricsCommand> parse_connect(const SubmissionEntry& entry) {
  const std::uint32_t cdw10 = entry.cdw10;
  const std::uint32_t cdw11 = entry.cdw11;
  if ((cdw10 & 0xffffu) != 0) return Refusal{status::connect_incompatible_format, at_dword(10)};
  const std::uint32_t size = cdw11 & 0xffffu;
  if (size == 0) return connect_invalid_parameter(ConnectParameter::queue_size);
  TRY(auto data, parse_sgl(entry.data_pointer, TransferDirection::host_to_controller));
  TRY(check_data_length(data, {connect_data_bytes}));
  const auto attributes = static_cast<std::uint8_t>(cdw11 >> 16);
  return FabricsCommand{Connect{
      .queue_id = static_cast<std::uint16_t>(cdw10 >> 16),
      .queue_entries = size + 1,
      .priority = static_cast<std::uint8_t>(attributes & connect_attribute::priority_mask),
      .sq_flow_control_disabled = (attributes & connect_attribute::disable_sq_flow_control) != 0,
      .may_delete_queue = (attributes & connect_attribute::delete_io_queues) != 0,
      .keep_alive_ms = entry.cdw12,
      .data = data}};
}

// ATTRIB bits 2:0: 0 is four bytes, 1 eight.
Parsed<std::uint8_t> property_size(const SubmissionEntry& entry) {
  const std::uint32_t size = entry.cdw10 & 7u;
  if (size > 1) return Refusal{status::invalid_field, at_dword(10)};
  return static_cast<std::uint8_t>(size == 0 ? 4 : 8);
}

Parsed<FabricsCommand> parse_property_get(const SubmissionEntry& entry) {
  TRY(const auto size, property_size(entry));
  return FabricsCommand{PropertyGet{.offset = entry.cdw11, .size_bytes = size}};
}

Parsed<FabricsCommand> parse_property_set(const SubmissionEntry& entry) {
  TRY(const auto size, property_size(entry));
  const std::uint64_t upper = size == 8 ? std::uint64_t{entry.cdw13.value()} << 32 : 0;
  return FabricsCommand{
      PropertySet{.offset = entry.cdw11, .size_bytes = size, .value = entry.cdw12.value() | upper}};
}

Parsed<FabricsCommand> parse_authentication(const SubmissionEntry& entry, bool send) {
  const auto direction =
      send ? TransferDirection::host_to_controller : TransferDirection::controller_to_host;
  TRY(auto data, parse_sgl(entry.data_pointer, direction));
  const std::uint32_t length = entry.cdw11;
  TRY(check_data_length(data, {length}));
  const auto protocol = static_cast<std::uint8_t>(entry.cdw10 >> 24);
  const auto specific = static_cast<std::uint16_t>(entry.cdw10 >> 8);
  if (send) return FabricsCommand{AuthenticationSend{protocol, specific, length, data}};
  return FabricsCommand{AuthenticationReceive{protocol, specific, length, data}};
}

}  // namespace

Parsed<FabricsCommand> parse_fabrics_command(const SubmissionEntry& entry) {
  if (entry.opcode != fabrics_opcode) return Refusal{status::invalid_opcode, at_byte(0)};
  switch (static_cast<FabricsType>(entry.fabrics_type())) {
    case FabricsType::connect:
      return parse_connect(entry);
    case FabricsType::property_get:
      return parse_property_get(entry);
    case FabricsType::property_set:
      return parse_property_set(entry);
    case FabricsType::disconnect:
      if ((entry.cdw10 & 0xffffu) != 0) {
        return Refusal{status::connect_incompatible_format, at_dword(10)};
      }
      return FabricsCommand{Disconnect{}};
    case FabricsType::authentication_send:
      return parse_authentication(entry, true);
    case FabricsType::authentication_receive:
      return parse_authentication(entry, false);
  }
  return Refusal{status::invalid_opcode, at_byte(4)};
}

Parsed<ConnectData> parse_connect_data(std::span<const std::byte> data) {
  if (data.size() < connect_data_bytes)
    return Refusal{status::data_sgl_length_invalid, at_byte(32)};
  ConnectData parsed;
  std::memcpy(parsed.host_id.data(), data.data() + offsetof(ConnectDataWire, host_id),
              parsed.host_id.size());
  if (parsed.host_id == HostId{}) return connect_invalid_parameter(ConnectParameter::host_id);
  wire_types::U16 controller;
  std::memcpy(&controller, data.data() + offsetof(ConnectDataWire, controller_id),
              sizeof(controller));
  parsed.controller = {controller};

  const auto name_at = [&](std::size_t offset) {
    const auto* field = reinterpret_cast<const char*>(data.data() + offset);
    return nqn_in_field(std::span<const char, nqn_field_bytes>(field, nqn_field_bytes));
  };
  const auto subsystem = name_at(offsetof(ConnectDataWire, subsystem_nqn));
  if (!subsystem || check_nqn(*subsystem))
    return connect_invalid_parameter(ConnectParameter::subsystem_nqn);
  const auto host = name_at(offsetof(ConnectDataWire, host_nqn));
  if (!host || check_nqn(*host)) return connect_invalid_parameter(ConnectParameter::host_nqn);
  parsed.subsystem_nqn = *subsystem;
  parsed.host_nqn = *host;
  return parsed;
}

}  // namespace protocol::nvme
