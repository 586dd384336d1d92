// PoolKeeper, requests: what others ask for, and how its thread carries it out.
#include <algorithm>
#include <utility>

#include "engine/foundation/check.h"
#include "engine/volume/pool_keeper.h"

namespace engine {
namespace {

constexpr const char* stopping_answer = "the daemon is stopping";

}  // namespace

template <class Request>
void PoolKeeper::ask(std::deque<Request>& queue, Request request) {
  {
    const std::lock_guard lock(mutex_);
    if (!ended_) {
      queue.push_back(std::move(request));
      wake_.notify_all();
      return;
    }
  }
  request.done(std::string(stopping_answer));
}

void PoolKeeper::grow(const std::string& volume, ByteCount size, GrowDone done) {
  ask(grows_, {.volume = volume, .size = size, .done = std::move(done)});
}

void PoolKeeper::bind(const std::string& volume, const CacheBinding& binding, BindDone done) {
  ask(binds_, {.volume = volume,
               .change = [binding](const CacheBinding&) { return binding; },
               .done = std::move(done)});
}

void PoolKeeper::abandon_cache(const std::string& volume, const Uuid& cache, BindDone done) {
  ask(binds_,
      {.volume = volume,
       .change = [volume,
                  cache](const CacheBinding& before) { return abandoned(volume, before, cache); },
       .done =
           [this, done = std::move(done)](const auto& bound) {
             if (bound) try_now();
             done(bound);
           }});
}

void PoolKeeper::set_lost(const std::string& volume, const LostRanges& lost, LostDone done) {
  ask(losses_, {.volume = volume, .lost = lost, .done = std::move(done)});
}

void PoolKeeper::find_arrival(const std::string& volume, ArrivalDone done) {
  ask(arrivals_, {.volume = volume, .done = std::move(done)});
}

// Nobody will carry them out. The lock is not held.
void PoolKeeper::refuse_requests() {
  std::deque<GrowRequest> grows;
  std::deque<ArrivalRequest> arrivals;
  {
    const std::lock_guard lock(mutex_);
    grows.swap(grows_);
    arrivals.swap(arrivals_);
  }
  for (const GrowRequest& request : grows) request.done(std::string(stopping_answer));
  for (const ArrivalRequest& request : arrivals) request.done(std::string(stopping_answer));
}

void PoolKeeper::bind_now(const std::deque<BindRequest>& requests) {
  std::vector<FilePool::NewBinding> bindings;
  std::vector<const BindRequest*> bound_by;
  for (const BindRequest& request : requests) {
    const VolumeRecord* const record = files_ == nullptr ? nullptr : record_of(request.volume);
    if (record == nullptr) {
      request.done("pool " + spec_.name + " is not open, or has no volume " + request.volume);
      continue;
    }
    const auto changed = request.change(record->cache);
    if (!changed) {
      request.done(changed.error());
      continue;
    }
    bindings.push_back({.volume = request.volume, .cache = changed.value()});
    bound_by.push_back(&request);
  }
  if (bindings.empty()) return;
  const auto bound = files_->bind(bindings);
  for (std::size_t at = 0; at < bound_by.size(); ++at) {
    if (bound[at]) {
      bound_by[at]->done(boost::outcome_v2::success());
    } else {
      bound_by[at]->done(bound[at].error().text);
    }
  }
}

void PoolKeeper::set_lost_now(const std::deque<LostRequest>& requests) {
  for (const LostRequest& request : requests) {
    const auto set = files_->set_lost(request.volume, request.lost);
    if (set) {
      request.done(boost::outcome_v2::success());
    } else {
      request.done(set.error().text);
    }
  }
}

PoolKeeper::Slot& PoolKeeper::slot_of(const std::string& volume) {
  const auto found =
      std::ranges::find_if(slots_, [&](const auto& slot) { return slot->spec.name == volume; });
  CHECK(found != slots_.end());
  return **found;
}

Result<void, std::string> PoolKeeper::grow_now(const GrowRequest& request) {
  const std::string& name = request.volume;
  const ByteCount size = request.size;
  Slot& slot = slot_of(name);
  const VolumeCondition now = slot.volume.condition();
  if (now.state != VolumeState::online) {
    return "volume " + name + " is not online: " + now.reason;
  }
  const BlockSize block = slot.spec.block_size;
  const ByteCount existing = now.size * block;
  if (size.value % block.bytes != 0) {
    return "volume " + name + ": " + std::to_string(size.value) +
           " bytes are not a whole number of blocks";
  }
  if (size < existing) {
    return "volume " + name + ": " + size_text(size) + " is smaller than the existing " +
           size_text(existing) + "; shrinking is refused. (To serve less, make a new volume.)";
  }
  if (slot.memory != nullptr) {
    TRY(slot.memory->grow(size));
  } else {
    CHECK(slot.file != nullptr);
    if (const PoolStatus pool = status(); !pool.open) return "volume " + name + ": " + pool.reason;
    auto grown = files_->grow(name, size, slot.spec.size);
    if (!grown) return "volume " + name + ": " + grown.error().text;
    slot.file->grow(size);
    known_.remember(grown.value());
    (void)known_.save();
  }
  slot.volume.grow({size.value / block.bytes}, promise_of(slot, size));
  return boost::outcome_v2::success();
}

// From here on the record is the cache's: a volume that has failed comes back whatever it says.
Result<BackingArrival, std::string> PoolKeeper::arrival_now(const std::string& volume) {
  Slot& slot = slot_of(volume);
  const VolumeCondition now = slot.volume.condition();
  if (now.state != VolumeState::online) return "it is not online: " + now.reason;
  if (slot.file == nullptr) return std::string("its pool is in memory, and takes no cache");
  const VolumeRecord* const record = record_of(volume);
  CHECK(record != nullptr);
  auto marker = files_->open_marker(*record, IoSource::new_file(backing_number_));
  if (!marker) return marker.error().text;
  slot.is_cached = true;
  const BackingMark mark = marker.value()->found().mark;
  return BackingArrival{.binding = record->cache,
                        .marker = std::move(marker.value()),
                        .mark = mark,
                        .promise = now.promise};
}

}  // namespace engine
