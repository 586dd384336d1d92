// OverloadLadder: how long a volume has had no room for what its hosts ask of it, and what is done
// about that (docs/qos.md, "Overload").
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>

#include "engine/foundation/clock.h"

namespace target::block {

struct OverloadTimes {
  // A command that there is no room for is held so long; then it is sent back, if its host has said
  // that it waits before it tries again.
  engine::Duration hold = std::chrono::seconds(10);
  // How often one command is sent back, at most; after that it is held on. Linux gives up after
  // five.
  std::uint32_t retries = 3;
  // So long after the first of them came, hosts are told that the volume is not to be reached. Less
  // than what hosts wait for a command (Linux: 30 s).
  engine::Duration inaccessible_after = std::chrono::seconds(25);
  // There has to be room for so long before they are told otherwise.
  engine::Duration recovery = std::chrono::seconds(5);
  friend bool operator==(const OverloadTimes&, const OverloadTimes&) = default;
};

struct OverloadCounts {
  std::uint64_t held = 0;  // now
  std::uint64_t held_total = 0;
  engine::Duration hold_time{};  // of those that are held no more, all together
  std::uint64_t interrupted = 0;
  std::uint64_t closings = 0;
  bool closed = false;
};

// Thread-safe, unless a method says otherwise; a volume that has room costs nothing.
//
// Invariants: it is closed only by look(), and not before inaccessible_after, unless somebody could
// not be held at all; it is opened only by look(), when there was room all through `recovery`.
class OverloadLadder {
 public:
  OverloadLadder() = default;
  OverloadLadder(const OverloadLadder&) = delete;
  OverloadLadder& operator=(const OverloadLadder&) = delete;

  // Control thread.
  void set_times(const OverloadTimes& times);
  [[nodiscard]] const OverloadTimes& times() const { return times_; }

  // How long a command is held now; any thread, as the rest.
  [[nodiscard]] engine::Duration hold() const {
    return engine::Duration(hold_now_.load(std::memory_order_relaxed));
  }
  // Control thread.
  void set_hold(engine::Duration hold) { hold_now_.store(hold.count(), std::memory_order_relaxed); }
  [[nodiscard]] std::uint32_t retries() const { return retries_.load(std::memory_order_relaxed); }
  // Hosts that know access states are told that it is not to be reached.
  [[nodiscard]] bool is_closed() const { return closed_.load(std::memory_order_acquire); }

  // A command waits for room, from one to the other.
  void began_hold() { held_.fetch_add(1, std::memory_order_relaxed); }
  void ended_hold(engine::Duration time);
  // One that came at `began` has been held, and there is no room still.
  void given_back(engine::Instant began, engine::Instant now);
  // One could not be held, since all that may be is; the next look closes.
  void cannot_hold() { must_close_.store(true, std::memory_order_relaxed); }
  void count_interrupted() { interrupted_.fetch_add(1, std::memory_order_relaxed); }
  [[nodiscard]] OverloadCounts counts() const;

  enum class Change : std::uint8_t { none, closed, opened };
  // To be called about once a second. Control thread.
  [[nodiscard]] Change look(engine::Instant now, bool has_room);

 private:
  [[nodiscard]] bool must_close(engine::Instant now, bool is_well);

  // Control thread.
  OverloadTimes times_;
  std::optional<engine::Instant> room_since_;  // while closed

  std::atomic<std::uint32_t> retries_{OverloadTimes{}.retries};
  std::atomic<engine::Duration::rep> hold_now_{OverloadTimes{}.hold.count()};
  std::atomic<bool> closed_{false};
  std::atomic<bool> must_close_{false};
  // Of those that were given back: when the first came (0: none), and when the last one was.
  std::atomic<engine::Duration::rep> first_ns_{0};
  std::atomic<engine::Duration::rep> last_ns_{0};
  std::atomic<std::uint64_t> held_{0};
  std::atomic<std::uint64_t> held_total_{0};
  std::atomic<engine::Duration::rep> hold_ns_{0};
  std::atomic<std::uint64_t> interrupted_{0};
  std::atomic<std::uint64_t> closings_{0};
};

}  // namespace target::block
