#include "target/block/overload_ladder.h"

namespace target::block {

using engine::Duration;
using engine::Instant;

namespace {

constexpr auto relaxed = std::memory_order_relaxed;

// Whoever was sent back comes again after the delay that he was told.
constexpr Duration longest_pause = std::chrono::seconds(5);

}  // namespace

void OverloadLadder::set_times(const OverloadTimes& times) {
  times_ = times;
  retries_.store(times.retries, relaxed);
}

void OverloadLadder::ended_hold(Duration time) {
  held_.fetch_sub(1, relaxed);
  held_total_.fetch_add(1, relaxed);
  hold_ns_.fetch_add(time.count(), relaxed);
}

void OverloadLadder::given_back(Instant began, Instant now) {
  last_ns_.store(now.since_start.count(), relaxed);
  Duration::rep first = first_ns_.load(relaxed);
  const Duration::rep came = began.since_start.count();
  while ((first == 0 || came < first) && !first_ns_.compare_exchange_weak(first, came, relaxed)) {
  }
}

OverloadCounts OverloadLadder::counts() const {
  return {.held = held_.load(relaxed),
          .held_total = held_total_.load(relaxed),
          .hold_time = Duration(hold_ns_.load(relaxed)),
          .interrupted = interrupted_.load(relaxed),
          .closings = closings_.load(relaxed),
          .closed = is_closed()};
}

OverloadLadder::Change OverloadLadder::look(Instant now, bool has_room) {
  const bool is_well = has_room && held_.load(relaxed) == 0;
  if (!closed_.load(relaxed)) {
    if (!must_close(now, is_well)) return Change::none;
    room_since_.reset();
    closings_.fetch_add(1, relaxed);
    closed_.store(true, std::memory_order_release);
    return Change::closed;
  }
  if (!is_well) {
    room_since_.reset();
    return Change::none;
  }
  if (!room_since_) room_since_ = now;
  if (now - *room_since_ < times_.recovery) return Change::none;
  first_ns_.store(0, relaxed);
  must_close_.store(false, relaxed);
  closed_.store(false, std::memory_order_release);
  return Change::opened;
}

bool OverloadLadder::must_close(Instant now, bool is_well) {
  const Instant first{Duration(first_ns_.load(relaxed))};
  const Instant last{Duration(last_ns_.load(relaxed))};
  if (is_well) {
    first_ns_.store(0, relaxed);
    must_close_.store(false, relaxed);
    return false;
  }
  if (must_close_.exchange(false, relaxed)) return true;
  if (first == Instant{}) return false;
  // It goes on, though slowly: nobody has been held for too long since then.
  if (now - last > 2 * times_.hold + longest_pause) {
    first_ns_.store(0, relaxed);
    return false;
  }
  return now - first >= times_.inaccessible_after;
}

}  // namespace target::block
