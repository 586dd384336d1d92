// DirtyAge: how long the oldest of what is dirty has been so.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>

#include "engine/foundation/clock.h"

namespace engine {

// One thread's, which looks some ten times a second; what came between two looks counts from the
// later one. What was dirty already at the first look counts from then. The longer something is
// dirty, the coarser: what is told is too old then by at most a hundredth.
class DirtyAge {
 public:
  // `dirty_tail`: up to there the backing has everything; `published`: the end of the log.
  void look(Instant now, std::uint64_t dirty_tail, std::uint64_t published) {
    while (!marks_.empty() && marks_.front().last <= dirty_tail) marks_.pop_front();
    if (marks_.empty()) spacing_ = {};
    if (published <= (marks_.empty() ? dirty_tail : marks_.back().last)) return;
    if (!marks_.empty() && now - marks_.back().since < spacing_) {
      marks_.back().last = published;
      return;
    }
    marks_.push_back({.last = published, .since = now});
    if (marks_.size() > most_marks) thin_out();
  }
  // Zero: nothing is.
  [[nodiscard]] Duration at(Instant now) const {
    return marks_.empty() ? Duration{} : now - marks_.front().since;
  }

 private:
  struct Mark {
    std::uint64_t last = 0;  // of the ksets that came since the mark before
    Instant since;
  };
  static constexpr std::size_t most_marks = 256;

  // Two neighbours become one, as old as the older: never younger than it is.
  void thin_out() {
    std::deque<Mark> fewer;
    for (std::size_t i = 0; i + 1 < marks_.size(); i += 2) {
      fewer.push_back({.last = marks_[i + 1].last, .since = marks_[i].since});
    }
    if (marks_.size() % 2 != 0) fewer.push_back(marks_.back());
    marks_.swap(fewer);
    spacing_ = (marks_.back().since - marks_.front().since) / (most_marks / 2);
  }

  std::deque<Mark> marks_;
  Duration spacing_{};  // at least, between two new ones
};

}  // namespace engine
