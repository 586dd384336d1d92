#include "protocol/nvme/copy.h"

#include <cstring>

#include "engine/foundation/check.h"

namespace protocol::nvme {

CopySource copy_source(std::span<const std::byte> list, const Copy& command, std::uint32_t number) {
  constexpr std::uint16_t fast_copy_only = 1;
  CHECK(number < command.range_count);
  CHECK(list.size() >= (std::size_t{number} + 1) * copy_range_bytes);
  CopyRangeEntry entry;
  std::memcpy(&entry, list.data() + std::size_t{number} * copy_range_bytes, sizeof(entry));
  const bool names_source = command.format == CopyFormat::any_namespace;
  return {.nsid = names_source ? NamespaceId{entry.source_nsid} : command.nsid,
          .blocks = {.first = {entry.first_block},
                     .count = {std::uint64_t{entry.block_count.value()} + 1}},
          .fast_only = names_source && (entry.options & fast_copy_only) != 0};
}

}  // namespace protocol::nvme
