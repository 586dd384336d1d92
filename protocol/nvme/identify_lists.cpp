#include "protocol/nvme/identify_lists.h"

#include <algorithm>

#include "engine/foundation/byte_cursor.h"
#include "engine/foundation/check.h"

namespace protocol::nvme {

namespace {

void put_descriptor(engine::ByteWriter& writer, NamespaceDescriptorType type,
                    std::span<const std::byte> identifier) {
  const NamespaceDescriptorHeader header{
      static_cast<std::uint8_t>(type), static_cast<std::uint8_t>(identifier.size()), {}};
  CHECK(writer.write(header));
  CHECK(writer.write_bytes(identifier));
}

}  // namespace

Parsed<NamespaceListPage> build_namespace_list(std::span<const NamespaceId> ascending,
                                               NamespaceId after) {
  if (after > last_listable_namespace) return Refusal{status::invalid_namespace, at_byte(4)};
  NamespaceListPage page{};
  auto* out = std::begin(page.nsid);
  for (auto at = std::upper_bound(ascending.begin(), ascending.end(), after);
       at != ascending.end() && out != std::end(page.nsid); ++at) {
    *out++ = at->value;
  }
  return page;
}

NamespaceDescriptorsPage build_namespace_descriptors(const engine::Uuid& volume) {
  NamespaceDescriptorsPage page{};
  engine::ByteWriter writer(std::as_writable_bytes(std::span(page.bytes)));
  put_descriptor(writer, NamespaceDescriptorType::nguid, nguid_of(volume));
  put_descriptor(writer, NamespaceDescriptorType::uuid, volume.bytes);
  const std::byte command_set{nvm_command_set};
  put_descriptor(writer, NamespaceDescriptorType::command_set, std::span(&command_set, 1));
  return page;
}

CommandSetCombinationsPage build_command_set_combinations() {
  CommandSetCombinationsPage page{};
  page.vector[0] = std::uint64_t{1} << nvm_command_set;
  return page;
}

}  // namespace protocol::nvme
