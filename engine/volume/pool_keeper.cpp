#include "engine/volume/pool_keeper.h"

#include <pthread.h>

#include <algorithm>
#include <ctime>
#include <utility>

#include "engine/foundation/check.h"
#include "engine/foundation/guard.h"
#include "engine/pool/file_pool.h"
#include "engine/pool/pool_check.h"
#include "engine/volume/pool_finding.h"

namespace engine {
namespace {

// A disk that takes longer for one request is named in the status.
constexpr Duration slow_answer = std::chrono::seconds(1);
constexpr const char* memory_note = "in memory: contents are gone when the daemon stops";

std::chrono::steady_clock::time_point time_point(Instant at) {
  return std::chrono::steady_clock::time_point(
      std::chrono::duration_cast<std::chrono::steady_clock::duration>(at.since_start));
}

// "opening since 14:02:11 UTC"
std::string since(const char* doing, std::chrono::milliseconds wall) {
  const std::time_t seconds = std::chrono::duration_cast<std::chrono::seconds>(wall).count();
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  char text[32] = {};
  (void)std::strftime(text, sizeof(text), "%H:%M:%S UTC", &parts);
  return std::string(doing) + " since " + text;
}

template <class Request>
Request taken_from(std::deque<Request>& queue) {
  Request request = std::move(queue.front());
  queue.pop_front();
  return request;
}

// No waiting helps.
bool is_settled(VolumeState state) {
  return state == VolumeState::online || state == VolumeState::refused;
}

}  // namespace

PoolKeeper::PoolKeeper(PoolSpec spec, KnownVolumes& known)
    : spec_(std::move(spec)),
      backing_number_(is_on_disk() ? IoSource::new_backing() : 0),
      known_(known),
      openings_(spec_.member_patience) {
  status_.name = spec_.name;
  status_.kind = spec_.kind;
  status_.provisioning = spec_.provisioning;
  status_.reserve = spec_.reserve;
  status_.warn_at = spec_.warn_at;
  status_.queue_depth = spec_.queue_depth;
  if (!is_on_disk()) status_.note = memory_note;
}

PoolKeeper::~PoolKeeper() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
  limit_depth(0);
}

void PoolKeeper::start() {
  begin_waiting();
  status_.reason = opening_;
  thread_ = std::thread([this] { run(); });
  // The kernel takes 15 characters.
  (void)pthread_setname_np(thread_.native_handle(), ("pool " + spec_.name).substr(0, 15).c_str());
}

// What is late waits for the pool's disk, and for nothing that is known of the volume.
void PoolKeeper::begin_waiting() {
  opening_ = since("opening", clock_.wall());
  for (const auto& slot : slots_) {
    if (slot->volume.state() != VolumeState::late) continue;
    slot->volume.stay_late("pool " + spec_.name + ": " + opening_, Finding::About::pool_directory);
  }
}

PoolStatus PoolKeeper::status() const {
  const std::lock_guard lock(mutex_);
  PoolStatus status = status_;
  const Instant now = clock_.now();
  if (doing_ != nullptr && now - busy_since_ > slow_answer) {
    const auto busy = std::chrono::duration_cast<std::chrono::milliseconds>(now - busy_since_);
    status.reason = since(doing_, clock_.wall() - busy) + ": its disk has not answered yet";
  } else if (pace_.next() != RetryPace::never) {
    status.tries = pace_.tries();
    status.next_try_in = std::max(pace_.next() - now, Duration{});
  }
  return status;
}

std::vector<Finding> PoolKeeper::findings() const {
  std::vector<Finding> all;
  const std::lock_guard lock(mutex_);
  if (error_) return {pool_finding(spec_, *error_)};
  if (status_.filling) all.push_back(filling_finding(spec_));
  for (const std::string& advice : status_.advice) {
    all.push_back({.about = Finding::About::pool_members, .name = spec_.name, .text = advice});
  }
  all.insert(all.end(), name_errors_.begin(), name_errors_.end());
  for (const auto& slot : slots_) {
    VolumeCondition now = slot->volume.condition();
    const ByteCount size = now.size * served_blocks(*slot);
    const bool down = now.state == VolumeState::late || now.state == VolumeState::refused;
    if (down && now.reason_about == Finding::About::pool_directory) {
      return {{.about = Finding::About::pool_directory,
               .name = spec_.name,
               .text = opening_ + "; its volumes come when its disk has answered"}};
    }
    if (down) {
      all.push_back(
          {.about = now.reason_about, .name = slot->spec.name, .text = std::move(now.reason)});
    } else if (slot->spec.size < size) {
      all.push_back({.about = Finding::About::volume_size,
                     .name = slot->spec.name,
                     .text = larger_than_configured(size, slot->spec.size)});
    }
    if (slot->lossy == nullptr) continue;
    if (const LostRanges lost = slot->lossy->lost(); !lost.empty()) {
      all.push_back({.about = Finding::About::volume,
                     .name = slot->spec.name,
                     .text = lost.text() + ": reading them fails until they are written"});
    }
  }
  return all;
}

std::vector<PoolDisk> PoolKeeper::disks() const {
  const std::lock_guard lock(mutex_);
  return disks_;
}

std::uint64_t PoolKeeper::backing_errors_of(const std::string& volume) const {
  const std::lock_guard lock(mutex_);
  const Slot* const slot = slot_of(volume);
  return slot == nullptr || slot->lossy == nullptr ? 0 : slot->lossy->errors();
}

LossStatus PoolKeeper::losses_of(const std::string& volume) const {
  const std::lock_guard lock(mutex_);
  const Slot* const slot = slot_of(volume);
  if (slot == nullptr || slot->lossy == nullptr) return {};
  const LossyBacking* const lossy = slot->lossy;
  return {.ranges = lossy->lost(), .reads = lossy->lost_reads()};
}

void PoolKeeper::try_now() {
  {
    const std::lock_guard lock(mutex_);
    trying_now_ = true;
  }
  wake_.notify_all();
}

bool PoolKeeper::await_idle(Instant deadline) {
  std::unique_lock lock(mutex_);
  return idle_.wait_until(lock, time_point(deadline), [this] {
    return ended_ ||
           (doing_ == nullptr && !is_asked() && !trying_now_ && pace_.next() > clock_.now());
  });
}

bool PoolKeeper::stop(Instant deadline) {
  std::unique_lock lock(mutex_);
  stopping_ = true;
  wake_.notify_all();
  return !thread_.joinable() ||
         idle_.wait_until(lock, time_point(deadline), [this] { return ended_; });
}

void PoolKeeper::volume_changed(Volume& volume) noexcept {
  const bool has_failed = volume.state() == VolumeState::failed;
  BackingUser* user = nullptr;
  {
    const std::lock_guard lock(mutex_);
    if (has_failed) pace_.failed(clock_.now());
    const auto slot = std::find_if(slots_.begin(), slots_.end(),
                                   [&](const auto& one) { return &one->volume == &volume; });
    if (slot != slots_.end()) user = &(*slot)->user;
  }
  if (has_failed) wake_.notify_all();
  if (user != nullptr) user->backing_changed();
}

void PoolKeeper::begin(const char* what) {
  const std::lock_guard lock(mutex_);
  doing_ = what;
  busy_since_ = clock_.now();
}

Instant PoolKeeper::next_wake() const {
  const Instant latest = clock_.now() + measure_period;
  const Instant removal = removals_.empty() ? latest : clock_.now() + removal_period;
  return std::min(
      {latest, removal, pace_.next(), status_.open && is_on_disk() ? next_measure_ : latest});
}

// Since it was opened: that is to be looked at, though no volume has noticed.
bool PoolKeeper::has_lost_a_member() const {
  return pool_ != nullptr && !pool_->is_whole() && pace_.next() == RetryPace::never;
}

template <class Work>
void PoolKeeper::without_lock(std::unique_lock<std::mutex>& lock, const char* what,
                              const Work& work) {
  doing_ = what;
  busy_since_ = clock_.now();
  lock.unlock();
  work();
  lock.lock();
}

void PoolKeeper::run() {
  std::unique_lock lock(mutex_);
  while (!stopping_ || !binds_.empty() || !losses_.empty() || !reservations_.empty()) {
    const Instant now = clock_.now();
    if (!spaces_.empty()) {
      const auto requests = std::exchange(spaces_, {});
      without_lock(lock, "looking for space", [&] { answer_now(requests); });
    } else if (!binds_.empty()) {
      const auto requests = std::exchange(binds_, {});
      without_lock(lock, "writing down what is cached", [&] { bind_now(requests); });
    } else if (!losses_.empty()) {
      const auto requests = std::exchange(losses_, {});
      without_lock(lock, "writing down what is lost", [&] { set_lost_now(requests); });
    } else if (!reservations_.empty()) {
      const ReservationRequest request = taken_from(reservations_);
      without_lock(lock, "writing down who may use a volume",
                   [&] { request.done(keep_now(request)); });
    } else if (!arriving_.empty()) {
      auto arriving = std::exchange(arriving_, {});
      without_lock(lock, "adding volumes", [&] { list_arriving(std::move(arriving)); });
    } else if (!changes_.empty()) {
      const SpecChange change = taken_from(changes_);
      without_lock(lock, "changing what is configured", change.work);
    } else if (const auto removal = take_quiet()) {
      without_lock(lock, "letting go of a volume", [&] {
        remove_now(removal->volume);
        answer_measured(*removal, Result<void, std::string>(boost::outcome_v2::success()));
      });
    } else if (!abandons_.empty()) {
      const AbandonRequest request = taken_from(abandons_);
      without_lock(lock, "giving a cache up", [&] { request.done(abandon_now(request)); });
    } else if (!grows_.empty()) {
      const GrowRequest request = taken_from(grows_);
      without_lock(lock, "growing", [&] { answer_measured(request, grow_now(request)); });
    } else if (!destroys_.empty()) {
      const DestroyRequest request = taken_from(destroys_);
      without_lock(lock, "destroying a volume",
                   [&] { answer_measured(request, destroy_now(request)); });
    } else if (!renames_.empty()) {
      const RenameRequest request = taken_from(renames_);
      without_lock(lock, "renaming a volume", [&] { request.done(rename_now(request)); });
    } else if (!adoptions_.empty()) {
      const AdoptRequest request = taken_from(adoptions_);
      without_lock(lock, "adopting an image",
                   [&] { answer_measured(request, adopt_now(request.adoption)); });
    } else if (!newcomers_.empty()) {
      const MemberRequest request = taken_from(newcomers_);
      without_lock(lock, "adding a member",
                   [&] { answer_measured(request, add_member_now(request)); });
    } else if (!arrivals_.empty()) {
      const auto requests = std::exchange(arrivals_, {});
      without_lock(lock, "opening markers", [&] {
        for (const ArrivalRequest& request : requests) request.done(arrival_now(request.volume));
      });
    } else if (trying_now_ || pace_.next() <= now || has_lost_a_member()) {
      trying_now_ = false;
      without_lock(lock, "opening", [&] { attempt(); });
    } else if (status_.open && is_on_disk() && next_measure_ <= now) {
      without_lock(lock, "measuring", [&] {
        write_names();  // again, should it have failed; and what is remembered, too
        (void)known_.save();
        measure();
      });
    } else {
      doing_ = nullptr;
      idle_.notify_all();
      wake_.wait_until(lock, time_point(next_wake()));
    }
  }
  doing_ = nullptr;
  lock.unlock();
  refuse_requests();
  end();
  lock.lock();
  ended_ = true;
  idle_.notify_all();
}

// The space that it has taken or given back is in the status when the asker hears of it.
template <class Request, class Answer>
void PoolKeeper::answer_measured(const Request& request, const Answer& answer) {
  measure();
  request.done(answer);
}

void PoolKeeper::attempt() {
  std::vector<Slot*> down;
  bool any_failed = false;
  for (const auto& slot : slots_) {
    const VolumeState state = slot->volume.state();
    if (!is_settled(state)) down.push_back(slot.get());
    any_failed = any_failed || state == VolumeState::failed;
  }
  bool open = true;
  // After a failure the directory may be another one, or bare: everything is looked at afresh.
  if (is_on_disk() && (pool_ == nullptr || any_failed || !pool_->is_whole())) {
    if (auto opened = open_pool(); !opened) {
      open = false;
      publish_error(opened.error());
      for (Slot* slot : down) stay_down(*slot, opened.error());
    }
  }
  if (open) {
    publish_open();
    publish_advice();
    bring_up(down);
    write_names();
    publish_retained();
  } else {
    write_names();
  }
  (void)known_.save();
  measure();
  const std::lock_guard lock(mutex_);
  // Looked at under the lock: a failure from here on is told to `pace_` after this.
  const bool all_settled = std::all_of(slots_.begin(), slots_.end(), [](const auto& slot) {
    return is_settled(slot->volume.state());
  });
  const bool is_whole = pool_ == nullptr || pool_->is_whole();
  pace_.tried(clock_.now(), !open || !is_whole ? RetryPace::Outcome::not_there
                            : all_settled      ? RetryPace::Outcome::well
                                               : RetryPace::Outcome::still_down);
}

Result<std::unique_ptr<Pool>, PoolError> PoolKeeper::open_as_specified() {
  if (spec_.kind == PoolSpec::Kind::file) {
    TRY(auto files,
        FilePool::open(spec_.directory, spec_.uuid, dynamic_cast<const FilePool*>(pool_.get())));
    files->keep_free(spec_.reserve, [this] { return hold_budget(); });
    return std::unique_ptr<Pool>(std::move(files));
  }
  return open_disks();
}

Result<void, PoolError> PoolKeeper::open_pool() {
  auto opened = open_as_specified();
  if (!opened) return std::move(opened.error());
  if (pool_ != nullptr && !opened.value()->has_inherited_lock()) {
    former_.push_back(std::move(pool_));
  }
  pool_ = std::move(opened.value());
  limit_depth(spec_.queue_depth);
  const HealedReplicas healed = pool_->healed();
  if (healed.empty()) return boost::outcome_v2::success();
  const std::lock_guard lock(mutex_);
  status_.healed.rotten += healed.rotten;
  status_.healed.cut_off += healed.cut_off;
  status_.healed.texts = healed.texts;
  return boost::outcome_v2::success();
}

void PoolKeeper::publish_error(const PoolError& error) {
  const std::lock_guard lock(mutex_);
  status_.open = false;
  status_.reason = error.text;
  status_.size = status_.free = {};
  status_.retained.clear();
  status_.advice.clear();
  if (!members_seen_.empty()) status_.members = members_seen_;
  error_ = error;
}

void PoolKeeper::publish_open() {
  std::vector<PoolDisk> disks;
  std::vector<MemberState> members;
  if (pool_ != nullptr) disks = pool_->disks();
  if (pool_ != nullptr) members = pool_->members();
  const std::lock_guard lock(mutex_);
  disks_ = std::move(disks);
  status_.members = std::move(members);
  if (error_) {
    // What its volumes wait for is another thing now.
    error_.reset();
    begin_waiting();
  }
  status_.open = true;
  status_.reason.clear();
  if (pool_ != nullptr) status_.uuid = pool_->uuid();
}

void PoolKeeper::publish_retained() {
  if (pool_ == nullptr) return;
  std::vector<RetainedVolume> retained;
  ByteCount owed;
  for (const VolumeRecord& record : pool_->volumes()) {
    known_.follow(record);
    if (!record.ready || serves(record)) continue;
    owed = owed + pool_->lacking(record);
    retained.push_back({.name = record.name,
                        .uuid = record.uuid,
                        .size = record.size,
                        .block_size = record.block_size,
                        .cache = record.cache.device,
                        .dirty = record.cache.state == format::CacheBindingState::dirty,
                        .provisioning = record.provisioning});
  }
  retained_owed_ = owed;
  const std::lock_guard lock(mutex_);
  status_.retained = std::move(retained);
}

}  // namespace engine
