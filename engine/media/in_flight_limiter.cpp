#include "engine/media/in_flight_limiter.h"

#include <algorithm>
#include <atomic>

#include "engine/foundation/check.h"

namespace engine {
namespace {

std::atomic<std::uint32_t> last_backing{0};
std::atomic<std::uint32_t> last_file{0};

bool is_blocking(const FileOperation& operation) {
  switch (operation.kind) {
    case FileOperation::Kind::read:
    case FileOperation::Kind::write:
    case FileOperation::Kind::write_durable:
      return false;
    case FileOperation::Kind::sync:
    case FileOperation::Kind::zero_range:
    case FileOperation::Kind::punch_hole:
      return true;
  }
  return true;
}

template <class T>
T& at_growing(std::vector<T>& items, std::uint32_t index) {
  if (items.size() <= index) items.resize(std::size_t{index} + 1);
  return items[index];
}

}  // namespace

std::uint32_t IoSource::new_backing() { return last_backing.fetch_add(1) + 1; }

IoSource IoSource::new_file(std::uint32_t backing) {
  return {.file = last_file.fetch_add(1) + 1, .backing = backing};
}

void InFlightLimiter::BackingTurn::granted() {
  has_place.store(true, std::memory_order_relaxed);
  limiter.has_grants_.store(true, std::memory_order_release);
  limiter.wake_();
}

bool InFlightLimiter::has_room(const File& file, const Backing& backing, bool blocking) const {
  if (blocking) return file.blocking < caps_.blocking_per_file;
  return file.transfers < std::max(caps_.transfers_per_file, limit_of(backing) / 2);
}

bool InFlightLimiter::startable(const File& file, const Backing& backing) const {
  return (!file.waiting_blocking.empty() && has_room(file, backing, true)) ||
         (!file.waiting_transfers.empty() && has_room(file, backing, false));
}

// What was begun while there was no limit is not counted among `shared`, and leaves first.
bool InFlightLimiter::take_room(Backing& backing) {
  if (backing.turn != nullptr) {
    const std::uint32_t limit = limit_of(backing);
    const std::uint32_t most = limit == 0 ? caps_.per_backing : limit;
    const bool is_told_by_depth = limit != 0 && backing.in_flight == backing.shared;
    if (backing.in_flight >= most && !is_told_by_depth) return false;
    const bool is_shared = limit != 0 || backing.turn->has_place.load(std::memory_order_relaxed);
    if (is_shared) {
      if (!backing.turn->depth.take(*backing.turn)) return false;
      ++backing.shared;
    }
  }
  ++backing.in_flight;
  return true;
}

void InFlightLimiter::leave_room(Backing& backing) {
  CHECK(backing.in_flight > 0);
  --backing.in_flight;
  if (backing.shared > backing.in_flight) {
    --backing.shared;
    if (backing.turn->depth.give_back(*backing.turn)) backing.turn->has_place = true;
  }
}

void InFlightLimiter::make_ready(const IoSource& source, File& file, Backing& backing) {
  if (file.ready || !startable(file, backing)) return;
  file.ready = true;
  backing.ready.push_back(source.file);
}

bool InFlightLimiter::admit(FileOperation& operation) {
  const IoSource& source = operation.source;
  if (source.file == 0) return true;
  File& file = at_growing(files_, source.file);
  Backing& backing = at_growing(backings_, source.backing);
  if (source.backing != 0 && backing.turn == nullptr) {
    backing.turn = std::make_unique<BackingTurn>(*this, QueueDepth::of(source.backing));
  }
  const bool blocking = is_blocking(operation);
  OperationQueue& waiting = blocking ? file.waiting_blocking : file.waiting_transfers;
  if (waiting.empty() && has_room(file, backing, blocking) && take_room(backing)) {
    ++(blocking ? file.blocking : file.transfers);
    return true;
  }
  waiting.push(operation);
  make_ready(source, file, backing);
  return false;
}

void InFlightLimiter::ended(const FileOperation& operation,
                            const std::function<void(FileOperation&)>& start) {
  const IoSource source = operation.source;
  if (source.file == 0) return;
  CHECK(source.file < files_.size() && source.backing < backings_.size());
  File& ended_file = files_[source.file];
  Backing& backing = backings_[source.backing];
  auto& count = is_blocking(operation) ? ended_file.blocking : ended_file.transfers;
  CHECK(count > 0);
  --count;
  leave_room(backing);
  make_ready(source, ended_file, backing);
  start_ready(backing, start);
}

void InFlightLimiter::use_grants(const std::function<void(FileOperation&)>& start) {
  (void)has_grants_.exchange(false, std::memory_order_acquire);
  for (Backing& backing : backings_) {
    if (backing.turn != nullptr && backing.turn->has_place.load(std::memory_order_relaxed)) {
      start_ready(backing, start);
    }
  }
}

void InFlightLimiter::start_ready(Backing& backing,
                                  const std::function<void(FileOperation&)>& start) {
  while (!backing.ready.empty()) {
    if (backing.next >= backing.ready.size()) backing.next = 0;
    File& file = files_[backing.ready[backing.next]];
    if (startable(file, backing)) {
      if (!take_room(backing)) return;  // an end here, or a grant, goes on
      const bool blocking = !file.waiting_blocking.empty() && has_room(file, backing, true);
      FileOperation* const chosen =
          blocking ? file.waiting_blocking.pop() : file.waiting_transfers.pop();
      ++(blocking ? file.blocking : file.transfers);
      start(*chosen);
    }
    if (startable(file, backing)) {
      ++backing.next;
    } else {  // its own caps or nothing left: out of the list, its next end brings it back
      file.ready = false;
      backing.ready.erase(backing.ready.begin() + static_cast<std::ptrdiff_t>(backing.next));
    }
  }
  if (backing.turn != nullptr && backing.turn->has_place.exchange(false)) {
    backing.turn->depth.leave(*backing.turn);  // nothing waits any more
  }
}

}  // namespace engine
