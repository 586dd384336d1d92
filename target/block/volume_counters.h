// VolumeCounters: what the commands of one reactor did with one volume.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "target/reactor/latency_counters.h"

namespace target::block {

enum class CommandKind : std::uint8_t { read, write, other };

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
// until then.
class alignas(64) VolumeCounters {
 public:
  void began() { add_owned(begun_); }
  // It belongs to another volume after all, or has gone without an answer.
  void moved() { add_owned(ended_); }
  void dropped() {
    add_owned(aborted_);
    add_owned(ended_);
  }
  // Where its latency is to be counted when the turn ends; nullptr: of such no latency is told.
  [[nodiscard]] LatencyCounters* answered(const AnsweredCommand& command) {
    add_owned(ended_);
    if (command.outcome == CommandOutcome::aborted) [[unlikely]] {
      add_owned(aborted_);
      return nullptr;
    }
    switch (command.kind) {
      case CommandKind::read:
        count(command, read_bytes_, read_errors_);
        return &reads_;
      case CommandKind::write:
        count(command, written_bytes_, write_errors_);
        return &writes_;
      case CommandKind::other:
        add_owned(others_);
        break;
    }
    return nullptr;
  }
  [[nodiscard]] VolumeCounts counts() const {
    constexpr auto relaxed = std::memory_order_relaxed;
    VolumeCounts copy{.reads = reads_.counts(),
                      .writes = writes_.counts(),
                      .others = others_.load(relaxed),
                      .read_bytes = read_bytes_.load(relaxed),
                      .written_bytes = written_bytes_.load(relaxed),
                      .aborted = aborted_.load(relaxed)};
    for (std::size_t i = 0; i < command_outcomes; ++i) {
      copy.read_errors[i] = read_errors_[i].load(relaxed);
      copy.write_errors[i] = write_errors_[i].load(relaxed);
    }
    // In this order: what ends between the two only looks as if it were still under way.
    copy.ended = ended_.load(relaxed);
    copy.begun = begun_.load(relaxed);
    return copy;
  }

 private:
  using Errors = std::array<std::atomic<std::uint64_t>, command_outcomes>;
  static void count(const AnsweredCommand& command, std::atomic<std::uint64_t>& bytes,
                    Errors& errors) {
    if (command.outcome == CommandOutcome::ok) return add_owned(bytes, command.bytes);
    add_owned(errors[static_cast<std::size_t>(command.outcome)]);
  }

  std::atomic<std::uint64_t> begun_{0};
  std::atomic<std::uint64_t> ended_{0};
  std::atomic<std::uint64_t> read_bytes_{0};
  std::atomic<std::uint64_t> written_bytes_{0};
  LatencyCounters reads_;
  LatencyCounters writes_;
  std::atomic<std::uint64_t> others_{0};
  std::atomic<std::uint64_t> aborted_{0};
  Errors read_errors_{};
  Errors write_errors_{};
};

}  // namespace target::block
