// AnswerSink: where those who execute commands of a nexus end its tasks.
#pragma once

#include <cstdint>

#include "engine/media/io_lane.h"
#include "protocol/scsi/sense.h"
#include "protocol/scsi/status.h"
#include "target/scsi/task.h"

namespace target::scsi {

// Reactor thread only. An aborted task is dropped instead, whatever its answer would be.
class AnswerSink {
 public:
  virtual void answer(TaskPermit permit, protocol::scsi::Status status) = 0;
  virtual void answer(TaskPermit permit, const protocol::scsi::Sense& sense) = 0;
  // The first `bytes` of the task's buffer, then GOOD.
  virtual void answer_with_data(TaskPermit permit, std::uint32_t bytes) = 0;
  virtual void answer_in_place(TaskPermit permit, engine::PinnedRead read) = 0;
  [[nodiscard]] virtual TaskPort& port() = 0;

  void good(TaskPermit permit) { answer(std::move(permit), protocol::scsi::Status::good); }

 protected:
  ~AnswerSink() = default;
};

}  // namespace target::scsi
