// CommandTally: counts what a connection answers well, many commands at once.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "engine/foundation/clock.h"
#include "target/block/volume_counters.h"
#include "target/reactor/reactor.h"

namespace target {

// Commands of one kind, of one volume, that began in the same turn and are answered in the same
// turn, are a batch: each costs two additions, and the batch is counted when the turn has ended.
// Reactor thread only.
class CommandTally final : private TurnCounting {
 public:
  class Owner {
   public:
    // So many have been answered well and have moved so much, for whoever counts by host.
    virtual void count_for_host(block::CommandKind kind, std::uint64_t commands,
                                std::uint64_t bytes) = 0;

   protected:
    ~Owner() = default;
  };

  // Both outlive it.
  CommandTally(Reactor& reactor, Owner& owner) : reactor_(reactor), owner_(owner) {}
  CommandTally(const CommandTally&) = delete;
  CommandTally& operator=(const CommandTally&) = delete;
  // Settled before.
  ~CommandTally();

  // One command, answered in this turn. `of` lives until the turn has ended.
  [[gnu::always_inline]] void add(block::VolumeCounters& of, block::CommandKind kind,
                                  engine::Instant began, std::uint64_t bytes) {
    Batch& batch = batches_[static_cast<std::size_t>(kind)];
    if (batch.of != &of || batch.began != began) [[unlikely]]
      begin_batch(kind, of, began);
    ++batch.commands;
    batch.bytes += bytes;
  }
  // Tells the owner at once what it has not been told yet: it is about to end.
  void settle();

 private:
  struct Batch {
    block::VolumeCounters* of = nullptr;  // nullptr: there is none
    engine::Instant began{};
    std::uint64_t commands = 0;
    std::uint64_t bytes = 0;
  };

  [[gnu::noinline]] void begin_batch(block::CommandKind kind, block::VolumeCounters& of,
                                     engine::Instant began);
  // Counts all but its latency, which the caller has taken care of.
  void end_batch(block::CommandKind kind);
  void set_aside(block::CommandKind kind);
  void count_turn(engine::Instant ended) override;

  Reactor& reactor_;
  Owner& owner_;
  std::array<Batch, block::command_kinds> batches_;
};

}  // namespace target
