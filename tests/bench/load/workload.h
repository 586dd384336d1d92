// Which I/O comes next: read or write, and where. A unit is one I/O of the run's block size.
#pragma once

#include <cstdint>

#include "engine/foundation/random.h"
#include "tests/bench/load/options.h"

namespace bench {

// A piece of the namespace, in units.
struct Region {
  std::uint64_t first = 0;
  std::uint64_t units = 0;
};

struct Operation {
  bool read = true;
  std::uint64_t unit = 0;
};

// One stream of operations; each connection has its own. Repeats exactly from its seed.
class Workload {
 public:
  // `start` is the unit (within the region) where a sequential stream begins.
  Workload(Region region, Pattern pattern, std::uint32_t read_percent, std::uint64_t seed,
           std::uint64_t start)
      : region_(region),
        pattern_(pattern),
        read_percent_(read_percent),
        random_(seed),
        next_(region.units == 0 ? 0 : start % region.units) {}

  // The region must not be empty.
  [[nodiscard]] Operation next();

 private:
  Region region_;
  Pattern pattern_;
  std::uint32_t read_percent_;
  engine::SeededRandom random_;
  std::uint64_t next_;
};

}  // namespace bench
