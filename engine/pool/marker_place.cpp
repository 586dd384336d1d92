#include "engine/pool/marker_place.h"

#include <algorithm>
#include <vector>

#include "engine/pool/member_set.h"

namespace engine {

Result<std::optional<StoredMark>, PoolError> read_marker(PoolMember& disk, MediaOffset place,
                                                         const Uuid& volume) {
  std::vector<std::byte> bytes(marker_bytes);
  const auto read = disk.read(place, bytes);
  if (!read) return member_io_error(disk, "a marker cannot be read", read.error());
  bytes.resize(read.value());
  const auto stored = decode_marker(bytes, volume);
  if (stored) return std::optional(stored.value());
  // Slot 0 is durable before slot 1 is written for the first time.
  const auto second = std::span(bytes).subspan(std::min(bytes.size(), marker_slot_bytes));
  const bool was_never_whole =
      std::ranges::all_of(second, [](std::byte byte) { return byte == std::byte{}; });
  if (stored.error().kind == PoolError::Kind::damaged && was_never_whole) {
    return std::optional<StoredMark>();
  }
  return PoolError{stored.error().kind, name_of(disk.info()) + ": " + stored.error().text};
}

Result<void, PoolError> write_marker(PoolMember& disk, MediaOffset place,
                                     const StoredMark& stored) {
  for (unsigned slot = 0; slot < 2; ++slot) {
    auto written =
        disk.write(place + ByteCount{slot * marker_slot_bytes}, encode_marker_slot(stored, slot));
    if (written) written = disk.sync();
    if (!written) return member_io_error(disk, "a marker cannot be written", written.error());
  }
  return success();
}

Result<void, PoolError> clear_marker(PoolMember& disk, MediaOffset place) {
  const auto cleared = disk.zero(place, ByteCount{marker_bytes});
  if (!cleared) return member_io_error(disk, "a marker cannot be cleared", cleared.error());
  return success();
}

}  // namespace engine
