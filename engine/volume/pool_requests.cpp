// PoolKeeper: what others ask of it.
#include <algorithm>
#include <memory>
#include <optional>
#include <utility>

#include "engine/foundation/check.h"
#include "engine/foundation/guard.h"
#include "engine/volume/pool_keeper.h"

namespace engine {

using boost::outcome_v2::success;

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

// Nobody will carry them out. The lock is not held.
void PoolKeeper::refuse_requests() {
  std::deque<GrowRequest> grows;
  std::deque<DestroyRequest> destroys;
  std::deque<AbandonRequest> abandons;
  std::deque<ArrivalRequest> arrivals;
  {
    const std::lock_guard lock(mutex_);
    grows.swap(grows_);
    destroys.swap(destroys_);
    abandons.swap(abandons_);
    arrivals.swap(arrivals_);
  }
  for (const GrowRequest& request : grows) request.done(std::string(stopping_answer));
  for (const DestroyRequest& request : destroys) request.done(std::string(stopping_answer));
  for (const AbandonRequest& request : abandons) request.done(std::string(stopping_answer));
  for (const ArrivalRequest& request : arrivals) request.done(std::string(stopping_answer));
}

PoolKeeper::Slot& PoolKeeper::slot_of(const std::string& volume) const {
  const auto slot = std::ranges::find_if(
      slots_, [&volume](const auto& each) { return each->spec.name == volume; });
  CHECK(slot != slots_.end());
  return **slot;
}

// ---- a larger volume

void PoolKeeper::grow(const std::string& volume, ByteCount size, GrowDone done) {
  ask(grows_, {.volume = volume, .size = size, .done = std::move(done)});
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
  return success();
}

// ---- one that nobody wants any more

bool PoolKeeper::retains(const std::string& volume, const Uuid& uuid) const {
  const std::lock_guard lock(mutex_);
  return std::ranges::any_of(status_.retained, [&](const RetainedVolume& retained) {
    return retained.name == volume && retained.uuid == uuid;
  });
}

void PoolKeeper::destroy(const std::string& volume, const Uuid& uuid, Engine::Done done) {
  ask(destroys_, {.volume = volume, .uuid = uuid, .done = std::move(done)});
}

Result<void, std::string> PoolKeeper::destroy_now(const DestroyRequest& request) {
  const VolumeRecord* const record = files_ == nullptr ? nullptr : record_of(request.volume);
  if (record == nullptr) return is_not_there(request.volume);
  // Somebody else may use the image, or what an earlier daemon has asked of it still be under way.
  // One that is missing can be ended, too.
  const std::string path = files_->image_path(*record);
  const auto file = OpenFile::open(path, {});
  if (file) {
    if (const auto locked = file.value().lock(); !locked) return path + ": " + locked.error();
  }
  // First: what is remembered of it would keep its name from being used again.
  known_.forget(request.uuid);
  (void)known_.save();
  const auto destroyed = files_->destroy(request.volume, request.uuid);
  publish_retained();
  if (!destroyed) return destroyed.error().text;
  return success();
}

// ---- what is cached

void PoolKeeper::bind(const std::string& volume, const CacheBinding& binding, BindDone done) {
  ask(binds_, {.volume = volume, .binding = binding, .done = std::move(done)});
}

void PoolKeeper::bind_now(const std::deque<BindRequest>& requests) {
  std::vector<FilePool::NewBinding> bindings;
  std::vector<const BindRequest*> bound_by;
  for (const BindRequest& request : requests) {
    const VolumeRecord* const record = files_ == nullptr ? nullptr : record_of(request.volume);
    if (record == nullptr) {
      request.done(is_not_there(request.volume));
      continue;
    }
    bindings.push_back({.volume = request.volume, .cache = request.binding});
    bound_by.push_back(&request);
  }
  if (bindings.empty()) return;
  const auto bound = files_->bind(bindings);
  for (std::size_t at = 0; at < bound_by.size(); ++at) {
    if (bound[at]) {
      bound_by[at]->done(success());
    } else {
      bound_by[at]->done(bound[at].error().text);
    }
  }
}

std::string PoolKeeper::is_not_there(const std::string& volume) const {
  return "pool " + spec_.name + " is not open, or has no volume " + volume;
}

void PoolKeeper::abandon(const std::string& volume, const GivenUpCache& cache, AbandonDone done) {
  ask(abandons_,
      {.volume = volume, .cache = cache, .done = [done = std::move(done)](const auto& outcome) {
         if (outcome) return done(outcome.value());
         done(std::make_shared<Abandoned>(Abandoned{.binding = outcome.error()}));
       }});
}

void PoolKeeper::abandon_cache(const std::string& volume, const Uuid& cache, Engine::GivenUp done) {
  abandon(volume, {.device = cache}, [this, done = std::move(done)](const auto& abandoned) {
    if (!abandoned->binding) return done(abandoned->binding.error());
    try_now();
    done(WhatIsLeft{abandoned->what_is_left});
  });
}

// A user's marker is another file afterwards, whatever has come of it.
std::shared_ptr<BindingKeeper::Abandoned> PoolKeeper::abandon_now(const AbandonRequest& request) {
  Slot& slot = slot_of(request.volume);
  std::string left;
  auto binding = abandon_cache_of(slot, request.cache, left);
  auto answer = std::make_shared<Abandoned>(
      Abandoned{.binding = std::move(binding), .what_is_left = std::move(left)});
  const VolumeRecord* const record = files_ == nullptr ? nullptr : record_of(request.volume);
  if (record == nullptr || !slot.is_cached || slot.file == nullptr) return answer;
  if (slot.lossy != nullptr) slot.lossy->follow(record->lost);
  auto marker = files_->open_marker(*record, IoSource::new_file(backing_number_));
  if (marker) {
    answer->marker = std::move(marker.value());
  } else if (answer->binding) {
    answer->binding = marker.error().text + " (its cache has been given up: restart the daemon)";
  }
  return answer;
}

Result<CacheBinding, std::string> PoolKeeper::abandon_cache_of(Slot& slot,
                                                               const GivenUpCache& cache,
                                                               std::string& what_is_left) {
  const std::string& name = slot.spec.name;
  const VolumeRecord* const record = files_ == nullptr ? nullptr : record_of(name);
  if (record == nullptr) return is_not_there(name);
  TRY(const CacheBinding binding, abandoned(name, record->cache, cache));
  const std::string path = files_->image_path(*record);
  // Nothing of an earlier daemon may come after what the journal has. If it is open here, that was
  // seen to before.
  std::optional<OpenFile> held;
  if (slot.file == nullptr) {
    auto file = OpenFile::open(path, record->size);
    if (!file) return path + ": " + file.error();
    if (const auto locked = file.value().lock(); !locked) return path + ": " + locked.error();
    held.emplace(std::move(file.value()));
  }
  // Before hosts write: what comes later must not be undone.
  if (GUARD("journal settled before its cache is forgotten")) {
    if (const auto settled = files_->settle_journal(name); !settled) {
      return "volume " + name + ": " + settled.error().text;
    }
  }
  what_is_left = files_->what_is_left(*record, cache.device);
  const auto bound = files_->bind(name, binding);
  if (!bound) return bound.error().text;
  return binding;
}

// ---- a first cache

void PoolKeeper::find_arrival(const std::string& volume, ArrivalDone done) {
  ask(arrivals_, {.volume = volume, .done = std::move(done)});
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
  return BackingArrival{
      .binding = record->cache, .marker = std::move(marker.value()), .promise = now.promise};
}

// ---- what is lost

void PoolKeeper::set_lost(const std::string& volume, const LostRanges& lost, LostDone done) {
  ask(losses_, {.volume = volume, .lost = lost, .done = std::move(done)});
}

void PoolKeeper::set_lost_now(const std::deque<LostRequest>& requests) {
  for (const LostRequest& request : requests) {
    const auto set = files_->set_lost(request.volume, request.lost);
    if (set) {
      request.done(success());
    } else {
      request.done(set.error().text);
    }
  }
}

}  // namespace engine
