// CopyManager: executes EXTENDED COPY of one nexus between volumes of its target device, and tells
// what has become of copies (SPC-4, "EXTENDED COPY(LID1) command").
#pragma once

#include <array>
#include <deque>
#include <list>
#include <memory>
#include <optional>
#include <span>

#include "protocol/scsi/command.h"
#include "protocol/scsi/extended_copy.h"
#include "target/block/volume_copy.h"
#include "target/block/volume_request.h"
#include "target/scsi/answer_sink.h"
#include "target/scsi/itl_nexus.h"

namespace target::scsi {

// Reactor thread only. As BlockCommands: `ready` when the task's data or buffer is there. Segments
// are copied in order; an abort waits for the piece under way. No more than `most_copies` at once:
// others are told TASK SET FULL.
class CopyManager final : private block::VolumeCopy::Owner {
 public:
  // Both outlive it.
  CopyManager(AnswerSink& sink, block::VolumeRequests& requests)
      : sink_(sink), requests_(requests) {}
  CopyManager(const CopyManager&) = delete;
  CopyManager& operator=(const CopyManager&) = delete;

  static constexpr std::size_t most_copies = 4;
  // Of finished copies it is remembered what became of so many.
  static constexpr std::size_t most_results = 32;

  // `units`: those that the initiator sees.
  void run(TaskPermit permit, const protocol::scsi::ExtendedCopy& command, bool ready,
           std::span<const std::shared_ptr<ItlNexus>> units);
  void run(TaskPermit permit, const protocol::scsi::ReceiveCopyResults& command, bool ready);
  // True: it is a copy that waited, for its place in the order or by the limits of a volume, and
  // has been forgotten.
  [[nodiscard]] bool take_back(const Task& task);

  [[nodiscard]] bool idle() const { return copies_.empty(); }

 private:
  // One EXTENDED COPY under way. The task's own request has no part in it.
  struct Copy {
    Copy(CopyManager& owner, Task& of)
        : task(of), copier(owner, owner.requests_, owner.sink_.port().reactor()) {}

    Task& task;
    protocol::scsi::CopyList list;
    // Kept: a LUN may be taken away meanwhile. nullptr: no such unit.
    std::array<std::shared_ptr<ItlNexus>, protocol::scsi::max_copy_targets> targets;
    block::VolumeCopy copier;
    std::size_t segment = 0;  // the one under way, or the next
    protocol::scsi::CopyStatus status{.state = protocol::scsi::CopyStatus::State::in_progress};
  };
  struct Result {
    std::uint8_t list_id = 0;
    protocol::scsi::CopyStatus status;
    std::optional<protocol::scsi::Sense> failure;
  };

  [[nodiscard]] Copy& copy_of(const block::VolumeCopy& copier);
  [[nodiscard]] std::list<Copy>::iterator find(const Task& task);
  // The next segment that has anything to copy; the copy ends if there is none.
  void next_segment(Copy& copy);
  void end(Copy& copy, const std::optional<protocol::scsi::Sense>& failure);
  void remember(const Result& result);

  // block::VolumeCopy::Owner
  [[nodiscard]] bool may_go_on(const block::VolumeCopy& copier) const override;
  void copied(block::VolumeCopy& copier, std::uint64_t bytes) override;
  void copy_ended(block::VolumeCopy& copier, block::VolumeCopy::End how,
                  engine::IoStatus outcome) noexcept override;

  AnswerSink& sink_;
  block::VolumeRequests& requests_;
  std::list<Copy> copies_;
  std::deque<Result> results_;  // the last ones
};

}  // namespace target::scsi
