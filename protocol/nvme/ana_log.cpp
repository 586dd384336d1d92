#include "protocol/nvme/ana_log.h"

#include "engine/foundation/byte_cursor.h"

namespace protocol::nvme {

namespace {

template <class T>
void append(std::vector<std::byte>& page, const T& value) {
  const auto bytes = engine::bytes_of(value);
  page.insert(page.end(), bytes.begin(), bytes.end());
}

}  // namespace

std::vector<std::byte> build_ana_log(std::uint64_t change_count, std::span<const AnaGroup> groups,
                                     bool groups_only) {
  std::vector<std::byte> page;
  page.reserve(sizeof(AnaLogHeader) +
               groups.size() * (sizeof(AnaGroupDescriptor) + sizeof(std::uint32_t)));
  AnaLogHeader header{};
  header.change_count = change_count;
  header.group_count = static_cast<std::uint16_t>(groups.size());
  append(page, header);
  for (const auto& group : groups) {
    AnaGroupDescriptor descriptor{};
    descriptor.group_id = group.id;
    descriptor.namespace_count =
        groups_only ? 0 : static_cast<std::uint32_t>(group.namespaces.size());
    descriptor.change_count = group.change_count;
    descriptor.state = static_cast<std::uint8_t>(group.state);
    append(page, descriptor);
    if (groups_only) continue;
    for (const auto nsid : group.namespaces) append(page, wire_types::U32(nsid.value));
  }
  return page;
}

}  // namespace protocol::nvme
