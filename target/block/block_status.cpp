#include "target/block/block_status.h"

#include <algorithm>

namespace target::block {

Extent mapped_from(const engine::Volume& volume, engine::Lba first) {
  return {.begin = first, .end = {volume.size().value}};
}

std::vector<Extent> lost_in(const engine::Volume& volume, const Extent& range) {
  std::vector<Extent> found;
  for (const engine::LostBlocks& each : volume.lost_blocks()) {
    const Extent part{.begin = std::max(each.lba, range.begin),
                      .end = std::min(each.lba + each.blocks, range.end)};
    if (part.begin < part.end) found.push_back(part);
  }
  return found;
}

}  // namespace target::block
