#include "target/block/volume_limiter.h"

#include <algorithm>

namespace target::block {

using engine::Duration;
using engine::Instant;

namespace {

constexpr std::size_t index_of(Traffic::Kind kind) { return static_cast<std::size_t>(kind); }

}  // namespace

void VolumeLimiter::set_limits(const VolumeLimits& limits, Instant now) {
  if (limits == limits_) return;
  limits_ = limits;
  Pair& reads = kinds_[index_of(Traffic::Kind::read)];
  Pair& writes = kinds_[index_of(Traffic::Kind::write)];
  reads.commands.set(limits.read_commands, limits.burst, now);
  reads.bytes.set(limits.read_bytes, limits.burst, now);
  writes.commands.set(limits.write_commands, limits.burst, now);
  writes.bytes.set(limits.write_bytes, limits.burst, now);
  both_.commands.set(limits.commands, limits.burst, now);
  both_.bytes.set(limits.bytes, limits.burst, now);
  // Behind the rates: who sees it pays by the new ones. (Who pays by them before has to pay once
  // more.)
  version_.fetch_add(1, std::memory_order_release);
  limiting_.store(limits.any(), std::memory_order_relaxed);
}

Instant VolumeLimiter::Pair::take(std::uint64_t bytes_taken, Instant now) {
  return std::max(commands.take(1, now), bytes.take(bytes_taken, now));
}

VolumeLimiter::Pair& VolumeLimiter::pair_of(const Toll& toll, std::uint8_t stage) {
  return stage == 0 ? kinds_[index_of(toll.traffic.kind)] : both_;
}

bool VolumeLimiter::pay(Toll& toll, Instant now) {
  if (const std::uint32_t current = version(); toll.version != current) {
    toll.version = current;
    toll.paid = 0;
    toll.turn = {};
  }
  while (toll.paid < stages) {
    const Instant turn = pair_of(toll, toll.paid++).take(toll.traffic.bytes, now);
    toll.turn = std::max(toll.turn, turn);
    if (toll.turn > now) return false;
  }
  return true;
}

void VolumeLimiter::give_back(const Toll& toll) {
  if (toll.version != version()) return;  // set_limits() has forgotten it
  for (std::uint8_t stage = 0; stage < toll.paid; ++stage) {
    Pair& pair = pair_of(toll, stage);
    pair.commands.give_back(1);
    pair.bytes.give_back(toll.traffic.bytes);
  }
}

VolumeLimiter::Holding& VolumeLimiter::holding_of(const Toll& toll) {
  return holding_[index_of(toll.traffic.kind)];
}

void VolumeLimiter::hold(const Toll& toll) {
  holding_of(toll).now.fetch_add(1, std::memory_order_relaxed);
}

void VolumeLimiter::let_go(const Toll& toll, Instant now) {
  Holding& holding = holding_of(toll);
  holding.now.fetch_sub(1, std::memory_order_relaxed);
  holding.commands.fetch_add(1, std::memory_order_relaxed);
  holding.ns.fetch_add((now - toll.since).count(), std::memory_order_relaxed);
}

bool VolumeLimiter::is_holding() const {
  return std::ranges::any_of(holding_, [](const Holding& holding) {
    return holding.now.load(std::memory_order_relaxed) != 0;
  });
}

HoldCounts VolumeLimiter::counts() const {
  const Holding& reads = holding_[index_of(Traffic::Kind::read)];
  const Holding& writes = holding_[index_of(Traffic::Kind::write)];
  constexpr auto order = std::memory_order_relaxed;
  return {.reads_held = reads.now.load(order),
          .writes_held = writes.now.load(order),
          .reads = reads.commands.load(order),
          .writes = writes.commands.load(order),
          .read_time = Duration(reads.ns.load(order)),
          .write_time = Duration(writes.ns.load(order))};
}

}  // namespace target::block
