#include "tests/client/command.h"

#include <fmt/format.h>

#include <algorithm>

namespace client {

Entry& Entry::byte(std::size_t offset, std::uint8_t value) {
  put(std::span(bytes_), offset, value);
  return *this;
}
Entry& Entry::word(std::size_t offset, std::uint16_t value) {
  put(std::span(bytes_), offset, value);
  return *this;
}
Entry& Entry::dword(std::size_t offset, std::uint32_t value) {
  put(std::span(bytes_), offset, value);
  return *this;
}
Entry& Entry::qword(std::size_t offset, std::uint64_t value) {
  put(std::span(bytes_), offset, value);
  return *this;
}
Entry& Entry::cid(std::uint16_t value) {
  cid_ = value;
  return word(2, value);
}
Entry& Entry::sgl(std::uint8_t type, std::uint64_t address, std::uint32_t length) {
  has_sgl_ = true;
  bytes_[1] = (bytes_[1] & std::byte{0x3f}) | std::byte{0x40};  // PSDT 01b
  qword(24, address);
  dword(32, length);
  dword(36, 0);
  return byte(39, type);
}

std::string Completion::describe() const {
  return fmt::format("cid {} status {:03x}h{}{} dw0 {:08x}h", cid, kind(), more() ? " M" : "",
                     do_not_retry() ? " DNR" : "", dw0());
}

namespace {
Entry fabrics(std::uint8_t type) { return Entry(opcode::fabrics).byte(4, type); }

Entry block_command(std::uint8_t op, std::uint32_t nsid, std::uint64_t lba, std::uint32_t blocks) {
  return Entry(op).nsid(nsid).qword(40, lba).cdw(12, (blocks - 1) & 0xffff);
}

std::uint32_t blocks_in(const Bytes& data, std::uint32_t block_bytes) {
  return static_cast<std::uint32_t>(data.size() / std::max<std::uint32_t>(block_bytes, 1));
}
}  // namespace

Command connect_command(const ConnectFields& fields) {
  Command command{.entry = fabrics(fabrics_type::connect)};
  command.entry.word(40, fields.record_format)
      .word(42, fields.queue_id)
      .word(44, fields.queue_entries_minus_1)
      .byte(46, fields.attributes)
      .dword(48, fields.keep_alive_ms);
  Bytes data(1024);
  const std::span page(data);
  std::copy(fields.host_id.begin(), fields.host_id.end(), data.begin());
  put(page, 16, fields.controller_id);
  put_text(page.subspan(256, 256), fields.subsystem_nqn);
  put_text(page.subspan(512, 256), fields.host_nqn);
  data.resize(fields.data_bytes);
  command.data_out = std::move(data);
  command.transfer = Transfer::in_capsule;
  return command;
}

Command disconnect_command() { return {.entry = fabrics(fabrics_type::disconnect)}; }

Command property_get_command(std::uint32_t offset, std::uint8_t size_code) {
  return {.entry = fabrics(fabrics_type::property_get).byte(40, size_code).dword(44, offset)};
}

Command property_set_command(std::uint32_t offset, std::uint64_t value, std::uint8_t size_code) {
  return {.entry = fabrics(fabrics_type::property_set)
                       .byte(40, size_code)
                       .dword(44, offset)
                       .qword(48, value)};
}

namespace admin {

Command identify(const IdentifyFields& fields) {
  return {.entry = Entry(opcode::identify)
                       .nsid(fields.nsid)
                       .cdw(10, fields.cns | std::uint32_t{fields.cntid} << 16)
                       .cdw(11, fields.cns_specific | std::uint32_t{fields.csi} << 24),
          .data_in_bytes = fields.bytes};
}

Command get_lba_status(std::uint32_t nsid, std::uint8_t action, std::uint64_t lba,
                       std::uint16_t blocks, std::uint32_t bytes) {
  return {.entry = Entry(opcode::get_lba_status)
                       .nsid(nsid)
                       .qword(40, lba)
                       .cdw(12, bytes / 4 - 1)
                       .cdw(13, std::uint32_t{action} << 24 | blocks),
          .data_in_bytes = bytes};
}

Command format_nvm(std::uint32_t nsid, std::uint32_t fields) {
  return {.entry = Entry(opcode::format_nvm).nsid(nsid).cdw(10, fields)};
}

Command get_log(const LogFields& fields) {
  const std::uint32_t dwords_minus_1 = fields.bytes / 4 - 1;
  return {.entry = Entry(opcode::get_log_page)
                       .nsid(fields.nsid)
                       .cdw(10, fields.lid | std::uint32_t{fields.lsp} << 8 |
                                    (fields.retain_event ? 1u << 15 : 0u) | (dwords_minus_1 << 16))
                       .cdw(11, (dwords_minus_1 >> 16) | std::uint32_t{fields.lsi} << 16)
                       .qword(48, fields.offset),
          .data_in_bytes = fields.bytes};
}

Command get_feature(std::uint8_t fid, std::uint8_t select, std::uint32_t cdw11,
                    std::uint32_t data_in_bytes, std::uint32_t nsid) {
  return {.entry = Entry(opcode::get_features)
                       .nsid(nsid)
                       .cdw(10, fid | std::uint32_t{select} << 8)
                       .cdw(11, cdw11),
          .data_in_bytes = data_in_bytes};
}

Command set_feature(std::uint8_t fid, std::uint32_t cdw11, bool save, Bytes data,
                    std::uint32_t nsid) {
  return {.entry = Entry(opcode::set_features)
                       .nsid(nsid)
                       .cdw(10, fid | (save ? 1u << 31 : 0u))
                       .cdw(11, cdw11),
          .data_out = std::move(data)};
}

Command async_event_request() { return {.entry = Entry(opcode::async_event_request)}; }

Command abort(std::uint16_t sqid, std::uint16_t cid) {
  return {.entry = Entry(opcode::abort).cdw(10, sqid | std::uint32_t{cid} << 16)};
}

Command keep_alive() { return {.entry = Entry(opcode::keep_alive)}; }

}  // namespace admin

namespace io {

Command read(std::uint32_t nsid, std::uint64_t lba, std::uint32_t blocks,
             std::uint32_t block_bytes) {
  return {.entry = block_command(opcode::read, nsid, lba, blocks),
          .data_in_bytes = blocks * block_bytes};
}

Command write(std::uint32_t nsid, std::uint64_t lba, Bytes data, std::uint32_t block_bytes,
              bool force_unit_access) {
  const std::uint32_t blocks = blocks_in(data, block_bytes);
  Command command{.entry = block_command(opcode::write, nsid, lba, blocks)};
  if (force_unit_access) command.entry.cdw(12, ((blocks - 1) & 0xffff) | 1u << 30);
  command.data_out = std::move(data);
  return command;
}

Command compare(std::uint32_t nsid, std::uint64_t lba, Bytes data, std::uint32_t block_bytes) {
  Command command{.entry = block_command(opcode::compare, nsid, lba, blocks_in(data, block_bytes))};
  command.data_out = std::move(data);
  return command;
}

FusedPair compare_and_write(std::uint32_t nsid, std::uint64_t lba, Bytes expected, Bytes next,
                            std::uint32_t block_bytes) {
  constexpr std::size_t flags_at = 1;
  FusedPair pair{compare(nsid, lba, std::move(expected), block_bytes),
                 write(nsid, lba, std::move(next), block_bytes)};
  pair.compare.entry.byte(flags_at, 1);
  pair.write.entry.byte(flags_at, 2);
  return pair;
}

Command flush(std::uint32_t nsid) { return {.entry = Entry(opcode::flush).nsid(nsid)}; }

Command write_zeroes(std::uint32_t nsid, std::uint64_t lba, std::uint32_t blocks, bool deallocate) {
  Command command{.entry = block_command(opcode::write_zeroes, nsid, lba, blocks)};
  if (deallocate) command.entry.cdw(12, ((blocks - 1) & 0xffff) | 1u << 25);
  return command;
}

Command write_uncorrectable(std::uint32_t nsid, std::uint64_t lba, std::uint32_t blocks) {
  return {.entry = block_command(opcode::write_uncorrectable, nsid, lba, blocks)};
}

Command verify(std::uint32_t nsid, std::uint64_t lba, std::uint32_t blocks) {
  return {.entry = block_command(opcode::verify, nsid, lba, blocks)};
}

Command dataset_management(std::uint32_t nsid, const std::vector<Range>& ranges,
                           std::uint32_t attributes) {
  Bytes data(ranges.size() * 16);
  for (std::size_t i = 0; i < ranges.size(); ++i) {
    put(std::span(data), i * 16, ranges[i].attributes);
    put(std::span(data), i * 16 + 4, ranges[i].blocks);
    put(std::span(data), i * 16 + 8, ranges[i].lba);
  }
  Command command{.entry = Entry(opcode::dataset_management)
                               .nsid(nsid)
                               .cdw(10, static_cast<std::uint32_t>(ranges.size() - 1) & 0xff)
                               .cdw(11, attributes)};
  command.data_out = std::move(data);
  return command;
}

Command copy(std::uint32_t nsid, std::uint64_t to, const std::vector<CopyRange>& from) {
  constexpr std::size_t entry_bytes = 32;
  std::uint32_t cdw12 = static_cast<std::uint32_t>(from.size() - 1) & 0xff;
  Bytes data(from.size() * entry_bytes);
  for (std::size_t i = 0; i < from.size(); ++i) {
    put(std::span(data), i * entry_bytes, from[i].nsid);
    put(std::span(data), i * entry_bytes + 8, from[i].lba);
    put(std::span(data), i * entry_bytes + 16, static_cast<std::uint16_t>(from[i].blocks - 1));
    if (from[i].nsid != 0) cdw12 |= 2u << 8;
  }
  Command command{.entry = block_command(opcode::copy, nsid, to, 1).cdw(12, cdw12)};
  command.data_out = std::move(data);
  return command;
}

namespace {

Command with_keys(std::uint8_t opcode, std::uint32_t nsid, std::uint32_t cdw10,
                  std::initializer_list<std::uint64_t> keys) {
  Command command{.entry = Entry(opcode).nsid(nsid).cdw(10, cdw10)};
  command.data_out.resize(keys.size() * sizeof(std::uint64_t));
  std::size_t at = 0;
  for (const std::uint64_t key : keys) {
    put(std::span(command.data_out), at, key);
    at += sizeof(key);
  }
  return command;
}

}  // namespace

Command reservation_register(std::uint32_t nsid, std::uint8_t action, std::uint64_t key,
                             std::uint64_t new_key, Persistence persistence) {
  const std::uint32_t cdw10 = action | static_cast<std::uint32_t>(persistence) << 30;
  return with_keys(opcode::reservation_register, nsid, cdw10, {key, new_key});
}

Command reservation_acquire(std::uint32_t nsid, std::uint8_t action, std::uint8_t type,
                            std::uint64_t key, std::uint64_t victim) {
  const std::uint32_t cdw10 = action | std::uint32_t{type} << 8;
  return with_keys(opcode::reservation_acquire, nsid, cdw10, {key, victim});
}

Command reservation_release(std::uint32_t nsid, std::uint8_t action, std::uint8_t type,
                            std::uint64_t key) {
  const std::uint32_t cdw10 = action | std::uint32_t{type} << 8;
  return with_keys(opcode::reservation_release, nsid, cdw10, {key});
}

Command reservation_report(std::uint32_t nsid, std::uint32_t bytes) {
  return {.entry = Entry(opcode::reservation_report).nsid(nsid).cdw(10, bytes / 4 - 1).cdw(11, 1),
          .data_in_bytes = bytes};
}

}  // namespace io

}  // namespace client
