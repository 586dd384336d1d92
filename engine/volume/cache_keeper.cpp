#include "engine/volume/cache_keeper.h"

#include <poll.h>
#include <pthread.h>

#include <algorithm>
#include <array>
#include <utility>

#include "engine/cache/cache_memory.h"
#include "engine/cache/cached_data.h"
#include "engine/foundation/check.h"
#include "engine/foundation/guard.h"
#include "engine/volume/cache_slot.h"

namespace engine {
namespace {

constexpr Duration tick_period = std::chrono::milliseconds(100);
constexpr Duration survey_period = std::chrono::seconds(1);
// Space is looked after so often while hosts write.
constexpr Duration busy_period = std::chrono::milliseconds(10);

constexpr std::string_view has_stopped = "its cache is not kept any more: the daemon ends";

std::chrono::steady_clock::time_point time_point(Instant at) {
  return std::chrono::steady_clock::time_point(
      std::chrono::duration_cast<std::chrono::steady_clock::duration>(at.since_start));
}

}  // namespace

// ---- asking

CacheKeeper::CacheKeeper(CacheSpec spec, MemoryBudget& memory, RecoveryWorkers& workers)
    : spec_(std::move(spec)), budget_(memory), workers_(workers) {
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
      all.push_back({.about = trouble_about_, .name = spec_.name, .text = status_.reason});
    }
  }
  const std::lock_guard lock(slots_mutex_);
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

// After the end there is nobody who would do it.
void CacheKeeper::post(std::function<void()> task) { (void)post_if_running(std::move(task)); }

bool CacheKeeper::post_if_running(std::function<void()> task) {
  const std::lock_guard lock(mutex_);
  if (ended_) return false;
  posted_.push_back(std::move(task));
  idle_ = false;
  wake();
  return true;
}

bool CacheKeeper::run_posted() {
  list_newcomers();
  std::vector<std::function<void()>> tasks;
  std::vector<Wish> wishes;
  {
    const std::lock_guard lock(mutex_);
    tasks.swap(posted_);
    wishes.swap(wishes_);
  }
  for (const auto& task : tasks) task();
  for (const Wish& wish : wishes) {
    Slot* const slot = find(wish.volume);
    wish.done(slot != nullptr ? wish.work(*slot) : is_unknown(wish.volume));
  }
  return !tasks.empty() || !wishes.empty();
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
  std::vector<Wish> wishes;
  {
    const std::lock_guard lock(mutex_);
    wishes.swap(wishes_);
    ended_ = true;
    changed_.notify_all();
  }
  for (const Wish& wish : wishes) wish.done(wish.at_the_end);
  if (!removed_) return;
  for (const auto& slot : slots_) (void)slot->release();
  end_removal(success());
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

void CacheKeeper::Reads::add(const CacheFront& front) {
  healed += front.healed_reads();
  lost += front.lost_reads();
  in_place += front.reads_in_place();
  bytes_in_place = bytes_in_place + front.bytes_in_place();
}

void CacheKeeper::Reclaimed::add(const VolumeUpkeep& upkeep) {
  const Reclaim::Figures& now = upkeep.reclaimed();
  segments += now.segments;
  dropped = dropped + ByteCount{now.dropped * format::place_bytes};
  kept = kept + ByteCount{(now.relogged + now.moved) * format::place_bytes};
}

void CacheKeeper::tick() {
  next_tick_ = clock_.now() + tick_period;
  busy_ = false;
  ByteCount dirty;
  Reads reads = former_reads_;
  Reclaimed reclaimed = former_reclaimed_;
  for (const auto& slot : slots_) {
    slot->try_again(next_tick_);
    if (slot->upkeep() == nullptr) continue;
    slot->tick();
    if (slot->upkeep() == nullptr) continue;
    busy_ = busy_ || slot->upkeep()->is_busy();
    dirty = dirty + slot->upkeep()->status().bytes_left;
    reads.add(*slot->front());
    reclaimed.add(*slot->upkeep());
  }
  if (retiring_) go_on_retiring();
  if (std::exchange(retained_have_changed_, false)) publish_retained();
  if (retired_) return;
  if (next_tick_ >= next_survey_) {
    uses_ = cache_.device->segments().count_uses();
    next_survey_ = next_tick_ + survey_period;
  }
  const std::lock_guard lock(mutex_);
  status_.failed = cache_.device->failed();
  status_.segments = {.free = uses_.free, .data = uses_.data, .log = uses_.log};
  status_.reclaimed_segments = reclaimed.segments;
  status_.reclaim_dropped = reclaimed.dropped;
  status_.reclaim_kept = reclaimed.kept;
  if (cache_.device->failed()) {
    status_.reason =
        "it could not be written: reads are served, writes are refused until a restart";
    trouble_about_ = Finding::About::cache_device;
  }
  status_.dirty = dirty;
  status_.healed_reads = reads.healed;
  status_.lost_reads = reads.lost;
  status_.reads_in_place = reads.in_place;
  status_.bytes_in_place = reads.bytes_in_place;
  status_.stores = cache_.region->counts();
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
  if (settled && status_.open && !status_.recovery) {
    status_.recovery = clock_.now() - opening_began_;
  }
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
    quiet = quiet && !slot->is_recovering();
    if (slot->upkeep() == nullptr) continue;
    slot->upkeep()->stop();
    quiet = quiet && slot->upkeep()->is_quiet();
  }
  if (!quiet) return false;
  for (const auto& slot : slots_) {
    slot->stop_waiting(std::string(has_stopped));
    if (slot->upkeep() == nullptr) continue;
    if (slot->upkeep()->end_clean() || !GUARD("nothing waits behind a clean record")) {
      slot->unbind_dirt();
    }
  }
  return true;
}

// ---- retiring

Result<void, std::string> CacheKeeper::begin_retiring() {
  if (cache_.device == nullptr) return late_reason();
  for (const auto& slot : slots_) {
    if (slot->is_away()) continue;
    if (const auto why = slot->why_kept(); !why.empty()) {
      return "volume " + slot->name() + ": " + why;
    }
    if (slot->is_served() || slot->is_detaching()) continue;
    return "volume " + slot->name() + " needs it, and is not served: " + slot->why_late();
  }
  for (const auto& slot : slots_) {
    if (slot->is_away() || slot->is_detaching()) continue;
    if (const auto begun = slot->detach(); !begun) {
      return "volume " + slot->name() + ": " + begun.error();
    }
  }
  retiring_ = true;
  const std::lock_guard lock(mutex_);
  status_.retiring = true;
  return success();
}

// Whoever is to be served through it again, or joins it meanwhile, keeps it open.
void CacheKeeper::go_on_retiring() {
  const bool is_given_up = std::ranges::any_of(
      slots_, [](const auto& slot) { return !slot->is_away() && !slot->is_detaching(); });
  if (is_given_up) {
    retiring_ = false;
    if (removed_) end_removal(std::string("a volume joins it"));
    const std::lock_guard lock(mutex_);
    status_.retiring = false;
    return;
  }
  if (!std::ranges::all_of(slots_, [](const auto& slot) { return slot->is_away(); })) return;
  if (cache_.lanes.all_say({.kind = LaneQuestion::Kind::closed})) close();
}

void CacheKeeper::close() {
  retiring_ = false;
  retired_ = true;
  actor_.reset();
  writer_.reset();
  cache_.committer.reset();
  cache_.device.reset();
  cache_.region.reset();
  cache_.memory.reset();
  (void)reserved_.ask({});  // nothing any more
  const std::lock_guard lock(mutex_);
  status_ = {};
  status_.name = spec_.name;
  status_.path = spec_.path;
  status_.retired = true;
  if (removed_) stopping_ = true;
}

// ---- opening

bool CacheKeeper::take_trying_now() {
  const std::lock_guard lock(mutex_);
  return std::exchange(trying_now_, false);
}

void CacheKeeper::open() {
  if (retired_) return (void)take_trying_now();
  if (!take_trying_now() && pace_.next() > clock_.now()) return;
  opening_began_ = clock_.now();
  const auto opened = open_device();
  pace_.tried(clock_.now(), opened ? RetryPace::Outcome::well : RetryPace::Outcome::not_there);
  if (!opened) return publish_error(opened.error().text, opened.error().about);
  publish_open();
  for (const auto& slot : slots_) slot->device_came();
}

Result<void, Finding> CacheKeeper::open_device() {
  TRY(auto opened, open_cache(spec_, CacheDevice::Access::write));
  const auto volumes = static_cast<std::uint32_t>(
      std::ranges::count_if(slots_, [](const auto& slot) { return !slot->is_away(); }));
  const CacheMemory memory = cache_memory(opened.device->layout(), volumes);
  TRY(reserve_memory(spec_, memory.all, budget_, reserved_));
  cache_.volumes = volumes;
  cache_.memory = std::make_unique<IndexMemory>(enough_index_memory(opened.device->layout()));
  cache_.memory->bound_by(memory.index, [this](ByteCount more) { return reserved_.grow(more); });
  const auto started = start_work(std::move(opened));
  if (started) return success();
  return Finding{
      .about = Finding::About::cache_device, .name = spec_.name, .text = started.error()};
}

Result<void, std::string> CacheKeeper::start_work(OpenedCache opened) {
  auto writer = DurableWriter::make(*opened.region);
  if (!writer) return std::string(text(writer.error()));
  if (opened.region->guarantee().granularity == PmemGranularity::page) {
    cache_.committer = std::make_unique<PageCommitter>(*opened.device);
    cache_.committer->run_by_owner([this] { wake(); });
    actor_ = CacheActor::make_for_committer(*cache_.committer);
  } else {
    auto actor = CacheActor::make(*opened.device);
    if (!actor) return std::string(text(actor.error()));
    actor_ = std::move(actor.value());
  }
  cache_.region = std::move(opened.region);
  cache_.device = std::move(opened.device);
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

void CacheKeeper::publish_error(const std::string& reason, Finding::About about) {
  {
    const std::lock_guard lock(mutex_);
    status_.reason = reason;
    trouble_about_ = about;
  }
  for (const auto& slot : slots_) slot->stay_late(late_reason());
}

std::string CacheKeeper::late_reason() const {
  const CacheStatus now = status();
  return "cache device " + spec_.name +
         (now.retired ? " has been retired, until the next start" : ": " + now.reason);
}

}  // namespace engine
