// IoQueue: fused Compare and Write (NVMe Base 2.1, "Fused Operations"; NVM Command Set 1.1,
// "Compare and Write"). As SCSI's COMPARE AND WRITE it holds its place in the volume's write order
// from before the read until after the write, so that it is atomic against every path and protocol.
#include <boost/intrusive/parent_from_member.hpp>
#include <chrono>
#include <cstring>

#include "target/nvmf/io_queue.h"
#include "target/reactor/reactor.h"

namespace target::nvmf {

namespace nvme = protocol::nvme;
using engine::IoStatus;
using engine::VolumeIo;

namespace {

// A host submits both halves at once. For one that does not, the buffer of a first half's data is
// not kept for ever.
constexpr engine::Duration patience = std::chrono::seconds(10);

Command& half_of(block::VolumeRequest& request) {
  return *boost::intrusive::get_parent_from_member(&request, &Command::request);
}

Command& compare_of(Command& half) {
  return half.entry.fuse() == nvme::fuse_first ? half : *half.partner;
}

// Of the half that did nothing wrong: it may be tried again if the other may.
nvme::Status failed_with(nvme::Status other) {
  return nvme::status::aborted_failed_fused.with_do_not_retry(other.do_not_retry);
}

}  // namespace

// ---- Before both are there

void IoQueue::run_fused(CommandPermit permit) {
  const nvme::SubmissionEntry& entry = permit.command().entry;
  if (entry.fuse() == nvme::fuse_second) {
    const FusedState before = std::exchange(fused_state_, FusedState::none);
    Command* first = std::exchange(first_half_, nullptr);
    first_half_patience_.disarm();
    if (first == nullptr) {
      return refuse(std::move(permit),
                    {before == FusedState::first_failed ? nvme::status::aborted_failed_fused
                                                        : nvme::status::aborted_missing_fused,
                     nvme::at_byte(1)});
    }
    Command& second = permit.park();
    first->partner = &second;
    second.partner = first;
    first->context = second.context = this;
    return run_pair(*first, PairStep::arrived);
  }
  end_first_half(nvme::status::aborted_missing_fused);
  fused_state_ = FusedState::none;
  if (entry.fuse() != nvme::fuse_first) return run(std::move(permit), Step::arrived);
  if (const auto parsed = nvme::parse_io_command(entry); !parsed) {
    fused_state_ = FusedState::first_failed;
    return refuse(std::move(permit), parsed.error());
  }
  fused_state_ = FusedState::first_waits;
  first_half_ = &permit.park();
  port_.reactor().timers().arm(first_half_patience_, port_.reactor().now() + patience);
}

void IoQueue::end_first_half(nvme::Status status) {
  Command* first = std::exchange(first_half_, nullptr);
  if (first == nullptr) return;
  fused_state_ = FusedState::none;
  first_half_patience_.disarm();
  answer_half(*first, status);
}

void IoQueue::not_executed(const nvme::SubmissionEntry& entry) {
  if (entry.fuse() == nvme::fuse_second) {
    end_first_half(nvme::status::aborted_failed_fused.with_do_not_retry(false));
    fused_state_ = FusedState::none;
    return;
  }
  end_first_half(nvme::status::aborted_missing_fused);
  fused_state_ = entry.fuse() == nvme::fuse_first ? FusedState::first_failed : FusedState::none;
}

// ---- Both are there

// The namespace and what holds there are looked up at each step: what was true when the capsules
// arrived may not be any more.
void IoQueue::run_pair(Command& compare, PairStep step) {
  Command& write = *compare.partner;
  if (ended_ || !owner_.ready()) {
    return end_pair(compare, nvme::status::aborted_queue_deleted,
                    nvme::status::aborted_queue_deleted);
  }
  const auto first = nvme::parse_io_command(compare.entry);
  if (!first) return refuse_half(compare, first.error());
  const auto second = nvme::parse_io_command(write.entry);
  if (!second) return refuse_half(write, second.error());
  const auto& compared = std::get<nvme::Compare>(first.value());
  const auto& written = std::get<nvme::Write>(second.value());
  if (compared.nsid != written.nsid || compared.blocks != written.blocks) {
    return end_pair(compare, nvme::status::invalid_field, nvme::status::invalid_field);
  }
  Namespace* found = owner_.find_namespace(compare.entry.nsid);
  if (found == nullptr) {
    return refuse_half(compare, {nvme::status::invalid_namespace, nvme::at_byte(4)});
  }
  if (has_moved(compare, *found) || has_moved(write, *found)) {
    return refuse_half(compare, {nvme::status::namespace_not_ready});
  }
  block::begin_command(compare.request, *found->volume, reactor_);
  block::begin_command(write.request, *found->volume, reactor_);
  const auto reachable = check_access(*found);
  if (!reachable.is_success()) return end_pair(compare, reachable, reachable);
  use_ = &use_of(*found);
  const auto may_read = check_reservations(block::ReservationAccess::read);
  if (!may_read.is_success()) return refuse_half(compare, {may_read});
  const auto may_write = check_reservations(block::ReservationAccess::write);
  if (!may_write.is_success()) return refuse_half(write, {may_write});
  const auto checked = check_transfer(*found->volume, compared.blocks);
  if (!checked.is_success()) return refuse_half(compare, {checked, nvme::at_dword(10)});

  using Kind = block::Traffic::Kind;
  const engine::ByteCount bytes =
      compared.blocks.count * found->volume->volume().identity().block_size;
  if (step == PairStep::arrived && !pay_for_half(compare, Kind::read, bytes)) return;
  if (step <= PairStep::read_paid && !pay_for_half(write, Kind::write, bytes)) return;
  // One after the other: so at most one of them waits for a buffer.
  if (step <= PairStep::compare_there &&
      !data_of_half(compare, compared.data, bytes, step == PairStep::compare_there)) {
    return;
  }
  if (!data_of_half(write, written.data, bytes, step == PairStep::both_there)) return;
  compare.request.io.data = compare.buffer.bytes().subspan(compare.data_offset, bytes.value);
  use_->begin(compare);
  use_->begin(write);
  write.request.io.lba = written.blocks.first;
  write.request.io.blocks = written.blocks.count;
  requests_.hold(write.request, {written.blocks.first, written.blocks.first + written.blocks.count},
                 &IoQueue::pair_in_place, &IoQueue::pair_cancelled);
}

void IoQueue::pair_data_ready(CommandPermit permit) {
  Command& half = permit.park();
  const bool is_compare = half.entry.fuse() == nvme::fuse_first;
  run_pair(compare_of(half), is_compare ? PairStep::compare_there : PairStep::both_there);
}

// False: half_let_go() goes on with it.
bool IoQueue::pay_for_half(Command& half, block::Traffic::Kind kind, engine::ByteCount bytes) {
  if (requests_.within_limits(half.request, {kind, bytes.value}, &IoQueue::half_let_go,
                              &IoQueue::pair_cancelled)) {
    return true;
  }
  use_->begin(half);
  use_->begin(*half.partner);
  return false;
}

void IoQueue::half_let_go(block::VolumeRequest& request) noexcept {
  Command& half = half_of(request);
  auto& self = *static_cast<IoQueue*>(half.context);
  NamespaceUse::end(half);
  NamespaceUse::end(*half.partner);
  const bool is_compare = half.entry.fuse() == nvme::fuse_first;
  self.run_pair(compare_of(half), is_compare ? PairStep::read_paid : PairStep::write_paid);
}

// False: it has been refused, or R2Ts are on their way.
bool IoQueue::data_of_half(Command& half, const nvme::DataPointer& pointer, engine::ByteCount bytes,
                           bool is_ready) {
  auto permit = CommandPermit::resume(half);
  const auto data = host_data(permit, pointer, bytes, is_ready);
  if (!data) return false;
  half.data_offset = static_cast<std::uint32_t>(data->data() - half.buffer.bytes().data());
  permit.park();
  return true;
}

void IoQueue::pair_in_place(block::VolumeRequest& request) noexcept {
  Command& write = half_of(request);
  Command& compare = *write.partner;
  auto& self = *static_cast<IoQueue*>(write.context);
  const std::uint64_t bytes =
      (request.io.blocks * request.volume->volume().identity().block_size).value;
  if (!self.requests_.lease_second(request, bytes)) {
    const auto busy = self.send_back(write);
    return self.end_pair(compare, busy, failed_with(busy));
  }
  request.io.kind = VolumeIo::Kind::read;
  request.io.data = request.second.bytes().first(bytes);
  request.io.sums = {};
  self.requests_.submit(request, &IoQueue::pair_read);
}

void IoQueue::pair_read(block::VolumeRequest& request, IoStatus outcome) noexcept {
  Command& write = half_of(request);
  Command& compare = *write.partner;
  auto& self = *static_cast<IoQueue*>(write.context);
  if (!self.may_start()) return pair_cancelled(request, outcome);
  if (outcome != IoStatus::ok) {
    const auto status = self.failure(outcome, VolumeIo::Kind::read);
    return self.end_pair(compare, status, failed_with(status));
  }
  const std::size_t bytes = request.io.data.size();
  const auto expected = compare.buffer.bytes().subspan(compare.data_offset, bytes);
  if (std::memcmp(expected.data(), request.io.data.data(), bytes) != 0) {
    return self.end_pair(compare, nvme::status::compare_failure,
                         failed_with(nvme::status::compare_failure));
  }
  request.io.kind = VolumeIo::Kind::write;
  request.io.data = write.buffer.bytes().subspan(write.data_offset, bytes);
  if (write.data_offset == 0) request.io.sums = write.sums.view().part(0, bytes);
  self.requests_.submit(request, &IoQueue::pair_written);
}

// The Compare has been true, whatever becomes of the Write.
void IoQueue::pair_written(block::VolumeRequest& request, IoStatus outcome) noexcept {
  Command& write = half_of(request);
  auto& self = *static_cast<IoQueue*>(write.context);
  if (outcome == IoStatus::cancelled && !self.may_start()) return pair_cancelled(request, outcome);
  if (outcome != IoStatus::ok) {
    return self.end_pair(*write.partner, nvme::status::success,
                         self.failure(outcome, VolumeIo::Kind::write));
  }
  self.end_pair(*write.partner, nvme::status::success, nvme::status::success);
}

// ---- Ends

void IoQueue::pair_cancelled(block::VolumeRequest& request, IoStatus /*outcome*/) noexcept {
  Command& half = half_of(request);
  static_cast<IoQueue*>(half.context)
      ->end_pair(compare_of(half), nvme::status::aborted_queue_deleted,
                 nvme::status::aborted_queue_deleted);
}

void IoQueue::partner_lost(Command& command) {
  Command& other = *std::exchange(command.partner, nullptr);
  other.partner = nullptr;
  answer_half(other, nvme::status::aborted_failed_fused.with_do_not_retry(false));
}

void IoQueue::refuse_half(Command& half, const nvme::Refusal& refusal) {
  Command& other = *std::exchange(half.partner, nullptr);
  other.partner = nullptr;
  refuse(CommandPermit::resume(half), refusal);
  refuse(CommandPermit::resume(other), {failed_with(refusal.status)});
}

void IoQueue::end_pair_of(Command& half, std::uint16_t cid, nvme::Status status) {
  Command& compare = compare_of(half);
  const bool is_compare = compare.entry.command_id == cid;
  end_pair(compare, is_compare ? status : failed_with(status),
           is_compare ? failed_with(status) : status);
}

void IoQueue::end_pair(Command& compare, nvme::Status of_compare, nvme::Status of_write) {
  Command& write = *std::exchange(compare.partner, nullptr);
  write.partner = nullptr;
  if (compare.era != nullptr) NamespaceUse::end(compare);
  if (write.era != nullptr) NamespaceUse::end(write);
  if (write.request.stage == block::VolumeRequest::Stage::held) requests_.leave(write.request);
  requests_.release_second(write.request);
  answer_half(compare, of_compare);
  answer_half(write, of_write);
}

void IoQueue::answer_half(Command& half, nvme::Status status) {
  auto permit = CommandPermit::resume(half);
  if (is_error(status)) return refuse(std::move(permit), {status});
  permit.respond(status);
}

}  // namespace target::nvmf
