#include "target/scsi/outcome.h"

#include "target/scsi/itl_nexus.h"
#include "target/scsi/task.h"

namespace target::scsi {

namespace sense = protocol::scsi::sense;
using engine::IoStatus;
using engine::VolumeIo;
using protocol::scsi::Sense;
using protocol::scsi::Status;

namespace {

bool changes_blocks(VolumeIo::Kind kind) {
  switch (kind) {
    case VolumeIo::Kind::write:
    case VolumeIo::Kind::write_zeroes:
    case VolumeIo::Kind::deallocate:
    case VolumeIo::Kind::lose:
      return true;
    case VolumeIo::Kind::read:
    case VolumeIo::Kind::flush:
    case VolumeIo::Kind::verify:
      return false;
  }
  return false;
}

}  // namespace

std::optional<Sense> not_ready(engine::VolumeState state) {
  switch (state) {
    case engine::VolumeState::late:
      return sense::not_ready_becoming_ready;
    case engine::VolumeState::refused:
      return sense::not_ready_manual;
    case engine::VolumeState::online:
    case engine::VolumeState::degraded:
    case engine::VolumeState::failed:
      return std::nullopt;
  }
  return std::nullopt;
}

std::optional<Sense> not_ready(const engine::Volume& volume) {
  if (const auto why = not_ready(volume.state())) return why;
  if (volume.is_formatting()) [[unlikely]]
    return sense::not_ready_format;
  return std::nullopt;
}

Outcome outcome_of(IoStatus status, VolumeIo::Kind kind, engine::VolumeState state) {
  switch (status) {
    case IoStatus::ok:
      return Status::good;
    case IoStatus::media_error:
      return changes_blocks(kind) ? sense::write_error : sense::unrecovered_read_error;
    case IoStatus::out_of_range:
      return sense::lba_out_of_range;
    case IoStatus::capacity_exceeded:
      return sense::space_allocation_failed;
    case IoStatus::unavailable:
      return not_ready(state).value_or(sense::not_ready_becoming_ready);
    case IoStatus::sync_failed:
      return sense::internal_target_failure;
    case IoStatus::read_only:
      return sense::write_protected;
    case IoStatus::formatting:
      return sense::not_ready_format;
    // Nothing was changed, or it may pass: the host tries again, after a while.
    case IoStatus::cancelled:
    case IoStatus::timed_out:
    case IoStatus::no_room:    // but TASK SET FULL for a host that has more there
    case IoStatus::no_answer:  // waited for by block::VolumeRequests
      return Status::busy;
  }
  return sense::internal_target_failure;
}

Status status_without_room(const Task& task) {
  const bool has_others = task.itl != nullptr && task.itl->tasks().size() > 1;
  return has_others ? Status::task_set_full : Status::busy;
}

}  // namespace target::scsi
