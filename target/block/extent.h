// Extent: blocks in a row.
#pragma once

#include <span>

#include "engine/foundation/units.h"

namespace target::block {

// Blocks from `begin` up to, but without, `end`.
struct Extent {
  engine::Lba begin;
  engine::Lba end;
};

// The same blocks, ascending and disjoint, in the front of `extents`; empty ones are left out, and
// those that overlap or touch are one.
[[nodiscard]] std::span<const Extent> join(std::span<Extent> extents);

}  // namespace target::block
