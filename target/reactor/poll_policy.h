// PollPolicy: how long a reactor looks for work by itself before it sleeps in the kernel.
#pragma once

#include <algorithm>
#include <cstdint>

#include "engine/foundation/clock.h"

namespace target {

// Polling saves the wake-up of a sleeping thread while requests come one after the other; it costs
// a core when nothing comes and it costs the peer its core when both share one. So: poll for as
// long as it pays. Pure; one thread.
class PollPolicy {
 public:
  // longest: after the last activity; 0 never polls.
  explicit PollPolicy(engine::Duration longest) : longest_(longest), budget_(longest) {}

  [[nodiscard]] engine::Duration budget() const { return budget_; }

  // Polling found work.
  void found() {
    fruitless_ = 0;
    crowded_hold_ = shortest_hold;
  }
  // Polled for the whole budget in vain.
  void gave_up() {
    if (++fruitless_ < tolerated_failures) return;
    budget_ /= 2;
    if (budget_ < longest_ / 16) budget_ = {};
  }
  // Somebody else wants this core: give it away at once, and ask again only after many sleeps.
  void crowded() {
    budget_ = {};
    hold_ = crowded_hold_;
    crowded_hold_ = std::min(2 * crowded_hold_, longest_hold);
  }
  // Slept for `length` until work came. Sleeps that polling would have bridged bring it back.
  void slept(engine::Duration length) {
    if (hold_ != 0) {
      --hold_;
      return;
    }
    if (length > longest_) {
      short_sleeps_ = 0;
      return;
    }
    if (++short_sleeps_ < convincing_sleeps) return;
    short_sleeps_ = 0;
    fruitless_ = 0;
    budget_ = longest_;
  }

 private:
  static constexpr std::uint32_t tolerated_failures = 4;
  static constexpr std::uint32_t convincing_sleeps = 3;
  static constexpr std::uint32_t shortest_hold = 64;
  static constexpr std::uint32_t longest_hold = 4096;

  const engine::Duration longest_;
  engine::Duration budget_;
  std::uint32_t fruitless_ = 0;
  std::uint32_t short_sleeps_ = 0;
  std::uint32_t hold_ = 0;
  std::uint32_t crowded_hold_ = shortest_hold;
};

}  // namespace target
