// BlockCommands: executes the commands of one nexus that read or change blocks (SBC-4).
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "protocol/scsi/command.h"
#include "target/block/volume_request.h"
#include "target/scsi/answer_sink.h"

namespace target::scsi {

// Reactor thread only. Tasks come here with their logical unit, after everything that every command
// is checked for; and once more when their data or their buffer is there (`ready`).
class BlockCommands {
 public:
  // Both outlive it.
  BlockCommands(AnswerSink& sink, block::VolumeRequests& requests)
      : sink_(sink), requests_(requests) {}
  BlockCommands(const BlockCommands&) = delete;
  BlockCommands& operator=(const BlockCommands&) = delete;

  void run(TaskPermit permit, const protocol::scsi::Read& command, bool ready);
  void run(TaskPermit permit, const protocol::scsi::Write& command, bool ready);
  void run(TaskPermit permit, const protocol::scsi::WriteAtomic& command, bool ready);
  void run(TaskPermit permit, const protocol::scsi::WriteAndVerify& command, bool ready);
  void run(TaskPermit permit, const protocol::scsi::Verify& command, bool ready);
  void run(TaskPermit permit, const protocol::scsi::CompareAndWrite& command, bool ready);
  void run(TaskPermit permit, const protocol::scsi::OrWrite& command, bool ready);
  void run(TaskPermit permit, const protocol::scsi::WriteSame& command, bool ready);
  void run(TaskPermit permit, const protocol::scsi::Unmap& command, bool ready);
  void run(TaskPermit permit, const protocol::scsi::Prefetch& command, bool ready);
  void run(TaskPermit permit, const protocol::scsi::SynchronizeCache& command, bool ready);

 private:
  using Request = block::VolumeRequest;

  // True: the cache had it, and the task is answered.
  [[nodiscard]] bool read_in_place(TaskPermit& permit, engine::Lba first,
                                   engine::BlockCount blocks);
  void write(TaskPermit permit, protocol::scsi::BlockRange blocks, std::span<std::byte> data);
  // In a later turn.
  void go_on(Task& task, void (*next)(Task& task) noexcept);
  void verify_medium(Task& task);
  void read_aside(Task& task, Request::Done done);
  void write_pattern(Task& task);
  void find_bad_block(Task& task);

  // Ends a task: leaves its place in the order, if it has one, and gives its second buffer back.
  void finish(Task& task, engine::IoStatus outcome);
  void finish(Task& task, const protocol::scsi::Sense& sense);
  void let_go(Task& task);
  // The task is to end now: it was aborted, or the request has failed.
  [[nodiscard]] bool ends(Task& task, engine::IoStatus outcome);
  // False: there is no buffer for it now, and the task has been answered BUSY.
  [[nodiscard]] bool lease_second(Task& task, std::uint64_t bytes);

  static Task& task_of(Request& request);
  static BlockCommands& self(Request& request);
  static void refused(Request& request, engine::IoStatus outcome) noexcept;
  static void done(Request& request, engine::IoStatus outcome) noexcept;
  static void read_done(Request& request, engine::IoStatus outcome) noexcept;
  static void bad_block_probed(Request& request, engine::IoStatus outcome) noexcept;
  static void write_done(Request& request, engine::IoStatus outcome) noexcept;
  static void medium_verified(Request& request, engine::IoStatus outcome) noexcept;
  static void written_to_verify(Request& request, engine::IoStatus outcome) noexcept;
  static void read_to_verify(Request& request, engine::IoStatus outcome) noexcept;
  static void read_to_compare_block(Request& request, engine::IoStatus outcome) noexcept;
  static void prefetched(Request& request, engine::IoStatus outcome) noexcept;
  static void read_to_compare(Request& request, engine::IoStatus outcome) noexcept;
  static void read_to_or(Request& request, engine::IoStatus outcome) noexcept;
  static void pattern_written(Request& request, engine::IoStatus outcome) noexcept;

  AnswerSink& sink_;
  block::VolumeRequests& requests_;
};

}  // namespace target::scsi
