// REPORT and SET TARGET PORT GROUPS parameter data (SPC-4).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "protocol/scsi/answer.h"
#include "protocol/scsi/command.h"
#include "protocol/scsi/sense.h"

namespace protocol::scsi {

enum class AccessState : std::uint8_t {
  active_optimized = 0x0,
  active_non_optimized = 0x1,
  standby = 0x2,
  unavailable = 0x3,
  logical_block_dependent = 0x4,
  offline = 0xe,
  transitioning = 0xf,
};

struct TargetPortGroup {
  std::uint16_t group = 0;
  AccessState state = AccessState::active_optimized;
  bool preferred = false;
  std::uint8_t status_code = 0;  // 0: none; 1: altered by SET TARGET PORT GROUPS; 2: implicitly
  std::span<const std::uint16_t> relative_target_ports{};  // at most 255 are shown
};
// As states that a group can have, those are shown that occur here: active/optimized (AO_SUP),
// active/non-optimized (AN_SUP), unavailable (U_SUP) and transitioning (T_SUP).
void put_target_port_groups(Answer& answer, const ReportTargetPortGroups& command,
                            std::span<const TargetPortGroup> groups);

inline constexpr std::size_t max_set_target_port_groups = 16;

struct SetTargetPortGroupsList {
  struct Entry {
    std::uint16_t group = 0;
    AccessState state = AccessState::active_optimized;
  };
  std::array<Entry, max_set_target_port_groups> entries{};
  std::uint8_t count = 0;
  [[nodiscard]] std::span<const Entry> span() const { return std::span(entries).first(count); }
};
inline constexpr std::uint32_t max_set_target_port_groups_bytes =
    4 + 4 * max_set_target_port_groups;

// `data` as it came. An empty list changes nothing.
// Errors: parameter_list_length_error for what is no header and whole descriptors; invalid_list for
// a state that no host may ask for, and for more than max_set_target_port_groups.
[[nodiscard]] Parsed<SetTargetPortGroupsList> parse_set_target_port_groups(
    std::span<const std::byte> data);

}  // namespace protocol::scsi
