// Submission and completion queue entries as they lie on the wire.
#pragma once

#include <boost/endian/arithmetic.hpp>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "protocol/nvme/status.h"

namespace protocol::nvme {

namespace wire_types {
using U16 = boost::endian::little_uint16_t;
using U32 = boost::endian::little_uint32_t;
using U64 = boost::endian::little_uint64_t;
}  // namespace wire_types

// One SGL descriptor, 16 bytes (Base 2.1, "SGL Descriptor"). Meaning: see sgl.h.
struct SglDescriptor {
  wire_types::U64 address;  // Data Block with Offset subtype: offset into the capsule's data
  wire_types::U32 length;   // bytes
  std::uint8_t reserved[3];
  std::uint8_t identifier;  // type 7:4, subtype 3:0
};
static_assert(sizeof(SglDescriptor) == 16 && alignof(SglDescriptor) == 1);
static_assert(offsetof(SglDescriptor, length) == 8);
static_assert(offsetof(SglDescriptor, identifier) == 15);

// A submission queue entry of Admin and I/O commands. Fabrics commands (opcode 7Fh) carry FCTYPE in
// byte 4.
struct SubmissionEntry {
  std::uint8_t opcode;
  std::uint8_t flags;  // FUSE 1:0, PSDT 7:6
  wire_types::U16 command_id;
  wire_types::U32 nsid;
  wire_types::U32 cdw2;
  wire_types::U32 cdw3;
  wire_types::U64 metadata_pointer;
  SglDescriptor data_pointer;
  wire_types::U32 cdw10;
  wire_types::U32 cdw11;
  wire_types::U32 cdw12;
  wire_types::U32 cdw13;
  wire_types::U32 cdw14;
  wire_types::U32 cdw15;

  [[nodiscard]] unsigned fuse() const { return flags & 3u; }
  [[nodiscard]] unsigned psdt() const { return flags >> 6; }
  // Byte 4; meaningful only when opcode is fabrics_opcode.
  [[nodiscard]] std::uint8_t fabrics_type() const {
    return static_cast<std::uint8_t>(nsid.value() & 0xffu);
  }
};
static_assert(sizeof(SubmissionEntry) == 64 && alignof(SubmissionEntry) == 1);
static_assert(offsetof(SubmissionEntry, command_id) == 2);
static_assert(offsetof(SubmissionEntry, nsid) == 4);
static_assert(offsetof(SubmissionEntry, metadata_pointer) == 16);
static_assert(offsetof(SubmissionEntry, data_pointer) == 24);
static_assert(offsetof(SubmissionEntry, cdw10) == 40);
static_assert(offsetof(SubmissionEntry, cdw15) == 60);
static_assert(std::is_trivially_copyable_v<SubmissionEntry> &&
              std::is_standard_layout_v<SubmissionEntry>);

// FUSE: halves of a fused operation, next to each other in their queue (Base 2.1, "Fused
// Operations").
inline constexpr unsigned fuse_first = 1;
inline constexpr unsigned fuse_second = 2;

// PSDT 01b: SGL, metadata (which we never have) by address. The only value that Fabrics hosts use.
inline constexpr unsigned psdt_sgl = 1;

struct CompletionEntry {
  wire_types::U32 dword0;
  wire_types::U32 dword1;
  wire_types::U16 sq_head;  // 0 on queues with SQ flow control disabled
  wire_types::U16 sq_id;    // reserved (0) in Fabrics
  wire_types::U16 command_id;
  wire_types::U16 status;  // Status::field()
};
static_assert(sizeof(CompletionEntry) == 16 && alignof(CompletionEntry) == 1);
static_assert(offsetof(CompletionEntry, sq_head) == 8);
static_assert(offsetof(CompletionEntry, command_id) == 12);
static_assert(offsetof(CompletionEntry, status) == 14);
static_assert(std::is_trivially_copyable_v<CompletionEntry> &&
              std::is_standard_layout_v<CompletionEntry>);

[[nodiscard]] inline CompletionEntry make_completion(std::uint16_t command_id, Status status,
                                                     std::uint16_t sq_head,
                                                     std::uint64_t result = 0) {
  CompletionEntry entry{};
  entry.dword0 = static_cast<std::uint32_t>(result);
  entry.dword1 = static_cast<std::uint32_t>(result >> 32);
  entry.sq_head = sq_head;
  entry.command_id = command_id;
  entry.status = status.field();
  return entry;
}

// Bits 1:0 of every opcode (Base 2.1, "Opcode: Data Transfer").
enum class TransferDirection : std::uint8_t {
  none = 0,
  host_to_controller = 1,
  controller_to_host = 2,
  bidirectional = 3,
};
// Of a command; Fabrics commands have theirs in FCTYPE.
[[nodiscard]] inline TransferDirection transfer_direction(const SubmissionEntry& entry) {
  const std::uint8_t code = entry.opcode == 0x7f ? entry.fabrics_type() : entry.opcode;
  return static_cast<TransferDirection>(code & 3u);
}

}  // namespace protocol::nvme
