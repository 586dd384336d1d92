// ExtentAllocator: which units of a device pool nobody has.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <vector>

#include "engine/pool/extent_map.h"

namespace engine {

// Invariants: gaps are inside the pool, apart from each other, and disjoint from what has been
// given out.
class ExtentAllocator {
 public:
  // Of a pool of so many units, all of them free.
  explicit ExtentAllocator(std::uint64_t units);

  // Somebody has these units, which were free.
  void take(std::span<const ExtentRun> runs);
  [[nodiscard]] std::uint64_t free_units() const { return free_; }

  // Gives `count` more units to the end of a volume that has `runs`: what is free behind its last
  // one; of the rest all in the first gap that has room, or else what the first gaps have. False:
  // there are not so many, and nothing has changed.
  [[nodiscard]] bool append(std::vector<ExtentRun>& runs, std::uint64_t count);
  // Units `begin` to `end` are not given out, as far as they are free.
  void withhold(std::uint64_t begin, std::uint64_t end);
  // Takes back what the volume has behind its first `kept` units.
  void trim(std::vector<ExtentRun>& runs, std::uint64_t kept);

 private:
  // Moves the first `count` units of a gap to the end of `runs`.
  void move(std::map<std::uint64_t, std::uint64_t>::iterator gap, std::uint64_t count,
            std::vector<ExtentRun>& runs);
  void put_back(std::uint64_t begin, std::uint64_t count);

  std::map<std::uint64_t, std::uint64_t> gaps_;  // from first unit to count
  std::uint64_t free_ = 0;
};

}  // namespace engine
