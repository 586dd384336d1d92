#include "protocol/scsi/lba_status.h"

#include <algorithm>

#include "protocol/wire/endian.h"
#include "protocol/wire/layout.h"

namespace protocol::scsi {

namespace {

struct LbaStatusHeader {
  wire::be32 length;  // of what stands behind it
  wire::Reserved<4> reserved4;
};
static_assert(wire::is_wire_struct<LbaStatusHeader, 8>);

struct LbaStatusDescriptor {
  wire::be64 first_block;
  wire::be32 block_count;
  std::uint8_t status;  // PROVISIONING STATUS 3:0
  wire::Reserved<3> reserved13;
};
static_assert(wire::is_wire_struct<LbaStatusDescriptor, 16>);

}  // namespace

void put_lba_status(Answer& answer, std::span<const LbaStatus> ranges) {
  LbaStatusHeader head{};
  head.length = static_cast<std::uint32_t>(sizeof(head) - sizeof(head.length) +
                                           ranges.size() * sizeof(LbaStatusDescriptor));
  answer.put(head);
  for (const auto& range : ranges) {
    LbaStatusDescriptor made{};
    made.first_block = range.blocks.first.value;
    made.block_count =
        static_cast<std::uint32_t>(std::min<std::uint64_t>(range.blocks.count.value, 0xffff'ffffu));
    made.status = static_cast<std::uint8_t>(range.status);
    answer.put(made);
  }
}

}  // namespace protocol::scsi
