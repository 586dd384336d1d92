#include "protocol/nvme/changed_namespaces_log.h"

namespace protocol::nvme {

ChangedNamespacesPage build_changed_namespaces(std::span<const NamespaceId> ascending) {
  ChangedNamespacesPage page{};
  if (ascending.size() > std::size(page.nsid)) {
    page.nsid[0] = every_namespace.value;
    return page;
  }
  for (std::size_t i = 0; i < ascending.size(); ++i) page.nsid[i] = ascending[i].value;
  return page;
}

}  // namespace protocol::nvme
