#include "engine/volume/cache_slot.h"

#include <algorithm>
#include <utility>

#include "engine/cache/least_space.h"
#include "engine/foundation/check.h"
#include "engine/foundation/guard.h"
#include "engine/media/volume_space.h"

namespace engine {
namespace {

constexpr Duration retry_period = std::chrono::seconds(1);

format::CacheMode on_media(CacheMode mode) {
  switch (mode) {
    case CacheMode::write_back:
      return format::CacheMode::write_back;
    case CacheMode::write_through:
      return format::CacheMode::write_through;
    case CacheMode::write_around:
      return format::CacheMode::write_around;
    case CacheMode::pass_through:
      return format::CacheMode::pass_through;
    case CacheMode::read_only:
      return format::CacheMode::read_only;
  }
  return format::CacheMode::write_back;
}

WriteBackLimits limits_of(const VolumeCacheSpec& spec) {
  WriteBackLimits limits;
  limits.high_percent = spec.dirty_high_percent;
  limits.low_percent = spec.dirty_low_percent;
  limits.most_age = spec.max_dirty_age;
  return limits;
}

// Why a volume whose configuration says `atomic: required` stays as it is.
std::string needs_cache_text(const std::string& where) {
  return "its configuration says atomic: required, and " + where +
         " a write of several blocks may be torn when power fails; take `atomic` out of it first";
}

// Why what recovery has found cannot be served, not even for reading; empty: it can.
std::string unservable(const RecoveryReport& report, const LogTails& tails) {
  // The image has more than what lies before the damage: both together are of no moment.
  if (GUARD("no damage behind the image") && report.damaged() &&
      report.last_sequence < std::max(tails.dirty_tail, tails.writeback_target)) {
    return "its log in the cache is damaged where the image is already ahead of it; see "
           "forebay-media check";
  }
  return {};
}

}  // namespace

CacheKeeper::Slot::Slot(CacheKeeper& keeper, VolumeSpec spec, CachedVolume& face,
                        BindingKeeper& bindings, bool is_here, HoldCount::Hold hold)
    : hold_(std::move(hold)),
      keeper_(keeper),
      spec_(std::move(spec)),
      face_(face),
      bindings_(bindings),
      mode_(spec_.cache->mode),
      phase_(is_here ? Phase::waiting : Phase::away),
      is_here_(is_here) {}

void CacheKeeper::Slot::backing_came(BackingArrival arrival) {
  const auto came = std::make_shared<BackingArrival>(std::move(arrival));
  keeper_.post([this, came] {
    if (removed_ || phase_ == Phase::removed) return;
    arrival_ = std::move(*came);
    if (keeper_.cache_.device) return judge();
    stay_late(keeper_.late_reason());
  });
}

void CacheKeeper::Slot::backing_changed() noexcept {
  face_.backing_changed();
  keeper_.post([this] { (void)follow_size(); });
}

Result<void, std::string> CacheKeeper::Slot::follow_size() {
  const BlockCount size = face_.backed().size();
  if (phase_ != Phase::served || size <= face_.size()) return success();
  if (GUARD("cache grows before its face")) {
    if (const auto extended = extend(size); !extended) return extended.error().text;
  }
  face_.grow(size);
  return success();
}

void CacheKeeper::Slot::device_came() {
  if (phase_ == Phase::waiting && arrival_.marker) judge();
}

void CacheKeeper::Slot::stay_late(const std::string& reason) {
  if (is_away()) return;
  if (!arrival_.marker || !lacks_writes(arrival_.binding)) {
    return face_.stay_late(reason, Finding::About::cache_device);
  }
  face_.stay_late(without_device_text(reason, arrival_.binding) +
                      if_lost_text(spec_.name, arrival_.binding.device, &arrival_.marker->stands()),
                  Finding::About::volume, /*lacks_cache=*/true);
}

std::string CacheKeeper::Slot::why_late() const {
  if (!is_here()) return {};
  const VolumeCondition now = face_.condition();
  const bool is_ours = now.state == VolumeState::late &&
                       now.reason_about == Finding::About::volume && !face_.waits_for_backing();
  return is_ours ? now.reason : std::string{};
}

void CacheKeeper::Slot::tick() {
  upkeep_->tick();
  if (phase_ == Phase::leaving) return end_leaving();
  if (removed_) return go_on_removing();
  if (joined_ && face_.direct_requests() == 0) joined(success());
  if (parting_ != Parting::none) go_on_parting();
  look();
}

void CacheKeeper::Slot::look() {
  face_.backed().look_for_failure();
  if (const std::string trouble = upkeep_->trouble(); trouble != trouble_) {
    trouble_ = trouble;
    const VolumeCache& volume = front_->volume();
    face_.set_trouble(trouble, !volume.is_writable() && !volume.waits_for_room());
  }
  publish_status();
}

void CacheKeeper::Slot::publish_status() {
  const WriteBackStatus& now = upkeep_->status();
  std::optional<LostRange> stopped_by_loss;
  if (now.trouble && now.trouble->is_lost_data()) {
    stopped_by_loss = {.begin = now.trouble->range.begin, .count = now.trouble->range.count};
  }
  const std::lock_guard lock(mutex_);
  status_ = {.device = spec_.cache->device,
             .mode = mode_,
             .dirty = now.bytes_left,
             .draining = upkeep_->is_draining() || parting_ != Parting::none,
             .detaching = parting_ != Parting::none || phase_ != Phase::served,
             .detach_error = part_error_,
             .drain_left = upkeep_->drain_left(),
             .time_left = upkeep_->drain_time(),
             .consistent_time_ms = now.consistent_time_ms,
             .backing_mixed = now.backing_mixed,
             .traffic = front_->traffic().counts(),
             .healed_reads = front_->healed_reads(),
             .lost_reads = front_->lost_reads(),
             .written_back = now.written,
             .write_back_failures = now.failures,
             .dirty_age = upkeep_->dirty_age(),
             .lag_age = upkeep_->lag_age(),
             .backing_atomic_bytes = arrival_.promise.atomic_write_bytes,
             .stopped_by_loss = stopped_by_loss};
}

std::optional<VolumeCacheStatus> CacheKeeper::Slot::status() const {
  const std::lock_guard lock(mutex_);
  return status_;
}

Result<void, std::string> CacheKeeper::Slot::set_mode(CacheMode mode) {
  if (is_away() || is_detaching()) return why_not_served();
  if (spec_.needs_atomic_writes && goes_around(mode)) {
    return needs_cache_text("in mode " + std::string(text(mode)));
  }
  if (phase_ == Phase::served && mode != mode_) {
    CacheVolumeBinding next = device().volumes()[cache_->slot()].binding;
    next.mode = on_media(mode);
    const auto set = device().volumes().set_binding(*keeper_.writer_, cache_->slot(), next);
    if (!set) return "the cache device cannot write it down: " + set.error().text;
    mode_ = mode;
    // Hosts are told before the first write that it does not hold for, and of what holds again only
    // when it does for every write that comes.
    if (goes_around(mode)) face_.set_promise(promise());
    if (!joined_) front_->set_mode(mode);
    upkeep_->follow_mode();
  }
  mode_ = mode;
  if (phase_ != Phase::served) return success();
  face_.set_promise(promise());
  publish_status();
  return success();
}

// Where it is on the device, its share first: that can be refused.
Result<void, std::string> CacheKeeper::Slot::set_cache(const VolumeCacheSpec& spec,
                                                       JournalChange& journal) {
  if (removed_ || is_detaching()) return why_not_served();
  const bool has_share =
      phase_ == Phase::binding || phase_ == Phase::recovering || phase_ == Phase::served;
  const auto share_as = [&](const VolumeCacheSpec& wanted) -> Result<void, std::string> {
    if (!has_share) return success();
    const std::uint32_t tag = device().volumes()[slot_on_device()].identity.tag;
    const auto set = set_share(device(), tag, spec_.name, wanted);
    if (!set) return set.error().text;
    return success();
  };
  TRY(share_as(spec));
  if (is_away()) {
    mode_ = spec.mode;
  } else if (const auto set = set_mode(spec.mode); !set) {
    (void)share_as(*spec_.cache);
    return set.error();
  }
  spec_.cache = spec;
  if (phase_ != Phase::served) {
    if (journal.is_wanted && arrival_.marker) arrival_.journal = std::move(journal.journal);
    return success();
  }
  upkeep_->set_limits(limits_of(spec));
  if (journal.is_wanted) upkeep_->set_journal(std::move(journal.journal));
  return success();
}

std::string CacheKeeper::Slot::why_not_served() const {
  if (removed_ || phase_ == Phase::removed) return "it is being removed";
  if (phase_ == Phase::away || phase_ == Phase::leaving) return "it is served without a cache";
  if (is_detaching()) return "it is being detached";
  return "it is not served: " + face_.condition().reason;
}

Result<void, std::string> CacheKeeper::Slot::drain() {
  if (phase_ != Phase::served) return why_not_served();
  upkeep_->drain();
  publish_status();
  return success();
}

Result<void, std::string> CacheKeeper::Slot::cancel_drain() {
  if (phase_ == Phase::served && parting_ != Parting::none) {
    stop_parting("it was cancelled");
    return success();
  }
  if (phase_ != Phase::served || !upkeep_->is_draining()) return "it is not being drained";
  upkeep_->cancel_drain();
  publish_status();
  return success();
}

std::string CacheKeeper::Slot::why_kept() const {
  return spec_.needs_atomic_writes ? needs_cache_text("without its cache") : std::string();
}

Result<void, std::string> CacheKeeper::Slot::give_up_lost() {
  if (phase_ != Phase::served) return why_not_served();
  return upkeep_->give_up_lost();
}

void CacheKeeper::Slot::unbind_dirt() {
  if (phase_ != Phase::served) return;  // it is no longer the cache's
  binding_.state = format::CacheBindingState::clean;
  bindings_.bind(spec_.name, binding_, [](const Result<void, std::string>&) {});
}

void CacheKeeper::Slot::refuse(const std::string& reason, bool lacks_cache) {
  if (joined_) return joined(reason);
  phase_ = Phase::refused;
  face_.stay_late(reason, Finding::About::volume, lacks_cache);
}

void CacheKeeper::Slot::abandon(const Uuid& cache, const Engine::GivenUp& done) {
  if (is_away() || removed_)
    return done("volume " + spec_.name + " lacks nothing: " + why_not_served());
  if (phase_ != Phase::waiting && phase_ != Phase::refused) {
    return done("volume " + spec_.name + " lacks nothing: its cache is there");
  }
  if (!arrival_.marker) {
    return done("volume " + spec_.name + ": " + face_.condition().reason);
  }
  GivenUpCache given_up{.device = cache};
  if (keeper_.cache_.device && device().uuid() == cache) {
    given_up.contents =
        judge_volume(device(), spec_.cache->device, face_.identity().uuid, arrival_.binding)
            .contents;
  }
  if (const auto may = abandoned(spec_.name, arrival_.binding, given_up); !may) {
    return done(may.error());
  }
  phase_ = Phase::binding;
  bindings_.abandon(spec_.name, given_up, [this, done](const auto& abandoned) {
    keeper_.post([this, done, abandoned] {
      if (is_to_go()) return done("volume " + spec_.name + " has been removed");
      phase_ = Phase::waiting;
      if (abandoned->marker) arrival_.marker = std::move(abandoned->marker);
      if (abandoned->binding) arrival_.binding = abandoned->binding.value();
      // Also where it has not come to that: what there would be left is another thing, perhaps.
      if (keeper_.cache_.device) {
        judge();
      } else {
        stay_late(keeper_.late_reason());
      }
      if (!abandoned->binding) return done(abandoned->binding.error());
      done(WhatIsLeft{abandoned->what_is_left});
    });
  });
}

// Whether what the cache has belongs to the image; nothing is opened before the pool's record
// says that the image alone is not enough.
void CacheKeeper::Slot::judge() {
  if (spec_.needs_atomic_writes && !keeper_.cache_.region->guarantee().survives_power_loss()) {
    return refuse("its configuration says atomic: required, and cache device " +
                  spec_.cache->device + " is " + keeper_.cache_.region->guarantee().text() +
                  ": take another cache device, or `atomic` out of the configuration");
  }
  const CacheJudgement judgement =
      judge_volume(device(), spec_.cache->device, face_.identity().uuid, arrival_.binding);
  if (!judgement.refusal.empty()) {
    return refuse(
        judgement.refusal + judgement.way_out(spec_.name, arrival_.binding, device().uuid(),
                                              &arrival_.marker->stands()),
        judgement.verdict == CacheVerdict::cache_missing);
  }
  const auto joined = judgement.verdict == CacheVerdict::resume
                          ? resume(*judgement.slot, *judgement.contents)
                          : attach(judgement.contents);
  if (!joined) {
    return refuse("it cannot join cache device " + spec_.cache->device + ": " +
                  joined.error().text);
  }
  // Before the record: what cannot be served leaves it as it is.
  const auto share = set_share(device(), device().volumes()[slot_on_device()].identity.tag,
                               spec_.name, *spec_.cache);
  if (!share) return refuse(share.error().text);
  bind();
}

// Anew, and empty.
Result<void, CacheError> CacheKeeper::Slot::attach(const std::optional<CacheContents>& contents) {
  const Uuid& uuid = face_.identity().uuid;
  DurableWriter& writer = *keeper_.writer_;
  if (const auto old = device().volumes().find(uuid)) {
    if (device().volumes()[*old].identity.state == format::VolumeSlotState::attached) {
      TRY(device().volumes().leave(writer, *old));
    }
    TRY(device().finish_leaving(writer, *old));
  }
  binding_ = attached(arrival_.binding, device().uuid(), contents);
  TRY(device().volumes().attach(writer, {.volume = uuid,
                                         .backing = uuid,
                                         .size = face_.backed().size() * blocks(),
                                         .binding = {.attach_epoch = binding_.epoch,
                                                     .mode = on_media(mode_),
                                                     .block_size = blocks(),
                                                     .name = spec_.name}}));
  return success();
}

// With what it has, under the next epoch: a copy of it that was made before is not it any more.
Result<void, CacheError> CacheKeeper::Slot::resume(std::uint32_t slot,
                                                   const CacheContents& contents) {
  binding_ = resumed(arrival_.binding, contents);
  CacheVolumeBinding next = device().volumes()[slot].binding;
  next.attach_epoch = binding_.epoch;
  next.mode = on_media(mode_);
  next.block_size = blocks();  // a host's format may have changed them meanwhile
  return device().volumes().set_binding(*keeper_.writer_, slot, next);
}

void CacheKeeper::Slot::bind() {
  phase_ = Phase::binding;
  face_.stay_late("its pool has not written down yet that it is cached", Finding::About::volume);
  if (GUARD("record dirty before the first key")) {
    binding_.state = format::CacheBindingState::dirty;
  }
  bindings_.bind(spec_.name, binding_, [this](const Result<void, std::string>& bound) {
    keeper_.post([this, bound] {
      if (is_to_go()) return;
      if (!bound && GUARD("record written before service")) return bind_later(bound.error());
      recover();
    });
  });
}

void CacheKeeper::Slot::bind_later(const std::string& why) {
  if (joined_) return joined("its pool cannot write down that it is cached: " + why);
  phase_ = Phase::retrying;
  retry_at_ = keeper_.clock_.now() + retry_period;
  face_.stay_late("its pool cannot write down that it is cached: " + why, Finding::About::volume);
}

// Workers read its log; everything that writes to the device is this thread's.
void CacheKeeper::Slot::recover() {
  phase_ = Phase::recovering;
  face_.stay_late("what its cache holds is being read", Finding::About::volume);
  const std::uint32_t slot = slot_on_device();
  keeper_.workers_.begin(device().chunks_of(slot).chunks.size(), [this, slot] {
    const auto read = std::make_shared<Result<RecoveredVolume, CacheError>>(
        read_volume(device(), slot, *keeper_.cache_.memory, keeper_.clock_, keeper_.workers_));
    keeper_.post([this, read] {
      if (is_to_go()) return;
      if (!*read) return refuse(read->error().text);
      if (const auto served = serve(std::move(read->value())); !served) {
        refuse(served.error().text);
      }
    });
  });
}

Result<void, CacheError> CacheKeeper::Slot::serve(RecoveredVolume recovered) {
  DurableWriter& writer = *keeper_.writer_;
  const std::uint32_t slot = slot_on_device();
  TRY(finish_recovery(recovered, writer));
  if (std::string why = unservable(recovered.report, device().volumes()[slot].tails);
      !why.empty()) {
    return CacheError{CacheError::Kind::damaged, {}, std::move(why)};
  }
  cache_ = std::move(recovered.cache);
  VolumeCache* const volume = cache_.get();
  TRY(free_unnamed_segments(device(), writer, {&volume, 1}));
  const BlockCount size = face_.backed().size();
  TRY(extend(size));
  front_ = std::make_unique<CacheFront>(
      keeper_.cache_, *cache_, *face_.backed().backing(), blocks(), keeper_.clock_,
      joined_ && GUARD("a cache that joins is gone around") ? CacheMode::pass_through : mode_);
  upkeep_ = std::make_unique<VolumeUpkeep>(
      *front_, std::move(arrival_.marker), *keeper_.lane_, writer, *keeper_.actor_, keeper_.clock_,
      std::move(recovered.report), limits_of(*spec_.cache), std::move(arrival_.journal));
  // Before anybody is answered: what it has to write back already, nobody else is to have.
  if (VolumeSpace* const space = face_.backed().backing()->space()) {
    space->follow([commit = &cache_->commit()] {
      return ByteCount{commit->owed().value * format::place_bytes};
    });
  }
  phase_ = Phase::served;
  keeper_.retained_have_changed_ = true;
  upkeep_->tick();  // what is not well is known before anybody comes
  look();
  face_.serve(*front_, size, promise());
  (void)follow_size();
  return success();
}

std::uint32_t CacheKeeper::Slot::slot_on_device() const {
  const auto slot = device().volumes().find(face_.identity().uuid);
  CHECK(slot.has_value());
  return *slot;
}

// The log must know of the size before a host can write there.
Result<void, CacheError> CacheKeeper::Slot::extend(BlockCount count) {
  const ByteCount size = count * blocks();
  if (device().volumes()[cache_->slot()].identity.size >= size) return success();
  return device().volumes().set_size(*keeper_.writer_, cache_->slot(), size);
}

VolumePromise CacheKeeper::Slot::promise() const {
  const PmemGuarantee& guarantee = keeper_.cache_.region->guarantee();
  VolumePromise all = arrival_.promise;
  all.writable = mode_ != CacheMode::read_only;
  // The disk's own, as long as commands may go around.
  if (goes_around(mode_) || joined_ || parting_ != Parting::none) return all;
  if (guarantee.survives_power_loss()) {
    all.atomic_write_bytes = static_cast<std::uint32_t>(whole_write.value * format::place_bytes);
    all.is_atomic_anywhere = true;
  } else {
    // Without the cache the image is of no moment while a batch is on its way there.
    all.durable = false;
    if (!all.note.empty()) all.note += "; ";
    all.note +=
        "its cache is " + guarantee.text() + ": acknowledged writes are gone at a power loss";
  }
  return all;
}

}  // namespace engine
