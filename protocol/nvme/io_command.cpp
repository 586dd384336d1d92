#include "protocol/nvme/io_command.h"

namespace protocol::nvme {

namespace {

constexpr std::uint32_t deallocate_bit = 1u << 25;
constexpr std::uint32_t protection_bits = 0xfu << 26;      // PRINFO
constexpr std::uint32_t storage_tag_check_bit = 1u << 24;  // STC

Parsed<IoCommand> parse_write_zeroes(const SubmissionEntry& entry) {
  const std::uint32_t cdw12 = entry.cdw12;
  if (detail::has_refused_control_bits(cdw12, deallocate_bit)) {
    return detail::refused_control_bits(cdw12 & ~deallocate_bit);
  }
  return IoCommand{WriteZeroes{.nsid = {entry.nsid},
                               .blocks = detail::block_range(entry, cdw12),
                               .force_unit_access = detail::force_unit_access_of(cdw12),
                               .limited_retry = detail::limited_retry_of(cdw12),
                               .deallocate = (cdw12 & deallocate_bit) != 0}};
}

Parsed<IoCommand> parse_write_uncorrectable(const SubmissionEntry& entry) {
  const std::uint32_t cdw12 = entry.cdw12;
  if (detail::has_refused_control_bits(cdw12, 0)) return detail::refused_control_bits(cdw12);
  return IoCommand{
      WriteUncorrectable{.nsid = {entry.nsid}, .blocks = detail::block_range(entry, cdw12)}};
}

Parsed<IoCommand> parse_verify(const SubmissionEntry& entry) {
  const std::uint32_t cdw12 = entry.cdw12;
  if (detail::has_refused_control_bits(cdw12, 0)) return detail::refused_control_bits(cdw12);
  return IoCommand{Verify{.nsid = {entry.nsid},
                          .blocks = detail::block_range(entry, cdw12),
                          .force_unit_access = detail::force_unit_access_of(cdw12),
                          .limited_retry = detail::limited_retry_of(cdw12)}};
}

Parsed<IoCommand> parse_dataset_management(const SubmissionEntry& entry) {
  TRY(auto data, parse_data_pointer(entry, TransferDirection::host_to_controller));
  const std::uint32_t range_count = (entry.cdw10 & 0xffu) + 1;
  TRY(check_data_length(data, {std::uint64_t{range_count} * dataset_range_bytes}));
  const std::uint32_t attributes = entry.cdw11;
  return IoCommand{DatasetManagement{.nsid = {entry.nsid},
                                     .range_count = range_count,
                                     .integral_read = (attributes & 1u) != 0,
                                     .integral_write = (attributes & 2u) != 0,
                                     .deallocate = (attributes & 4u) != 0,
                                     .data = data}};
}

Parsed<IoCommand> parse_copy(const SubmissionEntry& entry) {
  const std::uint32_t cdw12 = entry.cdw12;
  constexpr std::uint32_t read_protection_bits = 0xfu << 12;  // PRINFOR
  if ((cdw12 & read_protection_bits) != 0) {
    return Refusal{status::invalid_protection_information, at_dword(12, 12)};
  }
  if (detail::has_refused_control_bits(cdw12, 0)) return detail::refused_control_bits(cdw12);
  const auto format = static_cast<CopyFormat>((cdw12 >> 8) & 0xfu);
  if (format != CopyFormat::same_namespace && format != CopyFormat::any_namespace) {
    return Refusal{status::invalid_field, at_dword(12, 8)};
  }
  TRY(auto data, parse_data_pointer(entry, TransferDirection::host_to_controller));
  const std::uint32_t range_count = (cdw12 & 0xffu) + 1;
  TRY(check_data_length(data, {std::uint64_t{range_count} * copy_range_bytes}));
  return IoCommand{
      Copy{.nsid = {entry.nsid},
           .destination = {entry.cdw10.value() | (std::uint64_t{entry.cdw11.value()} << 32)},
           .range_count = range_count,
           .format = format,
           .force_unit_access = detail::force_unit_access_of(cdw12),
           .limited_retry = detail::limited_retry_of(cdw12),
           .data = data}};
}

// FUSES: Compare and Write is the one fused operation there is.
bool is_half_of_compare_and_write(const SubmissionEntry& entry) {
  const auto opcode = static_cast<IoOpcode>(entry.opcode);
  return (opcode == IoOpcode::compare && entry.fuse() == fuse_first) ||
         (opcode == IoOpcode::write && entry.fuse() == fuse_second);
}

template <class Command>
Parsed<IoCommand> as_io_command(const Parsed<Command>& parsed) {
  if (!parsed) return parsed.error();
  return IoCommand{parsed.value()};
}

}  // namespace

Refusal detail::refused_control_bits(std::uint32_t cdw12) {
  if ((cdw12 & protection_bits) != 0) {
    return {status::invalid_protection_information, at_dword(12, 26)};
  }
  if ((cdw12 & storage_tag_check_bit) != 0) {
    return {status::invalid_protection_information, at_dword(12, 24)};
  }
  unsigned bit = 16;
  while (bit < 29 && ((cdw12 >> bit) & 1u) == 0) ++bit;
  return {status::invalid_field, at_dword(12, bit)};
}

// Everything but plain Read and Write, which parse_io_command keeps inline.
Parsed<IoCommand> detail::parse_less_common(const SubmissionEntry& entry) {
  const auto opcode = static_cast<IoOpcode>(entry.opcode);
  switch (opcode) {
    case IoOpcode::flush:
    case IoOpcode::write:
    case IoOpcode::read:
    case IoOpcode::write_uncorrectable:
    case IoOpcode::compare:
    case IoOpcode::write_zeroes:
    case IoOpcode::dataset_management:
    case IoOpcode::verify:
    case IoOpcode::reservation_register:
    case IoOpcode::reservation_report:
    case IoOpcode::reservation_acquire:
    case IoOpcode::reservation_release:
    case IoOpcode::copy:
      if (entry.fuse() != 0 && !is_half_of_compare_and_write(entry)) {
        return Refusal{status::invalid_field, at_byte(1)};
      }
      break;
  }
  switch (opcode) {
    case IoOpcode::flush:
      return IoCommand{Flush{.nsid = {entry.nsid}}};
    case IoOpcode::write:
      return with_data<Write>(entry, TransferDirection::host_to_controller);
    case IoOpcode::read:
      return with_data<Read>(entry, TransferDirection::controller_to_host);
    case IoOpcode::write_uncorrectable:
      return parse_write_uncorrectable(entry);
    case IoOpcode::compare:
      return with_data<Compare>(entry, TransferDirection::host_to_controller);
    case IoOpcode::write_zeroes:
      return parse_write_zeroes(entry);
    case IoOpcode::dataset_management:
      return parse_dataset_management(entry);
    case IoOpcode::verify:
      return parse_verify(entry);
    case IoOpcode::reservation_register:
      return as_io_command(parse_reservation_register(entry));
    case IoOpcode::reservation_report:
      return as_io_command(parse_reservation_report(entry));
    case IoOpcode::reservation_acquire:
      return as_io_command(parse_reservation_acquire(entry));
    case IoOpcode::reservation_release:
      return as_io_command(parse_reservation_release(entry));
    case IoOpcode::copy:
      return parse_copy(entry);
  }
  return Refusal{status::invalid_opcode, at_byte(0)};
}

const char* io_opcode_name(std::uint8_t opcode) {
  switch (static_cast<IoOpcode>(opcode)) {
    case IoOpcode::flush:
      return "flush";
    case IoOpcode::write:
      return "write";
    case IoOpcode::read:
      return "read";
    case IoOpcode::write_uncorrectable:
      return "write uncorrectable";
    case IoOpcode::compare:
      return "compare";
    case IoOpcode::write_zeroes:
      return "write zeroes";
    case IoOpcode::dataset_management:
      return "dataset management";
    case IoOpcode::verify:
      return "verify";
    case IoOpcode::reservation_register:
      return "reservation register";
    case IoOpcode::reservation_report:
      return "reservation report";
    case IoOpcode::reservation_acquire:
      return "reservation acquire";
    case IoOpcode::reservation_release:
      return "reservation release";
    case IoOpcode::copy:
      return "copy";
  }
  return "unknown";
}

}  // namespace protocol::nvme
