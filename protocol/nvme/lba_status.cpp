#include "protocol/nvme/lba_status.h"

#include <algorithm>
#include <limits>

#include "engine/foundation/byte_cursor.h"

namespace protocol::nvme {

namespace {

constexpr std::uint64_t most_blocks_of_descriptor = std::numeric_limits<std::uint32_t>::max();

std::vector<LbaStatusDescriptor> descriptors_of(std::span<const BlockRange> ranges) {
  std::vector<LbaStatusDescriptor> all;
  for (const BlockRange& range : ranges) {
    for (std::uint64_t done = 0; done < range.count.value;) {
      const std::uint64_t blocks = std::min(range.count.value - done, most_blocks_of_descriptor);
      LbaStatusDescriptor descriptor{};
      descriptor.first_block = range.first.value + done;
      descriptor.block_count = static_cast<std::uint32_t>(blocks);
      all.push_back(descriptor);
      done += blocks;
    }
  }
  return all;
}

}  // namespace

std::vector<std::byte> build_lba_status(std::span<const BlockRange> ranges, std::uint64_t bytes) {
  const auto all = descriptors_of(ranges);
  const std::uint64_t room = bytes < sizeof(LbaStatusHeader)
                                 ? 0
                                 : (bytes - sizeof(LbaStatusHeader)) / sizeof(LbaStatusDescriptor);
  const std::size_t count = static_cast<std::size_t>(std::min<std::uint64_t>(room, all.size()));
  LbaStatusHeader header{};
  header.descriptor_count = static_cast<std::uint32_t>(count);
  header.completion = count < all.size() ? lba_status_incomplete : lba_status_complete;
  std::vector<std::byte> page;
  page.reserve(sizeof(header) + count * sizeof(LbaStatusDescriptor));
  const auto append = [&page](const auto& value) {
    const auto part = engine::bytes_of(value);
    page.insert(page.end(), part.begin(), part.end());
  };
  append(header);
  for (std::size_t at = 0; at < count; ++at) append(all[at]);
  if (page.size() > bytes) page.resize(static_cast<std::size_t>(bytes));
  return page;
}

}  // namespace protocol::nvme
