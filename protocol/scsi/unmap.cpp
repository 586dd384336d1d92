#include "protocol/scsi/unmap.h"

#include <algorithm>

#include "engine/foundation/byte_cursor.h"
#include "protocol/wire/endian.h"
#include "protocol/wire/layout.h"

namespace protocol::scsi {

namespace {

struct UnmapHeader {
  wire::be16 data_length;
  wire::be16 descriptors_length;
  wire::Reserved<4> reserved4;
};
static_assert(wire::is_wire_struct<UnmapHeader, 8>);

struct UnmapDescriptor {
  wire::be64 first_block;
  wire::be32 block_count;
  wire::Reserved<4> reserved12;
};
static_assert(wire::is_wire_struct<UnmapDescriptor, 16>);

}  // namespace

Parsed<UnmapList> parse_unmap_list(std::span<const std::byte> data, engine::BlockCount max_blocks) {
  UnmapList list;
  if (data.empty()) return list;
  engine::ByteReader reader(data);
  const auto head = reader.read<UnmapHeader>();
  if (!head) return sense::parameter_list_length_error;
  const std::size_t listed =
      std::min<std::size_t>(head->descriptors_length, reader.remaining()) / sizeof(UnmapDescriptor);
  if (listed > max_unmap_descriptors) {
    return sense::invalid_list(offsetof(UnmapHeader, descriptors_length));
  }
  std::uint64_t left = max_blocks.value;
  for (std::size_t at = sizeof(UnmapHeader); list.count < listed; at += sizeof(UnmapDescriptor)) {
    const auto descriptor = reader.read<UnmapDescriptor>();
    if (!descriptor) return sense::parameter_list_length_error;
    const std::uint32_t count = descriptor->block_count;
    if (count > left) {
      return sense::invalid_list(at + offsetof(UnmapDescriptor, block_count));
    }
    left -= count;
    list.entries[list.count++] = {.first = {descriptor->first_block}, .count = {count}};
  }
  return list;
}

}  // namespace protocol::scsi
