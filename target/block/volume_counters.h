// VolumeCounters: what the commands of one reactor did with one volume.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "target/reactor/latency_counters.h"

namespace target::block {

enum class CommandKind : std::uint8_t { read, write, other };
inline constexpr std::size_t command_kinds = 3;

// How an answered command ended, as metrics tell it; each protocol says which of its statuses are
// which.
enum class CommandOutcome : std::uint8_t {
  ok,
  media,        // the blocks cannot be had, or not be written
  unavailable,  // the host is to try again
  refused,      // the host's own doing: a field, a range, a reservation
  capacity,     // there is no space
  aborted,      // not done, because the host or its end wanted so
};
inline constexpr std::size_t command_outcomes = 6;

// A copy, of one reactor or of all together.
struct VolumeCounts {
  using Errors = std::array<std::uint64_t, command_outcomes>;  // by CommandOutcome; ok: none

  LatencyCounts reads;  // all that were answered
  LatencyCounts writes;
  std::uint64_t others = 0;
  std::uint64_t read_bytes = 0;  // of those that succeeded
  std::uint64_t written_bytes = 0;
  Errors read_errors{};
  Errors write_errors{};
  std::uint64_t aborted = 0;  // of any kind; not among the others here
  std::uint64_t begun = 0;
  std::uint64_t ended = 0;

  [[nodiscard]] std::uint64_t in_flight() const { return begun > ended ? begun - ended : 0; }
  VolumeCounts& operator+=(const VolumeCounts& other) {
    reads += other.reads;
    writes += other.writes;
    others += other.others;
    read_bytes += other.read_bytes;
    written_bytes += other.written_bytes;
    for (std::size_t i = 0; i < command_outcomes; ++i) {
      read_errors[i] += other.read_errors[i];
      write_errors[i] += other.write_errors[i];
    }
    aborted += other.aborted;
    begun += other.begun;
    ended += other.ended;
    return *this;
  }
};

// An answered command.
struct AnsweredCommand {
  CommandKind kind = CommandKind::other;
  CommandOutcome outcome = CommandOutcome::ok;
  std::uint64_t bytes = 0;  // moved to or from the host, if it succeeded
  engine::Instant began;
};

// The reactor's thread counts, any thread copies. A command is counted twice: when it is known
// which volume it is for, and when it has been answered or dropped. Plain stores and no clock: its
// latency is known when the reactor's turn ends (Reactor::count_at_turn_end), so the counters live
// until then. Commands that end well are counted together (CommandTally), others by failed().
//
// What ended is not counted for itself: it is what has a latency, was dropped or has moved.
class alignas(64) VolumeCounters {
 public:
  // True: this command's stages are timed; whoever begins it says by time_again_after() which one
  // is the next.
  [[nodiscard]] bool began() {
    add_owned(begun_);
    return --until_timed_ == 0;
  }
  void time_again_after(std::uint32_t commands) { until_timed_ = commands; }
  // Of commands that are timed because the volume is named: every how-manieth is the reactor's too.
  [[nodiscard]] bool is_reactors_turn(std::uint32_t one_of) {
    if (--until_reactors_ != 0) return false;
    until_reactors_ = one_of;
    return true;
  }

  // It belongs to another volume after all, or has gone without an answer.
  void moved() { add_owned(moved_); }
  void dropped() { add_owned(aborted_); }
  // Commands that were answered well, and what they moved.
  void succeeded(CommandKind kind, std::uint64_t bytes) { add_owned(bytes_[place(kind)], bytes); }
  // False: of such no latency is told.
  [[nodiscard]] bool failed(CommandKind kind, CommandOutcome outcome) {
    if (outcome == CommandOutcome::aborted) {
      add_owned(aborted_);
      return false;
    }
    add_owned(errors_[place(kind)][static_cast<std::size_t>(outcome)]);
    return true;
  }
  [[nodiscard]] LatencyCounters& latencies(CommandKind kind) { return latencies_[place(kind)]; }

  [[nodiscard]] VolumeCounts counts() const {
    constexpr auto relaxed = std::memory_order_relaxed;
    const auto bytes_of = [&](CommandKind kind) { return bytes_[place(kind)].load(relaxed); };
    const auto latencies_of = [&](CommandKind kind) { return latencies_[place(kind)].counts(); };
    VolumeCounts copy{.reads = latencies_of(CommandKind::read),
                      .writes = latencies_of(CommandKind::write),
                      .others = latencies_of(CommandKind::other).count(),
                      .read_bytes = bytes_of(CommandKind::read),
                      .written_bytes = bytes_of(CommandKind::write),
                      .aborted = aborted_.load(relaxed)};
    for (std::size_t i = 0; i < command_outcomes; ++i) {
      copy.read_errors[i] = errors_[place(CommandKind::read)][i].load(relaxed);
      copy.write_errors[i] = errors_[place(CommandKind::write)][i].load(relaxed);
    }
    // In this order: what ends between the two only looks as if it were still under way.
    copy.ended = copy.reads.count() + copy.writes.count() + copy.others + copy.aborted +
                 moved_.load(relaxed);
    copy.begun = begun_.load(relaxed);
    return copy;
  }

 private:
  using Errors = std::array<std::atomic<std::uint64_t>, command_outcomes>;
  static constexpr std::size_t place(CommandKind kind) { return static_cast<std::size_t>(kind); }

  std::atomic<std::uint64_t> begun_{0};
  std::uint32_t until_timed_ = 1;  // the first is
  std::uint32_t until_reactors_ = 1;
  std::array<std::atomic<std::uint64_t>, command_kinds> bytes_{};
  std::atomic<std::uint64_t> moved_{0};
  std::atomic<std::uint64_t> aborted_{0};
  std::array<LatencyCounters, command_kinds> latencies_;
  std::array<Errors, command_kinds> errors_{};
};

}  // namespace target::block
