#include "engine/media/in_flight_limiter.h"

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

bool InFlightLimiter::has_room(const File& file, bool blocking) const {
  return blocking ? file.blocking < caps_.blocking_per_file
                  : file.transfers < caps_.transfers_per_file;
}

bool InFlightLimiter::startable(const File& file) const {
  return (!file.waiting_blocking.empty() && has_room(file, true)) ||
         (!file.waiting_transfers.empty() && has_room(file, false));
}

void InFlightLimiter::make_ready(const IoSource& source, File& file, Backing& backing) {
  if (file.ready || !startable(file)) return;
  file.ready = true;
  backing.ready.push_back(source.file);
}

bool InFlightLimiter::admit(FileOperation& operation) {
  const IoSource& source = operation.source;
  if (source.file == 0) return true;
  File& file = at_growing(files_, source.file);
  Backing& backing = at_growing(backings_, source.backing);
  const bool blocking = is_blocking(operation);
  OperationQueue& waiting = blocking ? file.waiting_blocking : file.waiting_transfers;
  const bool backing_has_room = source.backing == 0 || backing.in_flight < caps_.per_backing;
  if (waiting.empty() && has_room(file, blocking) && backing_has_room) {
    ++(blocking ? file.blocking : file.transfers);
    ++backing.in_flight;
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
  CHECK(count > 0 && backing.in_flight > 0);
  --count;
  --backing.in_flight;
  make_ready(source, ended_file, backing);

  while (!backing.ready.empty() && (source.backing == 0 || backing.in_flight < caps_.per_backing)) {
    if (backing.next >= backing.ready.size()) backing.next = 0;
    File& file = files_[backing.ready[backing.next]];
    FileOperation* chosen = nullptr;
    if (!file.waiting_blocking.empty() && has_room(file, true)) {
      chosen = file.waiting_blocking.pop();
      ++file.blocking;
    } else if (!file.waiting_transfers.empty() && has_room(file, false)) {
      chosen = file.waiting_transfers.pop();
      ++file.transfers;
    }
    if (chosen != nullptr) ++backing.in_flight;
    if (startable(file)) {
      ++backing.next;
    } else {  // its own caps or nothing left: out of the list, its next end brings it back
      file.ready = false;
      backing.ready.erase(backing.ready.begin() + static_cast<std::ptrdiff_t>(backing.next));
    }
    if (chosen != nullptr) start(*chosen);
  }
}

}  // namespace engine
