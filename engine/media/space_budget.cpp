#include "engine/media/space_budget.h"

#include <algorithm>

namespace engine {

void SpaceBudget::set(ByteCount free, std::uint64_t ended, ByteCount owed) {
  const auto settled = static_cast<std::int64_t>(ended - owed.value);
  const std::int64_t given = static_cast<std::int64_t>(free.value) + settled;
  const std::int64_t left =
      left_.fetch_add(given - given_, std::memory_order_relaxed) + (given - given_);
  given_ = given;
  promised_ = {static_cast<std::uint64_t>(std::max<std::int64_t>(given - left - settled, 0))};
}

void SpaceBudget::hold() {
  const std::int64_t left = std::max<std::int64_t>(left_.load(std::memory_order_relaxed), 0);
  left_.fetch_sub(left, std::memory_order_relaxed);
  given_ -= left;
}

}  // namespace engine
