// How commands come by their data: parameter lists from the host, and answers that are made in
// memory.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <span>
#include <utility>

#include "protocol/scsi/answer.h"
#include "protocol/scsi/command.h"
#include "protocol/scsi/sense.h"
#include "target/scsi/answer_sink.h"

namespace target::scsi {

// What the host is ready to send, or to take, of the command's data: nothing if it has named the
// other direction.
[[nodiscard]] inline std::uint32_t host_sends(const Task& task) {
  return task.direction == DataDirection::from_host ? task.expected_bytes : 0;
}
[[nodiscard]] inline std::uint32_t host_takes(const Task& task) {
  return task.direction == DataDirection::to_host ? task.expected_bytes : 0;
}

// The host sends less than the command needs, or, where it must be exact, more (FCP-4 has the rule,
// SPC-4 the code; RFC 7143, 11.4.5.1 leaves it to SCSI): nothing is done.
inline constexpr protocol::scsi::Sense invalid_field_in_information_unit{
    protocol::scsi::SenseKey::illegal_request, {0x0e, 0x03}};

// The first `needed` bytes (1 .. largest_transfer) of the host's data, or nullopt: then the task
// has been answered, or they are on their way, and `ready` says when they are there. `exact`: more
// than that is an error too.
[[nodiscard]] std::optional<std::span<std::byte>> host_data(AnswerSink& sink, TaskPermit& permit,
                                                            std::uint64_t needed, bool ready,
                                                            bool exact = false);

// The data of a write of `blocks`, or nullopt as above. A host that sends less than its command
// says is told so by the residual count (RFC 7143, 11.4.5.1), and what makes whole blocks is
// written: `blocks` are those afterwards. None at all is GOOD, too.
[[nodiscard]] std::optional<std::span<std::byte>> data_to_write(AnswerSink& sink,
                                                                TaskPermit& permit,
                                                                protocol::scsi::BlockRange& blocks,
                                                                bool ready);

// Answers with what `put` writes, cut to what the host has room for. put(protocol::scsi::Answer&)
// returns the sense data of a refusal, or nullopt; it is called twice, first for the length, and
// then, with `ready`, for the data.
template <class F>
void answer_from_memory(AnswerSink& sink, TaskPermit permit, std::uint32_t allocation_bytes,
                        bool ready, F&& put) {
  Task& task = permit.task();
  const std::span<std::byte> space = ready ? task.buffer.bytes() : std::span<std::byte>{};
  protocol::scsi::Answer answer(space.first(std::min<std::size_t>(space.size(), allocation_bytes)));
  if (const std::optional<protocol::scsi::Sense> refusal = put(answer)) {
    return sink.answer(std::move(permit), *refusal);
  }
  task.command_bytes =
      static_cast<std::uint32_t>(std::min<std::size_t>(answer.full_bytes(), allocation_bytes));
  const std::uint32_t bytes = std::min(task.command_bytes, host_takes(task));
  if (bytes == 0) return sink.good(std::move(permit));
  if (!ready) return permit.lease_for_host(bytes);
  // It may have grown since its buffer was leased.
  sink.answer_with_data(std::move(permit), static_cast<std::uint32_t>(std::min<std::size_t>(
                                               bytes, answer.written().size())));
}

}  // namespace target::scsi
