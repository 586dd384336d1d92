#include "engine/media/memory_reservation.h"

namespace engine {

MemoryReservation::~MemoryReservation() {
  give_back();
  budget_.asked_.fetch_sub(asked_, std::memory_order_relaxed);
}

void MemoryReservation::give_back() {
  const std::uint64_t held = held_.exchange(0, std::memory_order_relaxed);
  if (held != 0) budget_.unreserve({held});
}

bool MemoryReservation::ask(ByteCount bytes) {
  give_back();
  budget_.asked_.fetch_add(bytes.value - asked_, std::memory_order_relaxed);  // may go down
  asked_ = bytes.value;
  if (!budget_.try_reserve(bytes, /*beside_used=*/false)) return false;
  held_.store(bytes.value, std::memory_order_relaxed);
  return true;
}

bool MemoryReservation::grow(ByteCount more) {
  if (!budget_.try_reserve(more, /*beside_used=*/true)) return false;
  held_.fetch_add(more.value, std::memory_order_relaxed);
  return true;
}

}  // namespace engine
