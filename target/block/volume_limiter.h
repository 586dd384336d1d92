// VolumeLimiter: what the hosts of one volume may ask of it in a second, all of them together, by
// whichever protocol and reactor (docs/qos.md).
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "engine/foundation/clock.h"
#include "target/block/rate_bucket.h"

namespace target::block {

// Each per second; 0: no limit.
struct VolumeLimits {
  std::uint64_t read_commands = 0;
  std::uint64_t write_commands = 0;
  std::uint64_t commands = 0;  // of both kinds together
  std::uint64_t read_bytes = 0;
  std::uint64_t write_bytes = 0;
  std::uint64_t bytes = 0;
  // For so long what is not used is kept, to be used later at any speed.
  engine::Duration burst = std::chrono::milliseconds(100);

  [[nodiscard]] bool any() const {
    return (read_commands | write_commands | commands | read_bytes | write_bytes | bytes) != 0;
  }
  friend bool operator==(const VolumeLimits&, const VolumeLimits&) = default;
};

// What one command counts as.
struct Traffic {
  enum class Kind : std::uint8_t { read, write };
  Kind kind = Kind::read;
  std::uint64_t bytes = 0;  // that are read or written
};

// How far a command has come with the limits of its volume.
struct Toll {
  Traffic traffic;
  std::uint8_t paid = 0;      // VolumeLimiter's stages
  std::uint32_t version = 0;  // of the limits that it was paid under
  engine::Instant turn{};     // when to go on
  engine::Instant since{};    // it is held back
};

// Of commands that are or were held back.
struct HoldCounts {
  std::uint64_t reads_held = 0;  // now
  std::uint64_t writes_held = 0;
  std::uint64_t reads = 0;  // that have been, and how long, all together
  std::uint64_t writes = 0;
  engine::Duration read_time{};
  engine::Duration write_time{};
};

// Thread-safe, unless a method says otherwise.
//
// Two stages, so that a limit on one kind holds nothing else back: first the limits of the
// command's own kind, and when it is its turn by these, those of both kinds. Nobody is charged by
// the second for commands that still wait at the first.
class VolumeLimiter {
 public:
  VolumeLimiter() = default;
  VolumeLimiter(const VolumeLimiter&) = delete;
  VolumeLimiter& operator=(const VolumeLimiter&) = delete;

  // Who holds commands back looks this often whether limits have changed.
  static constexpr engine::Duration look_interval = std::chrono::milliseconds(100);

  // False: nothing is limited, and nothing else here need be asked.
  [[nodiscard]] bool is_limiting() const { return limiting_.load(std::memory_order_relaxed); }
  // Of the limits: another one each time they change.
  [[nodiscard]] std::uint32_t version() const { return version_.load(std::memory_order_acquire); }

  // Holds from now on; what is held back is looked at again within look_interval. Nothing if they
  // are the same. Control thread (before the reactors start: any one).
  void set_limits(const VolumeLimits& limits, engine::Instant now);
  // Control thread.
  [[nodiscard]] const VolumeLimits& limits() const { return limits_; }

  // Takes the command through the limits, from where it has come so far; from the beginning if they
  // have changed since. True: it is through. False: to be called again at toll.turn.
  [[nodiscard]] bool pay(Toll& toll, engine::Instant now);
  // It is not going to pass: what it has paid is the others'.
  void give_back(const Toll& toll);

  // Commands that wait for their turn are counted from hold() until let_go().
  void hold(const Toll& toll);
  void let_go(const Toll& toll, engine::Instant now);
  [[nodiscard]] bool is_holding() const;
  [[nodiscard]] HoldCounts counts() const;

 private:
  struct Pair {
    RateBucket commands;
    RateBucket bytes;
    [[nodiscard]] engine::Instant take(std::uint64_t bytes_taken, engine::Instant now);
  };
  struct Holding {
    alignas(64) std::atomic<std::uint64_t> now{0};
    std::atomic<std::uint64_t> commands{0};
    std::atomic<engine::Duration::rep> ns{0};
  };
  static constexpr std::uint8_t stages = 2;

  [[nodiscard]] Pair& pair_of(const Toll& toll, std::uint8_t stage);
  [[nodiscard]] Holding& holding_of(const Toll& toll);

  // Read for every command, hardly ever written.
  alignas(64) std::atomic<bool> limiting_{false};
  std::atomic<std::uint32_t> version_{0};
  VolumeLimits limits_;
  Pair both_;
  std::array<Pair, 2> kinds_;  // by Traffic::Kind
  std::array<Holding, 2> holding_;
};

}  // namespace target::block
