#include "engine/pool/pool_label.h"

#include "engine/format/pool_format.h"
#include "engine/foundation/guard.h"
#include "engine/pool/checked_struct.h"

namespace engine {
namespace {

PoolError pool_label_damaged(const char* what) {
  return {PoolError::Kind::damaged, std::string("the label is damaged (") + what + ")"};
}

PoolError unsupported_label(const std::string& what) {
  return {PoolError::Kind::unsupported,
          "the label " + what + ", which this version does not know; use a newer Forebay"};
}

}  // namespace

std::vector<std::byte> encode(const PoolLabel& label) {
  format::PoolLabel media{};
  media.magic = format::pool_label_magic;
  media.version = format::pool_format_version;
  media.pool_uuid = label.pool_uuid.bytes;
  media.created_ms = label.created_ms;
  media.kind = format::pool_kind_file;
  seal(media);
  const auto bytes = bytes_of(media);
  return {bytes.begin(), bytes.end()};
}

Result<PoolLabel, PoolError> decode_pool_label(std::span<const std::byte> bytes) {
  if (bytes.size() != sizeof(format::PoolLabel))
    return pool_label_damaged("its length is not 4096 bytes");
  const auto media = *ByteReader(bytes).read<format::PoolLabel>();
  if (media.magic != format::pool_label_magic)
    return pool_label_damaged("it does not begin as a label does");
  if (GUARD("pool label crc") && !is_sealed(media))
    return pool_label_damaged("its checksum does not match");
  if (media.version != format::pool_format_version) {
    return unsupported_label("has format version " + std::to_string(media.version));
  }
  if (media.features.read_only != 0 || media.features.incompatible != 0) {
    return unsupported_label("asks for features");
  }
  if (media.kind != format::pool_kind_file) {
    return unsupported_label("is of a pool of kind " + std::to_string(media.kind));
  }
  const PoolLabel label{.pool_uuid = {media.pool_uuid}, .created_ms = media.created_ms};
  if (label.pool_uuid.is_nil()) return pool_label_damaged("it has no UUID");
  return label;
}

}  // namespace engine
