#include "target/scsi/copy_manager.h"

#include <algorithm>
#include <limits>

#include "target/scsi/block_range.h"
#include "target/scsi/data_phase.h"
#include "target/scsi/outcome.h"

namespace target::scsi {

namespace command = protocol::scsi;
namespace sense = protocol::scsi::sense;
using engine::IoStatus;
using protocol::scsi::Answer;
using protocol::scsi::CopySegment;
using protocol::scsi::CopyStatus;
using protocol::scsi::Sense;

namespace {

constexpr Sense segment_refused{protocol::scsi::SenseKey::copy_aborted, {0x00, 0x00}};

}  // namespace

CopyManager::Copy& CopyManager::copy_of(const block::VolumeCopy& copier) {
  return *std::find_if(copies_.begin(), copies_.end(),
                       [&](const Copy& copy) { return &copy.copier == &copier; });
}

std::list<CopyManager::Copy>::iterator CopyManager::find(const Task& task) {
  return std::find_if(copies_.begin(), copies_.end(),
                      [&](const Copy& copy) { return &copy.task == &task; });
}

void CopyManager::run(TaskPermit permit, const command::ExtendedCopy& extended, bool ready,
                      std::span<const std::shared_ptr<ItlNexus>> units) {
  if (extended.parameter_bytes == 0) return sink_.good(std::move(permit));
  // What is longer is refused by its header, for the length that it tells.
  const std::uint32_t most = command::max_extended_copy_bytes + command::max_copy_descriptor_bytes;
  const auto data =
      host_data(sink_, permit, std::min<std::uint32_t>(extended.parameter_bytes, most), ready);
  if (!data) return;
  permit.task().command_bytes = extended.parameter_bytes;
  const auto list = command::parse_extended_copy(*data);
  if (!list) return sink_.answer(std::move(permit), list.error());
  // SAM-5: it is this nexus's own tasks that leave no room.
  if (copies_.size() == most_copies) {
    return sink_.answer(std::move(permit), protocol::scsi::Status::task_set_full);
  }
  // SPC-4: an identifier that a copy under way has is refused.
  const bool in_use = std::any_of(copies_.begin(), copies_.end(), [&](const Copy& other) {
    return other.list.results_kept && other.list.list_id == list.value().list_id;
  });
  if (in_use && list.value().results_kept) {
    return sink_.answer(std::move(permit), sense::invalid_list(0));
  }
  Copy& copy = copies_.emplace_back(*this, permit.park());
  copy.list = list.value();
  const auto targets = copy.list.target_span();
  for (std::size_t i = 0; i < targets.size(); ++i) {
    const auto unit = std::find_if(units.begin(), units.end(), [&](const auto& itl) {
      return names_volume(targets[i], itl->volume().volume().identity().uuid);
    });
    if (unit != units.end()) copy.targets[i] = *unit;
  }
  next_segment(copy);
}

void CopyManager::next_segment(Copy& copy) {
  while (copy.segment < copy.list.segment_count) {
    const CopySegment& segment = copy.list.segments[copy.segment];
    const auto target = [&](std::uint16_t index) -> ItlNexus* {
      return index < copy.list.target_count ? copy.targets[index].get() : nullptr;
    };
    ItlNexus* const source = target(segment.source);
    ItlNexus* const destination = target(segment.destination);
    if (source == nullptr || destination == nullptr) {
      return end(copy, sense::copy_target_not_reachable);
    }
    const std::uint32_t from_size = block_size(*source).bytes;
    const std::uint32_t to_size = block_size(*destination).bytes;
    // DC says whose blocks are counted; whole blocks of both must come out of it.
    const std::uint64_t bytes =
        segment.count.value * (segment.destination_count ? to_size : from_size);
    const command::BlockRange from{segment.source_first, {bytes / from_size}};
    const command::BlockRange to{segment.destination_first, {bytes / to_size}};
    // Neither CAT nor PAD makes parts of blocks out of what is left.
    if (bytes % from_size != 0 || bytes % to_size != 0) {
      return end(copy, sense::inexact_copy_segment);
    }
    if (check_range(*source, from) || check_range(*destination, to)) {
      return end(copy, segment_refused);
    }
    const auto may_read = source->reservations().may(block::ReservationAccess::read);
    const auto may_write = destination->reservations().may(block::ReservationAccess::write);
    if (may_read != block::ReservationVerdict::allowed ||
        may_write != block::ReservationVerdict::allowed || destination->unit().write_protect()) {
      return end(copy, sense::copy_third_party_failure);
    }
    if (bytes != 0) {
      return copy.copier.start({.from = &source->volume(),
                                .to = &destination->volume(),
                                .from_first = from.first,
                                .to_first = to.first,
                                .bytes = bytes});
    }
    ++copy.segment;
    ++copy.status.segments_processed;
  }
  end(copy, std::nullopt);
}

void CopyManager::copied(block::VolumeCopy& copier, std::uint64_t bytes) {
  constexpr std::uint64_t most = std::numeric_limits<std::uint32_t>::max();
  CopyStatus& status = copy_of(copier).status;
  status.bytes_moved = static_cast<std::uint32_t>(std::min(most, status.bytes_moved + bytes));
}

bool CopyManager::may_go_on(const block::VolumeCopy& copier) const {
  const auto copy = std::find_if(copies_.begin(), copies_.end(),
                                 [&](const Copy& each) { return &each.copier == &copier; });
  return !copy->task.aborted;
}

void CopyManager::copy_ended(block::VolumeCopy& copier, block::VolumeCopy::End how,
                             IoStatus /*outcome*/) noexcept {
  using End = block::VolumeCopy::End;
  Copy& copy = copy_of(copier);
  switch (how) {
    case End::done:
      ++copy.segment;
      ++copy.status.segments_processed;
      return next_segment(copy);
    case End::read_failed:
    case End::write_failed:
    case End::no_room:
      return end(copy, sense::copy_third_party_failure);
    case End::cancelled:
      return end(copy, segment_refused);
  }
}

void CopyManager::end(Copy& copy, const std::optional<Sense>& failure) {
  Task& task = copy.task;
  if (copy.list.results_kept) {
    copy.status.state = failure ? CopyStatus::State::failed : CopyStatus::State::completed;
    remember({.list_id = copy.list.list_id, .status = copy.status, .failure = failure});
  }
  copies_.erase(find(task));
  auto permit = TaskPermit::resume(task);
  if (failure) return sink_.answer(std::move(permit), *failure);
  sink_.good(std::move(permit));
}

bool CopyManager::take_back(const Task& task) {
  const auto copy = find(task);
  if (copy == copies_.end()) return false;
  if (!copy->copier.take_back()) return false;
  copies_.erase(copy);
  return true;
}

void CopyManager::remember(const Result& result) {
  std::erase_if(results_, [&](const Result& old) { return old.list_id == result.list_id; });
  if (results_.size() == most_results) results_.pop_front();
  results_.push_back(result);
}

void CopyManager::run(TaskPermit permit, const command::ReceiveCopyResults& receive, bool ready) {
  const auto result = std::find_if(results_.begin(), results_.end(), [&](const Result& known) {
    return known.list_id == receive.list_id;
  });
  const auto copy = std::find_if(copies_.begin(), copies_.end(), [&](const Copy& running) {
    return running.list.results_kept && running.list.list_id == receive.list_id;
  });
  answer_from_memory(sink_, std::move(permit), receive.allocation_bytes, ready,
                     [&](Answer& answer) -> std::optional<Sense> {
                       switch (receive.action) {
                         case command::ReceiveCopyResults::Action::operating_parameters:
                           put_copy_operating_parameters(
                               answer,
                               {.max_segment_bytes = std::numeric_limits<std::uint32_t>::max(),
                                .max_concurrent = most_copies});
                           return std::nullopt;
                         case command::ReceiveCopyResults::Action::copy_status:
                           if (copy != copies_.end()) {
                             put_copy_status(answer, copy->status);
                           } else if (result != results_.end()) {
                             put_copy_status(answer, result->status);
                           } else {
                             return sense::invalid_cdb(2);
                           }
                           return std::nullopt;
                         case command::ReceiveCopyResults::Action::failed_segment_details:
                           if (result == results_.end() || copy != copies_.end())
                             return sense::invalid_cdb(2);
                           put_failed_segment(answer, result->failure);
                           return std::nullopt;
                       }
                       return sense::invalid_cdb(1, 4);
                     });
}

}  // namespace target::scsi
