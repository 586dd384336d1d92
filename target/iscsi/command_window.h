// CommandWindow: which CmdSN comes next, and how many more commands the initiator may send
// (RFC 7143, 4.2.2.1).
#pragma once

#include <algorithm>
#include <cstdint>

namespace target::iscsi {

// Serial number arithmetic (RFC 1982): whether `a` comes behind `b`.
[[nodiscard]] constexpr bool is_behind(std::uint32_t a, std::uint32_t b) {
  return a != b && a - b < 0x8000'0000U;
}

// Invariant: MaxCmdSN never goes back, and never promises more than there are slots for.
class CommandWindow {
 public:
  // `first`: the CmdSN of the first command. `depth`: 1 .. 65535 may be outstanding.
  void begin(std::uint32_t first, std::uint32_t depth) {
    expected_ = first;
    highest_ = first - 1;
    depth_ = depth;
    outstanding_ = 0;
  }

  enum class Order : std::uint8_t {
    next,
    outside,  // of the window: to be ignored
    gap,      // commands before it are missing, and on one connection none can come later
  };
  [[nodiscard]] Order order_of(std::uint32_t cmd_sn) const {
    if (cmd_sn == expected_) return is_behind(expected_, highest_) ? Order::outside : Order::next;
    const bool inside = is_behind(cmd_sn, expected_) && !is_behind(cmd_sn, highest_);
    return inside ? Order::gap : Order::outside;
  }
  // The next one has come. If it is a command, its slot counts until gave_back().
  void took() { ++expected_; }
  void slot_taken() { ++outstanding_; }
  void slot_given_back() { --outstanding_; }

  [[nodiscard]] std::uint32_t expected() const { return expected_; }
  // What is told with the next PDU. `most`: no more shall be outstanding now, because memory is
  // short; what has been promised stays.
  [[nodiscard]] std::uint32_t highest(std::uint32_t most) {
    const std::uint32_t depth = std::min(depth_, most);
    const std::uint32_t free = depth - std::min(depth, outstanding_);
    const std::uint32_t wanted = expected_ + free - 1;
    if (is_behind(wanted, highest_)) highest_ = wanted;
    return highest_;
  }
  [[nodiscard]] std::uint32_t depth() const { return depth_; }

 private:
  std::uint32_t expected_ = 0;
  std::uint32_t highest_ = 0;
  std::uint32_t depth_ = 1;
  std::uint32_t outstanding_ = 0;
};

}  // namespace target::iscsi
