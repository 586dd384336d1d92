// Commands on blocks (SBC-3, SBC-4, "Commands for direct access block devices").
#include <boost/endian/conversion.hpp>

#include "protocol/scsi/command_parsers.h"

namespace protocol::scsi::parsers {

namespace {

constexpr std::uint8_t force_unit_access_bit = 0x08;
constexpr std::uint8_t immediate_bit = 0x02;

const unsigned char* at(Cdb cdb, std::size_t byte) {
  return reinterpret_cast<const unsigned char*>(cdb.data()) + byte;
}
std::uint8_t u8_at(Cdb cdb, std::size_t byte) { return *at(cdb, byte); }
std::uint16_t u16_at(Cdb cdb, std::size_t byte) {
  return boost::endian::load_big_u16(at(cdb, byte));
}
std::uint32_t u32_at(Cdb cdb, std::size_t byte) {
  return boost::endian::load_big_u32(at(cdb, byte));
}
std::uint64_t u64_at(Cdb cdb, std::size_t byte) {
  return boost::endian::load_big_u64(at(cdb, byte));
}
bool flag(Cdb cdb, std::uint8_t bit) { return (u8_at(cdb, 1) & bit) != 0; }

// LOGICAL BLOCK ADDRESS and TRANSFER LENGTH as the CDB's length has them.
BlockRange blocks_of_6(Cdb cdb) {
  const std::uint64_t first = boost::endian::load_big_u24(at(cdb, 1)) & 0x1f'ffffu;
  const std::uint64_t count = u8_at(cdb, 4);
  return {.first = {first}, .count = {count == 0 ? 256 : count}};
}
BlockRange blocks_of_10(Cdb cdb) { return {.first = {u32_at(cdb, 2)}, .count = {u16_at(cdb, 7)}}; }
BlockRange blocks_of_12(Cdb cdb) { return {.first = {u32_at(cdb, 2)}, .count = {u32_at(cdb, 6)}}; }
BlockRange blocks_of_16(Cdb cdb) { return {.first = {u64_at(cdb, 2)}, .count = {u32_at(cdb, 10)}}; }

template <class Made>
Command with_force_unit_access(Cdb cdb, BlockRange blocks) {
  return Made{.blocks = blocks, .force_unit_access = flag(cdb, force_unit_access_bit)};
}
template <class Made>
Command with_immediate(Cdb cdb, BlockRange blocks) {
  return Made{.blocks = blocks, .immediate = flag(cdb, immediate_bit)};
}
// Of BYTCHK the table leaves one bit to WRITE AND VERIFY.
Command write_and_verify(Cdb cdb, BlockRange blocks) {
  return WriteAndVerify{.blocks = blocks,
                        .check = flag(cdb, 0x02) ? ByteCheck::each_block : ByteCheck::none};
}
Parsed<Command> verify(Cdb cdb, BlockRange blocks) {
  const auto check = static_cast<std::uint8_t>((u8_at(cdb, 1) >> 1) & 3u);
  if (check == 2) return sense::invalid_cdb(1, 2);
  return Command{Verify{.blocks = blocks, .check = static_cast<ByteCheck>(check)}};
}

Parsed<Command> read_defect_data(ReadDefectData made, std::uint8_t options) {
  made.primary_list = (options & 0x10) != 0;
  made.grown_list = (options & 0x08) != 0;
  made.format = options & 0x07;
  // 6 is the vendor's, 7 is reserved (SBC-3, "Address descriptor formats").
  if (made.format >= 6) return sense::invalid_cdb(made.twelve_byte_cdb ? 1 : 2, 2);
  return Command{made};
}

}  // namespace

Parsed<Command> read_6(Cdb cdb) { return Command{Read{.blocks = blocks_of_6(cdb)}}; }
Parsed<Command> read_10(Cdb cdb) { return with_force_unit_access<Read>(cdb, blocks_of_10(cdb)); }
Parsed<Command> read_12(Cdb cdb) { return with_force_unit_access<Read>(cdb, blocks_of_12(cdb)); }
Parsed<Command> read_16(Cdb cdb) { return with_force_unit_access<Read>(cdb, blocks_of_16(cdb)); }

Parsed<Command> write_6(Cdb cdb) { return Command{Write{.blocks = blocks_of_6(cdb)}}; }
Parsed<Command> write_10(Cdb cdb) { return with_force_unit_access<Write>(cdb, blocks_of_10(cdb)); }
Parsed<Command> write_12(Cdb cdb) { return with_force_unit_access<Write>(cdb, blocks_of_12(cdb)); }
Parsed<Command> write_16(Cdb cdb) { return with_force_unit_access<Write>(cdb, blocks_of_16(cdb)); }

Parsed<Command> write_and_verify_10(Cdb cdb) { return write_and_verify(cdb, blocks_of_10(cdb)); }
Parsed<Command> write_and_verify_12(Cdb cdb) { return write_and_verify(cdb, blocks_of_12(cdb)); }
Parsed<Command> write_and_verify_16(Cdb cdb) { return write_and_verify(cdb, blocks_of_16(cdb)); }

Parsed<Command> verify_10(Cdb cdb) { return verify(cdb, blocks_of_10(cdb)); }
Parsed<Command> verify_12(Cdb cdb) { return verify(cdb, blocks_of_12(cdb)); }
Parsed<Command> verify_16(Cdb cdb) { return verify(cdb, blocks_of_16(cdb)); }

Parsed<Command> write_atomic_16(Cdb cdb) {
  return with_force_unit_access<WriteAtomic>(
      cdb, {.first = {u64_at(cdb, 2)}, .count = {u16_at(cdb, 12)}});
}
Parsed<Command> compare_and_write(Cdb cdb) {
  return with_force_unit_access<CompareAndWrite>(
      cdb, {.first = {u64_at(cdb, 2)}, .count = {u8_at(cdb, 13)}});
}
Parsed<Command> or_write_16(Cdb cdb) {
  return with_force_unit_access<OrWrite>(cdb, blocks_of_16(cdb));
}

Parsed<Command> prefetch_10(Cdb cdb) { return with_immediate<Prefetch>(cdb, blocks_of_10(cdb)); }
Parsed<Command> prefetch_16(Cdb cdb) { return with_immediate<Prefetch>(cdb, blocks_of_16(cdb)); }
Parsed<Command> synchronize_cache_10(Cdb cdb) {
  return with_immediate<SynchronizeCache>(cdb, blocks_of_10(cdb));
}
Parsed<Command> synchronize_cache_16(Cdb cdb) {
  return with_immediate<SynchronizeCache>(cdb, blocks_of_16(cdb));
}

Parsed<Command> write_same_10(Cdb cdb) {
  return Command{
      WriteSame{.blocks = blocks_of_10(cdb), .unmap = flag(cdb, 0x08), .ten_byte_cdb = true}};
}
Parsed<Command> write_same_16(Cdb cdb) {
  return Command{WriteSame{
      .blocks = blocks_of_16(cdb), .unmap = flag(cdb, 0x08), .no_data_out = flag(cdb, 0x01)}};
}
Parsed<Command> unmap(Cdb cdb) { return Command{Unmap{.parameter_bytes = u16_at(cdb, 7)}}; }
Parsed<Command> get_lba_status(Cdb cdb) {
  return Command{GetLbaStatus{.first = {u64_at(cdb, 2)}, .allocation_bytes = u32_at(cdb, 10)}};
}
Parsed<Command> read_capacity_10(Cdb) { return Command{ReadCapacity10{}}; }
Parsed<Command> read_capacity_16(Cdb cdb) {
  return Command{ReadCapacity16{.allocation_bytes = u32_at(cdb, 10)}};
}
Parsed<Command> read_defect_data_10(Cdb cdb) {
  return read_defect_data({.allocation_bytes = u16_at(cdb, 7)}, u8_at(cdb, 2));
}
Parsed<Command> read_defect_data_12(Cdb cdb) {
  return read_defect_data(
      {.twelve_byte_cdb = true, .first_index = u32_at(cdb, 2), .allocation_bytes = u32_at(cdb, 6)},
      u8_at(cdb, 1));
}

}  // namespace protocol::scsi::parsers
