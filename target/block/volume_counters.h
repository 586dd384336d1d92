// VolumeCounters: what the commands of one reactor did with one volume.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "target/reactor/command_run.h"
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
};

// Of the commands of one kind.
struct KindCounters {
  LatencyCounters latencies;  // of all that were answered, and not aborted
  std::atomic<std::uint64_t> bytes{0};
  std::array<std::atomic<std::uint64_t>, command_outcomes> errors{};
};

// The reactor's thread counts, any thread copies. A command is counted twice: when it is known
// which volume it is for, and when it has been answered or dropped. Plain stores and no clock: its
// latency is known when the reactor's turn ends (Reactor::count_at_turn_end), so the counters live
// until then. Commands that end well are counted together (CommandTally), others by failed().
//
// What ended is not counted for itself: it is what has a latency, was dropped or has moved.
class alignas(64) VolumeCounters {
 public:
  [[nodiscard]] BegunCounter& begun() { return begun_; }

  // It belongs to another volume after all, or has gone without an answer.
  void moved() { add_owned(moved_); }
  void dropped() { add_owned(aborted_); }
  // What was answered well adds to its latencies and its bytes.
  [[nodiscard]] KindCounters& of(CommandKind kind) { return kinds_[place(kind)]; }
  // False: of such no latency is told.
  [[nodiscard]] bool failed(CommandKind kind, CommandOutcome outcome) {
    if (outcome == CommandOutcome::aborted) {
      add_owned(aborted_);
      return false;
    }
    add_owned(of(kind).errors[static_cast<std::size_t>(outcome)]);
    return true;
  }

  [[nodiscard]] VolumeCounts counts() const {
    constexpr auto relaxed = std::memory_order_relaxed;
    const KindCounters& reads = kinds_[place(CommandKind::read)];
    const KindCounters& writes = kinds_[place(CommandKind::write)];
    VolumeCounts copy{.reads = reads.latencies.counts(),
                      .writes = writes.latencies.counts(),
                      .others = kinds_[place(CommandKind::other)].latencies.counts().count(),
                      .read_bytes = reads.bytes.load(relaxed),
                      .written_bytes = writes.bytes.load(relaxed),
                      .aborted = aborted_.load(relaxed)};
    for (std::size_t i = 0; i < command_outcomes; ++i) {
      copy.read_errors[i] = reads.errors[i].load(relaxed);
      copy.write_errors[i] = writes.errors[i].load(relaxed);
    }
    // In this order: what ends between the two only looks as if it were still under way.
    copy.ended = copy.reads.count() + copy.writes.count() + copy.others + copy.aborted +
                 moved_.load(relaxed);
    copy.begun = begun_.count();
    return copy;
  }

 private:
  static constexpr std::size_t place(CommandKind kind) { return static_cast<std::size_t>(kind); }

  BegunCounter begun_;
  std::atomic<std::uint64_t> moved_{0};
  std::atomic<std::uint64_t> aborted_{0};
  std::array<KindCounters, command_kinds> kinds_;
};

}  // namespace target::block
