// WriteBackPace: when a volume's dirty data is to go to its backing, how much at once, and how soon
// again after a failure.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>

#include "engine/foundation/clock.h"
#include "engine/foundation/units.h"

namespace engine {

struct WriteBackLimits {
  // Of the volume's share of the cache: begins at the high one, goes on down to the low one.
  std::uint32_t high_percent = 60;
  std::uint32_t low_percent = 40;
  Duration most_age = std::chrono::seconds(30);  // of what is dirty, besides the batch's own time
  std::size_t most_in_flight = 32;               // operations on the backing
  std::size_t busy_in_flight = 4;                // while hosts are served and space is not short
  Duration first_back_off = std::chrono::milliseconds(250);  // twice as long each time
  Duration longest_back_off = std::chrono::seconds(60);
};

// Knows no log and no disk. Of the volume's home lane.
class WriteBackPace {
 public:
  explicit WriteBackPace(const WriteBackLimits& limits) : limits_(limits) {}

  // Thresholds and age from now on; the rest of `limits` does not count.
  void set_thresholds(const WriteBackLimits& limits);
  // What the volume may hold at most; zero: not known, and no reason to write back.
  void set_share(ByteCount share) { share_ = share; }
  void set_busy(bool busy) { busy_ = busy; }

  // How things stand: what is dirty, D, and the end of the log.
  void look(Instant now, ByteCount backlog, std::uint64_t dirty_tail, std::uint64_t published);
  // Up to where space or age demand it; 0: nowhere.
  [[nodiscard]] std::uint64_t goal(std::uint64_t published) const {
    return pressure_ ? published : age_goal_;
  }
  [[nodiscard]] bool pressure() const { return pressure_; }
  [[nodiscard]] std::size_t in_flight() const {
    return busy_ && !pressure_ ? limits_.busy_in_flight : limits_.most_in_flight;
  }

  // A batch of `bytes` is through, or has failed; when to try again.
  void succeeded(ByteCount bytes, Duration took);
  [[nodiscard]] Instant failed(Instant now);
  [[nodiscard]] unsigned failures() const { return failures_; }
  // What a batch should have at most: about a quarter of a second, within bounds.
  static constexpr ByteCount smallest_batch = 16_MiB;
  static constexpr ByteCount first_batch = 64_MiB;  // while no rate is known
  [[nodiscard]] ByteCount batch_bytes(ByteCount most) const;
  // Bytes a second of late; zero: not known.
  [[nodiscard]] ByteCount rate() const { return {static_cast<std::uint64_t>(bytes_per_ns_ * 1e9)}; }
  // At the rate of late; nullopt: not known.
  [[nodiscard]] std::optional<Duration> time_for(ByteCount bytes) const;

 private:
  WriteBackLimits limits_;
  ByteCount share_;
  bool busy_ = false;
  bool pressure_ = false;
  std::optional<Instant> dirty_since_;  // of the oldest kset behind aged_to_
  std::uint64_t aged_to_ = 0;           // what age has asked for so far
  std::uint64_t age_goal_ = 0;
  unsigned failures_ = 0;  // in a row
  double bytes_per_ns_ = 0;
};

}  // namespace engine
