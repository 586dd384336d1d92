#include "engine/volume/cache_lane.h"

#include <algorithm>
#include <thread>
#include <utility>

#include "engine/foundation/check.h"
#include "engine/volume/cache_front.h"
#include "engine/volume/cached_pins.h"
#include "engine/volume/cached_read.h"
#include "engine/volume/cached_scrub.h"
#include "engine/volume/cached_write.h"
#include "engine/volume/miss_read.h"

namespace engine {
namespace {

// Whose turn this thread is ending: what it commits of that lane goes on at once.
thread_local const CacheLane* ending = nullptr;

}  // namespace

CacheCommand::CacheCommand(CacheLane& lane) : CommitRecord(lane), lane_(lane) {}

CacheLane* CacheLane::of(OpenCache& cache, IoLane& lane) {
  if (LaneGuest* const here = lane.guest_of(&cache)) {
    auto* const there = static_cast<CacheLane*>(here);
    return there->actor_ != nullptr ? there : nullptr;
  }
  auto actor = cache.make_actor();
  if (actor == nullptr) return nullptr;
  auto made = std::unique_ptr<CacheLane>(new CacheLane(cache, lane, std::move(actor)));
  CacheLane* const result = made.get();
  lane.keep_guest(&cache, std::move(made));
  return result;
}

CacheLane::CacheLane(OpenCache& cache, IoLane& lane, std::unique_ptr<CacheActor> actor)
    : cache_(cache), lane_(lane), actor_(std::move(actor)) {
  tell_.context = this;
  tell_.done = [](FileOperation& operation, int) noexcept {
    static_cast<CacheLane*>(operation.context)->take_told();
  };
  ask_.context = this;
  ask_.done = [](FileOperation& operation, int) noexcept {
    static_cast<CacheLane*>(operation.context)->answer();
  };
  out_.resize(cache.device->volumes().slots());
  cache_.lanes.add(*this);
}

// Quiet before, but for what the keeper has asked meanwhile.
CacheLane::~CacheLane() {
  cache_.lanes.remove(*this);
  while (is_asked_.load(std::memory_order_acquire)) (void)lane_.reap();
  CHECK(is_quiet());
}

void CacheLane::end_of_turn() {
  const CacheLane* const before = std::exchange(ending, this);
  is_time_told_ = false;
  const bool more = actor_->end_turn();
  ending = before;
  if (more) commit_soon();
}

void CacheLane::complete(CommitRecord& record) {
  auto& command = static_cast<CacheCommand&>(record);
  if (&command.lane() != ending) return command.lane().tell(command);
  // Once for all that are committed together.
  if (!std::exchange(is_time_told_, true)) lane_.refresh_now();
  command.go_on();
}

// Pushed, the command may end at once, and with the last one the lane: not before this is over.
void CacheLane::tell(CacheCommand& command) {
  tellers_.fetch_add(1, std::memory_order_relaxed);
  told_.push(command);
  if (!is_told_.exchange(true, std::memory_order_seq_cst)) lane_.post(tell_);
  tellers_.fetch_sub(1, std::memory_order_release);
}

bool CacheLane::is_quiet() const {
  if (!reads_.is_whole() || !writes_.is_whole() || !misses_.is_whole() || !pins_.is_whole() ||
      !scrubs_.is_whole()) {
    return false;
  }
  // A few instructions; nobody would wake the lane for their end.
  while (tellers_.load(std::memory_order_acquire) != 0) std::this_thread::yield();
  return !is_told_.load(std::memory_order_relaxed);
}

// Whoever tells behind this look posts again.
void CacheLane::take_told() {
  is_told_.store(false, std::memory_order_seq_cst);
  CacheCommand* command = told_.take_all();
  while (command != nullptr) {
    CacheCommand* const next = command->next();
    command->go_on();
    command = next;
  }
}

CommandTicket CacheLane::ticket_for(const CacheFront& front) const {
  return {.slot = front.volume().slot(), .era = front.era()};
}

CachedRead& CacheLane::take_read(CommandTicket ticket) { return take(reads_, ticket); }
CachedWrite& CacheLane::take_write(CommandTicket ticket) { return take(writes_, ticket); }
MissRead& CacheLane::take_miss(CommandTicket ticket) { return take(misses_, ticket); }
CachedPins& CacheLane::take_pins(CommandTicket ticket) { return take(pins_, ticket); }
CachedScrub& CacheLane::take_scrub(CommandTicket ticket) { return take(scrubs_, ticket); }
void CacheLane::give_back(CachedRead& read) { give_back(reads_, read); }
void CacheLane::give_back(CachedWrite& write) { give_back(writes_, write); }
void CacheLane::give_back(MissRead& miss) { give_back(misses_, miss); }
void CacheLane::give_back(CachedPins& pins) { give_back(pins_, pins); }
void CacheLane::give_back(CachedScrub& scrub) { give_back(scrubs_, scrub); }

bool CacheLane::says(const LaneQuestion& question) {
  {
    const std::lock_guard lock(question_mutex_);
    const auto asked = std::ranges::find(asked_, question, &Asked::question);
    if (asked == asked_.end()) {
      asked_.push_back({.question = question});
    } else if (asked->is_answered) {
      return true;
    }
  }
  if (!is_asked_.exchange(true, std::memory_order_acq_rel)) lane_.post(ask_);
  return false;
}

void CacheLane::forget(const LaneQuestion& question) {
  const std::lock_guard lock(question_mutex_);
  std::erase_if(asked_, [&question](const Asked& asked) { return asked.question == question; });
}

// On the lane's thread, so nothing begins beside it.
void CacheLane::answer() {
  const std::lock_guard lock(question_mutex_);
  is_asked_.store(false, std::memory_order_release);
  for (Asked& asked : asked_) {
    const LaneQuestion& question = asked.question;
    if (asked.is_answered || !is_so(question)) continue;
    asked.is_answered = true;
    if (question.kind == LaneQuestion::Kind::left) actor_->leave(question.slot);
    if (question.kind == LaneQuestion::Kind::closed) actor_.reset();
  }
}

bool CacheLane::is_so(const LaneQuestion& question) const {
  switch (question.kind) {
    case LaneQuestion::Kind::ended:
      return out_[question.slot][question.era] == 0;
    case LaneQuestion::Kind::left: {
      const auto& [even, odd] = out_[question.slot];
      return even == 0 && odd == 0 && !actor_->has_in_turn(question.slot);
    }
    case LaneQuestion::Kind::closed:
      return true;
  }
  return false;
}

}  // namespace engine
