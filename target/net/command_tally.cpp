#include "target/net/command_tally.h"

#include "engine/foundation/check.h"

namespace target {

using block::CommandKind;

namespace {
constexpr std::array<CommandKind, block::command_kinds> all_command_kinds{
    CommandKind::read, CommandKind::write, CommandKind::other};
}  // namespace

CommandTally::~CommandTally() {
  for (const Batch& batch : batches_) DCHECK(batch.of == nullptr);
}

void CommandTally::begin_batch(CommandKind kind, block::VolumeCounters& of, engine::Instant began) {
  set_aside(kind);
  Batch& batch = batches_[static_cast<std::size_t>(kind)];
  batch.of = &of;
  batch.began = began;
  reactor_.count_at_turn_end(*this);
}

void CommandTally::set_aside(CommandKind kind) {
  const Batch& batch = batches_[static_cast<std::size_t>(kind)];
  if (batch.of == nullptr) return;
  reactor_.count_at_turn_end(batch.of->latencies(kind), batch.began, batch.commands);
  end_batch(kind);
}

void CommandTally::end_batch(CommandKind kind) {
  Batch& batch = batches_[static_cast<std::size_t>(kind)];
  batch.of->succeeded(kind, batch.bytes);
  owner_.count_for_host(kind, batch.commands, batch.bytes);
  batch = {};
}

void CommandTally::settle() {
  for (const CommandKind kind : all_command_kinds) set_aside(kind);
}

void CommandTally::count_turn(engine::Instant ended) {
  for (const CommandKind kind : all_command_kinds) {
    const Batch& batch = batches_[static_cast<std::size_t>(kind)];
    if (batch.of == nullptr) continue;
    batch.of->latencies(kind).add(ended - batch.began, batch.commands);
    end_batch(kind);
  }
}

}  // namespace target
