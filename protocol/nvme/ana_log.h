// Asymmetric Namespace Access (log page 0Ch).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "protocol/nvme/entries.h"
#include "protocol/nvme/identifiers.h"
#include "protocol/nvme/status.h"

namespace protocol::nvme {

enum class AnaState : std::uint8_t {
  optimized = 0x1,
  non_optimized = 0x2,
  inaccessible = 0x3,
  persistent_loss = 0x4,
  change = 0xf,
};
// The status of an I/O command to a namespace in this state; success for the two that serve I/O.
[[nodiscard]] constexpr Status io_status(AnaState state) {
  switch (state) {
    case AnaState::optimized:
    case AnaState::non_optimized:
      return status::success;
    case AnaState::inaccessible:
      return status::ana_inaccessible;
    case AnaState::persistent_loss:
      return status::ana_persistent_loss;
    case AnaState::change:
      return status::ana_transition;
  }
  return status::internal_path_error;
}

struct AnaLogHeader {
  wire_types::U64 change_count;
  wire_types::U16 group_count;
  std::uint8_t reserved10[6];
};
static_assert(sizeof(AnaLogHeader) == 16 && alignof(AnaLogHeader) == 1);
static_assert(offsetof(AnaLogHeader, group_count) == 8);

// Followed by namespace_count NSIDs of 4 bytes, ascending.
struct AnaGroupDescriptor {
  wire_types::U32 group_id;
  wire_types::U32 namespace_count;
  wire_types::U64 change_count;
  std::uint8_t state;
  std::uint8_t reserved17[15];
};
static_assert(sizeof(AnaGroupDescriptor) == 32 && alignof(AnaGroupDescriptor) == 1);
static_assert(offsetof(AnaGroupDescriptor, change_count) == 8);
static_assert(offsetof(AnaGroupDescriptor, state) == 16);

struct AnaGroup {
  std::uint32_t id = 0;            // not 0
  std::uint64_t change_count = 0;  // 0: not reported
  AnaState state = AnaState::optimized;
  std::span<const NamespaceId> namespaces{};  // ascending
};
// LSP bit 0 of Get Log Page: leave the NSIDs out.
inline constexpr std::uint8_t ana_groups_only = 1 << 0;

// The whole page; `groups` ascend by id and are at most 65535.
[[nodiscard]] std::vector<std::byte> build_ana_log(std::uint64_t change_count,
                                                   std::span<const AnaGroup> groups,
                                                   bool groups_only);

}  // namespace protocol::nvme
