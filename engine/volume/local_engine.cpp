#include "engine/volume/local_engine.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "engine/foundation/check.h"

namespace engine {
namespace {

Instant deadline_after(Duration patience) {
  const Instant now = SystemClock().now();
  return patience >= Duration::max() - now.since_start ? Instant{Duration::max()} : now + patience;
}

}  // namespace

std::unique_ptr<Engine> Engine::open(std::vector<PoolSpec> pools, std::vector<VolumeSpec> volumes,
                                     EngineOptions options) {
  return std::make_unique<LocalEngine>(std::move(pools), std::move(volumes), std::move(options));
}

LocalEngine::LocalEngine(std::vector<PoolSpec> pools, std::vector<VolumeSpec> volumes,
                         EngineOptions options)
    : known_(std::move(options.known_volumes_file)), disks_([this] { return disks(); }, clock_) {
  for (PoolSpec& spec : pools) {
    pools_.push_back(std::make_unique<PoolKeeper>(std::move(spec), known_));
  }
  for (CacheSpec& spec : options.caches) {
    CHECK(options.memory != nullptr);
    caches_.push_back(std::make_unique<CacheKeeper>(std::move(spec), *options.memory, workers_));
  }
  for (const VolumeSpec& spec : volumes) add(spec);
  for (const auto& cache : caches_) cache->start();
  for (const auto& pool : pools_) pool->start();
  disks_.start();
  (void)settle(options.patience);
}

// Nobody's thread may go on while the others' objects are taken away.
LocalEngine::~LocalEngine() { (void)stop(Duration::max()); }

void LocalEngine::add(const VolumeSpec& spec) {
  auto slot = std::make_unique<Slot>();
  slot->backed = std::make_unique<BackedVolume>(
      VolumeIdentity{.name = spec.name, .uuid = {}, .block_size = spec.block_size},
      BlockCount{spec.size.value / spec.block_size.bytes},
      "pool " + spec.pool + " is not configured");
  const auto pool = std::ranges::find_if(
      pools_, [&spec](const auto& keeper) { return keeper->name() == spec.pool; });
  if (pool != pools_.end()) {
    slot->pool = pool->get();
    if (spec.cache || (slot->pool->takes_caches() && !caches_.empty())) add_cached(spec, *slot);
    slot->pool->add(spec, *slot->backed, slot->cached != nullptr ? &slot->relay : nullptr);
  }
  slots_by_name_[spec.name] = slot.get();
  slots_.push_back(std::move(slot));
}

// On the device that the specification names, if any; on the others, too, so that it can be moved
// there.
void LocalEngine::add_cached(const VolumeSpec& spec, Slot& slot) {
  slot.cached = spec.cache ? std::make_unique<CachedVolume>(
                                 *slot.backed,
                                 "cache device " + spec.cache->device + " has not been opened yet")
                           : std::make_unique<CachedVolume>(*slot.backed);
  slot.alone.face = slot.cached.get();
  slot.relay.to = &slot.alone;
  for (const auto& keeper : caches_) {
    const bool is_here = spec.cache && keeper->name() == spec.cache->device;
    VolumeSpec there = spec;
    if (!there.cache) there.cache.emplace();
    there.cache->device = keeper->name();
    slot.users[keeper.get()] = &keeper->add(there, *slot.cached, *slot.pool, is_here);
    if (is_here) keep_on(slot, *keeper);
  }
  CHECK(!spec.cache || slot.cache != nullptr);  // as the configuration has checked
}

void LocalEngine::keep_on(Slot& slot, CacheKeeper& keeper) {
  slot.cache = &keeper;
  slot.relay.to = slot.users.at(&keeper);
}

CacheKeeper* LocalEngine::keeper_called(const std::string& device) const {
  const auto found = std::ranges::find_if(
      caches_, [&device](const auto& keeper) { return keeper->name() == device; });
  return found == caches_.end() ? nullptr : found->get();
}

std::vector<Volume*> LocalEngine::volumes() const {
  std::vector<Volume*> all;
  for (const auto& slot : slots_) all.push_back(&slot->face());
  return all;
}

Volume* LocalEngine::find(const std::string& name) const {
  const auto found = slots_by_name_.find(name);
  return found == slots_by_name_.end() ? nullptr : &found->second->face();
}

std::vector<PoolStatus> LocalEngine::pools() const {
  std::vector<PoolStatus> all;
  for (const auto& pool : pools_) {
    all.push_back(pool->status());
    all.back().disks = disks_.status_of(pool->disks());
  }
  return all;
}

std::vector<DiskKeeper::PoolDisks> LocalEngine::disks() const {
  std::vector<DiskKeeper::PoolDisks> all;
  for (const auto& pool : pools_) all.push_back({.pool = pool->name(), .disks = pool->disks()});
  return all;
}

std::vector<CacheStatus> LocalEngine::caches() const {
  std::vector<CacheStatus> all;
  for (const auto& cache : caches_) all.push_back(cache->status());
  return all;
}

std::vector<Finding> LocalEngine::findings() const {
  std::vector<Finding> all;
  if (const std::string error = known_.save_error(); !error.empty()) {
    all.push_back({.about = Finding::About::known_volumes,
                   .name = {},
                   .text = known_.path() + " cannot be written: " + error +
                           "; a volume whose pool is late at the next start will be shown without "
                           "its identity"});
  }
  for (const auto& pool : pools_) {
    auto found = pool->findings();
    std::move(found.begin(), found.end(), std::back_inserter(all));
  }
  auto of_disks = disks_.findings();
  std::move(of_disks.begin(), of_disks.end(), std::back_inserter(all));
  for (const auto& cache : caches_) {
    auto found = cache->findings();
    std::move(found.begin(), found.end(), std::back_inserter(all));
  }
  return all;
}

void LocalEngine::observe(VolumeObserver* observer) {
  for (const auto& slot : slots_) {
    if (slot->cached != nullptr) slot->cached->observe(observer);
  }
  for (const auto& pool : pools_) pool->observe(observer);
}

void LocalEngine::retry_now() {
  for (const auto& pool : pools_) pool->try_now();
  for (const auto& cache : caches_) cache->try_now();
}

bool LocalEngine::settle(Duration patience) {
  const Instant deadline = deadline_after(patience);
  bool all_idle = true;
  for (const auto& pool : pools_) all_idle = pool->await_idle(deadline) && all_idle;
  // Whose backings have come now, and whose records their pools write meanwhile.
  for (const auto& cache : caches_) all_idle = cache->await_idle(deadline) && all_idle;
  return all_idle;
}

void LocalEngine::grow(const std::string& name, ByteCount new_size, Done done) {
  const auto found = slots_by_name_.find(name);
  if (found == slots_by_name_.end()) return done("there is no volume " + name);
  Slot& slot = *found->second;
  if (slot.pool == nullptr) return done("volume " + name + ": " + slot.backed->condition().reason);
  if (slot.cache == nullptr) return slot.pool->grow(name, new_size, std::move(done));
  slot.pool->grow(name, new_size, [name, &slot, done = std::move(done)](const auto& grown) {
    if (!grown) return done(grown);
    slot.cache.load()->follow_growth(name, done);
  });
}

void LocalEngine::destroy(const std::string& name, const Uuid& uuid, Done done) {
  for (const auto& pool : pools_) {
    if (pool->retains(name, uuid)) return pool->destroy(name, uuid, std::move(done));
  }
  done(why_not_retained(name, uuid, "destroyed"));
}

void LocalEngine::rename(const std::string& name, const Uuid& uuid, const std::string& to,
                         Done done) {
  for (const auto& pool : pools_) {
    if (!pool->retains(name, uuid) && !pool->retains(to, uuid)) continue;
    if (std::string why = why_not_named(to, *pool); !why.empty()) return done(std::move(why));
    return pool->rename(name, uuid, to, std::move(done));
  }
  done(why_not_retained(name, uuid, "renamed"));
}

void LocalEngine::adopt(const std::string& pool, const Adoption& adoption, AdoptDone done) {
  const auto found =
      std::ranges::find_if(pools_, [&pool](const auto& each) { return each->name() == pool; });
  if (found == pools_.end() || !(*found)->takes_caches()) {
    return done("there is no file pool " + pool + " in the configuration");
  }
  if (std::string why = why_not_named(adoption.name, **found); !why.empty()) {
    return done(std::move(why));
  }
  (*found)->adopt(adoption, std::move(done));
}

void LocalEngine::add_member(const std::string& pool, const std::string& disk,
                             const std::vector<std::string>& permitted, AddMemberDone done) {
  const auto found =
      std::ranges::find_if(pools_, [&pool](const auto& each) { return each->name() == pool; });
  if (found == pools_.end()) return done("there is no pool " + pool + " in the configuration");
  (*found)->add_member(disk, permitted, std::move(done));
}

std::string LocalEngine::why_not_retained(const std::string& name, const Uuid& uuid,
                                          const char* wanted) const {
  if (const Volume* const served = find(name);
      served != nullptr && served->identity().uuid == uuid) {
    return "volume " + name +
           " is in the configuration: only what that does not name any more can be " + wanted +
           " (take it out, and restart the daemon)";
  }
  return "no pool that is open retains a volume " + name + " with UUID " + uuid.text() +
         "; forebayctl status lists those that do";
}

// A name is one volume's, of whichever pool.
std::string LocalEngine::why_not_named(const std::string& name, const PoolKeeper& pool) const {
  const auto configured = slots_by_name_.find(name);
  if (configured == slots_by_name_.end() || configured->second->pool == &pool) return {};
  return "the configuration names a volume " + name + " of another pool";
}

std::uint64_t LocalEngine::backing_errors_of(const std::string& name) const {
  const auto found = slots_by_name_.find(name);
  if (found == slots_by_name_.end() || found->second->pool == nullptr) return 0;
  return found->second->pool->backing_errors_of(name);
}

LossStatus LocalEngine::losses_of(const std::string& name) const {
  const auto found = slots_by_name_.find(name);
  if (found == slots_by_name_.end() || found->second->pool == nullptr) return {};
  return found->second->pool->losses_of(name);
}

std::optional<VolumeCacheStatus> LocalEngine::cache_of(const std::string& name) const {
  const auto found = slots_by_name_.find(name);
  if (found == slots_by_name_.end() || found->second->cache == nullptr) return std::nullopt;
  return found->second->cache.load()->status_of(name);
}

CacheKeeper* LocalEngine::keeper_of(const std::string& name, const Done& done) const {
  const auto found = slots_by_name_.find(name);
  if (found == slots_by_name_.end()) {
    done("there is no volume " + name);
    return nullptr;
  }
  CacheKeeper* const keeper = found->second->cache;
  if (keeper == nullptr) done("volume " + name + " has no cache");
  return keeper;
}

void LocalEngine::set_cache_mode(const std::string& name, CacheMode mode, Done done) {
  if (CacheKeeper* const keeper = keeper_of(name, done)) {
    keeper->set_mode(name, mode, std::move(done));
  }
}

void LocalEngine::drain(const std::string& name, Done done) {
  if (CacheKeeper* const keeper = keeper_of(name, done)) keeper->drain(name, std::move(done));
}

void LocalEngine::cancel_drain(const std::string& name, Done done) {
  if (CacheKeeper* const keeper = keeper_of(name, done)) {
    keeper->cancel_drain(name, std::move(done));
  }
}

void LocalEngine::give_up_lost(const std::string& name, Done done) {
  if (CacheKeeper* const keeper = keeper_of(name, done)) {
    keeper->give_up_lost(name, std::move(done));
  }
}

void LocalEngine::detach_cache(const std::string& name, Done done) {
  if (CacheKeeper* const keeper = keeper_of(name, done)) keeper->detach(name, std::move(done));
}

void LocalEngine::attach_cache(const std::string& name, const std::string& device, Done done) {
  const auto found = slots_by_name_.find(name);
  if (found == slots_by_name_.end()) return done("there is no volume " + name);
  CacheKeeper* const to = keeper_called(device);
  if (to == nullptr) return done("there is no cache device " + device);
  Slot& slot = *found->second;
  const auto join = [this, &slot, to, name, done](const std::shared_ptr<BackingArrival>& arrival,
                                                  const std::string& why_not) {
    if (arrival == nullptr) return done("volume " + name + ": " + why_not);
    keep_on(slot, *to);
    to->join(name, arrival, done);
  };
  if (CacheKeeper* const from = slot.cache) return from->release(name, join);
  if (slot.cached == nullptr) return done("volume " + name + ": " + why_no_cache(slot));
  slot.pool->find_arrival(name, [&slot, join](Result<BackingArrival, std::string> arrival) {
    if (!arrival) return join(nullptr, arrival.error());
    // The pool answers one by one.
    if (slot.cache != nullptr) return join(nullptr, "its cache is being changed already");
    join(std::make_shared<BackingArrival>(std::move(arrival.value())), {});
  });
}

std::string LocalEngine::why_no_cache(const Slot& slot) {
  if (slot.pool == nullptr) return slot.backed->condition().reason;
  return "its pool is in memory, and takes no cache";
}

void LocalEngine::retire_cache(const std::string& device, Done done) {
  CacheKeeper* const keeper = keeper_called(device);
  if (keeper == nullptr) return done("there is no cache device " + device);
  keeper->retire(std::move(done));
}

void LocalEngine::abandon_cache(const std::string& name, const Uuid& cache, GivenUp done) {
  const auto found = slots_by_name_.find(name);
  if (found == slots_by_name_.end()) return done("there is no volume " + name);
  const Slot& slot = *found->second;
  if (slot.cache != nullptr) return slot.cache.load()->abandon(name, cache, done);
  if (slot.pool != nullptr) return slot.pool->abandon_cache(name, cache, std::move(done));
  done("volume " + name + ": " + slot.backed->condition().reason);
}

bool LocalEngine::stop(Duration patience) {
  const Instant deadline = deadline_after(patience);
  bool all_ended = true;
  workers_.give_up();
  disks_.stop();
  // Before the pools, which write down what is clean.
  for (const auto& cache : caches_) all_ended = cache->stop(deadline) && all_ended;
  for (const auto& pool : pools_) all_ended = pool->stop(deadline) && all_ended;
  return all_ended;
}

}  // namespace engine
