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
    : known_(std::move(options.known_volumes_file)),
      memory_(options.memory),
      disks_([this] { return disks(); }, clock_) {
  for (PoolSpec& spec : pools) {
    pools_.push_back(std::make_unique<PoolKeeper>(std::move(spec), known_));
  }
  for (CacheSpec& spec : options.caches) {
    CHECK(memory_ != nullptr);
    caches_.push_back(std::make_unique<CacheKeeper>(std::move(spec), *memory_, workers_));
  }
  for (const VolumeSpec& spec : volumes) (void)add(spec);
  for (const auto& cache : caches_) cache->start();
  for (const auto& pool : pools_) pool->start();
  disks_.start();
  (void)settle(options.patience);
}

// Nobody's thread may go on while the others' objects are taken away.
LocalEngine::~LocalEngine() { (void)stop(Duration::max()); }

LocalEngine::Slot& LocalEngine::add(const VolumeSpec& spec) {
  auto made = std::make_unique<Slot>();
  Slot& slot = *made;
  slot.spec = spec;
  slot.backed = std::make_unique<BackedVolume>(
      VolumeIdentity{.name = spec.name, .uuid = {}, .block_size = spec.block_size},
      BlockCount{spec.size.value / spec.block_size.bytes},
      "pool " + spec.pool + " is not configured");
  slot.face = spec.cache ? std::make_unique<CachedVolume>(
                               *slot.backed,
                               "cache device " + spec.cache->device + " has not been opened yet")
                         : std::make_unique<CachedVolume>(*slot.backed);
  slot.face->observe(observer_.load(std::memory_order_acquire));
  slot.alone.face = slot.face.get();
  slot.relay.to = &slot.alone;
  const auto pool = std::ranges::find_if(
      pools_, [&spec](const auto& keeper) { return keeper->name() == spec.pool; });
  if (pool != pools_.end()) {
    slot.pool = pool->get();
    for (const auto& keeper : caches_) {
      add_to(*keeper, slot, spec.cache && keeper->name() == spec.cache->device);
    }
    CHECK(!spec.cache || slot.cache != nullptr);  // as the configuration has checked
    slot.pool->add(spec, *slot.backed, slot.relay);
  }
  slots_by_name_[spec.name] = &slot;
  slots_.push_back(std::move(made));
  return slot;
}

// On the device that the specification names, if any; on the others, too, so that it can be moved
// there.
void LocalEngine::add_to(CacheKeeper& keeper, Slot& slot, bool is_here) {
  const bool may_join = slot.pool != nullptr && (is_here || slot.pool->takes_caches());
  if (!may_join) return;
  VolumeSpec there = slot.spec;
  if (!there.cache) there.cache.emplace();
  there.cache->device = keeper.name();
  BackingUser& user = keeper.add(there, *slot.face, *slot.pool, is_here, slot.holds.take());
  slot.users[&keeper] = &user;
  if (!is_here) return;
  slot.cache = &keeper;
  slot.relay.to = &user;
}

bool LocalEngine::keep_on(Slot& slot, CacheKeeper& keeper) {
  const std::lock_guard lock(lists_mutex_);
  const auto user = slot.users.find(&keeper);
  if (user == slot.users.end() || slot.is_leaving) return false;
  slot.cache = &keeper;
  slot.relay.to = user->second;
  return true;
}

std::vector<PoolKeeper*> LocalEngine::pool_keepers() const {
  const std::lock_guard lock(lists_mutex_);
  std::vector<PoolKeeper*> all;
  for (const auto& pool : pools_) all.push_back(pool.get());
  return all;
}

std::vector<CacheKeeper*> LocalEngine::cache_keepers() const {
  const std::lock_guard lock(lists_mutex_);
  std::vector<CacheKeeper*> all;
  for (const auto& cache : caches_) all.push_back(cache.get());
  return all;
}

LocalEngine::Slot* LocalEngine::slot_called(const std::string& name) const {
  const std::lock_guard lock(lists_mutex_);
  const auto found = slots_by_name_.find(name);
  return found == slots_by_name_.end() ? nullptr : found->second;
}

PoolKeeper* LocalEngine::pool_called(const std::string& name) const {
  const auto pools = pool_keepers();
  const auto found =
      std::ranges::find_if(pools, [&name](const auto* pool) { return pool->name() == name; });
  return found == pools.end() ? nullptr : *found;
}

CacheKeeper* LocalEngine::keeper_called(const std::string& device) const {
  const auto keepers = cache_keepers();
  const auto found = std::ranges::find_if(
      keepers, [&device](const auto* keeper) { return keeper->name() == device; });
  return found == keepers.end() ? nullptr : *found;
}

std::vector<Volume*> LocalEngine::volumes() const {
  const std::lock_guard lock(lists_mutex_);
  std::vector<Volume*> all;
  for (const auto& slot : slots_) all.push_back(slot->face.get());
  return all;
}

Volume* LocalEngine::find(const std::string& name) const {
  const Slot* const slot = slot_called(name);
  return slot == nullptr ? nullptr : slot->face.get();
}

std::vector<PoolStatus> LocalEngine::pools() const {
  std::vector<PoolStatus> all;
  for (const PoolKeeper* const pool : pool_keepers()) {
    all.push_back(pool->status());
    all.back().disks = disks_.status_of(pool->disks());
  }
  return all;
}

std::vector<DiskKeeper::PoolDisks> LocalEngine::disks() const {
  std::vector<DiskKeeper::PoolDisks> all;
  for (const PoolKeeper* const pool : pool_keepers()) {
    all.push_back({.pool = pool->name(), .disks = pool->disks()});
  }
  return all;
}

std::vector<CacheStatus> LocalEngine::caches() const {
  std::vector<CacheStatus> all;
  for (const CacheKeeper* const cache : cache_keepers()) all.push_back(cache->status());
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
  for (const PoolKeeper* const pool : pool_keepers()) {
    auto found = pool->findings();
    std::move(found.begin(), found.end(), std::back_inserter(all));
  }
  auto of_disks = disks_.findings();
  std::move(of_disks.begin(), of_disks.end(), std::back_inserter(all));
  for (const CacheKeeper* const cache : cache_keepers()) {
    auto found = cache->findings();
    std::move(found.begin(), found.end(), std::back_inserter(all));
  }
  return all;
}

void LocalEngine::observe(VolumeObserver* observer) {
  observer_.store(observer, std::memory_order_release);
  const std::lock_guard lock(lists_mutex_);
  for (const auto& slot : slots_) slot->face->observe(observer);
}

void LocalEngine::retry_now() {
  for (PoolKeeper* const pool : pool_keepers()) pool->try_now();
  for (CacheKeeper* const cache : cache_keepers()) cache->try_now();
}

bool LocalEngine::settle(Duration patience) {
  const Instant deadline = deadline_after(patience);
  bool all_idle = true;
  for (PoolKeeper* const pool : pool_keepers()) all_idle = pool->await_idle(deadline) && all_idle;
  // Whose backings have come now, and whose records their pools write meanwhile.
  for (CacheKeeper* const cache : cache_keepers()) {
    all_idle = cache->await_idle(deadline) && all_idle;
  }
  return all_idle;
}

void LocalEngine::grow(const std::string& name, ByteCount new_size, Done done) {
  Slot* const found = slot_called(name);
  if (found == nullptr) return done("there is no volume " + name);
  Slot& slot = *found;
  if (slot.pool == nullptr) return done("volume " + name + ": " + slot.backed->condition().reason);
  slot.pool->grow(name, new_size, follow_growth(slot, std::move(done)));
}

// A cache must know of the size before it is served.
Engine::Done LocalEngine::follow_growth(Slot& slot, Done done) {
  if (slot.cache == nullptr) return done;
  return [&slot, hold = slot.holds.take(), done = std::move(done)](const auto& grown) {
    if (!grown) return done(grown);
    CacheKeeper* const keeper = slot.cache;
    if (keeper == nullptr) return done(grown);
    keeper->follow_growth(slot.backed->identity().name, done);
  };
}

void LocalEngine::rename(const std::string& name, const Uuid& uuid, const std::string& to,
                         Done done) {
  for (PoolKeeper* const pool : pool_keepers()) {
    if (!pool->retains(name, uuid) && !pool->retains(to, uuid)) continue;
    if (std::string why = why_not_named(to, *pool); !why.empty()) return done(std::move(why));
    return pool->rename(name, uuid, to, std::move(done));
  }
  done(why_not_retained(name, uuid, to));
}

void LocalEngine::adopt(const std::string& pool, const Adoption& adoption, AdoptDone done) {
  PoolKeeper* const found = pool_called(pool);
  if (found == nullptr || !found->takes_caches()) {
    return done("there is no file pool " + pool + " in the configuration");
  }
  if (std::string why = why_not_named(adoption.name, *found); !why.empty()) {
    return done(std::move(why));
  }
  found->adopt(adoption, std::move(done));
}

void LocalEngine::add_member(const std::string& pool, const std::string& disk,
                             const std::vector<std::string>& permitted, AddMemberDone done) {
  PoolKeeper* const found = pool_called(pool);
  if (found == nullptr) return done("there is no pool " + pool + " in the configuration");
  found->add_member(disk, permitted, std::move(done));
}

std::string LocalEngine::why_not_retained(const std::string& name, const Uuid& uuid,
                                          const std::string& to) const {
  if (const Volume* const served = find(name);
      served != nullptr && served->identity().uuid == uuid) {
    const std::string why = "volume " + name + " is in the configuration: ";
    if (!to.empty()) {
      return why + "name it " + to + " there, with `was: " + name + "`, and forebayctl reload";
    }
    return why +
           "only what that does not name any more can be destroyed (take it out, and forebayctl "
           "reload)";
  }
  return "no pool that is open retains a volume " + name + " with UUID " + uuid.text() +
         "; forebayctl status lists those that do";
}

// A name is one volume's, of whichever pool.
std::string LocalEngine::why_not_named(const std::string& name, const PoolKeeper& pool) const {
  const Slot* const configured = slot_called(name);
  if (configured == nullptr || configured->pool == &pool) return {};
  return "the configuration names a volume " + name + " of another pool";
}

std::uint64_t LocalEngine::backing_errors_of(const std::string& name) const {
  const Slot* const slot = slot_called(name);
  if (slot == nullptr || slot->pool == nullptr) return 0;
  return slot->pool->backing_errors_of(name);
}

LossStatus LocalEngine::losses_of(const std::string& name) const {
  const Slot* const slot = slot_called(name);
  if (slot == nullptr || slot->pool == nullptr) return {};
  return slot->pool->losses_of(name);
}

std::optional<VolumeCacheStatus> LocalEngine::cache_of(const std::string& name) const {
  const Slot* const slot = slot_called(name);
  CacheKeeper* const keeper = slot == nullptr ? nullptr : slot->cache.load();
  return keeper == nullptr ? std::nullopt : keeper->status_of(name);
}

CacheKeeper* LocalEngine::keeper_of(const std::string& name, const Done& done) const {
  const Slot* const slot = slot_called(name);
  if (slot == nullptr) {
    done("there is no volume " + name);
    return nullptr;
  }
  CacheKeeper* const keeper = slot->cache;
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
  Slot* const found = slot_called(name);
  if (found == nullptr) return done("there is no volume " + name);
  CacheKeeper* const to = keeper_called(device);
  if (to == nullptr) return done("there is no cache device " + device);
  Slot& slot = *found;
  if (slot.pool == nullptr || !slot.pool->takes_caches()) {
    return done("volume " + name + ": " + why_no_cache(slot));
  }
  {
    const std::lock_guard lock(lists_mutex_);
    const bool is_busy = std::exchange(slot.is_attaching, true);
    if (is_busy) return done("volume " + name + ": its cache is being changed already");
  }
  const Done ended = [this, &slot, hold = slot.holds.take(),
                      done = std::move(done)](const auto& outcome) {
    end_attaching(slot);
    done(outcome);
  };
  const auto join = [this, &slot, to, name, ended](const std::shared_ptr<BackingArrival>& arrival,
                                                   const std::string& why_not) {
    if (arrival == nullptr) return ended("volume " + name + ": " + why_not);
    if (!keep_on(slot, *to)) return ended("volume " + name + ": the cache device has been removed");
    find_journal(slot, *arrival, [to, name, arrival, ended](const auto& journal) {
      if (!journal) return ended("volume " + name + ": " + journal.error());
      to->join(name, arrival, ended);
    });
  };
  if (CacheKeeper* const from = slot.cache) return from->release(name, join);
  slot.pool->find_arrival(name, [join](Result<BackingArrival, std::string> arrival) {
    if (!arrival) return join(nullptr, arrival.error());
    join(std::make_shared<BackingArrival>(std::move(arrival.value())), {});
  });
}

// As it is specified now: whoever had the volume before may have had it otherwise.
void LocalEngine::find_journal(Slot& slot, BackingArrival& arrival, const Done& done) {
  std::optional<VolumeCacheSpec> spec;
  {
    const std::lock_guard lock(lists_mutex_);
    spec = slot.spec.cache;
  }
  const bool wants_journal = spec && spec->ordered == WriteBackOrder::journal;
  if (!wants_journal) arrival.journal.reset();
  if (wants_journal == (arrival.journal != nullptr)) return done(boost::outcome_v2::success());
  slot.pool->set_cache(slot.backed->identity().name, *spec, true, [&arrival, done](auto found) {
    if (!found) return done(found.error());
    arrival.journal = std::move(*found.value());
    done(boost::outcome_v2::success());
  });
}

void LocalEngine::end_attaching(Slot& slot) {
  const std::lock_guard lock(lists_mutex_);
  slot.is_attaching = false;
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
  const Slot* const slot = slot_called(name);
  if (slot == nullptr) return done("there is no volume " + name);
  if (CacheKeeper* const keeper = slot->cache) return keeper->abandon(name, cache, done);
  if (slot->pool != nullptr) return slot->pool->abandon_cache(name, cache, std::move(done));
  done("volume " + name + ": " + slot->backed->condition().reason);
}

bool LocalEngine::stop(Duration patience) {
  const Instant deadline = deadline_after(patience);
  bool all_ended = true;
  const std::lock_guard letting_go(letting_go_mutex_);
  workers_.give_up();
  disks_.stop();
  // Before the pools, which write down what is clean.
  for (const auto* caches : {&caches_, &former_caches_}) {
    for (const auto& cache : *caches) all_ended = cache->stop(deadline) && all_ended;
  }
  for (const auto* pools : {&pools_, &former_pools_}) {
    for (const auto& pool : *pools) all_ended = pool->stop(deadline) && all_ended;
  }
  return all_ended;
}

}  // namespace engine
