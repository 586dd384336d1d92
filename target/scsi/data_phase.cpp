#include "target/scsi/data_phase.h"

#include "target/scsi/block_range.h"

namespace target::scsi {

std::optional<std::span<std::byte>> host_data(AnswerSink& sink, TaskPermit& permit,
                                              std::uint64_t needed, bool ready, bool exact) {
  Task& task = permit.task();
  task.command_bytes = static_cast<std::uint32_t>(needed);
  const std::uint32_t sends = host_sends(task);
  if (sends < needed || (exact && sends != needed)) {
    sink.answer(std::move(permit), invalid_field_in_information_unit);
    return std::nullopt;
  }
  if (!ready) {
    permit.receive_from_host(static_cast<std::uint32_t>(needed));
    return std::nullopt;
  }
  return task.buffer.bytes().first(needed);
}

std::optional<std::span<std::byte>> data_to_write(AnswerSink& sink, TaskPermit& permit,
                                                  protocol::scsi::BlockRange& blocks, bool ready) {
  Task& task = permit.task();
  const engine::BlockSize size = block_size(*task.itl);
  const auto commanded = static_cast<std::uint32_t>((blocks.count * size).value);
  blocks.count = std::min(blocks.count, engine::BlockCount{host_sends(task) / size.bytes});
  if (blocks.count.value == 0) {
    task.command_bytes = commanded;
    sink.good(std::move(permit));
    return std::nullopt;
  }
  const auto data = host_data(sink, permit, (blocks.count * size).value, ready);
  if (data) task.command_bytes = commanded;
  return data;
}

}  // namespace target::scsi
