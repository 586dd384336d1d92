// ShuffledTasks: the parts of a job in any order, one after the other, as a seed says.
#pragma once

#include <algorithm>
#include <numeric>
#include <vector>

#include "engine/foundation/parallel_tasks.h"
#include "engine/foundation/random.h"

namespace engine::test {

class ShuffledTasks final : public ParallelTasks {
 public:
  explicit ShuffledTasks(std::uint64_t seed, std::size_t width = 3)
      : random_(seed), width_(width) {}

  void run(std::size_t count, FunctionRef<void(std::size_t)> task) override {
    std::vector<std::size_t> order(count);
    std::iota(order.begin(), order.end(), std::size_t{0});
    for (std::size_t left = count; left > 1; --left) {
      std::swap(order[left - 1], order[random_.below(left)]);
    }
    for (const std::size_t at : order) task(at);
  }
  [[nodiscard]] std::size_t width() const override { return width_; }

 private:
  SeededRandom random_;
  const std::size_t width_;
};

}  // namespace engine::test
