// LostRanges: what of a volume nobody has any more, as its record in the pool lists it.
// docs/pool-format.md, "Lost ranges".
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "engine/foundation/units.h"

namespace engine {

struct LostRange {
  Sector begin;
  SectorCount count;
  [[nodiscard]] Sector end() const { return begin + count; }
  [[nodiscard]] bool overlaps(const LostRange& other) const {
    return begin < other.end() && other.begin < end();
  }
  friend bool operator==(const LostRange&, const LostRange&) = default;
};

// Invariants: ascending, not empty, with at least one sector between any two; at most `most`.
class LostRanges {
 public:
  static constexpr std::size_t most = 24;  // that the record has room for
  // No more than so many come in: the rest is for those that a write cuts in two.
  static constexpr std::size_t most_added = 16;
  // And of those no more, as long as there are so many, that hosts have asked for.
  static constexpr std::size_t most_by_hosts = 8;

  // False: it would make them more than `at_most`, which there is no room for; nothing has changed.
  [[nodiscard]] bool add(const LostRange& range, std::size_t at_most = most_added);
  [[nodiscard]] bool remove(const LostRange& range);
  // Behind the last, with something between; for who reads a record.
  void append(const LostRange& range) { ranges_.push_back(range); }

  // Whether all of it is lost, or anything of it.
  [[nodiscard]] bool holds(const LostRange& range) const;
  [[nodiscard]] bool touches(const LostRange& range) const;

  [[nodiscard]] bool empty() const { return ranges_.empty(); }
  [[nodiscard]] std::span<const LostRange> all() const { return ranges_; }
  [[nodiscard]] SectorCount sectors() const;
  // Behind which nothing is lost.
  [[nodiscard]] Sector end() const { return ranges_.empty() ? Sector{} : ranges_.back().end(); }
  // For the operator: how much, and where.
  [[nodiscard]] std::string text() const;
  friend bool operator==(const LostRanges&, const LostRanges&) = default;

 private:
  std::vector<LostRange> ranges_;
};

}  // namespace engine
