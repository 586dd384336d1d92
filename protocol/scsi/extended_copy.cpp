#include "protocol/scsi/extended_copy.h"

#include <algorithm>

#include "engine/foundation/byte_cursor.h"
#include "protocol/scsi/identity.h"
#include "protocol/wire/endian.h"
#include "protocol/wire/layout.h"

namespace protocol::scsi {

namespace {

// SPC-4, "EXTENDED COPY (LID1) parameter list".
struct CopyHeader {
  std::uint8_t list_id;
  std::uint8_t flags;  // STR 5, LIST ID USAGE 4:3, PRIORITY 2:0
  wire::be16 target_bytes;
  wire::Reserved<4> reserved4;
  wire::be32 segment_bytes;
  wire::be32 inline_bytes;
};
static_assert(wire::is_wire_struct<CopyHeader, copy_header_bytes>);

// SPC-4, "Identification descriptor CSCD descriptor", for a block device. LU ID TYPE and NUL of
// byte 1 are not looked at (SPC-4).
struct IdentificationTarget {
  std::uint8_t type;
  std::uint8_t peripheral;  // LU ID TYPE 7:6, NUL 5, PERIPHERAL DEVICE TYPE 4:0
  wire::be16 relative_initiator_port;
  std::uint8_t code_set;    // 3:0
  std::uint8_t designator;  // ASSOCIATION 5:4, DESIGNATOR TYPE 3:0
  std::uint8_t reserved6;
  std::uint8_t designator_bytes;
  std::array<std::byte, 20> designator_field;
  std::uint8_t pad;  // PAD 2
  wire::be24 block_bytes;
};
static_assert(wire::is_wire_struct<IdentificationTarget, 32>);

struct SegmentHeader {
  std::uint8_t type;
  std::uint8_t flags;  // DC 1, CAT 0
  wire::be16 length;   // of what stands behind it
};
static_assert(wire::is_wire_struct<SegmentHeader, 4>);

// SPC-4, "Block device to block device operations", 02h.
struct BlockSegment {
  SegmentHeader head;
  wire::be16 source;
  wire::be16 destination;
  wire::Reserved<2> reserved8;
  wire::be16 block_count;
  wire::be64 source_first;
  wire::be64 destination_first;
};
static_assert(wire::is_wire_struct<BlockSegment, 28>);

static_assert(max_copy_targets * sizeof(IdentificationTarget) +
                      max_copy_segments * sizeof(BlockSegment) <=
                  max_copy_descriptor_bytes,
              "the counts can be used together");

constexpr std::uint8_t block_to_block = copy_descriptor_types[0];
constexpr std::uint8_t identification = copy_descriptor_types[1];

// LIST ID USAGE.
constexpr std::uint8_t usage_hold = 0;
constexpr std::uint8_t usage_reserved = 1;
constexpr std::uint8_t usage_disabled = 3;

// SPC-4, "RECEIVE COPY OPERATING PARAMETERS parameter data".
struct OperatingParameters {
  wire::be32 available_data;
  std::uint8_t flags;  // SNLID 0
  wire::Reserved<3> reserved5;
  wire::be16 max_targets;
  wire::be16 max_segments;
  wire::be32 max_descriptor_bytes;
  wire::be32 max_segment_bytes;
  wire::be32 max_inline_bytes;
  wire::be32 held_data_bytes;
  wire::be32 max_stream_bytes;
  wire::Reserved<2> reserved32;
  wire::be16 total_concurrent;
  std::uint8_t max_concurrent;
  std::uint8_t segment_granularity;
  std::uint8_t inline_granularity;
  std::uint8_t held_data_granularity;
  wire::Reserved<3> reserved40;
  std::uint8_t descriptor_type_count;
};
static_assert(wire::is_wire_struct<OperatingParameters, 44>);
static_assert(offsetof(OperatingParameters, max_concurrent) == 36);

// SPC-4, "RECEIVE COPY STATUS (LID1) parameter data".
struct StatusData {
  wire::be32 available_data;
  std::uint8_t status;  // HDD 7, COPY COMMAND STATUS 6:0
  wire::be16 segments_processed;
  std::uint8_t transfer_count_units;
  wire::be32 transfer_count;
};
static_assert(wire::is_wire_struct<StatusData, 12>);

// SPC-4, "RECEIVE COPY FAILURE DETAILS (LID1) parameter data", without the sense data.
struct FailureDetails {
  wire::be32 available_data;
  wire::Reserved<52> reserved4;
  std::uint8_t copy_command_status;  // the status byte that EXTENDED COPY ended with
  std::uint8_t reserved57;
  wire::be16 sense_bytes;
};
static_assert(wire::is_wire_struct<FailureDetails, 60>);

constexpr std::uint8_t check_condition_status = 0x02;

Parsed<CopyTarget> parse_target(const IdentificationTarget& given, std::size_t at) {
  if (given.type != identification) return sense::unsupported_copy_target_type;
  if ((given.peripheral & 0x1f) != 0) return sense::unsupported_copy_target_type;
  if (given.designator_bytes > sizeof(given.designator_field)) {
    return sense::invalid_list(at + offsetof(IdentificationTarget, designator_bytes));
  }
  return CopyTarget{.code_set = static_cast<std::uint8_t>(given.code_set & 0x0f),
                    .association = static_cast<std::uint8_t>((given.designator >> 4) & 3u),
                    .designator_type = static_cast<std::uint8_t>(given.designator & 0x0f),
                    .designator = given.designator_field,
                    .designator_bytes = given.designator_bytes,
                    .block_bytes = given.block_bytes};
}

Parsed<void> parse_targets(std::span<const std::byte> targets, CopyList& list) {
  if (targets.size() % sizeof(IdentificationTarget) != 0) {
    return sense::invalid_list(offsetof(CopyHeader, target_bytes));
  }
  if (targets.size() / sizeof(IdentificationTarget) > max_copy_targets) {
    return sense::too_many_copy_targets;
  }
  engine::ByteReader reader(targets);
  while (const auto given = reader.read<IdentificationTarget>()) {
    const std::size_t at = copy_header_bytes + list.target_count * sizeof(IdentificationTarget);
    TRY(auto target, parse_target(*given, at));
    list.targets[list.target_count++] = target;
  }
  return engine::success();
}

// `start`: where `segments` are in the list.
Parsed<void> parse_segments(std::span<const std::byte> segments, std::size_t start,
                            CopyList& list) {
  std::size_t at = 0;
  while (at < segments.size()) {
    const auto rest = segments.subspan(at);
    if (list.segment_count == max_copy_segments) return sense::too_many_copy_segments;
    if (static_cast<std::uint8_t>(rest[0]) != block_to_block) {
      return sense::unsupported_copy_segment_type;
    }
    const auto given = engine::ByteReader(rest).read<BlockSegment>();
    // The list ends inside its last descriptor.
    if (!given) return sense::invalid_list(offsetof(CopyHeader, segment_bytes));
    if (given->head.length != sizeof(BlockSegment) - sizeof(SegmentHeader)) {
      return sense::invalid_list(start + at + offsetof(SegmentHeader, length));
    }
    list.segments[list.segment_count++] = {.source = given->source,
                                           .destination = given->destination,
                                           .destination_count = (given->head.flags & 0x02) != 0,
                                           .count = {given->block_count},
                                           .source_first = {given->source_first},
                                           .destination_first = {given->destination_first}};
    at += sizeof(BlockSegment);
  }
  return engine::success();
}

}  // namespace

Parsed<CopyList> parse_extended_copy(std::span<const std::byte> data) {
  CopyList list;
  if (data.empty()) return list;
  engine::ByteReader reader(data);
  const auto head = reader.read<CopyHeader>();
  if (!head) return sense::parameter_list_length_error;
  const std::uint64_t target_bytes = head->target_bytes;
  const std::uint64_t segment_bytes = head->segment_bytes;
  if (target_bytes + segment_bytes > reader.remaining() ||
      target_bytes + segment_bytes > max_copy_descriptor_bytes) {
    return sense::parameter_list_length_error;
  }
  if (head->inline_bytes != 0) return sense::copy_inline_data_too_long;
  const auto usage = static_cast<std::uint8_t>((head->flags >> 3) & 3u);
  if (usage == usage_reserved) return sense::invalid_list(offsetof(CopyHeader, flags), 4);
  if (usage == usage_disabled && head->list_id != 0) return sense::invalid_list(0);
  list.list_id = head->list_id;
  list.results_kept = usage == usage_hold;
  list.sequential_striped = (head->flags & 0x20) != 0;
  const auto targets = reader.take(static_cast<std::size_t>(target_bytes));
  const auto segments = reader.take(static_cast<std::size_t>(segment_bytes));
  TRY(parse_targets(*targets, list));
  TRY(parse_segments(*segments, copy_header_bytes + target_bytes, list));
  return list;
}

bool names_volume(const CopyTarget& target, const engine::Uuid& volume) {
  constexpr std::uint8_t binary = 1;
  constexpr std::uint8_t naa_type = 3;
  constexpr std::uint8_t uuid_type = 0xa;
  if (target.association != 0 || target.code_set != binary) return false;
  const auto is = [&](const auto& designator) {
    return std::ranges::equal(target.designator_span(), designator);
  };
  if (target.designator_type == naa_type) return is(naa_of(volume));
  if (target.designator_type == uuid_type) return is(uuid_designator_of(volume));
  return false;
}

void put_copy_operating_parameters(Answer& answer, const CopyLimits& limits) {
  OperatingParameters made{};
  made.available_data = static_cast<std::uint32_t>(sizeof(made) - sizeof(made.available_data) +
                                                   copy_descriptor_types.size());
  made.flags = 0x01;
  made.max_targets = max_copy_targets;
  made.max_segments = max_copy_segments;
  made.max_descriptor_bytes = max_copy_descriptor_bytes;
  made.max_segment_bytes = limits.max_segment_bytes;
  made.total_concurrent = limits.max_concurrent;
  made.max_concurrent = limits.max_concurrent;
  made.descriptor_type_count = copy_descriptor_types.size();
  answer.put(made);
  answer.put(copy_descriptor_types);
}

void put_copy_status(Answer& answer, const CopyStatus& status) {
  StatusData made{};
  made.available_data = sizeof(made) - sizeof(made.available_data);
  made.status = static_cast<std::uint8_t>(status.state);
  made.segments_processed = status.segments_processed;
  made.transfer_count = status.bytes_moved;
  answer.put(made);
}

void put_failed_segment(Answer& answer, const std::optional<Sense>& failure) {
  if (!failure) {
    answer.put(wire::be32{});
    return;
  }
  const auto sense_data = encode_sense(*failure, SenseFormat::fixed);
  FailureDetails made{};
  made.available_data =
      static_cast<std::uint32_t>(sizeof(made) - sizeof(made.available_data) + sense_data.size);
  made.copy_command_status = check_condition_status;
  made.sense_bytes = sense_data.size;
  answer.put(made);
  answer.put_bytes(sense_data.span());
}

}  // namespace protocol::scsi
