#include "target/block/extent.h"

#include <algorithm>

namespace target::block {

std::span<const Extent> join(std::span<Extent> extents) {
  std::sort(extents.begin(), extents.end(),
            [](const Extent& a, const Extent& b) { return a.begin < b.begin; });
  std::size_t count = 0;
  for (const Extent& extent : extents) {
    if (extent.begin == extent.end) continue;
    if (count != 0 && extent.begin <= extents[count - 1].end) {
      extents[count - 1].end = std::max(extents[count - 1].end, extent.end);
    } else {
      extents[count++] = extent;
    }
  }
  return extents.first(count);
}

}  // namespace target::block
