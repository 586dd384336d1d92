#include "engine/volume/pool_keeper.h"

#include <pthread.h>

#include <algorithm>
#include <ctime>
#include <utility>

#include "engine/foundation/check.h"
#include "engine/pool/pool_check.h"
#include "engine/volume/pool_finding.h"

namespace engine {
namespace {

// A disk that takes longer for one request is named in the status.
constexpr Duration slow_answer = std::chrono::seconds(1);
constexpr Duration measure_period = std::chrono::seconds(5);
// What a process that was just killed had under way on a disk that works ends within this.
constexpr Duration last_requests_patience = std::chrono::milliseconds(500);
constexpr auto last_requests_poll = std::chrono::milliseconds(5);
constexpr const char* memory_note = "in memory: contents are gone when the daemon stops";

BlockCount blocks_of(ByteCount size, BlockSize block) { return {size.value / block.bytes}; }

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

// No waiting helps.
bool is_settled(VolumeState state) {
  return state == VolumeState::online || state == VolumeState::refused;
}

}  // namespace

PoolKeeper::PoolKeeper(PoolSpec spec, KnownVolumes& known)
    : spec_(std::move(spec)),
      backing_number_(is_file() ? IoSource::new_backing() : 0),
      known_(known) {
  status_.name = spec_.name;
  status_.kind = spec_.kind;
  if (!is_file()) status_.note = memory_note;
}

PoolKeeper::~PoolKeeper() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void PoolKeeper::add(const VolumeSpec& spec, BackedVolume& volume, BackingUser* user) {
  slots_.push_back(std::make_unique<Slot>(
      Slot{.spec = spec, .volume = volume, .user = user, .is_cached = spec.cache.has_value()}));
  if (is_file()) {
    const auto known = known_.find(spec.name);
    learn_identity(*slots_.back(), known ? &*known : nullptr);
  }
  volume.observe(this);
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
  for (const auto& slot : slots_) {
    VolumeCondition now = slot->volume.condition();
    const ByteCount size = now.size * slot->spec.block_size;
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

LossStatus PoolKeeper::losses_of(const std::string& volume) const {
  const Slot& slot = slot_of(volume);
  const std::lock_guard lock(mutex_);
  const LossyBacking* const lossy = slot.lossy;
  if (lossy == nullptr) return {};
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
    return ended_ || (doing_ == nullptr && !trying_now_ && grows_.empty() && destroys_.empty() &&
                      binds_.empty() && losses_.empty() && abandons_.empty() && arrivals_.empty() &&
                      pace_.next() > clock_.now());
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
  if (volume.state() == VolumeState::failed) {
    {
      const std::lock_guard lock(mutex_);
      pace_.failed(clock_.now());
    }
    wake_.notify_all();
  }
  const auto slot = std::find_if(slots_.begin(), slots_.end(),
                                 [&](const auto& one) { return &one->volume == &volume; });
  if (slot != slots_.end() && (*slot)->user != nullptr) return (*slot)->user->backing_changed();
  if (VolumeObserver* observer = observer_.load(std::memory_order_acquire)) {
    observer->volume_changed(volume);
  }
}

void PoolKeeper::begin(const char* what) {
  const std::lock_guard lock(mutex_);
  doing_ = what;
  busy_since_ = clock_.now();
}

Instant PoolKeeper::next_wake() const {
  const Instant latest = clock_.now() + measure_period;
  return std::min({latest, pace_.next(), status_.open && is_file() ? next_measure_ : latest});
}

void PoolKeeper::run() {
  std::unique_lock lock(mutex_);
  while (!stopping_ || !binds_.empty() || !losses_.empty()) {
    const Instant now = clock_.now();
    if (!binds_.empty()) {
      const auto requests = std::exchange(binds_, {});
      doing_ = "writing down what is cached";
      busy_since_ = now;
      lock.unlock();
      bind_now(requests);
      lock.lock();
    } else if (!losses_.empty()) {
      const auto requests = std::exchange(losses_, {});
      doing_ = "writing down what is lost";
      busy_since_ = now;
      lock.unlock();
      set_lost_now(requests);
      lock.lock();
    } else if (!abandons_.empty()) {
      const AbandonRequest request = std::move(abandons_.front());
      abandons_.pop_front();
      doing_ = "giving a cache up";
      busy_since_ = now;
      lock.unlock();
      request.done(abandon_now(request));
      lock.lock();
    } else if (!grows_.empty()) {
      GrowRequest request = std::move(grows_.front());
      grows_.pop_front();
      doing_ = "growing";
      busy_since_ = now;
      lock.unlock();
      const auto grown = grow_now(request);
      measure();
      request.done(grown);
      lock.lock();
    } else if (!destroys_.empty()) {
      const DestroyRequest request = std::move(destroys_.front());
      destroys_.pop_front();
      doing_ = "destroying a volume";
      busy_since_ = now;
      lock.unlock();
      const auto destroyed = destroy_now(request);
      measure();
      request.done(destroyed);
      lock.lock();
    } else if (!arrivals_.empty()) {
      const auto requests = std::exchange(arrivals_, {});
      doing_ = "opening markers";
      busy_since_ = now;
      lock.unlock();
      for (const ArrivalRequest& request : requests) request.done(arrival_now(request.volume));
      lock.lock();
    } else if (trying_now_ || pace_.next() <= now) {
      trying_now_ = false;
      doing_ = "opening";
      busy_since_ = now;
      lock.unlock();
      attempt();
      lock.lock();
    } else if (status_.open && is_file() && next_measure_ <= now) {
      lock.unlock();
      (void)known_.save();  // again, should it have failed
      measure();
      lock.lock();
    } else {
      doing_ = nullptr;
      idle_.notify_all();
      wake_.wait_until(lock, time_point(next_wake()));
    }
  }
  doing_ = nullptr;
  lock.unlock();
  refuse_requests();
  lock.lock();
  ended_ = true;
  idle_.notify_all();
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
  if (is_file() && (files_ == nullptr || any_failed)) {
    if (auto opened = open_files(); !opened) {
      open = false;
      publish_error(opened.error());
      for (Slot* slot : down) stay_down(*slot, opened.error());
    }
  }
  if (open) {
    publish_open();
    bring_up(down);
    publish_retained();
  }
  (void)known_.save();
  measure();
  const std::lock_guard lock(mutex_);
  // Looked at under the lock: a failure from here on is told to `pace_` after this.
  const bool all_settled = std::all_of(slots_.begin(), slots_.end(), [](const auto& slot) {
    return is_settled(slot->volume.state());
  });
  pace_.tried(clock_.now(), !open         ? RetryPace::Outcome::not_there
                            : all_settled ? RetryPace::Outcome::well
                                          : RetryPace::Outcome::still_down);
}

Result<void, PoolError> PoolKeeper::open_files() {
  auto opened = FilePool::open(spec_.directory, spec_.uuid, files_.get());
  if (!opened) return std::move(opened.error());
  if (files_ != nullptr && !opened.value()->has_inherited_lock()) {
    former_.push_back(std::move(files_));
  }
  files_ = std::move(opened.value());
  return boost::outcome_v2::success();
}

void PoolKeeper::publish_error(const PoolError& error) {
  const std::lock_guard lock(mutex_);
  status_.open = false;
  status_.reason = error.text;
  status_.size = status_.free = {};
  status_.retained.clear();
  error_ = error;
}

void PoolKeeper::publish_open() {
  const std::lock_guard lock(mutex_);
  if (error_) {
    // What its volumes wait for is another thing now.
    error_.reset();
    begin_waiting();
  }
  status_.open = true;
  status_.reason.clear();
  if (files_ != nullptr) status_.uuid = files_->uuid();
}

void PoolKeeper::publish_retained() {
  if (files_ == nullptr) return;
  std::vector<RetainedVolume> retained;
  for (const VolumeRecord& record : files_->volumes()) {
    if (!record.ready || is_configured(record.name)) continue;
    retained.push_back({.name = record.name,
                        .uuid = record.uuid,
                        .size = record.size,
                        .block_size = record.block_size,
                        .cache = record.cache.device,
                        .dirty = record.cache.state == format::CacheBindingState::dirty});
  }
  const std::lock_guard lock(mutex_);
  status_.retained = std::move(retained);
}

bool PoolKeeper::is_configured(const std::string& volume) const {
  return std::ranges::any_of(slots_,
                             [&volume](const auto& slot) { return slot->spec.name == volume; });
}

void PoolKeeper::measure() {
  if (files_ == nullptr) return;
  begin("measuring");
  const auto space = files_->space();
  const std::lock_guard lock(mutex_);
  next_measure_ = clock_.now() + measure_period;
  if (!space || !status_.open) return;
  status_.size = space.value().size;
  status_.free = space.value().free;
}

const VolumeRecord* PoolKeeper::record_of(const std::string& volume) const {
  const auto& records = files_->volumes();
  const auto found = std::find_if(records.begin(), records.end(), [&](const VolumeRecord& record) {
    return record.ready && record.name == volume;
  });
  return found == records.end() ? nullptr : &*found;
}

// An online grow may be ahead of the specification; of one before the start the pool knows.
VolumeWish PoolKeeper::wish_for(const Slot& slot) {
  ByteCount size = slot.spec.size;
  if (slot.volume.state() != VolumeState::late) {
    size = std::max(size, slot.volume.size() * slot.spec.block_size);
  }
  const Uuid& uuid = slot.volume.identity().uuid;
  return {.name = slot.spec.name,
          .size = size,
          .block_size = slot.spec.block_size,
          .uuid = uuid.is_nil() ? std::nullopt : std::optional(uuid),
          .is_cached = slot.is_cached};
}

void PoolKeeper::bring_up(const std::vector<Slot*>& down) {
  if (!is_file()) {
    for (Slot* slot : down) bring_up_memory(*slot);
    return;
  }
  begin("opening images");
  lock_deadline_ = clock_.now() + last_requests_patience;
  std::vector<VolumeWish> wishes;
  for (const Slot* slot : down) wishes.push_back(wish_for(*slot));
  const auto answers = files_->ensure(wishes);
  for (std::size_t at = 0; at < down.size(); ++at) {
    Slot& slot = *down[at];
    if (answers[at]) {
      bring_up_file(slot, answers[at].value());
      continue;
    }
    PoolError error = answers[at].error();
    if (error.kind == PoolError::Kind::other_volume && !known_.path().empty()) {
      error.text += " (A new, empty one is made only if " + known_.path() + " is removed.)";
    }
    learn_identity(slot, record_of(slot.spec.name));
    stay_down(slot, error);
  }
}

void PoolKeeper::bring_up_memory(Slot& slot) {
  auto device = MemoryDevice::create(slot.spec.size);
  if (!device) return stay_down(slot, device.error());
  slot.memory = device.value().get();
  // Its contents are new at each start, so it is another volume each time.
  slot.volume.go_online(std::move(device.value()), Uuid::random(),
                        blocks_of(slot.spec.size, slot.spec.block_size),
                        promise_of(slot, slot.spec.size));
}

void PoolKeeper::bring_up_file(Slot& slot, const VolumeRecord& record) {
  const std::string path = files_->image_path(record);
  auto file = OpenFile::open(path, record.size);
  if (!file) return stay_down(slot, path + ": " + file.error());
  const BlockCount blocks = blocks_of(record.size, record.block_size);
  if (slot.file != nullptr) {
    auto reopened = slot.file->reopen(std::move(file.value()));
    if (!reopened) return stay_down(slot, path + ": " + reopened.error());
    slot.file->grow(record.size);
    slot.volume.recover(blocks, promise_of(slot, record.size));
  } else {
    // Before the first request: the lock is of this very description, which requests hold on to.
    auto locked = file.value().lock();
    while (!locked && clock_.now() < lock_deadline_) {
      std::this_thread::sleep_for(last_requests_poll);
      locked = file.value().lock();
    }
    if (!locked) {
      learn_identity(slot, &record);
      return stay_down(slot, path + ": " + locked.error());
    }
    const IoSource source = IoSource::new_file(backing_number_);
    std::unique_ptr<FileMarker> marker;
    std::unique_ptr<FileJournal> journal;
    if (slot.is_cached) {
      auto opened = files_->open_marker(record, source);
      if (!opened) return stay_down(slot, opened.error());
      marker = std::move(opened.value());
    }
    if (slot.is_cached && slot.spec.cache->ordered == WriteBackOrder::journal) {
      auto opened = files_->open_journal(record, source);
      if (!opened) return stay_down(slot, opened.error());
      journal = std::move(opened.value());
    }
    auto device = std::make_unique<FileDevice>(std::move(file.value()), record.size, source);
    slot.file = device.get();
    const VolumePromise promise = promise_of(slot, record.size);
    auto lossy =
        std::make_unique<LossyBacking>(std::move(device), slot.spec.name, record.lost, *this);
    {
      const std::lock_guard lock(mutex_);
      slot.lossy = lossy.get();
    }
    slot.volume.go_online(std::move(lossy), record.uuid, blocks, promise);
    if (slot.is_cached) {
      slot.user->backing_came({.binding = record.cache,
                               .marker = std::move(marker),
                               .journal = std::move(journal),
                               .promise = promise});
    }
  }
  known_.remember(record);
}

VolumePromise PoolKeeper::promise_of(const Slot& slot, ByteCount size) {
  std::string note = slot.file != nullptr ? slot.file->note() : memory_note;
  const bool durable = slot.file != nullptr && slot.file->geometry().survives_power_loss;
  if (slot.file != nullptr && !note.empty()) {
    const std::lock_guard lock(mutex_);
    status_.note = note;  // all images of a directory are on one file system
  }
  if (slot.spec.size < size) {
    if (!note.empty()) note += "; ";
    note += larger_than_configured(size, slot.spec.size);
  }
  return {.durable = durable,
          .note = std::move(note),
          .atomic_write_bytes = slot.file != nullptr ? slot.file->geometry().atomic_write_bytes
                                                     : MemoryDevice::atomic_write_bytes};
}

void PoolKeeper::stay_down(Slot& slot, const PoolError& error) {
  const Finding::About found = about(error.kind);
  if (found != Finding::About::volume && slot.volume.state() == VolumeState::late) {
    slot.volume.refuse(error.text, found);
  } else if (slot.volume.state() == VolumeState::late) {
    slot.volume.stay_late(error.text, found, error.kind == PoolError::Kind::cache_missing);
  } else {
    slot.volume.stay_failed(error.text);
  }
}

void PoolKeeper::stay_down(Slot& slot, const std::string& reason) {
  stay_down(slot, PoolError{PoolError::Kind::io, reason});
}

// Gives a late volume the identity and size of `record`, unless it has one.
void PoolKeeper::learn_identity(Slot& slot, const VolumeRecord* record) {
  if (slot.volume.state() != VolumeState::late || !slot.volume.identity().uuid.is_nil()) return;
  if (record == nullptr || record->block_size != slot.spec.block_size) return;
  slot.volume.learn(record->uuid, blocks_of(record->size, record->block_size));
}

}  // namespace engine
