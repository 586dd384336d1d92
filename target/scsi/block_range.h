// What commands on blocks are held to.
#pragma once

#include <optional>

#include "protocol/scsi/command.h"
#include "protocol/scsi/sense.h"
#include "target/scsi/itl_nexus.h"

namespace target::scsi {

[[nodiscard]] inline engine::BlockSize block_size(const ItlNexus& itl) {
  return itl.volume().volume().identity().block_size;
}
[[nodiscard]] inline engine::BlockCount size_of(const ItlNexus& itl) {
  return itl.volume().volume().size();
}

// 21/00 unless all the blocks exist. INFORMATION is the first that does not.
[[nodiscard]] inline std::optional<protocol::scsi::Sense> check_range(
    const ItlNexus& itl, protocol::scsi::BlockRange blocks) {
  const std::uint64_t size = size_of(itl).value;
  if (blocks.first.value <= size && blocks.count.value <= size - blocks.first.value) {
    return std::nullopt;
  }
  return protocol::scsi::sense::lba_out_of_range;
}

// The same for so many blocks at most: more is an invalid field (SBC-4, "MAXIMUM TRANSFER LENGTH
// field" and its like).
[[nodiscard]] inline std::optional<protocol::scsi::Sense> check_range(
    const ItlNexus& itl, protocol::scsi::BlockRange blocks, engine::BlockCount most) {
  if (blocks.count > most) return protocol::scsi::sense::invalid_field_in_cdb;
  return check_range(itl, blocks);
}

// To the end of the unit where a count of 0 says so.
[[nodiscard]] inline protocol::scsi::BlockRange to_the_end(const ItlNexus& itl,
                                                           protocol::scsi::BlockRange blocks) {
  const engine::Lba end{size_of(itl).value};
  if (blocks.count.value == 0 && blocks.first < end) blocks.count = end - blocks.first;
  return blocks;
}

}  // namespace target::scsi
