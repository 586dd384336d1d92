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
using engine::VolumeIo;
using protocol::scsi::Answer;
using protocol::scsi::CopySegment;
using protocol::scsi::CopyStatus;
using protocol::scsi::Sense;

namespace {

constexpr engine::ByteCount largest_piece{256U << 10};
std::uint64_t piece_bytes(std::uint64_t left_bytes) {
  return std::min(left_bytes, largest_piece.value);
}
constexpr Sense segment_refused{protocol::scsi::SenseKey::copy_aborted, {0x00, 0x00}};

}  // namespace

CopyManager::Copy& CopyManager::copy_of(const Request& request) {
  return *std::find_if(copies_.begin(), copies_.end(), [&](const Copy& copy) {
    return &copy.source == &request || &copy.destination == &request;
  });
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
  Copy& copy = copies_.emplace_back(permit.park());
  copy.list = list.value();
  copy.task.request.context = this;
  copy.source.context = this;
  copy.destination.context = this;
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
    copy.from = target(segment.source);
    copy.to = target(segment.destination);
    if (copy.from == nullptr || copy.to == nullptr) {
      return end(copy, sense::copy_target_not_reachable);
    }
    const std::uint32_t from_size = block_size(*copy.from).bytes;
    const std::uint32_t to_size = block_size(*copy.to).bytes;
    // DC says whose blocks are counted; whole blocks of both must come out of it.
    const std::uint64_t bytes =
        segment.count.value * (segment.destination_count ? to_size : from_size);
    const command::BlockRange from{segment.source_first, {bytes / from_size}};
    const command::BlockRange to{segment.destination_first, {bytes / to_size}};
    // Neither CAT nor PAD makes parts of blocks out of what is left.
    if (bytes % from_size != 0 || bytes % to_size != 0) {
      return end(copy, sense::inexact_copy_segment);
    }
    if (check_range(*copy.from, from) || check_range(*copy.to, to)) {
      return end(copy, segment_refused);
    }
    const auto may_read = copy.from->reservations().may(block::ReservationAccess::read);
    const auto may_write = copy.to->reservations().may(block::ReservationAccess::write);
    if (may_read != block::ReservationVerdict::allowed ||
        may_write != block::ReservationVerdict::allowed || copy.to->unit().write_protect()) {
      return end(copy, sense::copy_third_party_failure);
    }
    copy.left_bytes = bytes;
    copy.from_next = from.first;
    copy.to_next = to.first;
    if (bytes != 0) return next_piece(copy);
    ++copy.segment;
    ++copy.status.segments_processed;
  }
  end(copy, std::nullopt);
}

// In a later turn: neither the stack nor a turn gets longer by long copies.
void CopyManager::next_piece(Copy& copy) {
  copy.task.later.go = [](Task& task) noexcept {
    auto& self = *static_cast<CopyManager*>(task.request.context);
    self.copy_piece(*self.find(task));
  };
  sink_.port().reactor().post(copy.task.later);
}

void CopyManager::copy_piece(Copy& copy) {
  if (copy.task.aborted) return end(copy, segment_refused);
  copy.source.volume = &copy.from->volume();
  copy.destination.volume = &copy.to->volume();
  const block::Traffic reading{block::Traffic::Kind::read, piece_bytes(copy.left_bytes)};
  if (requests_.within_limits(copy.source, reading, &CopyManager::may_read, &refused)) {
    pay_for_writing(copy);
  }
}

void CopyManager::may_read(Request& request) noexcept {
  auto& self = *static_cast<CopyManager*>(request.context);
  self.pay_for_writing(self.copy_of(request));
}

void CopyManager::pay_for_writing(Copy& copy) {
  const block::Traffic writing{block::Traffic::Kind::write, piece_bytes(copy.left_bytes)};
  if (requests_.within_limits(copy.destination, writing, &CopyManager::may_write, &refused)) {
    take_place(copy);
  }
}

void CopyManager::may_write(Request& request) noexcept {
  auto& self = *static_cast<CopyManager*>(request.context);
  self.take_place(self.copy_of(request));
}

void CopyManager::take_place(Copy& copy) {
  const engine::BlockCount blocks{piece_bytes(copy.left_bytes) / block_size(*copy.to).bytes};
  requests_.hold(copy.destination, {copy.to_next, copy.to_next + blocks}, &in_place, &refused);
}

void CopyManager::in_place(Request& request) noexcept {
  auto& self = *static_cast<CopyManager*>(request.context);
  Copy& copy = self.copy_of(request);
  if (copy.task.aborted) return self.end(copy, segment_refused);
  const std::uint64_t bytes = piece_bytes(copy.left_bytes);
  if (!self.requests_.lease_second(request, bytes)) {
    return self.end(copy, sense::copy_third_party_failure);
  }
  copy.source.io.kind = VolumeIo::Kind::read;
  copy.source.io.is_use = false;
  copy.source.io.lba = copy.from_next;
  copy.source.io.blocks = {bytes / block_size(*copy.from).bytes};
  copy.source.io.data = request.second.bytes().first(bytes);
  copy.source.io.sums = {};
  self.requests_.submit(copy.source, &read_done);
}

void CopyManager::read_done(Request& source, IoStatus outcome) noexcept {
  auto& self = *static_cast<CopyManager*>(source.context);
  Copy& copy = self.copy_of(source);
  if (outcome != IoStatus::ok || copy.task.aborted) {
    return self.end(copy, sense::copy_third_party_failure);
  }
  Request& request = copy.destination;
  const std::span<std::byte> data = source.io.data;
  request.io.kind = VolumeIo::Kind::write;
  request.io.lba = copy.to_next;
  request.io.blocks = {data.size() / block_size(*copy.to).bytes};
  request.io.data = data;
  request.io.sums = {};
  self.requests_.submit(request, &written);
}

void CopyManager::written(Request& request, IoStatus outcome) noexcept {
  auto& self = *static_cast<CopyManager*>(request.context);
  Copy& copy = self.copy_of(request);
  if (outcome != IoStatus::ok || copy.task.aborted) {
    return self.end(copy, sense::copy_third_party_failure);
  }
  self.requests_.leave(request);
  self.requests_.release_second(request);
  copy.from_next = copy.from_next + copy.source.io.blocks;
  copy.to_next = copy.to_next + request.io.blocks;
  const std::uint64_t bytes = copy.source.io.data.size();
  copy.left_bytes -= bytes;
  constexpr std::uint64_t most = std::numeric_limits<std::uint32_t>::max();
  copy.status.bytes_moved =
      static_cast<std::uint32_t>(std::min(most, copy.status.bytes_moved + bytes));
  if (copy.left_bytes != 0) return self.next_piece(copy);
  ++copy.segment;
  ++copy.status.segments_processed;
  self.next_segment(copy);
}

void CopyManager::refused(Request& request, IoStatus /*outcome*/) noexcept {
  auto& self = *static_cast<CopyManager*>(request.context);
  self.end(self.copy_of(request), segment_refused);
}

void CopyManager::end(Copy& copy, const std::optional<Sense>& failure) {
  Task& task = copy.task;
  if (copy.destination.stage == Request::Stage::held) requests_.leave(copy.destination);
  requests_.release_second(copy.destination);
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
  if (!requests_.cancel(copy->destination) && !requests_.cancel(copy->source)) return false;
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
