#include "engine/pool/member_label.h"

#include <string>

#include "engine/foundation/check.h"
#include "engine/foundation/guard.h"
#include "engine/pool/checked_struct.h"

namespace engine {
namespace {

PoolError member_label_damaged(const std::string& what) {
  return {PoolError::Kind::damaged, "the member's label is damaged (" + what + ")"};
}

PoolError unsupported_member(const std::string& what) {
  return {PoolError::Kind::unsupported, "the member's label " + what +
                                            ", which this version does not know; use a newer "
                                            "Forebay"};
}

bool valid(const LabelArea& area) {
  constexpr std::uint64_t block = format::label_block_bytes;
  const bool is_cut_in_blocks = area.bytes.value % block == 0 && area.slot_bytes.value % block == 0;
  return is_cut_in_blocks && area.bytes.value <= format::most_label_area_bytes &&
         area.slot_bytes.value >= 2 * block && area.slot_bytes <= area.bytes &&
         area.marker_places != 0 && area.marker_places <= format::most_marker_places &&
         area.marker(area.marker_places) <= area.second_label();
}

}  // namespace

bool MemberLabel::is_beside(const MemberLabel& other) const {
  return pool == other.pool && layout == other.layout && chunk == other.chunk &&
         slice == other.slice && area == other.area;
}

bool valid(const MemberLabel& label) {
  if (label.pool.is_nil() || label.member.is_nil() || label.index >= label.members) return false;
  if (label.members > format::most_members || !valid(label.area)) return false;
  return valid(PoolShape{.layout = label.layout,
                         .chunk = label.chunk,
                         .slice = label.slice,
                         .data_offset = label.area.bytes,
                         .member_slices = std::vector(label.members, label.slices)});
}

std::vector<std::byte> encode(const MemberLabel& label) {
  CHECK(valid(label));
  format::MemberLabel media{};
  media.magic = format::member_label_magic;
  media.version = format::device_pool_version;
  media.pool_uuid = label.pool.bytes;
  media.member_uuid = label.member.bytes;
  media.created_ms = label.created_ms;
  media.index = label.index;
  media.members = label.members;
  media.layout = static_cast<std::uint32_t>(label.layout);
  media.marker_places = label.area.marker_places;
  media.chunk_bytes = label.chunk.value;
  media.slice_bytes = label.slice.value;
  media.label_area_bytes = label.area.bytes.value;
  media.slot_bytes = label.area.slot_bytes.value;
  media.slices = label.slices;
  seal(media);
  const auto bytes = bytes_of(media);
  return {bytes.begin(), bytes.end()};
}

bool begins_as_member_label(std::span<const std::byte> block) {
  const auto magic = ByteReader(block).read<std::array<char, 8>>();
  return magic && *magic == format::member_label_magic;
}

Result<MemberLabel, PoolError> decode_member_label(std::span<const std::byte> block) {
  if (!begins_as_member_label(block)) {
    return PoolError{PoolError::Kind::not_labelled, "there is no label of a Forebay pool on it"};
  }
  const auto media = ByteReader(block).read<format::MemberLabel>();
  if (!media) return member_label_damaged("it is too short");
  if (GUARD("member label crc") && !is_sealed(*media)) {
    return member_label_damaged("its checksum does not match");
  }
  if (media->version != format::device_pool_version) {
    return unsupported_member("has format version " + std::to_string(media->version));
  }
  if (media->features.read_only != 0 || media->features.incompatible != 0) {
    return unsupported_member("asks for features");
  }
  const MemberLabel label{.pool = {media->pool_uuid},
                          .member = {media->member_uuid},
                          .created_ms = media->created_ms,
                          .index = media->index,
                          .members = media->members,
                          .layout = static_cast<format::MemberLayout>(media->layout.value()),
                          .chunk = {media->chunk_bytes},
                          .slice = {media->slice_bytes},
                          .area = {.bytes = {media->label_area_bytes},
                                   .slot_bytes = {media->slot_bytes},
                                   .marker_places = media->marker_places},
                          .slices = media->slices};
  if (!valid(label)) return member_label_damaged("it has impossible values");
  return label;
}

}  // namespace engine
