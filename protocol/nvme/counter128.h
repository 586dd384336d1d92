// The 16-byte little endian counters of SMART and capacity fields. We never count past 64 bits.
#pragma once

#include <cstddef>

#include "protocol/nvme/entries.h"

namespace protocol::nvme {

struct Counter128 {
  wire_types::U64 low;
  wire_types::U64 high;
};
static_assert(sizeof(Counter128) == 16 && alignof(Counter128) == 1);

}  // namespace protocol::nvme
