// IoQueue: commands that there is no room for, and paths that are not to be used (docs/qos.md).
#include <algorithm>

#include "target/nvmf/io_queue.h"
#include "target/reactor/reactor.h"

namespace target::nvmf {

namespace nvme = protocol::nvme;

namespace {

nvme::Status status_of_access(AnaState state) {
  switch (state) {
    case AnaState::optimized:
    case AnaState::non_optimized:
      return nvme::status::success;
    case AnaState::inaccessible:
      return nvme::status::ana_inaccessible;
    case AnaState::persistent_loss:
      return nvme::status::ana_persistent_loss;
    case AnaState::change:
      return nvme::status::ana_transition;
  }
  return nvme::status::internal_error;
}

// CRDT1 to CRDT3.
constexpr std::uint32_t retry_delay_count = 3;

}  // namespace

nvme::Status IoQueue::check_access(const Namespace& space) const {
  const AnaState path = owner_.path_state();
  const auto state = block::worse_of(path, space.ana_state.load(std::memory_order_acquire));
  if (block::is_reached(state)) [[likely]]
    return nvme::status::success;
  // It would take the status for an error: what it asks for is held instead.
  const bool is_held = block::is_reached(path) && !owner_.knows_access_states() &&
                       space.volume->overload().is_closed();
  return is_held ? nvme::status::success : status_of_access(state);
}

std::optional<nvme::Status> IoQueue::interrupted(const Command& command,
                                                 block::OverloadLadder& ladder) {
  if (!owner_.delays_retries()) return std::nullopt;
  const auto times = retries_.send_back(command.entry, ladder.retries(), port_.reactor().now());
  if (!times) return std::nullopt;
  ladder.count_interrupted();
  return nvme::status::command_interrupted.with_retry_delay(
      static_cast<std::uint8_t>(std::min(*times, retry_delay_count)));
}

// Its data is still in its buffer: what cannot be sent back asks for room once more, behind those
// that wait.
void IoQueue::lacked_room(CommandPermit permit) {
  Command& command = permit.command();
  block::OverloadLadder& ladder = command.request.volume->overload();
  ladder.given_back(command.request.held_since, port_.reactor().now());
  Namespace* const space = owner_.find_namespace(command.entry.nsid);
  const auto access = space == nullptr ? nvme::status::success : check_access(*space);
  if (access.is_success()) {
    if (const auto status = interrupted(command, ladder)) return permit.respond(*status);
  }
  const bool has_pieces =
      static_cast<nvme::IoOpcode>(command.entry.opcode) == nvme::IoOpcode::dataset_management;
  // What the host had sent of these lies no more where it was.
  if (!has_pieces || !may_start() || space == nullptr) {
    return run(std::move(permit), Step::data_ready);
  }
  if (!access.is_success()) return permit.respond(access);
  use_ = &use_of(*space);
  requests_.submit_pieces(begin(permit), command.request.order.pieces, &IoQueue::completed);
}

nvme::Status IoQueue::send_back(const Command& command) {
  const Namespace* space = owner_.find_namespace(command.entry.nsid);
  if (space == nullptr) return later(nvme::status::command_interrupted);
  if (const auto access = check_access(*space); !access.is_success()) return access;
  block::OverloadLadder& ladder = space->volume->overload();
  if (const auto status = interrupted(command, ladder)) return *status;
  // It has been sent back as often as its host may be trusted with.
  if (!space->volume->limiter().is_holding()) ladder.cannot_hold();
  return owner_.delays_retries()
             ? nvme::status::command_interrupted.with_retry_delay(retry_delay_count)
             : nvme::status::command_interrupted;
}

void IoQueue::refuse_unreachable() {
  for (const auto& [space, use] : uses_) {
    const auto access = check_access(*space);
    if (access.is_success()) continue;
    while (Command* waiting = port_.take_waiting(*space->volume)) {
      CommandPermit::resume(*waiting).respond(access);
    }
  }
}

}  // namespace target::nvmf
