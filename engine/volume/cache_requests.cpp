// CacheKeeper: what others ask of it, and the volumes that come and go.
#include <algorithm>
#include <utility>

#include "engine/foundation/check.h"
#include "engine/volume/cache_keeper.h"
#include "engine/volume/cache_slot.h"

namespace engine {
namespace {

constexpr std::string_view is_not_kept = "its cache is not kept any more: the daemon ends";

}  // namespace

// ---- of a volume

CacheKeeper::Slot* CacheKeeper::find(const std::string& volume) const {
  const auto slot =
      std::ranges::find_if(slots_, [&volume](const auto& each) { return each->is_called(volume); });
  return slot == slots_.end() ? nullptr : slot->get();
}

// Of one that it does not know there is nothing to rename; after the end nobody asks any more.
void CacheKeeper::rename(const std::string& volume, const std::string& to, Engine::Done done) {
  const auto rename = [this, volume, to, done] {
    list_newcomers();
    if (Slot* const slot = find(volume)) {
      const std::lock_guard lock(slots_mutex_);
      slot->rename(to);
    }
    done(success());
  };
  if (!post_if_running(rename)) done(success());
}

std::string CacheKeeper::is_unknown(const std::string& volume) {
  return "there is no volume " + volume;
}

void CacheKeeper::ask(Wish wish) {
  {
    const std::lock_guard lock(mutex_);
    if (!ended_) {
      wishes_.push_back(std::move(wish));
      idle_ = false;
      return wake();
    }
  }
  wish.done(wish.at_the_end);
}

// After the end: the next start sees the size.
void CacheKeeper::follow_growth(const std::string& volume, Engine::Done done) {
  ask({.volume = volume,
       .work = [](Slot& slot) { return slot.follow_size(); },
       .done = std::move(done),
       .at_the_end = success()});
}

void CacheKeeper::set_mode(const std::string& volume, CacheMode mode, Engine::Done done) {
  ask({.volume = volume,
       .work = [mode](Slot& slot) { return slot.set_mode(mode); },
       .done = std::move(done),
       .at_the_end = std::string(is_not_kept)});
}

void CacheKeeper::drain(const std::string& volume, Engine::Done done) {
  ask({.volume = volume,
       .work = [](Slot& slot) { return slot.drain(); },
       .done = std::move(done),
       .at_the_end = std::string(is_not_kept)});
}

void CacheKeeper::cancel_drain(const std::string& volume, Engine::Done done) {
  ask({.volume = volume,
       .work = [](Slot& slot) { return slot.cancel_drain(); },
       .done = std::move(done),
       .at_the_end = std::string(is_not_kept)});
}

void CacheKeeper::give_up_lost(const std::string& volume, Engine::Done done) {
  ask({.volume = volume,
       .work = [](Slot& slot) { return slot.give_up_lost(); },
       .done = std::move(done),
       .at_the_end = std::string(is_not_kept)});
}

void CacheKeeper::abandon(const std::string& volume, const Uuid& cache,
                          const Engine::GivenUp& done) {
  const auto abandon = [this, volume, cache, done] {
    if (Slot* const slot = find(volume)) return slot->abandon(cache, done);
    done(is_unknown(volume));
  };
  if (!post_if_running(abandon)) done(std::string(is_not_kept));
}

void CacheKeeper::detach(const std::string& volume, Engine::Done done) {
  ask({.volume = volume,
       .work = [](Slot& slot) { return slot.detach(); },
       .done = std::move(done),
       .at_the_end = std::string(is_not_kept)});
}

void CacheKeeper::release(const std::string& volume, Released then) {
  const auto release = [this, volume, then] {
    Slot* const slot = find(volume);
    if (slot == nullptr) return then(nullptr, is_unknown(volume));
    auto arrival = slot->release();
    if (!arrival) return then(nullptr, "it has a cache: detach it first");
    then(std::make_shared<BackingArrival>(std::move(*arrival)), {});
  };
  if (!post_if_running(release)) then(nullptr, std::string(is_not_kept));
}

void CacheKeeper::join(const std::string& volume, std::shared_ptr<BackingArrival> arrival,
                       Engine::Done done) {
  const auto join = [this, volume, arrival = std::move(arrival), done] {
    Slot* const slot = find(volume);
    if (removed_) return done("cache device " + spec_.name + " is being removed");
    if (slot == nullptr) return done(is_unknown(volume));
    slot->join(std::move(*arrival), done);
  };
  if (!post_if_running(join)) done(std::string(is_not_kept));
}

void CacheKeeper::retire(Engine::Done done) {
  if (!post_if_running([this, done] { done(begin_retiring()); })) done(std::string(is_not_kept));
}

std::optional<VolumeCacheStatus> CacheKeeper::status_of(const std::string& volume) const {
  const std::lock_guard lock(slots_mutex_);
  const Slot* const slot = find(volume);
  return slot == nullptr ? std::nullopt : slot->status();
}

void CacheKeeper::set_cache(const std::string& volume, const VolumeCacheSpec& spec,
                            std::shared_ptr<JournalChange> journal, Engine::Done done) {
  ask({.volume = volume,
       .work = [spec, journal = std::move(journal)](
                   Slot& slot) { return slot.set_cache(spec, *journal); },
       .done = std::move(done),
       .at_the_end = std::string(is_not_kept)});
}

// ---- volumes that come and go

BackingUser& CacheKeeper::add(const VolumeSpec& spec, CachedVolume& volume, BindingKeeper& bindings,
                              bool is_here, HoldCount::Hold hold) {
  auto slot = std::make_unique<Slot>(*this, spec, volume, bindings, is_here, std::move(hold));
  Slot& added = *slot;
  {
    const std::lock_guard lock(mutex_);
    newcomers_.push_back(std::move(slot));
    idle_ = false;
    if (!ended_) wake();
    if (!ended_) return added;
  }
  list_newcomers();  // there is no thread yet, or no more
  return added;
}

void CacheKeeper::list_newcomers() {
  std::vector<std::unique_ptr<Slot>> newcomers;
  {
    const std::lock_guard lock(mutex_);
    newcomers.swap(newcomers_);
  }
  if (newcomers.empty()) return;
  {
    const std::lock_guard lock(slots_mutex_);
    for (auto& slot : newcomers) slots_.push_back(std::move(slot));
  }
  if (cache_.device != nullptr) {
    cache_.volumes = static_cast<std::uint32_t>(
        std::ranges::count_if(slots_, [](const auto& slot) { return !slot->is_away(); }));
  }
}

void CacheKeeper::remove_volume(const std::string& volume, Engine::Done done) {
  const auto remove = [this, volume, done] {
    Slot* const slot = find(volume);
    if (slot == nullptr) return done(is_unknown(volume));
    slot->remove(done);
  };
  if (post_if_running(remove)) return;
  if (lane_ != nullptr) return done(std::string(is_not_kept));
  // Nothing of it was ever served, nor will be.
  find(volume)->remove(done);
}

void CacheKeeper::erase(BackingUser& user) {
  const auto erase = [this, &user] {
    std::unique_ptr<Slot> erased;
    const std::lock_guard lock(slots_mutex_);
    const auto at = std::ranges::find_if(slots_, [&user](const auto& slot) {
      return static_cast<BackingUser*>(slot.get()) == &user;
    });
    CHECK(at != slots_.end() && (*at)->is_away());
    erased = std::move(*at);
    slots_.erase(at);
  };
  if (!post_if_running(erase) && lane_ == nullptr) erase();
}

// ---- the device itself

void CacheKeeper::remove(Engine::Done done) {
  if (post_if_running([this, done] { begin_removal(done); })) return;
  if (lane_ != nullptr) return done(std::string(is_not_kept));
  if (std::string why = why_not_remove({}); !why.empty()) return done(std::move(why));
  done(success());
}

void CacheKeeper::begin_removal(const Engine::Done& done) {
  publish_retained();
  if (std::string why = why_not_remove({}); !why.empty()) return done(std::move(why));
  if (removed_) return done("cache device " + spec_.name + " is being removed already");
  removed_ = done;
  if (cache_.device != nullptr) {
    if (const auto begun = begin_retiring(); !begun) end_removal(begun.error());
    return;
  }
  const std::lock_guard lock(mutex_);
  stopping_ = true;
}

void CacheKeeper::end_removal(Result<void, std::string> outcome) {
  std::exchange(removed_, {})(std::move(outcome));
}

std::string CacheKeeper::why_not_remove(const std::vector<std::string>& leaving) const {
  const std::string name = "cache device " + spec_.name;
  {
    const std::lock_guard lock(slots_mutex_);
    for (const auto& slot : slots_) {
      if (!slot->is_here()) continue;
      if (!std::ranges::count(leaving, slot->name())) {
        return name + " has volume " + slot->name() + ": detach it first (forebayctl detach " +
               slot->name() + ")";
      }
      const auto status = slot->status();
      if (status && status->dirty.value == 0) continue;
      return name + " has what the image of volume " + slot->name() +
             " lacks, or may have it: drain that first (forebayctl drain " + slot->name() + ")";
    }
  }
  const std::lock_guard lock(mutex_);
  if (retained_.empty()) return {};
  return name + " has what the images of retained volumes lack (" + retained_ +
         "): name them in the configuration, and drain them first";
}

bool CacheKeeper::has_here(const std::string& volume) const {
  const std::lock_guard lock(slots_mutex_);
  const Slot* const slot = find(volume);
  return slot != nullptr && slot->is_here();
}

void CacheKeeper::forget(const Uuid& volume, std::function<void(Forgotten)> done) {
  const auto forget = [this, volume, done] { done(forget_now(volume)); };
  if (!post_if_running(forget)) done(std::string(is_not_kept));
}

// What cannot be freed now the next open frees: the volume is leaving from the first step on.
CacheKeeper::Forgotten CacheKeeper::forget_now(const Uuid& volume) {
  list_newcomers();
  if (cache_.device == nullptr) return late_reason();
  const bool is_here = std::ranges::any_of(slots_, [&volume](const auto& slot) {
    return slot->is_here() && (slot->uuid() == volume || slot->uuid().is_nil());
  });
  if (is_here) {
    return "cache device " + spec_.name +
           " serves the volume, or waits for one of which it does not know yet whether it is that";
  }
  CacheDevice& device = *cache_.device;
  const auto slot = device.volumes().find(volume);
  if (!slot) return std::optional<ByteCount>();
  const auto failed = [this](const CacheError& error) {
    return "cache device " + spec_.name + ": " + error.text;
  };
  const CacheVolume& known = device.volumes()[*slot];
  if (known.damaged) {
    return "cache device " + spec_.name +
           ": its entry of the volume is damaged; repair the device first (forebay-media repair)";
  }
  ByteCount freed_bytes;
  for (std::uint32_t segment = 0; segment < device.segments().count(); ++segment) {
    const SegmentInfo info = device.segments().info(segment);
    const bool is_its =
        info.use == format::SegmentUse::data && info.volume_tag == known.identity.tag;
    if (is_its) freed_bytes = freed_bytes + ByteCount{device.layout().segment_bytes};
  }
  if (known.identity.state == format::VolumeSlotState::attached) {
    const auto left = device.volumes().leave(*writer_, *slot);
    if (!left) return failed(left.error());
  }
  if (const auto freed = device.finish_leaving(*writer_, *slot); !freed) {
    return failed(freed.error());
  }
  retained_have_changed_ = true;
  return std::optional(freed_bytes);
}

void CacheKeeper::publish_retained() {
  std::string names;
  if (cache_.device != nullptr) {
    const CacheVolumeTable& volumes = cache_.device->volumes();
    for (std::uint32_t at = 0; at < volumes.slots(); ++at) {
      const CacheVolume& volume = volumes[at];
      const bool is_attached =
          !volume.damaged && volume.identity.state == format::VolumeSlotState::attached;
      if (!is_attached || volume.is_provably_clean()) continue;
      const bool is_here = std::ranges::any_of(slots_, [&volume](const auto& slot) {
        return slot->is_here() && slot->uuid() == volume.identity.volume;
      });
      if (!is_here) names += (names.empty() ? "" : ", ") + volume.binding.name;
    }
  }
  const std::lock_guard lock(mutex_);
  retained_ = std::move(names);
}

bool CacheKeeper::let_go() {
  {
    const std::lock_guard lock(mutex_);
    if (!ended_) return false;
  }
  if (thread_.joinable()) thread_.join();
  {
    const std::lock_guard lock(mutex_);
    posted_.clear();
    lane_.reset();
  }
  const std::lock_guard lock(slots_mutex_);
  for (const auto& slot : slots_) slot->let_go_of_volume();
  return true;
}

}  // namespace engine
