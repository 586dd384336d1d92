// CommandTally: counts what a connection answers well, many commands at once.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "engine/foundation/clock.h"
#include "target/block/volume_counters.h"
#include "target/reactor/reactor.h"

namespace target {

// What a host has had answered well, on all of its connections; relaxed, any thread.
struct HostCounters {
  std::atomic<std::uint64_t> read_commands{0};
  std::atomic<std::uint64_t> write_commands{0};
  std::atomic<std::uint64_t> bytes_read{0};
  std::atomic<std::uint64_t> bytes_written{0};
};

// Commands of one kind and of one run (CommandRun), which are of one volume and began in the same
// turn, that are answered in the same turn are a batch: each costs a comparison and two additions,
// and the batch is counted when the turn has ended. Reactor thread only.
class CommandTally final : private TurnCounting {
 public:
  // Outlives it.
  explicit CommandTally(Reactor& reactor) : reactor_(reactor) {}
  // Settled before.
  ~CommandTally();

  // For whom it counts from now on, too. They live until it is settled.
  void count_for(HostCounters& host);
  // One command, answered in this turn. `of` lives until the turn has ended.
  void add(block::VolumeCounters& of, block::CommandKind kind, engine::Instant began,
           std::uint64_t bytes);
  // The same, if it is one of those that were added last; few instructions. False: it is not. For
  // those of volumes only, and `began` of their run.
  [[nodiscard, gnu::always_inline]] bool add_alike(block::CommandKind kind, engine::Instant began,
                                                   std::uint64_t bytes) {
    Batch& batch = batches_[static_cast<std::size_t>(kind)];
    if (batch.began != began) [[unlikely]]
      return false;
    ++batch.commands;
    batch.bytes += bytes;
    return true;
  }
  // Tells the host's counters at once what they have not been told yet: they are about to go.
  void settle();

 private:
  // No command begins then.
  static constexpr engine::Instant never{engine::Duration::max()};
  struct Batch {
    engine::Instant began = never;  // never: there is none
    std::uint64_t commands = 0;
    std::uint64_t bytes = 0;
    block::KindCounters* of = nullptr;
    std::atomic<std::uint64_t>* host_commands = nullptr;  // nullptr: nobody counts them
    std::atomic<std::uint64_t>* host_bytes = nullptr;
  };

  // Counts all but its latency, which the caller has taken care of.
  static void end(Batch& batch);
  static void count(Batch& batch, engine::Instant ended);
  void set_aside(Batch& batch);
  void count_turn(engine::Instant ended) override;

  Reactor& reactor_;
  std::array<Batch, block::command_kinds> batches_;  // by CommandKind
};

}  // namespace target
