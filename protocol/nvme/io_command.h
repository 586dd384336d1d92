// NVM command set commands, parsed from a submission entry into a closed variant (NVM Command
// Set 1.1, "Commands"). Counts are honest here: 0's based fields end in this file.
#pragma once

#include <cstdint>
#include <variant>

#include "engine/foundation/units.h"
#include "protocol/nvme/entries.h"
#include "protocol/nvme/identifiers.h"
#include "protocol/nvme/refusal.h"
#include "protocol/nvme/reservation.h"
#include "protocol/nvme/sgl.h"

namespace protocol::nvme {

enum class IoOpcode : std::uint8_t {
  flush = 0x00,
  write = 0x01,
  read = 0x02,
  write_uncorrectable = 0x04,
  compare = 0x05,
  write_zeroes = 0x08,
  dataset_management = 0x09,
  verify = 0x0c,
  reservation_register = 0x0d,
  reservation_report = 0x0e,
  reservation_acquire = 0x11,
  reservation_release = 0x15,
  copy = 0x19,
};

// SLBA and NLB; count is 1..65536. Nothing says yet that the blocks exist.
struct BlockRange {
  engine::Lba first{};
  engine::BlockCount count{};
  friend constexpr bool operator==(BlockRange, BlockRange) = default;
};

struct Read {
  NamespaceId nsid{};
  BlockRange blocks{};
  bool force_unit_access = false;
  bool limited_retry = false;
  DataPointer data{};
};
struct Write {
  NamespaceId nsid{};
  BlockRange blocks{};
  bool force_unit_access = false;
  bool limited_retry = false;
  DataPointer data{};
};
struct Compare {
  NamespaceId nsid{};
  BlockRange blocks{};
  bool force_unit_access = false;
  bool limited_retry = false;
  DataPointer data{};
};
struct Verify {
  NamespaceId nsid{};
  BlockRange blocks{};
  bool force_unit_access = false;
  bool limited_retry = false;
};
// Reads of these blocks fail until they are written.
struct WriteUncorrectable {
  NamespaceId nsid{};
  BlockRange blocks{};
};
struct WriteZeroes {
  NamespaceId nsid{};
  BlockRange blocks{};
  bool force_unit_access = false;
  bool limited_retry = false;
  bool deallocate = false;  // DEAC: the blocks may be deallocated, and read as zeros all the same
};
// nsid may be every_namespace.
struct Flush {
  NamespaceId nsid{};
};
// The ranges are in the data: parse_dataset_ranges (dataset_management.h).
struct DatasetManagement {
  NamespaceId nsid{};
  std::uint32_t range_count = 0;  // 1..256
  bool integral_read = false;     // IDR and IDW are hints; a command without AD changes nothing
  bool integral_write = false;
  bool deallocate = false;  // AD
  DataPointer data{};
};
// Format of the source ranges.
enum class CopyFormat : std::uint8_t {
  same_namespace = 0,
  any_namespace = 2,  // only for hosts that have enabled it (Host Behavior Support)
};
// The ranges are in the data: copy_source (copy.h). They go one behind the other.
struct Copy {
  NamespaceId nsid{};  // of the destination
  engine::Lba destination{};
  std::uint32_t range_count = 0;  // 1..256
  CopyFormat format = CopyFormat::same_namespace;
  bool force_unit_access = false;
  bool limited_retry = false;
  DataPointer data{};
};

using IoCommand = std::variant<Read, Write, Flush, WriteZeroes, WriteUncorrectable,
                               DatasetManagement, Compare, Verify, Copy, ReservationRegister,
                               ReservationReport, ReservationAcquire, ReservationRelease>;

inline constexpr std::uint32_t dataset_range_bytes = 16;
inline constexpr std::uint32_t copy_range_bytes = 32;

namespace detail {
inline BlockRange block_range(const SubmissionEntry& entry, std::uint32_t cdw12) {
  return {.first = {entry.cdw10.value() | (std::uint64_t{entry.cdw11.value()} << 32)},
          .count = {std::uint64_t{cdw12 & 0xffffu} + 1}};
}
inline bool limited_retry_of(std::uint32_t cdw12) { return (cdw12 >> 31) != 0; }
inline bool force_unit_access_of(std::uint32_t cdw12) { return ((cdw12 >> 30) & 1u) != 0; }

// CDW12 bits 29:16 of the commands on a block range; `own_bits` are those that the command itself
// defines. PRINFO (29:26) and STC (24) ask for protection information, with which no namespace is
// formatted; DTYPE (23:20) needs an enabled directive, CETYPE (19:16) a format with KPIO, NSZ (23
// of Write Zeroes) ONCS.NSZS.
Refusal refused_control_bits(std::uint32_t cdw12);
inline bool has_refused_control_bits(std::uint32_t cdw12, std::uint32_t own_bits) {
  return (cdw12 & 0x3fff'0000u & ~own_bits) != 0;
}

template <class Command>
Parsed<IoCommand> with_data(const SubmissionEntry& entry, TransferDirection direction) {
  const std::uint32_t cdw12 = entry.cdw12;
  if (has_refused_control_bits(cdw12, 0)) [[unlikely]]
    return refused_control_bits(cdw12);
  auto data = parse_data_pointer(entry, direction);
  if (!data) [[unlikely]]
    return data.error();
  return IoCommand{Command{.nsid = {entry.nsid},
                           .blocks = block_range(entry, cdw12),
                           .force_unit_access = force_unit_access_of(cdw12),
                           .limited_retry = limited_retry_of(cdw12),
                           .data = data.value()}};
}
Parsed<IoCommand> parse_less_common(const SubmissionEntry& entry);
}  // namespace detail

// Parses an entry of an I/O queue (opcode 7Fh belongs to parse_fabrics_command and is refused
// here). The data length is not compared with the block count: that needs the namespace's block
// size. The halves of a fused Compare and Write are a Compare and a Write: that they are halves is
// for the caller to see. Refusals: invalid_opcode,
// invalid_field (other fused operations, PSDT, directives, formats of Copy),
// invalid_protection_information, sgl_*, data_sgl_length_invalid (DSM, Copy).
[[nodiscard]] inline Parsed<IoCommand> parse_io_command(const SubmissionEntry& entry) {
  if (entry.fuse() == 0) [[likely]] {
    if (entry.opcode == static_cast<std::uint8_t>(IoOpcode::read)) {
      return detail::with_data<Read>(entry, TransferDirection::controller_to_host);
    }
    if (entry.opcode == static_cast<std::uint8_t>(IoOpcode::write)) {
      return detail::with_data<Write>(entry, TransferDirection::host_to_controller);
    }
  }
  return detail::parse_less_common(entry);
}

// For log lines: "read", "write zeroes", ...; "unknown" for the rest.
[[nodiscard]] const char* io_opcode_name(std::uint8_t opcode);

}  // namespace protocol::nvme
