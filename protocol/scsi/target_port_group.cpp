#include "protocol/scsi/target_port_group.h"

#include <algorithm>

#include "engine/foundation/byte_cursor.h"
#include "protocol/wire/endian.h"
#include "protocol/wire/layout.h"

namespace protocol::scsi {

namespace {

// SPC-4, "Extended header parameter data format".
struct ExtendedGroupsHeader {
  std::uint8_t format;  // FORMAT TYPE 6:4
  std::uint8_t implicit_transition_seconds;
  wire::Reserved<2> reserved6;
};
static_assert(wire::is_wire_struct<ExtendedGroupsHeader, 4>);

// SPC-4, "Target port group descriptor".
struct GroupDescriptor {
  std::uint8_t state;      // PREF 7, ASYMMETRIC ACCESS STATE 3:0
  std::uint8_t supported;  // T 7, O 6, LBD 4, U 3, S 2, AN 1, AO 0
  wire::be16 group;
  std::uint8_t reserved4;
  std::uint8_t status_code;
  std::uint8_t vendor_specific;
  std::uint8_t port_count;
};
static_assert(wire::is_wire_struct<GroupDescriptor, 8>);

struct PortDescriptor {
  wire::be16 obsolete0;
  wire::be16 relative_target_port;
};
static_assert(wire::is_wire_struct<PortDescriptor, 4>);

// SPC-4, "Set target port group descriptor".
struct SetDescriptor {
  std::uint8_t state;  // ASYMMETRIC ACCESS STATE 3:0
  std::uint8_t reserved1;
  wire::be16 group;
};
static_assert(wire::is_wire_struct<SetDescriptor, 4>);

constexpr std::uint8_t supported_states = 0x8b;  // T_SUP, U_SUP, AN_SUP, AO_SUP

}  // namespace

void put_target_port_groups(Answer& answer, const ReportTargetPortGroups& command,
                            std::span<const TargetPortGroup> groups) {
  const std::size_t start = answer.full_bytes();
  answer.put(wire::be32{});
  if (command.extended_header) {
    ExtendedGroupsHeader head{};
    head.format = 0x10;
    answer.put(head);
  }
  for (const auto& group : groups) {
    const auto ports = group.relative_target_ports.first(
        std::min<std::size_t>(group.relative_target_ports.size(), 255));
    GroupDescriptor made{};
    made.state = static_cast<std::uint8_t>((group.preferred ? 0x80u : 0u) |
                                           static_cast<unsigned>(group.state));
    made.supported = supported_states;
    made.group = group.group;
    made.status_code = group.status_code;
    made.port_count = static_cast<std::uint8_t>(ports.size());
    answer.put(made);
    for (const auto port : ports) {
      PortDescriptor descriptor{};
      descriptor.relative_target_port = port;
      answer.put(descriptor);
    }
  }
  const auto behind = answer.full_bytes() - start - sizeof(wire::be32);
  answer.put_at(start, wire::be32{static_cast<std::uint32_t>(behind)});
}

Parsed<SetTargetPortGroupsList> parse_set_target_port_groups(std::span<const std::byte> data) {
  SetTargetPortGroupsList list;
  if (data.empty()) return list;
  if (data.size() % sizeof(SetDescriptor) != 0) return sense::parameter_list_length_error;
  engine::ByteReader reader(data);
  std::size_t at = sizeof(wire::be32);
  (void)reader.read<wire::be32>();  // reserved
  while (const auto descriptor = reader.read<SetDescriptor>()) {
    const auto state = static_cast<AccessState>(descriptor->state & 0x0fu);
    switch (state) {
      case AccessState::active_optimized:
      case AccessState::active_non_optimized:
      case AccessState::standby:
      case AccessState::unavailable:
      case AccessState::offline:
        break;
      case AccessState::logical_block_dependent:  // made by the target itself
      case AccessState::transitioning:
      default:
        return sense::invalid_list(at, 3);
    }
    if (list.count == max_set_target_port_groups) return sense::invalid_list(at);
    list.entries[list.count++] = {.group = descriptor->group, .state = state};
    at += sizeof(SetDescriptor);
  }
  return list;
}

}  // namespace protocol::scsi
