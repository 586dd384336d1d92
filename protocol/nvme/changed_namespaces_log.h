// Changed Attached Namespace List (log page 04h).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "protocol/nvme/entries.h"
#include "protocol/nvme/identifiers.h"

namespace protocol::nvme {

struct ChangedNamespacesPage {
  wire_types::U32 nsid[1024];
};
static_assert(sizeof(ChangedNamespacesPage) == 4096 && alignof(ChangedNamespacesPage) == 1);

// `ascending` lists what changed since the page was last read; more than 1024 become the one entry
// FFFFFFFFh.
[[nodiscard]] ChangedNamespacesPage build_changed_namespaces(
    std::span<const NamespaceId> ascending);

}  // namespace protocol::nvme
