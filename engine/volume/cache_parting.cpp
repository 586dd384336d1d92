// CacheKeeper::Slot: how a volume leaves its cache, and joins one again.
#include <utility>

#include "engine/foundation/check.h"
#include "engine/foundation/guard.h"
#include "engine/media/volume_space.h"
#include "engine/volume/cache_slot.h"

namespace engine {
namespace {

constexpr const char* removed_reason = "the configuration does not name it any more";

}  // namespace

// ---- without the cache, and with it again

Result<void, std::string> CacheKeeper::Slot::detach() {
  if (phase_ != Phase::served) return why_not_served();
  if (parting_ != Parting::none || joined_) return "its cache is being changed already";
  if (auto why = why_kept(); !why.empty()) return why;
  part_error_.clear();
  parting_ = Parting::draining;
  face_.set_promise(promise());  // as for set_mode()
  front_->set_mode(CacheMode::pass_through);
  upkeep_->follow_mode();
  publish_status();
  return success();
}

// What a detachment that is given up leaves behind is the cache as it was.
void CacheKeeper::Slot::stop_parting(const std::string& why) {
  part_error_ = why;
  parting_ = Parting::none;
  for (const unsigned era : {0U, 1U}) {
    keeper_.cache_.lanes.take_back(
        {.kind = LaneQuestion::Kind::ended, .slot = cache_->slot(), .era = era});
  }
  front_->set_mode(mode_);
  upkeep_->follow_mode();
  face_.set_promise(promise());
  publish_status();
}

// The image is written without the cache only when its pool has written down that it is all there
// is; and that only when nothing can be answered any more that is in the cache alone.
void CacheKeeper::Slot::go_on_parting() {
  const bool is_current = cache_->commit().is_backing_current();
  if (parting_ == Parting::draining) {
    if (!is_current || !front_->goes_around_only()) return;
    // A detachment that was given up may have left something of the other era.
    if (GUARD("an era has ended before the next like it") && !have_ended(front_->era() ^ 1U))
      return;
    parting_ = Parting::going_around;
    era_ = front_->next_era();
  }
  if (GUARD("no write is on its way into the cache") && !have_ended(era_)) return;
  if (cache_->commit().is_backing_current() && upkeep_->is_quiet()) unbind();
}

bool CacheKeeper::Slot::have_ended(unsigned era) {
  return keeper_.cache_.lanes.all_say(
      {.kind = LaneQuestion::Kind::ended, .slot = cache_->slot(), .era = era});
}

void CacheKeeper::Slot::unbind() {
  phase_ = Phase::unbinding;
  parting_ = Parting::none;
  bindings_.bind(spec_.name, forgotten(binding_), [this](const Result<void, std::string>& bound) {
    keeper_.post([this, bound] {
      if (bound || !GUARD("record says so before the image is written alone")) return leave();
      phase_ = Phase::served;
      stop_parting("its pool cannot write down that it has no cache: " + bound.error());
    });
  });
}

void CacheKeeper::Slot::leave() {
  phase_ = Phase::leaving;
  lanes_have_left_ = false;
  binding_ = arrival_.binding = forgotten(binding_);
  face_.leave_cache();
}

// What works on the cache has ended, or begins to.
bool CacheKeeper::Slot::has_come_to_rest() {
  const LaneQuestion left{.kind = LaneQuestion::Kind::left, .slot = cache_->slot()};
  // Who still waits for space gets it.
  lanes_have_left_ = lanes_have_left_ || keeper_.cache_.lanes.all_say(left);
  if (!lanes_have_left_) return false;
  upkeep_->stop();
  if (!upkeep_->is_quiet() || keeper_.actor_->has_in_turn(cache_->slot())) return false;
  keeper_.actor_->leave(cache_->slot());
  return !device().segments().any_waiting() || device().failed();  // for the commit thread
}

void CacheKeeper::Slot::end_cache() {
  (void)upkeep_->end_clean();
  arrival_.marker = upkeep_->take_marker();
  arrival_.journal = upkeep_->take_journal();
  keeper_.former_reclaimed_.add(*upkeep_);
  upkeep_.reset();
  keeper_.former_reads_.add(*front_);
  if (VolumeSpace* const space = face_.backed().backing()->space()) space->follow({});
  front_.reset();
  cache_.reset();
  trouble_.clear();
}

void CacheKeeper::Slot::end_leaving() {
  if (!has_come_to_rest()) return;
  const std::uint32_t slot = cache_->slot();
  end_cache();
  // What cannot be written is left to the next start: the record has forgotten this cache.
  DurableWriter& writer = *keeper_.writer_;
  if (device().volumes().leave(writer, slot)) (void)device().finish_leaving(writer, slot);
  phase_ = Phase::away;
  is_here_.store(false, std::memory_order_relaxed);
  const std::lock_guard lock(mutex_);
  status_.reset();
}

std::optional<BackingArrival> CacheKeeper::Slot::release() {
  if (phase_ != Phase::away || !arrival_.marker) return std::nullopt;
  return std::exchange(arrival_, {});
}

void CacheKeeper::Slot::join(BackingArrival arrival, Engine::Done done) {
  CHECK(phase_ == Phase::away);
  arrival_ = std::move(arrival);
  if (keeper_.cache_.device == nullptr) return done(keeper_.late_reason());
  joined_ = std::move(done);
  phase_ = Phase::waiting;
  is_here_.store(true, std::memory_order_relaxed);
  judge();
}

// While it joins, commands go around the cache: what was on its way to the image alone is not in
// the way of what is cached.
void CacheKeeper::Slot::joined(const Result<void, std::string>& outcome) {
  const Engine::Done done = std::exchange(joined_, {});
  if (outcome) {
    front_->set_mode(mode_);
    upkeep_->follow_mode();
    face_.set_promise(promise());
  } else {
    phase_ = Phase::away;
    is_here_.store(false, std::memory_order_relaxed);
    cache_.reset();
  }
  done(outcome);
}

// ---- for good

void CacheKeeper::Slot::remove(Engine::Done done) {
  if (removed_ || phase_ == Phase::removed) {
    return done("volume " + spec_.name + " is being removed already");
  }
  if (joined_ || is_detaching()) {
    return done("volume " + spec_.name + ": its cache is being changed just now");
  }
  removed_ = std::move(done);
  face_.close(removed_reason);
  if (phase_ == Phase::served) {
    phase_ = Phase::removing;
    lanes_have_left_ = false;
    return;
  }
  const bool others_work = phase_ == Phase::binding || phase_ == Phase::recovering;
  if (!others_work) end_removing(false);
}

bool CacheKeeper::Slot::is_to_go() {
  if (!removed_) return false;
  end_removing(false);
  return true;
}

// Where the backing has all that was answered, its record says so before anything is given up.
void CacheKeeper::Slot::go_on_removing() {
  if (phase_ != Phase::removing || !has_come_to_rest()) return;
  if (!cache_->commit().is_backing_current()) return end_removing(false);
  phase_ = Phase::unbinding;
  bindings_.bind(spec_.name, forgotten(binding_), [this](const Result<void, std::string>& bound) {
    keeper_.post([this, bound] { end_removing(static_cast<bool>(bound)); });
  });
}

// What is kept is as a start would find it, and is read like that when the volume comes back.
void CacheKeeper::Slot::end_removing(bool is_given_up) {
  std::optional<std::uint32_t> slot;
  if (keeper_.cache_.device && phase_ != Phase::away) slot = device().volumes().find(uuid());
  DurableWriter* const writer = slot ? &*keeper_.writer_ : nullptr;
  if (upkeep_ != nullptr) {
    const ByteCount owed{is_given_up ? 0 : cache_->commit().owed().value * format::place_bytes};
    end_cache();
    if (VolumeSpace* const space = face_.backed().backing()->space()) space->expect(owed);
  } else if (cache_ != nullptr) {
    if (cache_->is_writable()) (void)cache_->stop_clean(*writer);
    cache_.reset();
  }
  if (is_given_up) {
    if (device().volumes().leave(*writer, *slot)) (void)device().finish_leaving(*writer, *slot);
  } else if (slot) {
    device().retain(*slot);
  }
  arrival_ = {};
  phase_ = Phase::removed;
  keeper_.retained_have_changed_ = true;
  is_here_.store(false, std::memory_order_relaxed);
  {
    const std::lock_guard lock(mutex_);
    status_.reset();
  }
  std::exchange(removed_, {})(success());
}

}  // namespace engine
