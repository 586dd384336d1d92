#include "target/net/command_tally.h"

#include "engine/foundation/check.h"

namespace target {

using block::CommandKind;

CommandTally::~CommandTally() {
  for (const Batch& batch : batches_) DCHECK(batch.commands == 0);
}

void CommandTally::count_for(HostCounters& host) {
  const auto tell = [this](CommandKind kind, std::atomic<std::uint64_t>& commands,
                           std::atomic<std::uint64_t>& bytes) {
    Batch& batch = batches_[static_cast<std::size_t>(kind)];
    batch.host_commands = &commands;
    batch.host_bytes = &bytes;
  };
  tell(CommandKind::read, host.read_commands, host.bytes_read);
  tell(CommandKind::write, host.write_commands, host.bytes_written);
}

void CommandTally::add(block::VolumeCounters& of, CommandKind kind, engine::Instant began,
                       std::uint64_t bytes) {
  Batch& batch = batches_[static_cast<std::size_t>(kind)];
  block::KindCounters* const counters = &of.of(kind);
  if (batch.began != began || batch.of != counters) {
    if (batch.commands != 0) set_aside(batch);
    batch.began = began;
    batch.of = counters;
    reactor_.count_at_turn_end(*this);
  }
  ++batch.commands;
  batch.bytes += bytes;
}

void CommandTally::set_aside(Batch& batch) {
  reactor_.count_at_turn_end(batch.of->latencies, batch.began, batch.commands);
  end(batch);
}

inline void CommandTally::end(Batch& batch) {
  add_owned(batch.of->bytes, batch.bytes);
  if (batch.host_commands != nullptr) {
    batch.host_commands->fetch_add(batch.commands, std::memory_order_relaxed);
    batch.host_bytes->fetch_add(batch.bytes, std::memory_order_relaxed);
  }
  batch.began = never;
  batch.commands = 0;
  batch.bytes = 0;
}

void CommandTally::settle() {
  for (Batch& batch : batches_) {
    if (batch.commands != 0) set_aside(batch);
  }
}

[[gnu::noinline]] void CommandTally::count(Batch& batch, engine::Instant ended) {
  batch.of->latencies.add(ended - batch.began, batch.commands);
  end(batch);
}

// One after the other, and no loop: most turns have but one or two kinds.
void CommandTally::count_turn(engine::Instant ended) {
  static_assert(block::command_kinds == 3);
  if (batches_[0].commands != 0) count(batches_[0], ended);
  if (batches_[1].commands != 0) count(batches_[1], ended);
  if (batches_[2].commands != 0) count(batches_[2], ended);
}

}  // namespace target
