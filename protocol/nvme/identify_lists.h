// The Identify pages that are lists: namespaces (02h, 07h), one namespace's identifiers (03h),
// command sets (1Ch).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "engine/foundation/uuid.h"
#include "protocol/nvme/entries.h"
#include "protocol/nvme/identifiers.h"
#include "protocol/nvme/identity.h"
#include "protocol/nvme/refusal.h"

namespace protocol::nvme {

// CNS, the values that are answered.
enum class IdentifyPage : std::uint8_t {
  nvm_namespace = 0x00,
  controller = 0x01,
  active_namespaces = 0x02,
  namespace_descriptors = 0x03,
  command_set_namespace = 0x05,
  command_set_controller = 0x06,
  command_set_active_namespaces = 0x07,
  independent_namespace = 0x08,
  command_set_combinations = 0x1c,
};

// CNS 02h and 07h: ascending, ended by 0 unless full.
struct NamespaceListPage {
  wire_types::U32 nsid[1024];
};
static_assert(sizeof(NamespaceListPage) == 4096 && alignof(NamespaceListPage) == 1);

// The NSIDs of `ascending` above `after`, at most 1024.
// Refusal: invalid_namespace when `after` is FFFFFFFEh or FFFFFFFFh.
[[nodiscard]] Parsed<NamespaceListPage> build_namespace_list(std::span<const NamespaceId> ascending,
                                                             NamespaceId after);

// One descriptor of CNS 03h; `length` bytes of identifier follow.
struct NamespaceDescriptorHeader {
  std::uint8_t type;
  std::uint8_t length;
  wire_types::U16 reserved;
};
static_assert(sizeof(NamespaceDescriptorHeader) == 4 && alignof(NamespaceDescriptorHeader) == 1);
enum class NamespaceDescriptorType : std::uint8_t {
  eui64 = 1,
  nguid = 2,
  uuid = 3,
  command_set = 4
};

struct NamespaceDescriptorsPage {
  std::uint8_t bytes[4096];
};
// NGUID, UUID and command set (NVM); no EUI64, as its field in CNS 00h is 0.
[[nodiscard]] NamespaceDescriptorsPage build_namespace_descriptors(const engine::Uuid& volume);

// CNS 1Ch: vectors of command sets that may be used together; the only one is "NVM".
struct CommandSetCombinationsPage {
  wire_types::U64 vector[512];
};
static_assert(sizeof(CommandSetCombinationsPage) == 4096 &&
              alignof(CommandSetCombinationsPage) == 1);
[[nodiscard]] CommandSetCombinationsPage build_command_set_combinations();

}  // namespace protocol::nvme
