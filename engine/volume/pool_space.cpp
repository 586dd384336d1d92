// PoolKeeper: how much of the pool is free, and how much of that is promised.
#include <algorithm>
#include <mutex>
#include <optional>

#include "engine/volume/pool_keeper.h"

namespace engine {
namespace {

constexpr Duration thin_measure_period = std::chrono::seconds(1);
// Percent points, so that what goes up and down there is told once.
constexpr double warning_ends_below = 2.0;
// Of what is written, for what file systems write down about it: an extent of a block each costs
// ext4 a part in 340, and xfs in 256 for each of its trees.
constexpr std::uint64_t metadata_part = 64;

}  // namespace

void PoolKeeper::measure() {
  if (pool_ == nullptr) return;
  begin("measuring");
  std::optional<PoolDirectory::Space> space;
  budget_.measure([this] { return owed(); },
                  [&]() -> std::optional<ByteCount> {
                    const auto now = pool_->space();
                    if (!now) return std::nullopt;
                    space = now.value();
                    return room_in(space->free);
                  });
  const std::lock_guard lock(mutex_);
  next_measure_ = clock_.now() + (is_thin_ ? thin_measure_period : measure_period);
  if (!space || !status_.open) return;
  status_.size = space->size;
  status_.free = space->free;
  status_.promised = budget_.promised();
  if (!spec_.warn_at) return;
  const ByteCount left = space->free - std::min(space->free, status_.promised);
  const double used =
      100.0 - 100.0 * static_cast<double>(left.value) /
                  static_cast<double>(std::max<std::uint64_t>(space->size.value, 1));
  status_.filling = used >= *spec_.warn_at - (status_.filling ? warning_ends_below : 0.0);
}

ByteCount PoolKeeper::room_in(ByteCount free) const {
  const std::uint64_t reserve = pool_->reserve().value;
  const std::uint64_t room = free.value - std::min(free.value, reserve);
  return {room - room / metadata_part};
}

ByteCount PoolKeeper::owed() const {
  ByteCount all = retained_owed_;
  for (const auto& slot : slots_) {
    if (slot->space != nullptr) all = all + slot->space->owed();
  }
  return all;
}

ByteCount PoolKeeper::hold_budget() {
  budget_.measure([this] { return owed(); }, [] { return std::optional(ByteCount{}); });
  return budget_.promised();
}

}  // namespace engine
