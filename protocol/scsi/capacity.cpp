#include "protocol/scsi/capacity.h"

#include <algorithm>
#include <bit>

#include "protocol/wire/endian.h"
#include "protocol/wire/layout.h"

namespace protocol::scsi {

namespace {

struct ReadCapacity10Page {
  wire::be32 last_block;
  wire::be32 block_bytes;
};
static_assert(wire::is_wire_struct<ReadCapacity10Page, read_capacity10_bytes>);

struct ReadCapacity16Page {
  wire::be64 last_block;
  wire::be32 block_bytes;
  std::uint8_t protection;  // P_TYPE 3:1, PROT_EN 0
  std::uint8_t exponents;   // P_I_EXPONENT 7:4, LOGICAL BLOCKS PER PHYSICAL BLOCK EXPONENT 3:0
  wire::be16 provisioning;  // LBPME 15, LBPRZ 14, LOWEST ALIGNED LOGICAL BLOCK ADDRESS 13:0
  wire::Reserved<16> reserved16;
};
static_assert(wire::is_wire_struct<ReadCapacity16Page, read_capacity16_bytes>);
static_assert(offsetof(ReadCapacity16Page, exponents) == 13);

constexpr std::uint16_t management_enabled = 0x8000;
constexpr std::uint16_t reads_zeros = 0x4000;

}  // namespace

void put_read_capacity10(Answer& answer, const Capacity& capacity) {
  const std::uint64_t last = capacity.size.value - 1;
  ReadCapacity10Page page{};
  page.last_block = static_cast<std::uint32_t>(std::min<std::uint64_t>(last, 0xffff'ffffu));
  page.block_bytes = capacity.block_size.bytes;
  answer.put(page);
}

void put_read_capacity16(Answer& answer, const Capacity& capacity) {
  ReadCapacity16Page page{};
  page.last_block = capacity.size.value - 1;
  page.block_bytes = capacity.block_size.bytes;
  const std::uint32_t per_physical =
      std::max(capacity.physical_block_bytes / capacity.block_size.bytes, 1u);
  page.exponents = static_cast<std::uint8_t>(std::bit_width(per_physical) - 1);
  page.provisioning = static_cast<std::uint16_t>(
      (capacity.unmap ? management_enabled : 0u) |
      (capacity.unmap && capacity.unmapped_reads_zero ? reads_zeros : 0u) |
      (capacity.lowest_aligned.value & 0x3fffu));
  answer.put(page);
}

}  // namespace protocol::scsi
