// LogTimes: in which kset of a volume's log each of its commands is, as far as anybody knows.
#pragma once

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

#include "engine/foundation/check.h"

namespace engine::test {

// A command is wholly in one kset, and ksets are in the order of commands.
class LogTimes {
 public:
  // One more command.
  void queued() { bounds_.push_back({.least = last_known_ + 1, .most = ~std::uint64_t{0}}); }
  void logged(std::size_t command, std::uint64_t sequence) {
    bounds_[command] = {.least = sequence, .most = sequence};
    last_known_ = sequence;
  }
  // The log ends with kset `last`, and has so many commands.
  void recovered(std::size_t commands, std::uint64_t last) {
    CHECK(commands <= bounds_.size());
    bounds_.resize(commands);
    for (Bounds& bounds : bounds_) bounds.most = std::min(bounds.most, last);
    last_known_ = std::max(last_known_, last);
  }

  // How many commands are in the ksets up to there: at least and at most.
  [[nodiscard]] std::pair<std::size_t, std::size_t> commands_up_to(std::uint64_t sequence) const {
    std::size_t least = 0;
    while (least < bounds_.size() && bounds_[least].most <= sequence) ++least;
    std::size_t most = least;
    while (most < bounds_.size() && bounds_[most].least <= sequence) ++most;
    return {least, most};
  }

 private:
  struct Bounds {
    std::uint64_t least = 0;
    std::uint64_t most = 0;
  };
  std::vector<Bounds> bounds_;
  std::uint64_t last_known_ = 0;
};

}  // namespace engine::test
