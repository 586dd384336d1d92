// EXTENDED COPY (LID1) parameter lists and RECEIVE COPY RESULTS data (SPC-4): segments from block
// device to block device (02h) between units named by identification descriptors (E4h).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "engine/foundation/units.h"
#include "engine/foundation/uuid.h"
#include "protocol/scsi/answer.h"
#include "protocol/scsi/command.h"
#include "protocol/scsi/sense.h"

namespace protocol::scsi {

inline constexpr std::uint16_t max_copy_targets = 8;    // MAXIMUM CSCD DESCRIPTOR COUNT
inline constexpr std::uint16_t max_copy_segments = 16;  // MAXIMUM SEGMENT DESCRIPTOR COUNT
// Of all descriptors; a list of so many targets and segments is shorter, so that counts are told
// from lengths.
inline constexpr std::uint32_t max_copy_descriptor_bytes = 1024;
inline constexpr std::uint32_t copy_header_bytes = 16;
inline constexpr std::uint32_t max_extended_copy_bytes =
    copy_header_bytes + max_copy_descriptor_bytes;

// What is understood, ascending: segments from block device to block device, and targets by
// identification descriptor.
inline constexpr std::array<std::uint8_t, 2> copy_descriptor_types{0x02, 0xe4};

// A CSCD: which unit is meant. The designator is compared with those of VPD page 83h, byte for
// byte.
struct CopyTarget {
  std::uint8_t code_set = 0;     // 1 binary, 2 ASCII, 3 UTF-8
  std::uint8_t association = 0;  // 0: the logical unit
  std::uint8_t designator_type = 0;
  std::array<std::byte, 20> designator{};
  std::uint8_t designator_bytes = 0;  // at most 20
  std::uint32_t block_bytes = 0;      // DISK BLOCK LENGTH
  [[nodiscard]] std::span<const std::byte> designator_span() const {
    return std::span(designator).first(designator_bytes);
  }
};

struct CopySegment {
  std::uint16_t source = 0;       // into targets; it may be beyond them: COPY ABORTED
  std::uint16_t destination = 0;  // likewise
  bool destination_count =
      false;  // DC: `count` is in blocks of the destination, else of the source
  engine::BlockCount count{};
  engine::Lba source_first{};
  engine::Lba destination_first{};
};

struct CopyList {
  std::uint8_t list_id = 0;
  // LIST ID USAGE: 11b (or 10b with list_id 0): the identifier is not kept, nothing can be asked
  // of the copy later.
  bool results_kept = true;
  bool sequential_striped = false;  // STR: a hint
  std::array<CopyTarget, max_copy_targets> targets{};
  std::array<CopySegment, max_copy_segments> segments{};
  std::uint16_t target_count = 0;
  std::uint16_t segment_count = 0;
  [[nodiscard]] std::span<const CopyTarget> target_span() const {
    return std::span(targets).first(target_count);
  }
  [[nodiscard]] std::span<const CopySegment> segment_span() const {
    return std::span(segments).first(segment_count);
  }
};

// `data` as it came; an empty one (PARAMETER LIST LENGTH 0) is an empty list.
// Errors: parameter_list_length_error: shorter than its lengths say, or longer than
// max_copy_descriptor_bytes; too_many_copy_targets, too_many_copy_segments,
// unsupported_copy_target_type, unsupported_copy_segment_type, copy_inline_data_too_long,
// invalid_list.
[[nodiscard]] Parsed<CopyList> parse_extended_copy(std::span<const std::byte> data);

// Whether a target names the unit with these designators, as put_vpd_page shows them for
// association 0 (NAA, T10 vendor, UUID).
[[nodiscard]] bool names_volume(const CopyTarget& target, const engine::Uuid& volume);

struct CopyLimits {
  std::uint32_t max_segment_bytes = 0;  // MAXIMUM SEGMENT LENGTH
  std::uint8_t max_concurrent = 1;      // MAXIMUM CONCURRENT COPIES
};
void put_copy_operating_parameters(Answer& answer, const CopyLimits& limits);

struct CopyStatus {
  enum class State : std::uint8_t { in_progress = 0, completed = 1, failed = 2 };
  State state = State::completed;
  std::uint16_t segments_processed = 0;
  std::uint32_t bytes_moved = 0;  // shown in bytes (TRANSFER COUNT UNITS 0)
};
void put_copy_status(Answer& answer, const CopyStatus& status);

// Of a copy that failed: the sense data it was answered with. nullopt: it did not fail, there are
// no details to tell.
void put_failed_segment(Answer& answer, const std::optional<Sense>& failure);

}  // namespace protocol::scsi
