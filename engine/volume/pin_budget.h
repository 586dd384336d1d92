// PinBudget: how much of a volume's cache replies may keep from being given up.
#pragma once

#include <atomic>
#include <cstdint>

namespace engine {

// A host that reads one block of each segment, and then takes none of it from its socket, would
// hold the whole cache: so each pin counts as a segment, and all of them together are at most one
// part of those that the volume has. Any thread.
class PinBudget {
 public:
  static constexpr std::uint32_t parts = 8;

  PinBudget() = default;
  PinBudget(const PinBudget&) = delete;
  PinBudget& operator=(const PinBudget&) = delete;

  // How many segments the volume has now; none until told.
  void set_segments(std::uint32_t segments) {
    most_.store(segments / parts, std::memory_order_relaxed);
  }
  // False: that would be too many, and nothing is taken.
  [[nodiscard]] bool take(std::uint32_t pins) {
    const std::uint32_t before = pins_.fetch_add(pins, std::memory_order_relaxed);
    if (before + pins <= most_.load(std::memory_order_relaxed)) return true;
    give_back(pins);
    return false;
  }
  void give_back(std::uint32_t pins) { pins_.fetch_sub(pins, std::memory_order_relaxed); }
  [[nodiscard]] std::uint32_t taken() const { return pins_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint32_t> most_{0};
  std::atomic<std::uint32_t> pins_{0};
};

}  // namespace engine
