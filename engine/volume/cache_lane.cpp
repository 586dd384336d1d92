#include "engine/volume/cache_lane.h"

#include <thread>
#include <utility>

#include "engine/foundation/check.h"
#include "engine/volume/cached_read.h"
#include "engine/volume/cached_write.h"
#include "engine/volume/miss_read.h"

namespace engine {
namespace {

// Whose turn this thread is ending: what it commits of that lane goes on at once.
thread_local const CacheLane* ending = nullptr;

}  // namespace

CacheCommand::CacheCommand(CacheLane& lane) : CommitRecord(lane), lane_(lane) {}

CacheLane* CacheLane::of(OpenCache& cache, IoLane& lane) {
  if (LaneGuest* const here = lane.guest_of(&cache)) return static_cast<CacheLane*>(here);
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
}

CacheLane::~CacheLane() { CHECK(is_quiet()); }

void CacheLane::end_of_turn() {
  const CacheLane* const before = std::exchange(ending, this);
  const bool more = actor_->end_turn();
  ending = before;
  if (more) commit_soon();
}

void CacheLane::complete(CommitRecord& record) {
  auto& command = static_cast<CacheCommand&>(record);
  if (&command.lane() != ending) return command.lane().tell(command);
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
  if (!reads_.is_whole() || !writes_.is_whole() || !misses_.is_whole()) return false;
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

CachedRead& CacheLane::take_read() { return reads_.take(*this); }
CachedWrite& CacheLane::take_write() { return writes_.take(*this); }
MissRead& CacheLane::take_miss() { return misses_.take(*this); }
void CacheLane::give_back(CachedRead& read) { reads_.give_back(read); }
void CacheLane::give_back(CachedWrite& write) { writes_.give_back(write); }
void CacheLane::give_back(MissRead& miss) { misses_.give_back(miss); }

}  // namespace engine
