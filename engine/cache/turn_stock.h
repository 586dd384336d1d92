// TurnStock: what a turn takes of something that all threads share, ahead of its commands.
#pragma once

#include <cstdint>
#include <utility>

namespace engine {

// Asking for each command would move the count that is asked from core to core for each. A turn
// asks for as much again as it has had so far: a few times, however many commands it has. What is
// left is given back at its end, so that nobody is refused for what another one keeps. Of one
// thread.
class TurnStock {
 public:
  enum class What : std::uint8_t {
    needed,
    ahead,  // refuse, if others might need it
  };

  // False: `ask`, a bool(std::uint64_t amount, What), has refused even what is needed.
  template <class Ask>
  [[nodiscard]] bool take(std::uint64_t amount, Ask ask) {
    if (left_ < amount) {
      std::uint64_t more = amount - left_ + had_;
      if (had_ == 0 || !ask(more, What::ahead)) {
        more = amount - left_;
        if (!ask(more, What::needed)) return false;
      }
      left_ += more;
      had_ += more;
    }
    left_ -= amount;
    return true;
  }
  // The end of the turn: how much the caller has to give back.
  [[nodiscard]] std::uint64_t end() {
    had_ = 0;
    return std::exchange(left_, 0);
  }

 private:
  std::uint64_t had_ = 0;
  std::uint64_t left_ = 0;
};

}  // namespace engine
