// LocalEngine: what it is made of changes while it runs.
#include <algorithm>
#include <utility>

#include "engine/volume/local_engine.h"

namespace engine {
namespace {

constexpr const char* unnamed_reason = "the configuration does not name it any more";

template <class Keeper>
auto keeper_named(const std::vector<std::unique_ptr<Keeper>>& keepers, const std::string& name) {
  return std::ranges::find_if(keepers,
                              [&name](const auto& keeper) { return keeper->name() == name; });
}

}  // namespace

std::string LocalEngine::why_not_added(const std::string& what, bool is_taken) const {
  if (is_taken) return what + " is there already, or is still being removed";
  const std::size_t there = slots_.size() + former_slots_.size() + pools_.size() +
                            former_pools_.size() + caches_.size() + former_caches_.size();
  if (there < most_there) return {};
  return what + ": this daemon has " + std::to_string(most_there) +
         " volumes, pools and cache devices, with those that were taken out since it started; "
         "restart it";
}

// Not with the lock held: who has ended may be telling somebody.
template <class Keeper>
bool LocalEngine::have_let_go(const std::vector<std::unique_ptr<Keeper>>& former,
                              const std::string& name) const {
  const std::lock_guard letting_go(letting_go_mutex_);
  std::vector<Keeper*> all;
  {
    const std::lock_guard lock(lists_mutex_);
    for (const auto& keeper : former) all.push_back(keeper.get());
  }
  bool have_all = true;
  for (Keeper* const keeper : all) {
    if (!keeper->let_go() && keeper->name() == name) have_all = false;
  }
  return have_all;
}

// ---- more

Result<void, std::string> LocalEngine::add_pool(const PoolSpec& spec) {
  const bool is_leaving = !have_let_go(former_pools_, spec.name);
  PoolKeeper* added = nullptr;
  {
    const std::lock_guard lock(lists_mutex_);
    const bool is_taken = is_leaving || keeper_named(pools_, spec.name) != pools_.end();
    if (std::string why = why_not_added("pool " + spec.name, is_taken); !why.empty()) return why;
    pools_.push_back(std::make_unique<PoolKeeper>(spec, known_));
    added = pools_.back().get();
  }
  added->start();
  return boost::outcome_v2::success();
}

Result<void, std::string> LocalEngine::add_cache(const CacheSpec& spec) {
  if (memory_ == nullptr) {
    return "cache device " + spec.name +
           ": there is no memory cap for its index; restart the daemon";
  }
  const bool is_leaving = !have_let_go(former_caches_, spec.name);
  CacheKeeper* added = nullptr;
  {
    const std::lock_guard lock(lists_mutex_);
    const bool is_taken = is_leaving || keeper_named(caches_, spec.name) != caches_.end();
    if (std::string why = why_not_added("cache device " + spec.name, is_taken); !why.empty()) {
      return why;
    }
    caches_.push_back(std::make_unique<CacheKeeper>(spec, *memory_, workers_));
    added = caches_.back().get();
    for (const auto& slot : slots_) {
      if (!slot->is_leaving) add_to(*added, *slot, false);
    }
  }
  added->start();
  return boost::outcome_v2::success();
}

Result<Volume*, std::string> LocalEngine::add_volume(const VolumeSpec& spec) {
  const std::string name = "volume " + spec.name;
  const std::lock_guard lock(lists_mutex_);
  if (std::string why = why_not_added(name, slots_by_name_.contains(spec.name)); !why.empty()) {
    const Slot* const other = slots_by_name_[spec.name];
    if (other == nullptr || other->spec.name == spec.name) return why;
    return name + ": volume " + other->spec.name +
           " was called so when the daemon started; restart it first";
  }
  const auto pool = keeper_named(pools_, spec.pool);
  if (pool == pools_.end()) return name + ": there is no pool " + spec.pool;
  if (spec.cache && !(*pool)->takes_caches()) {
    return name + ": pool " + spec.pool + " is in memory, and takes no cache";
  }
  if (spec.cache && keeper_named(caches_, spec.cache->device) == caches_.end()) {
    return name + ": there is no cache device " + spec.cache->device;
  }
  return add(spec).face.get();
}

// ---- less

void LocalEngine::remove_volume(const std::string& name, Done done) {
  Slot* const found = slot_called(name);
  if (found == nullptr) return done("there is no volume " + name);
  Slot& slot = *found;
  std::string why;
  {
    const std::lock_guard lock(lists_mutex_);
    if (slot.is_attaching) why = "volume " + name + ": its cache is being changed just now";
    if (slot.is_leaving) why = "volume " + name + " is being removed already";
    if (why.empty()) slot.is_leaving = true;
  }
  if (!why.empty()) return done(std::move(why));
  const Done left = [this, &slot, hold = slot.holds.take(),
                     done = std::move(done)](const Result<void, std::string>& outcome) {
    if (outcome) return leave_pool(slot, done);
    {
      const std::lock_guard lock(lists_mutex_);
      slot.is_leaving = false;
    }
    done(outcome);
  };
  if (CacheKeeper* const keeper = slot.cache) return keeper->remove_volume(name, left);
  slot.face->close(unnamed_reason);
  left(boost::outcome_v2::success());
}

void LocalEngine::leave_pool(Slot& slot, const Done& done) {
  if (slot.pool == nullptr) {
    has_left(slot);
    return done(boost::outcome_v2::success());
  }
  slot.pool->remove(
      slot.backed->identity().name, [&slot] { return slot.face->direct_requests() == 0; },
      [this, &slot, hold = slot.holds.take(), done](const auto& outcome) {
        has_left(slot);
        done(outcome);
      });
}

// Whoever is to be told of it no more is told so behind all that he has been told.
void LocalEngine::has_left(Slot& slot) {
  slot.relay.to = &slot.alone;
  slot.cache = nullptr;
  slot.face->observe(nullptr);
  std::map<const CacheKeeper*, BackingUser*> users;
  std::vector<CacheKeeper*> keepers;
  {
    const std::lock_guard lock(lists_mutex_);
    users.swap(slot.users);
    for (const auto& keeper : caches_) keepers.push_back(keeper.get());
    std::erase_if(slots_by_name_, [&slot](const auto& named) { return named.second == &slot; });
    const auto at =
        std::ranges::find_if(slots_, [&slot](const auto& one) { return one.get() == &slot; });
    former_slots_.push_back(std::move(*at));
    slots_.erase(at);
  }
  for (CacheKeeper* const keeper : keepers) {
    if (const auto user = users.find(keeper); user != users.end()) keeper->erase(*user->second);
  }
}

bool LocalEngine::forget(const Volume& removed) {
  // Devices that were removed before may have it still.
  (void)have_let_go(former_caches_, {});
  std::unique_ptr<Slot> forgotten;
  const std::lock_guard lock(lists_mutex_);
  const auto at = std::ranges::find_if(
      former_slots_, [&removed](const auto& slot) { return slot->face.get() == &removed; });
  CHECK(at != former_slots_.end());
  if ((*at)->holds.is_held() || (*at)->backed->is_keeping()) return false;
  forgotten = std::move(*at);
  former_slots_.erase(at);
  return true;
}

// ---- for good

// Its pool is asked first whether it may be, and its cache forgets it before its pool does: so
// there is always somebody who knows that something is left.
void LocalEngine::destroy(const std::string& name, const Uuid& uuid, const Uuid& cache,
                          DestroyDone done) {
  const auto pools = pool_keepers();
  const auto found = std::ranges::find_if(
      pools, [&](const PoolKeeper* pool) { return pool->retains(name, uuid); });
  if (found == pools.end()) return destroy_remains(name, uuid, cache, done);
  PoolKeeper* const pool = *found;
  const PoolKeeper::DestroyRequest wanted{.volume = name, .uuid = uuid, .cache = cache};
  pool->look_at(wanted, [this, pool, wanted, done](const auto& may) {
    if (!may) return done(may.error());
    const auto destroy = [pool, wanted, done](DestroyedVolume destroyed) {
      pool->destroy(wanted, [destroyed, done](const auto& outcome) {
        if (!outcome) return done(outcome.error());
        done(destroyed);
      });
    };
    DestroyedVolume destroyed{.cache_text = may.value().text, .cache_freed = {}};
    if (destroyed.cache_text.empty()) return destroy(std::move(destroyed));
    CacheKeeper* const keeper = keeper_of_cache(wanted.cache);
    if (keeper == nullptr) {
      destroyed.cache_text +=
          " The cache is not open: what it has of the volume keeps its space there until this is "
          "asked for again while it is.";
      return destroy(std::move(destroyed));
    }
    keeper->forget(wanted.uuid, [destroyed, destroy, done](const CacheKeeper::Forgotten& freed) {
      if (!freed) return done(freed.error());
      DestroyedVolume without = destroyed;
      without.cache_freed = freed.value().value_or(ByteCount{});
      destroy(std::move(without));
    });
  });
}

// A pool that is late may have it yet.
void LocalEngine::destroy_remains(const std::string& name, const Uuid& uuid, const Uuid& cache,
                                  const DestroyDone& done) {
  std::string why = why_not_retained(name, uuid);
  CacheKeeper* const keeper = cache.is_nil() ? nullptr : keeper_of_cache(cache);
  const auto pools = this->pools();
  const bool are_open =
      std::ranges::all_of(pools, [](const PoolStatus& pool) { return pool.open; });
  const auto served = volumes();
  const bool is_served = std::ranges::any_of(served, [&uuid](const Volume* volume) {
    return volume->identity().uuid == uuid || volume->identity().uuid.is_nil();
  });
  if (keeper == nullptr || !are_open || is_served) return done(std::move(why));
  keeper->forget(uuid, [why, done](const CacheKeeper::Forgotten& freed) {
    if (!freed) return done(freed.error());
    if (!freed.value()) return done(why);
    done(DestroyedVolume{.cache_text = "No pool has had it any more: this was all that was left.",
                         .cache_freed = *freed.value()});
  });
}

CacheKeeper* LocalEngine::keeper_of_cache(const Uuid& cache) const {
  const auto keepers = cache_keepers();
  const auto found = std::ranges::find_if(keepers, [&cache](const CacheKeeper* keeper) {
    const CacheStatus now = keeper->status();
    return now.open && now.uuid == cache;
  });
  return found == keepers.end() ? nullptr : *found;
}

// ---- by another name

void LocalEngine::rename_volume(const std::string& name, const std::string& to, Done done) {
  Slot* const found = slot_called(name);
  if (found == nullptr) return done("there is no volume " + name);
  Slot& slot = *found;
  const std::string volume = "volume " + name;
  std::string why;
  {
    const std::lock_guard lock(lists_mutex_);
    const auto taken = slots_by_name_.find(to);
    if (taken != slots_by_name_.end() && taken->second != &slot) {
      why = volume + " cannot be called " + to + ": another one is, or was since the start";
    }
    if (slot.pool == nullptr) why = volume + ": " + slot.backed->condition().reason;
    if (slot.is_attaching) why = volume + ": its cache is being changed just now";
    if (slot.is_leaving) why = volume + " is being removed";
    if (why.empty()) slot.is_attaching = true;
  }
  if (!why.empty()) return done(std::move(why));
  slot.pool->rename_served(
      name, to,
      [this, &slot, hold = slot.holds.take(), to, done = std::move(done)](const auto& outcome) {
        if (outcome) return rename_on(cache_keepers(), slot, to, done);
        end_attaching(slot);
        done(outcome);
      });
}

void LocalEngine::rename_on(std::vector<CacheKeeper*> left, Slot& slot, const std::string& to,
                            const Done& done) {
  if (!left.empty()) {
    CacheKeeper* const keeper = left.back();
    left.pop_back();
    return keeper->rename(slot.backed->identity().name, to,
                          [this, left, &slot, hold = slot.holds.take(), to,
                           done](const auto& /*always*/) { rename_on(left, slot, to, done); });
  }
  {
    const std::lock_guard lock(lists_mutex_);
    slots_by_name_[to] = &slot;
    slot.spec.name = to;
    slot.is_attaching = false;
  }
  slot.backed->rename(to);
  done(boost::outcome_v2::success());
}

void LocalEngine::keep_names() {
  for (PoolKeeper* const pool : pool_keepers()) pool->keep_names();
}

// ---- less, once more

std::string LocalEngine::why_not_remove_pool(const std::string& name,
                                             const std::vector<std::string>& leaving) const {
  const std::lock_guard lock(lists_mutex_);
  if (keeper_named(pools_, name) == pools_.end()) return "there is no pool " + name;
  for (const auto& slot : slots_) {
    if (slot->spec.pool != name || std::ranges::count(leaving, slot->spec.name) != 0) continue;
    return "pool " + name + " has volume " + slot->spec.name + ": take that out first";
  }
  return {};
}

void LocalEngine::remove_pool(const std::string& name, Done done) {
  if (std::string why = why_not_remove_pool(name, {}); !why.empty()) return done(std::move(why));
  (void)have_let_go(former_pools_, name);
  PoolKeeper* leaving = nullptr;
  {
    const std::lock_guard lock(lists_mutex_);
    const auto at = keeper_named(pools_, name);
    leaving = at->get();
    former_pools_.push_back(std::move(pools_[static_cast<std::size_t>(at - pools_.begin())]));
    pools_.erase(at);
  }
  leaving->remove_pool(std::move(done));
}

std::string LocalEngine::why_not_remove_cache(const std::string& name,
                                              const std::vector<std::string>& leaving) const {
  const CacheKeeper* const keeper = keeper_called(name);
  if (keeper == nullptr) return "there is no cache device " + name;
  {
    const std::lock_guard lock(lists_mutex_);
    for (const auto& slot : slots_) {
      if (slot->is_attaching) {
        return "volume " + slot->spec.name + ": its cache is being changed just now";
      }
    }
  }
  return keeper->why_not_remove(leaving);
}

void LocalEngine::remove_cache(const std::string& name, Done done) {
  if (std::string why = why_not_remove_cache(name, {}); !why.empty()) return done(std::move(why));
  (void)have_let_go(former_caches_, name);
  CacheKeeper* const keeper = keeper_called(name);
  keeper->remove([this, keeper, done = std::move(done)](const auto& outcome) {
    if (outcome) has_left(*keeper);
    done(outcome);
  });
}

// Volumes that were once served through it begin with another one as if they never were.
void LocalEngine::has_left(CacheKeeper& keeper) {
  const std::lock_guard lock(lists_mutex_);
  for (const auto& slot : slots_) {
    slot->users.erase(&keeper);
    if (slot->cache != &keeper) continue;
    slot->relay.to = &slot->alone;
    slot->cache = nullptr;
  }
  const auto at =
      std::ranges::find_if(caches_, [&keeper](const auto& one) { return one.get() == &keeper; });
  former_caches_.push_back(std::move(*at));
  caches_.erase(at);
}

// ---- otherwise

void LocalEngine::set_volume_size(const std::string& name, ByteCount size, Done done) {
  Slot* const found = slot_called(name);
  if (found == nullptr) return done("there is no volume " + name);
  Slot& slot = *found;
  if (slot.pool == nullptr) return done("volume " + name + ": " + slot.backed->condition().reason);
  slot.pool->set_size(name, size, follow_growth(slot, std::move(done)));
}

std::string LocalEngine::why_not_set_volume_cache(const std::string& name,
                                                  const VolumeCacheSpec& spec) const {
  const std::string volume = "volume " + name;
  const Slot* const slot = slot_called(name);
  if (slot == nullptr) return "there is no " + volume;
  if (slot->pool == nullptr || !slot->pool->takes_caches())
    return volume + ": " + why_no_cache(*slot);
  const CacheKeeper* const keeper = keeper_called(spec.device);
  if (keeper == nullptr) return volume + ": there is no cache device " + spec.device;
  const CacheKeeper* const now = slot->cache;
  if (now != nullptr && now != keeper && now->has_here(name)) {
    return volume + " has its cache on " + now->name() + ": detach it first (forebayctl detach " +
           name + ")";
  }
  if (spec.ordered == WriteBackOrder::journal &&
      slot->pool->status().kind != PoolSpec::Kind::file) {
    return volume +
           " asks for a journal (ordered: journal), which only file pools have; use "
           "ordered: batch";
  }
  const std::lock_guard lock(lists_mutex_);
  return slot->is_leaving ? volume + " is being removed" : std::string();
}

// The journal is found before anything changes; the shares are what may be refused then.
void LocalEngine::set_volume_cache(const std::string& name, const VolumeCacheSpec& spec,
                                   Done done) {
  if (std::string why = why_not_set_volume_cache(name, spec); !why.empty()) {
    return done(std::move(why));
  }
  Slot& slot = *slot_called(name);
  CacheKeeper* const keeper = keeper_called(spec.device);
  std::optional<VolumeCacheSpec> before;
  {
    const std::lock_guard lock(lists_mutex_);
    before = slot.spec.cache;
  }
  const auto order_before = before ? before->ordered : WriteBackOrder::batch;
  const bool is_reordered = order_before != spec.ordered;
  const bool wants_journal = is_reordered && spec.ordered == WriteBackOrder::journal;
  const auto set = [this, &slot, hold = slot.holds.take(), name, spec, before,
                    done](const auto& outcome) {
    if (outcome) {
      const std::lock_guard lock(lists_mutex_);
      slot.spec.cache = spec;
    } else if (before) {
      slot.pool->set_cache(name, *before, false, [](const auto&) {});
    }
    done(outcome);
  };
  slot.pool->set_cache(
      name, spec, wants_journal,
      [keeper, name, spec, is_reordered, set, done](const PoolKeeper::FoundJournal& found) {
        if (!found) return done("volume " + name + ": " + found.error());
        const auto change = std::make_shared<CacheKeeper::JournalChange>();
        change->is_wanted = is_reordered;
        change->journal = std::move(*found.value());
        keeper->set_cache(name, spec, change, set);
      });
}

std::string LocalEngine::why_not_set_pool_space(const std::string& name,
                                                const PoolSpec& spec) const {
  const PoolKeeper* const pool = pool_called(name);
  return pool == nullptr ? "there is no pool " + name : pool->why_not_set_space(spec);
}

void LocalEngine::set_pool_space(const std::string& name, const PoolSpec& spec, Done done) {
  PoolKeeper* const pool = pool_called(name);
  if (pool == nullptr) return done("there is no pool " + name);
  pool->set_space(spec, std::move(done));
}

}  // namespace engine
