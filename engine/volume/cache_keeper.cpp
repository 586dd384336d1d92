#include "engine/volume/cache_keeper.h"

#include <poll.h>
#include <pthread.h>

#include <algorithm>
#include <array>
#include <utility>

#include "engine/cache/cached_data.h"
#include "engine/cache/recovery.h"
#include "engine/foundation/check.h"
#include "engine/media/open_pmem.h"

namespace engine {
namespace {

constexpr Duration tick_period = std::chrono::milliseconds(100);
// Space is looked after so often while hosts write.
constexpr Duration busy_period = std::chrono::milliseconds(10);
constexpr Duration retry_period = std::chrono::seconds(1);

std::chrono::steady_clock::time_point time_point(Instant at) {
  return std::chrono::steady_clock::time_point(
      std::chrono::duration_cast<std::chrono::steady_clock::duration>(at.since_start));
}

CacheContents contents_of(const CacheVolume& volume) {
  return {.epoch = volume.binding.attach_epoch,
          .dirty = !volume.is_provably_clean(),
          .opened = volume.epoch.attach_epoch == volume.binding.attach_epoch};
}

WriteBackLimits limits_of(const VolumeCacheSpec& spec) {
  WriteBackLimits limits;
  limits.high_percent = spec.dirty_high_percent;
  limits.low_percent = spec.dirty_low_percent;
  limits.most_age = spec.max_dirty_age;
  return limits;
}

}  // namespace

// Why what recovery has found cannot be served, not even for reading; empty: it can.
std::string unservable(const RecoveryReport& report, const LogTails& tails) {
  // The image has more than what lies before the damage: both together are of no moment.
  if (report.damaged() &&
      report.last_sequence < std::max(tails.dirty_tail, tails.writeback_target)) {
    return "its log in the cache is damaged where the image is already ahead of it; see "
           "forebay-media check";
  }
  return {};
}

// ---- one volume

class CacheKeeper::Slot final : public BackingUser {
 public:
  Slot(CacheKeeper& keeper, VolumeSpec spec, CachedVolume& face, BindingKeeper& bindings)
      : keeper_(keeper), spec_(std::move(spec)), face_(face), bindings_(bindings) {}

  void backing_came(BackingArrival arrival) override {
    const auto came = std::make_shared<BackingArrival>(std::move(arrival));
    keeper_.post([this, came] {
      arrival_ = std::move(*came);
      if (keeper_.cache_.device) return judge();
      stay_late(keeper_.late_reason());
    });
  }
  void backing_changed() noexcept override {
    face_.backing_changed();
    keeper_.post([this] { (void)follow_size(); });
  }

  // The keeper's thread, from here on.
  // As large as its backing is now; before it is served, serving sees to that.
  Result<void, std::string> follow_size() {
    const BlockCount size = face_.backed().size();
    if (phase_ != Phase::served || size <= face_.size()) return success();
    if (const auto extended = extend(size); !extended) return extended.error().text;
    face_.grow(size);
    return success();
  }
  void device_came() {
    if (phase_ == Phase::waiting && arrival_.marker) judge();
  }
  // The device is not there.
  void stay_late(const std::string& reason) {
    if (!lacks_writes()) return face_.stay_late(reason, Finding::About::cache_device);
    face_.stay_late(reason + ". Cache device " + arrival_.binding.device.text() +
                        " holds writes that the image lacks; bring it back. (Nothing is served "
                        "without them.)",
                    Finding::About::volume);
  }
  // What could not be written down is tried again.
  void try_again(Instant now) {
    if (phase_ == Phase::retrying && now >= retry_at_) judge();
  }
  void try_again_now() { try_again(retry_at_); }
  [[nodiscard]] bool is_settled() const {
    return phase_ == Phase::served || phase_ == Phase::refused || phase_ == Phase::retrying ||
           !arrival_.marker;
  }
  [[nodiscard]] VolumeUpkeep* upkeep() const { return upkeep_.get(); }
  [[nodiscard]] CacheFront* front() const { return front_.get(); }
  [[nodiscard]] const std::string& name() const { return spec_.name; }
  // Any thread. What keeps it from being served, unless that is its pool's or its device's to tell.
  [[nodiscard]] std::string why_late() const {
    const VolumeCondition now = face_.condition();
    const bool is_ours = now.state == VolumeState::late &&
                         now.reason_about == Finding::About::volume && !face_.waits_for_backing();
    return is_ours ? now.reason : std::string{};
  }

  void tick() {
    upkeep_->tick();
    face_.backed().look_at_backing();
    if (const std::string trouble = upkeep_->trouble(); trouble != trouble_) {
      trouble_ = trouble;
      face_.set_trouble(trouble, !front_->volume().is_writable());
    }
  }
  // After end_clean(): the image may be served without its cache from now on.
  void unbind_dirt() {
    binding_.state = format::CacheBindingState::clean;
    bindings_.bind(spec_.name, binding_, [](const Result<void, std::string>&) {});
  }

 private:
  enum class Phase : std::uint8_t {
    waiting,   // for its backing, or the device
    binding,   // the pool writes down what is cached
    retrying,  // it could not
    served,
    refused,
  };

  [[nodiscard]] CacheDevice& device() const { return *keeper_.cache_.device; }
  [[nodiscard]] bool lacks_writes() const {
    return arrival_.marker && arrival_.binding.state == format::CacheBindingState::dirty;
  }

  void refuse(const std::string& reason) {
    phase_ = Phase::refused;
    face_.stay_late(reason, Finding::About::volume);
  }

  // Whether what the cache has belongs to the image; nothing is opened before the pool's record
  // says that the image alone is not enough.
  void judge() {
    const auto slot = device().volumes().find(face_.identity().uuid);
    std::optional<CacheContents> contents;
    if (slot) {
      if (device().volumes()[*slot].damaged) {
        return refuse("its entry on cache device " + spec_.cache->device + " (" +
                      device().uuid().text() + ") is damaged; see forebay-media check");
      }
      contents = contents_of(device().volumes()[*slot]);
    }
    Result<void, CacheError> joined = success();
    switch (engine::judge(arrival_.binding, device().uuid(),
                          {.readable = true, .contents = contents})) {
      case CacheVerdict::direct:
        CHECK(false && "a readable cache is joined");
        break;
      case CacheVerdict::cache_missing:
        return refuse(missing_text(contents));
      case CacheVerdict::conflict:
        return refuse("cache device " + spec_.cache->device + " (" + device().uuid().text() +
                      ") holds writes that this image never knew of; one of the two is an old "
                      "copy. Bring back the one that belongs");
      case CacheVerdict::attach:
        joined = attach(contents);
        break;
      case CacheVerdict::resume:
        joined = resume(*slot, *contents);
        break;
    }
    // Before the record: what cannot be served leaves it as it is.
    if (joined) joined = set_share();
    if (!joined) {
      return refuse("it cannot join cache device " + spec_.cache->device + ": " +
                    joined.error().text);
    }
    bind();
  }

  [[nodiscard]] std::string missing_text(const std::optional<CacheContents>& contents) const {
    const std::string belongs = "cache device " + arrival_.binding.device.text() +
                                " holds writes that the image lacks, and ";
    if (arrival_.binding.device != device().uuid()) {
      return belongs + "the configuration names " + spec_.cache->device + " (" +
             device().uuid().text() + "); bring it back. (Nothing is served without them.)";
    }
    return belongs +
           (contents ? "what is there now is older; bring back the newer one. "
                     : "nothing of the volume is on it now; bring back the one that had "
                       "it. ") +
           "(Nothing is served without them.)";
  }

  // Anew, and empty.
  [[nodiscard]] Result<void, CacheError> attach(const std::optional<CacheContents>& contents) {
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
                                           .size = face_.backed().size() * spec_.block_size,
                                           .binding = {.attach_epoch = binding_.epoch,
                                                       .mode = mode(),
                                                       .block_size = spec_.block_size,
                                                       .name = spec_.name}}));
    return success();
  }

  // With what it has, under the next epoch: a copy of it that was made before is not it any more.
  [[nodiscard]] Result<void, CacheError> resume(std::uint32_t slot, const CacheContents& contents) {
    binding_ = resumed(arrival_.binding, contents);
    CacheVolumeBinding next = device().volumes()[slot].binding;
    next.attach_epoch = binding_.epoch;
    next.mode = mode();
    return device().volumes().set_binding(*keeper_.writer_, slot, next);
  }

  [[nodiscard]] bool is_write_through() const {
    return spec_.cache->mode == VolumeCacheSpec::Mode::write_through;
  }
  [[nodiscard]] format::CacheMode mode() const {
    return is_write_through() ? format::CacheMode::write_through : format::CacheMode::write_back;
  }

  void bind() {
    phase_ = Phase::binding;
    face_.stay_late("its pool has not written down yet that it is cached", Finding::About::volume);
    binding_.state = format::CacheBindingState::dirty;
    bindings_.bind(spec_.name, binding_, [this](const Result<void, std::string>& bound) {
      keeper_.post([this, bound] {
        if (!bound) return bind_later(bound.error());
        if (const auto served = serve(); !served) refuse(served.error().text);
      });
    });
  }
  void bind_later(const std::string& why) {
    phase_ = Phase::retrying;
    retry_at_ = keeper_.clock_.now() + retry_period;
    face_.stay_late("its pool cannot write down that it is cached: " + why, Finding::About::volume);
  }

  [[nodiscard]] Result<void, CacheError> serve() {
    DurableWriter& writer = *keeper_.writer_;
    const std::uint32_t slot = slot_on_device();
    TRY(auto recovered,
        recover_volume(device(), slot, *keeper_.cache_.memory, keeper_.clock_, writer));
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
        keeper_.cache_, *cache_, *face_.backed().backing(), spec_.block_size, keeper_.clock_,
        is_write_through() ? CacheFront::Answer::from_backing : CacheFront::Answer::from_cache);
    upkeep_ = std::make_unique<VolumeUpkeep>(*front_, std::move(arrival_.marker), *keeper_.lane_,
                                             writer, *keeper_.actor_, keeper_.clock_,
                                             std::move(recovered.report), limits_of(*spec_.cache));
    arrival_.marker = nullptr;
    phase_ = Phase::served;
    tick();  // what is not well is known before anybody comes
    face_.serve(*front_, size, promise());
    (void)follow_size();
    return success();
  }

  [[nodiscard]] std::uint32_t slot_on_device() const {
    const auto slot = device().volumes().find(face_.identity().uuid);
    CHECK(slot.has_value());
    return *slot;
  }

  [[nodiscard]] Result<void, CacheError> set_share() {
    const std::uint64_t segment = device().layout().segment_bytes;
    SegmentShare share;
    share.minimum =
        static_cast<std::uint32_t>((spec_.cache->guaranteed.value + segment - 1) / segment);
    if (spec_.cache->maximum.value != 0) {
      share.maximum = static_cast<std::uint32_t>(
          std::min<std::uint64_t>(spec_.cache->maximum.value / segment, SegmentShare::unlimited));
    }
    const auto set = device().segments().shares().set_share(
        device().volumes()[slot_on_device()].identity.tag, share);
    if (set) return success();
    return CacheError{
        CacheError::Kind::bad_options,
        {},
        set.error() == ShareFault::too_much
            ? "what is guaranteed to its volumes is more than it has; lower a `guaranteed`"
            : "it keeps space in pieces of " + std::to_string(segment >> 10) +
                  " KiB, and the `maximum` is less than one or than what is guaranteed"};
  }

  // The log must know of the size before a host can write there.
  [[nodiscard]] Result<void, CacheError> extend(BlockCount blocks) {
    const ByteCount size = blocks * spec_.block_size;
    if (device().volumes()[cache_->slot()].identity.size >= size) return success();
    return device().volumes().set_size(*keeper_.writer_, cache_->slot(), size);
  }
  [[nodiscard]] VolumePromise promise() const {
    const PmemGuarantee& guarantee = keeper_.cache_.region->guarantee();
    VolumePromise all = arrival_.promise;
    all.atomic_write_bytes = atomic_bytes;
    if (!guarantee.survives_power_loss()) {
      all.durable = false;
      if (!all.note.empty()) all.note += "; ";
      all.note +=
          "its cache is " + guarantee.text() + ": acknowledged writes are gone at a power loss";
    }
    return all;
  }
  // A command's keys are in one kset, as long as there are few.
  static constexpr std::uint32_t atomic_bytes = 128U << 10;

  CacheKeeper& keeper_;
  const VolumeSpec spec_;
  CachedVolume& face_;
  BindingKeeper& bindings_;

  Phase phase_ = Phase::waiting;
  Instant retry_at_{};
  BackingArrival arrival_;
  CacheBinding binding_;
  std::unique_ptr<VolumeCache> cache_;
  std::unique_ptr<CacheFront> front_;
  std::unique_ptr<VolumeUpkeep> upkeep_;
  std::string trouble_;
};

// ---- asking

CacheKeeper::CacheKeeper(CacheSpec spec, MemoryBudget& memory)
    : spec_(std::move(spec)), budget_(memory) {
  status_.name = spec_.name;
  status_.path = spec_.path;
  status_.reason = "it has not been opened yet";
  auto lane = UringLane::create(budget_);
  if (lane) {
    lane_ = std::move(lane.value());
  } else {
    lane_error_ = lane.error().text;
  }
  wake_.context = this;
  wake_.done = [](FileOperation& operation, int) noexcept {
    static_cast<CacheKeeper*>(operation.context)->is_woken_.store(false);
  };
  cache_.wake = [this] { wake(); };
}

CacheKeeper::~CacheKeeper() { (void)stop({Duration::max()}); }

BackingUser& CacheKeeper::add(const VolumeSpec& spec, CachedVolume& volume,
                              BindingKeeper& bindings) {
  slots_.push_back(std::make_unique<Slot>(*this, spec, volume, bindings));
  return *slots_.back();
}

void CacheKeeper::start() {
  if (lane_ == nullptr) return publish_error(lane_error_);
  ended_ = false;
  thread_ = std::thread([this] { run(); });
  (void)pthread_setname_np(thread_.native_handle(), ("cache " + spec_.name).substr(0, 15).c_str());
}

CacheStatus CacheKeeper::status() const {
  const std::lock_guard lock(mutex_);
  return status_;
}

std::vector<Finding> CacheKeeper::findings() const {
  std::vector<Finding> all;
  {
    const std::lock_guard lock(mutex_);
    if (!status_.reason.empty()) {
      all.push_back(
          {.about = Finding::About::cache_device, .name = spec_.name, .text = status_.reason});
    }
  }
  for (const auto& slot : slots_) {
    std::string why = slot->why_late();
    if (why.empty()) continue;
    all.push_back({.about = Finding::About::volume, .name = slot->name(), .text = std::move(why)});
  }
  return all;
}

void CacheKeeper::try_now() {
  const std::lock_guard lock(mutex_);
  trying_now_ = true;
  idle_ = false;
  wake();
}

bool CacheKeeper::await_idle(Instant deadline) {
  std::unique_lock lock(mutex_);
  return changed_.wait_until(lock, time_point(deadline), [this] { return ended_ || idle_; });
}

bool CacheKeeper::stop(Instant deadline) {
  {
    std::unique_lock lock(mutex_);
    stopping_ = true;
    wake();
    const auto ended = [this] { return ended_; };
    if (deadline.since_start == Duration::max()) {
      changed_.wait(lock, ended);
    } else if (!changed_.wait_until(lock, time_point(deadline), ended)) {
      return false;
    }
  }
  if (thread_.joinable()) thread_.join();
  return true;
}

// ---- the thread

void CacheKeeper::wake() {
  if (lane_ != nullptr && !is_woken_.exchange(true)) lane_->post(wake_);
}

void CacheKeeper::post(std::function<void()> task) {
  const std::lock_guard lock(mutex_);
  posted_.push_back(std::move(task));
  idle_ = false;
  wake();
}

void CacheKeeper::follow_growth(const std::string& volume, Engine::GrowDone done) {
  {
    const std::lock_guard lock(mutex_);
    if (!ended_) {
      grown_.push_back({.volume = volume, .done = std::move(done)});
      idle_ = false;
      wake();
      return;
    }
  }
  done(success());
}

bool CacheKeeper::run_posted() {
  std::vector<std::function<void()>> tasks;
  std::vector<Growth> grown;
  {
    const std::lock_guard lock(mutex_);
    tasks.swap(posted_);
    grown.swap(grown_);
  }
  for (const auto& task : tasks) task();
  for (const Growth& one : grown) {
    const auto slot = std::ranges::find_if(
        slots_, [&one](const auto& each) { return each->name() == one.volume; });
    CHECK(slot != slots_.end());
    one.done((*slot)->follow_size());
  }
  return !tasks.empty() || !grown.empty();
}

void CacheKeeper::run() {
  for (;;) {
    bool more = run_posted();
    if (cache_.device == nullptr) {
      open();
    } else {
      more = turn() || more;
      if (clock_.now() >= next_tick_) tick();
      if (take_trying_now()) {
        for (const auto& slot : slots_) slot->try_again_now();
      }
    }
    look_idle(more);
    if (has_ended(more)) break;
    if (!more) sleep();
  }
  std::vector<Growth> grown;
  {
    const std::lock_guard lock(mutex_);
    grown.swap(grown_);
    ended_ = true;
    changed_.notify_all();
  }
  for (const Growth& one : grown) one.done(success());  // the next start serves it
}

// One round of whatever the device needs now.
bool CacheKeeper::turn() {
  bool more = cache_.committer != nullptr && cache_.committer->step();
  bool worked = false;
  for (const auto& slot : slots_) {
    if (slot->upkeep() != nullptr) worked = slot->upkeep()->turn() || worked;
  }
  if (worked) {
    for (const auto& slot : slots_) {
      if (slot->front() != nullptr) slot->front()->space().tell_first();
    }
  }
  more = actor_->end_turn() || more || worked;
  lane_->finish_turn();
  more = lane_->reap() > 0 || more;
  return more || lane_->has_tasks();
}

void CacheKeeper::tick() {
  next_tick_ = clock_.now() + tick_period;
  busy_ = false;
  ByteCount dirty;
  for (const auto& slot : slots_) {
    slot->try_again(next_tick_);
    if (slot->upkeep() == nullptr) continue;
    slot->tick();
    busy_ = busy_ || slot->upkeep()->is_busy();
    dirty = dirty + slot->upkeep()->status().bytes_left;
  }
  const std::lock_guard lock(mutex_);
  if (cache_.device->failed()) {
    status_.reason =
        "it could not be written: reads are served, writes are refused until a restart";
  }
  status_.dirty = dirty;
  status_.free = {std::uint64_t{cache_.device->segments().free_count()} *
                  cache_.device->layout().segment_bytes};
}

void CacheKeeper::sleep() {
  if (cache_.committer != nullptr && !cache_.committer->may_sleep()) return;
  const Instant now = clock_.now();
  Instant until = cache_.device != nullptr ? next_tick_ : std::min(pace_.next(), now + tick_period);
  if (busy_) until = std::min(until, now + busy_period);
  const auto wait =
      std::chrono::ceil<std::chrono::milliseconds>(std::max(until - now, Duration{})).count();
  pollfd descriptor{.fd = lane_->wake_descriptor(), .events = POLLIN, .revents = 0};
  if (::poll(&descriptor, 1, static_cast<int>(wait)) > 0) lane_->clear_wake();
  if (cache_.committer != nullptr) cache_.committer->stay_awake();
  if (cache_.device == nullptr) (void)lane_->reap();
}

void CacheKeeper::look_idle(bool more) {
  const bool settled = std::ranges::all_of(
      slots_, [this](const auto& slot) { return cache_.device == nullptr || slot->is_settled(); });
  const std::lock_guard lock(mutex_);
  idle_ = !more && settled && posted_.empty() && !trying_now_;
  if (idle_) changed_.notify_all();
}

// Told to stop, and nothing is under way.
bool CacheKeeper::has_ended(bool more) {
  bool quiet = !more;
  {
    const std::lock_guard lock(mutex_);
    if (!stopping_) return false;
    quiet = quiet && posted_.empty();
  }
  for (const auto& slot : slots_) {
    if (slot->upkeep() == nullptr) continue;
    slot->upkeep()->stop();
    quiet = quiet && slot->upkeep()->is_quiet();
  }
  if (!quiet) return false;
  for (const auto& slot : slots_) {
    if (slot->upkeep() != nullptr && slot->upkeep()->end_clean()) slot->unbind_dirt();
  }
  return true;
}

// ---- opening

bool CacheKeeper::take_trying_now() {
  const std::lock_guard lock(mutex_);
  return std::exchange(trying_now_, false);
}

void CacheKeeper::open() {
  if (!take_trying_now() && pace_.next() > clock_.now()) return;
  const auto opened = open_device();
  pace_.tried(clock_.now(), opened ? RetryPace::Outcome::well : RetryPace::Outcome::not_there);
  if (!opened) return publish_error(opened.error());
  publish_open();
  for (const auto& slot : slots_) slot->device_came();
}

Result<void, std::string> CacheKeeper::open_device() {
  auto region = open_pmem_region(spec_.path, {.required = spec_.required});
  if (!region) return region.error().text;
  auto device = CacheDevice::open(*region.value(),
                                  {.access = CacheDevice::Access::write, .expected = spec_.uuid});
  if (!device) return device.error().text;
  if (spec_.payload_crc && *spec_.payload_crc != device.value()->payload_crc()) {
    return std::string("it was formatted ") + (*spec_.payload_crc ? "without" : "with") +
           " payload_crc, which cannot be changed; correct the configuration or format it anew";
  }
  auto writer = DurableWriter::make(*region.value());
  if (!writer) return std::string(text(writer.error()));
  if (region.value()->guarantee().granularity == PmemGranularity::page) {
    cache_.committer = std::make_unique<PageCommitter>(*device.value());
    cache_.committer->run_by_owner([this] { wake(); });
    actor_ = CacheActor::make_for_committer(*cache_.committer);
  } else {
    auto actor = CacheActor::make(*device.value());
    if (!actor) return std::string(text(actor.error()));
    actor_ = std::move(actor.value());
  }
  cache_.region = std::move(region.value());
  cache_.device = std::move(device.value());
  cache_.memory = std::make_unique<IndexMemory>(enough_index_memory(cache_.device->layout()));
  writer_ = std::move(writer.value());
  finish_leaving();
  return success();
}

// Of volumes whose detachment a crash has cut off.
void CacheKeeper::finish_leaving() {
  CacheVolumeTable& volumes = cache_.device->volumes();
  for (std::uint32_t slot = 0; slot < volumes.slots(); ++slot) {
    if (volumes[slot].damaged || volumes[slot].identity.state != format::VolumeSlotState::leaving) {
      continue;
    }
    (void)cache_.device->finish_leaving(*writer_, slot);  // the next open tries again
  }
}

void CacheKeeper::publish_open() {
  const std::lock_guard lock(mutex_);
  status_.open = true;
  status_.reason.clear();
  status_.uuid = cache_.device->uuid();
  status_.size = cache_.region->size();
  status_.guarantee = cache_.region->guarantee();
  status_.note = cache_.region->note();
}

void CacheKeeper::publish_error(const std::string& reason) {
  {
    const std::lock_guard lock(mutex_);
    status_.reason = reason;
  }
  for (const auto& slot : slots_) slot->stay_late(late_reason());
}

std::string CacheKeeper::late_reason() const {
  return "cache device " + spec_.name + ": " + status().reason;
}

}  // namespace engine
