#include "target/nvmf/io_queue.h"

#include <algorithm>
#include <array>
#include <boost/intrusive/parent_from_member.hpp>
#include <cstring>

#include "protocol/nvme/dataset_management.h"
#include "target/nvmf/command_traffic.h"
#include "target/nvmf/error_log.h"
#include "target/nvmf/reservation_commands.h"
#include "target/reactor/reactor.h"

namespace target::nvmf {

namespace nvme = protocol::nvme;
using engine::IoStatus;
using engine::VolumeIo;

namespace {

Command& command_of(block::VolumeRequest& request) {
  return *boost::intrusive::get_parent_from_member(&request, &Command::request);
}

// The one place where an outcome of the engine becomes a status of NVMe.
nvme::Status status_of(IoStatus outcome, VolumeIo::Kind kind) {
  switch (outcome) {
    case IoStatus::ok:
      return nvme::status::success;
    case IoStatus::media_error:
      return engine::writes(kind) ? nvme::status::write_fault
                                  : nvme::status::unrecovered_read_error;
    case IoStatus::out_of_range:
      return nvme::status::lba_out_of_range;
    case IoStatus::capacity_exceeded:
      return nvme::status::capacity_exceeded;
    case IoStatus::unavailable:
      return nvme::status::namespace_not_ready;
    case IoStatus::sync_failed:
      return nvme::status::write_fault.with_do_not_retry(true);
    case IoStatus::cancelled:
      return nvme::status::abort_requested;
    case IoStatus::timed_out:
    case IoStatus::no_room:    // see lacked_room()
    case IoStatus::no_answer:  // waited for by block::VolumeRequests
      return nvme::status::command_interrupted;
    case IoStatus::read_only:
      return nvme::status::namespace_write_protected;
    case IoStatus::formatting:
      return nvme::status::format_in_progress;
  }
  return nvme::status::internal_error;
}

// Those of commands have no context.
bool is_of_copy(const block::VolumeRequest& request) { return request.context != nullptr; }

// What may be over when the host tries again a little later.
bool passes(IoStatus outcome) {
  switch (outcome) {
    case IoStatus::unavailable:
    case IoStatus::timed_out:
    case IoStatus::no_room:
    case IoStatus::no_answer:
    case IoStatus::formatting:
      return true;
    case IoStatus::ok:
    case IoStatus::media_error:
    case IoStatus::out_of_range:
    case IoStatus::capacity_exceeded:
    case IoStatus::sync_failed:
    case IoStatus::cancelled:
    case IoStatus::read_only:
      return false;
  }
  return false;
}

engine::BlockSize block_size(const block::BlockVolume& volume) {
  return volume.volume().identity().block_size;
}

engine::ByteCount bytes_of(const block::BlockVolume& volume, nvme::BlockRange blocks) {
  return blocks.count * block_size(volume);
}

// What the data digests have told of a part of what has come.
engine::PieceSums sums_of(Command& command, std::span<const std::byte> data) {
  if (data.data() != command.buffer.bytes().data()) return {};
  return command.sums.view().part(0, data.size());
}

// A copy costs less than what it takes to keep more where it lies.
constexpr std::uint32_t largest_copied_read = 16U << 10;

std::uint32_t transfer_bytes(engine::ByteCount bytes) {
  return static_cast<std::uint32_t>(bytes.value);
}

}  // namespace

bool is_error(nvme::Status status) {
  return !status.is_success() && status.type != nvme::StatusCodeType::path &&
         !status.is(nvme::status::aborted_queue_deleted) &&
         !status.is(nvme::status::aborted_preempted) && !status.is(nvme::status::abort_requested);
}

IoQueue::IoQueue(IoQueueOwner& owner, CommandPort& port, std::uint16_t qid)
    : owner_(owner),
      port_(port),
      reactor_(port.reactor()),
      qid_(qid),
      first_half_patience_([this] { end_first_half(nvme::status::aborted_missing_fused); }),
      requests_(*this, port.reactor()),
      copies_(*this, requests_, port.reactor()) {}

block::BlockVolume* IoQueue::volume_of(const Command& command) {
  const Namespace* found = owner_.find_namespace(command.entry.nsid);
  return found == nullptr ? nullptr : found->volume;
}

void IoQueue::execute(CommandPermit permit) {
  owner_.note_traffic();
  if (permit.command().entry.fuse() != 0 || fused_state_ != FusedState::none) [[unlikely]] {
    return run_fused(std::move(permit));
  }
  run(std::move(permit), Step::arrived);
}

void IoQueue::data_ready(CommandPermit permit) {
  if (permit.command().partner != nullptr) [[unlikely]]
    return pair_data_ready(std::move(permit));
  run(std::move(permit), Step::data_ready);
}

// It has waited, for its data or its turn, and its namespace is another volume by now, or has other
// blocks: what it says of blocks was not said of these. The host tries it again.
bool IoQueue::has_moved(const Command& command, const Namespace& found) {
  const block::BlockVolume* const before = command.request.volume;
  return before != nullptr && before != found.volume;
}

void IoQueue::run(CommandPermit permit, Step step) {
  Command& command = permit.command();
  if (ended_) return permit.respond(nvme::status::aborted_queue_deleted);
  // The association is ending: a reset, a shutdown, the daemon's stop. The command has not been
  // started, and the host may try it again elsewhere: no Do Not Retry.
  if (!owner_.ready()) return permit.respond(nvme::status::aborted_queue_deleted);
  const auto parsed = nvme::parse_io_command(command.entry);
  if (!parsed) return refuse(std::move(permit), parsed.error());

  const std::uint32_t nsid = command.entry.nsid;
  if (std::holds_alternative<nvme::Flush>(parsed.value()) && nsid == nvme::every_namespace.value) {
    return permit.respond(nvme::status::success);  // every write is durable when answered: VWC is 0
  }
  Namespace* found = owner_.find_namespace(nsid);
  if (found == nullptr) {
    return refuse(std::move(permit), {nvme::status::invalid_namespace, nvme::at_byte(4)});
  }
  if (has_moved(command, *found)) return permit.respond(nvme::status::namespace_not_ready);
  block::begin_command(command.request, *found->volume, reactor_);
  const auto reachable = check_access(*found);
  if (!reachable.is_success()) return permit.respond(reachable);

  use_ = &use_of(*found);
  command.context = this;
  command.request.io.sums = {};
  struct Visitor {
    IoQueue& queue;
    CommandPermit& permit;
    bool data_is_ready;
    void operator()(const nvme::Read& c) { queue.run_read(std::move(permit), c, data_is_ready); }
    void operator()(const nvme::Write& c) { queue.run_write(std::move(permit), c, data_is_ready); }
    void operator()(const nvme::Flush&) { permit.respond(nvme::status::success); }
    void operator()(const nvme::WriteZeroes& c) { queue.run_write_zeroes(std::move(permit), c); }
    void operator()(const nvme::WriteUncorrectable& c) {
      queue.run_write_uncorrectable(std::move(permit), c);
    }
    void operator()(const nvme::Verify& c) { queue.run_verify(std::move(permit), c); }
    void operator()(const nvme::Compare& c) {
      queue.run_compare(std::move(permit), c, data_is_ready);
    }
    void operator()(const nvme::DatasetManagement& c) {
      queue.run_deallocate(std::move(permit), c, data_is_ready);
    }
    void operator()(const nvme::Copy& c) { queue.run_copy(std::move(permit), c, data_is_ready); }
    void operator()(const nvme::ReservationRegister& c) {
      queue.run_register(std::move(permit), c, data_is_ready);
    }
    void operator()(const nvme::ReservationAcquire& c) {
      queue.run_acquire(std::move(permit), c, data_is_ready);
    }
    void operator()(const nvme::ReservationRelease& c) {
      queue.run_release(std::move(permit), c, data_is_ready);
    }
    void operator()(const nvme::ReservationReport& c) {
      queue.run_report(std::move(permit), c, data_is_ready);
    }
  };
  if (const auto access = reservation_access(parsed.value())) {
    const auto permitted = check_reservations(*access);
    if (!permitted.is_success()) return refuse(std::move(permit), {permitted});
  }
  if (step == Step::arrived && found->volume->limiter().is_limiting()) [[unlikely]] {
    if (!within_limits(permit, parsed.value())) return;
  }
  std::visit(Visitor{*this, permit, step == Step::data_ready}, parsed.value());
}

bool IoQueue::within_limits(CommandPermit& permit, const nvme::IoCommand& parsed) {
  Command& command = permit.command();
  const auto traffic = traffic_of(parsed, *command.request.volume, owner_.largest_transfer_bytes());
  if (!traffic || requests_.within_limits(command.request, *traffic, &IoQueue::let_go,
                                          &IoQueue::refused_by_end)) {
    return true;
  }
  (void)begin(permit);
  return false;
}

void IoQueue::let_go(block::VolumeRequest& request) noexcept {
  Command& command = command_of(request);
  NamespaceUse::end(command);
  static_cast<IoQueue*>(command.context)->run(CommandPermit::resume(command), Step::within_limits);
}

void IoQueue::refused_by_end(block::VolumeRequest& request, IoStatus /*outcome*/) noexcept {
  Command& command = command_of(request);
  NamespaceUse::end(command);
  CommandPermit::resume(command).respond(nvme::status::aborted_queue_deleted);
}

nvme::Status IoQueue::check_reservations(block::ReservationAccess access) const {
  switch (use_->path().may(access)) {
    case block::ReservationVerdict::allowed:
      return nvme::status::success;
    case block::ReservationVerdict::conflict:
      return nvme::status::reservation_conflict;
    case block::ReservationVerdict::not_known:
      return later(nvme::status::namespace_not_ready);
  }
  return nvme::status::internal_error;
}

NamespaceUse& IoQueue::use_of(Namespace& space) {
  if (use_ != nullptr && &use_->space() == &space) [[likely]]
    return *use_;
  auto& use = uses_[&space];
  if (use == nullptr) {
    use = std::make_shared<NamespaceUse>(space, owner_.party(),
                                         static_cast<NamespaceUse::Queue&>(*this), port_.reactor());
    owner_.uses(space);
  }
  return *use;
}

void IoQueue::forget_removed() {
  std::erase_if(uses_, [this](const auto& each) {
    const auto& [space, use] = each;
    if (!space->removed.load(std::memory_order_acquire) || !use->is_idle()) return false;
    if (use_ == use.get()) use_ = nullptr;
    return true;
  });
}

block::VolumeRequest& IoQueue::begin(CommandPermit& permit) {
  Command& command = permit.park();
  use_->begin(command);
  return command.request;
}

nvme::Status IoQueue::check_range(const block::BlockVolume& volume, nvme::BlockRange blocks) const {
  const auto size = volume.volume().size().value;
  if (blocks.first.value > size || blocks.count.value > size - blocks.first.value) {
    return nvme::status::lba_out_of_range;
  }
  return nvme::status::success;
}

nvme::Status IoQueue::check_transfer(const block::BlockVolume& volume,
                                     nvme::BlockRange blocks) const {
  if (bytes_of(volume, blocks).value > owner_.largest_transfer_bytes()) {
    return nvme::status::invalid_field;  // MDTS (Base 2.1, Identify Controller)
  }
  return check_range(volume, blocks);
}

void IoQueue::run_read(CommandPermit permit, const nvme::Read& read, bool data_is_ready) {
  Command& command = permit.command();
  const auto checked = check_transfer(*command.request.volume, read.blocks);
  if (!checked.is_success()) return refuse(std::move(permit), {checked, nvme::at_dword(10)});
  const auto bytes = bytes_of(*command.request.volume, read.blocks);
  if (!data_is_ready) {
    if (const auto fits = nvme::check_data_length(read.data, bytes); !fits) {
      return refuse(std::move(permit), fits.error());
    }
    if (read_in_place(permit, read, transfer_bytes(bytes))) return;
    return permit.lease_for_host(transfer_bytes(bytes));
  }
  command.request.io.kind = VolumeIo::Kind::read;
  command.request.io.lba = read.blocks.first;
  command.request.io.blocks = read.blocks.count;
  command.request.io.data = command.buffer.bytes().first(bytes.value);
  if (port_.link().data_digest) command.request.io.sums = command.sums.begin(transfer_bytes(bytes));
  requests_.submit(begin(permit), &IoQueue::completed);
}

bool IoQueue::read_in_place(CommandPermit& permit, const nvme::Read& read, std::uint32_t bytes) {
  if (bytes <= largest_copied_read || !permit.may_respond_in_place(bytes)) return false;
  engine::Volume& volume = permit.command().request.volume->volume();
  auto found =
      volume.read_in_place(port_.reactor().lane(), {.lba = read.blocks.first,
                                                    .blocks = read.blocks.count,
                                                    .needs_checksum = port_.link().data_digest});
  if (!found) return false;
  permit.respond_in_place(std::move(found));
  return true;
}

std::optional<std::span<std::byte>> IoQueue::host_data(CommandPermit& permit,
                                                       const nvme::DataPointer& pointer,
                                                       engine::ByteCount needed,
                                                       bool data_is_ready) {
  Command& command = permit.command();
  if (const auto fits = nvme::check_data_length(pointer, needed); !fits) {
    refuse(std::move(permit), fits.error());
    return std::nullopt;
  }
  const auto arrived = command.buffer.bytes().first(command.data_bytes);
  if (const auto* inside = std::get_if<nvme::InCapsuleData>(&pointer)) {
    const auto view = nvme::in_capsule_bytes(*inside, arrived);
    if (!view) {
      refuse(std::move(permit), view.error());
      return std::nullopt;
    }
    return arrived.subspan(static_cast<std::size_t>(inside->offset), needed.value);
  }
  if (!data_is_ready) {
    // All that the SGL describes is fetched: a host may describe more than the command needs.
    const auto described = nvme::length_of(pointer);
    if (described.value > owner_.largest_transfer_bytes()) {
      refuse(std::move(permit), {nvme::status::data_sgl_length_invalid, nvme::at_byte(32)});
      return std::nullopt;
    }
    permit.receive_from_host(transfer_bytes(described));
    return std::nullopt;
  }
  return arrived.first(needed.value);
}

void IoQueue::run_write(CommandPermit permit, const nvme::Write& write, bool data_is_ready) {
  Command& command = permit.command();
  const auto checked = check_transfer(*command.request.volume, write.blocks);
  if (!checked.is_success()) return refuse(std::move(permit), {checked, nvme::at_dword(10)});
  const auto data =
      host_data(permit, write.data, bytes_of(*command.request.volume, write.blocks), data_is_ready);
  if (!data) return;
  command.request.io.kind = VolumeIo::Kind::write;
  command.request.io.lba = write.blocks.first;
  command.request.io.blocks = write.blocks.count;
  command.request.io.data = *data;
  command.request.io.sums = sums_of(command, *data);
  requests_.submit_ordered(begin(permit), &IoQueue::completed);
}

void IoQueue::run_write_zeroes(CommandPermit permit, const nvme::WriteZeroes& zeroes) {
  Command& command = permit.command();
  const auto checked = check_range(*command.request.volume, zeroes.blocks);
  if (!checked.is_success()) return refuse(std::move(permit), {checked, nvme::at_dword(10)});
  command.request.io.kind = VolumeIo::Kind::write_zeroes;
  command.request.io.may_deallocate = zeroes.deallocate;
  command.request.io.lba = zeroes.blocks.first;
  command.request.io.blocks = zeroes.blocks.count;
  command.request.io.data = {};
  requests_.submit_ordered(begin(permit), &IoQueue::completed);
}

void IoQueue::run_write_uncorrectable(CommandPermit permit,
                                      const nvme::WriteUncorrectable& command) {
  block::VolumeRequest& request = permit.command().request;
  const auto checked = check_range(*request.volume, command.blocks);
  if (!checked.is_success()) return refuse(std::move(permit), {checked, nvme::at_dword(10)});
  request.io.kind = VolumeIo::Kind::lose;
  request.io.lba = command.blocks.first;
  request.io.blocks = command.blocks.count;
  request.io.data = {};
  requests_.submit_ordered(begin(permit), &IoQueue::completed);
}

void IoQueue::run_verify(CommandPermit permit, const nvme::Verify& verify) {
  Command& command = permit.command();
  const auto checked = check_range(*command.request.volume, verify.blocks);
  if (!checked.is_success()) return refuse(std::move(permit), {checked, nvme::at_dword(10)});
  command.request.io.kind = VolumeIo::Kind::verify;
  command.request.io.lba = verify.blocks.first;
  command.request.io.blocks = verify.blocks.count;
  command.request.io.data = {};
  if (requests_.submit_verify(begin(permit), &IoQueue::completed)) return;
  NamespaceUse::end(command);
  CommandPermit::resume(command).respond(later(nvme::status::command_interrupted));
}

void IoQueue::run_compare(CommandPermit permit, const nvme::Compare& compare, bool data_is_ready) {
  Command& command = permit.command();
  const auto checked = check_transfer(*command.request.volume, compare.blocks);
  if (!checked.is_success()) return refuse(std::move(permit), {checked, nvme::at_dword(10)});
  const auto data = host_data(permit, compare.data,
                              bytes_of(*command.request.volume, compare.blocks), data_is_ready);
  if (!data) return;
  // The volume's data goes into a buffer of its own.
  block::VolumeRequest& request = command.request;
  if (!requests_.lease_second(request, data->size())) {
    return permit.respond(later(nvme::status::command_interrupted));
  }
  command.data_offset = static_cast<std::uint32_t>(data->data() - command.buffer.bytes().data());
  request.io.kind = VolumeIo::Kind::read;
  request.io.lba = compare.blocks.first;
  request.io.blocks = compare.blocks.count;
  request.io.data = request.second.bytes().first(data->size());
  requests_.submit(begin(permit), &IoQueue::completed);
}

void IoQueue::run_deallocate(CommandPermit permit, const nvme::DatasetManagement& management,
                             bool data_is_ready) {
  Command& command = permit.command();
  const engine::ByteCount needed{std::uint64_t{management.range_count} * nvme::dataset_range_bytes};
  const auto data = host_data(permit, management.data, needed, data_is_ready);
  if (!data) return;
  const auto ranges = nvme::parse_dataset_ranges(*data, management.range_count);
  if (!ranges) return refuse(std::move(permit), ranges.error());
  engine::BlockCount total{};
  for (const nvme::BlockRange range : ranges.value().span()) {
    // All ranges are checked before the first changes anything.
    const auto checked = check_range(*command.request.volume, range);
    if (!checked.is_success()) return refuse(std::move(permit), {checked});
    total = total + range.count;
    if (bytes_of(*command.request.volume, range) > block::largest_zeroing) {  // DMRSL
      return refuse(std::move(permit), {nvme::status::command_size_limit_exceeded});
    }
  }
  if (total * block_size(*command.request.volume) > block::largest_zeroing) {  // DMSL
    return refuse(std::move(permit), {nvme::status::command_size_limit_exceeded});
  }
  if (!management.deallocate)
    return permit.respond(nvme::status::success);  // IDR and IDW are hints
  std::array<block::Extent, nvme::max_dataset_ranges> list;
  std::transform(ranges.value().span().begin(), ranges.value().span().end(), list.begin(),
                 [](const nvme::BlockRange& range) {
                   return block::Extent{range.first, range.first + range.count};
                 });
  const auto extents = block::join(std::span(list).first(management.range_count));
  if (extents.empty()) return permit.respond(nvme::status::success);
  // What is to be done stays in the command's buffer, in the place of the list: it is no longer.
  static_assert(sizeof(block::Extent) <= nvme::dataset_range_bytes);
  const std::size_t count = extents.size();
  std::memcpy(command.buffer.bytes().data(), extents.data(), count * sizeof(block::Extent));
  const std::span pieces(reinterpret_cast<const block::Extent*>(command.buffer.bytes().data()),
                         count);
  command.request.io.kind = VolumeIo::Kind::deallocate;
  command.request.io.data = {};
  requests_.submit_pieces(begin(permit), pieces, &IoQueue::completed);
}

void IoQueue::completed(block::VolumeRequest& request, IoStatus outcome) noexcept {
  Command& command = command_of(request);
  static_cast<IoQueue*>(command.context)->complete(command, outcome);
}

void IoQueue::complete(Command& command, IoStatus outcome) {
  NamespaceUse::end(command);
  const auto kind = command.request.io.kind;
  auto permit = CommandPermit::resume(command);
  const auto opcode = static_cast<nvme::IoOpcode>(command.entry.opcode);

  if (outcome == IoStatus::no_room) [[unlikely]]
    return lacked_room(std::move(permit));
  if (!retries_.empty()) [[unlikely]]
    retries_.ended(command.entry);
  const bool differs = opcode == nvme::IoOpcode::compare && !finish_compare(command);
  if (outcome == IoStatus::cancelled && !may_start()) {
    return permit.respond(nvme::status::aborted_queue_deleted);
  }
  if (outcome != IoStatus::ok) return refuse(std::move(permit), {failure(outcome, kind)});
  if (differs) return refuse(std::move(permit), {nvme::status::compare_failure});

  switch (opcode) {
    case nvme::IoOpcode::read:
      return permit.respond_with_data(static_cast<std::uint32_t>(command.request.io.data.size()));
    case nvme::IoOpcode::compare:
    case nvme::IoOpcode::write:
    case nvme::IoOpcode::dataset_management:
    case nvme::IoOpcode::flush:
    case nvme::IoOpcode::write_zeroes:
    case nvme::IoOpcode::write_uncorrectable:
    case nvme::IoOpcode::verify:
      return permit.respond(nvme::status::success);
    case nvme::IoOpcode::copy:  // ends by copy_ended()
    case nvme::IoOpcode::reservation_register:
    case nvme::IoOpcode::reservation_report:
    case nvme::IoOpcode::reservation_acquire:
    case nvme::IoOpcode::reservation_release:
      break;  // ask nothing of the volume
  }
  permit.respond(nvme::status::internal_error);
}

nvme::Status IoQueue::later(nvme::Status status) const {
  constexpr std::uint8_t crdt1 = 1;
  return owner_.delays_retries() ? status.with_retry_delay(crdt1) : status;
}

nvme::Status IoQueue::failure(IoStatus outcome, VolumeIo::Kind kind) {
  if (outcome == IoStatus::media_error) {
    owner_.counters().media_errors.fetch_add(1, std::memory_order_relaxed);
  }
  const auto status = status_of(outcome, kind);
  return passes(outcome) ? later(status) : status;
}

void IoQueue::refuse(CommandPermit permit, const nvme::Refusal& refusal) {
  const Command& command = permit.command();
  if (command.partner != nullptr) [[unlikely]]
    return refuse_half(permit.park(), refusal);
  owner_.command_failed({.qid = qid_,
                         .cid = command.entry.command_id,
                         .status = refusal.status,
                         .lba = first_block_of(command.entry),
                         .nsid = command.entry.nsid,
                         .parameter_location = refusal.location.value,
                         .opcode = command.entry.opcode});
  permit.respond(refusal.status.with_more(), refusal.dword0);
}

bool IoQueue::finish_compare(Command& command) {
  block::VolumeRequest& request = command.request;
  const std::size_t bytes = request.io.data.size();
  const auto expected = command.buffer.bytes().subspan(command.data_offset, bytes);
  const bool same = std::memcmp(expected.data(), request.io.data.data(), bytes) == 0;
  requests_.release_second(request);
  return same;
}

void IoQueue::end() {
  ended_ = true;
  end_first_half(nvme::status::aborted_queue_deleted);
  copies_.end();
  requests_.end();
}

bool IoQueue::abort(std::uint16_t cid) {
  if (first_half_ != nullptr && first_half_->entry.command_id == cid) {
    end_first_half(nvme::status::abort_requested);
    fused_state_ = FusedState::first_failed;
    return true;
  }
  if (copies_.abort(cid, nvme::status::abort_requested)) return true;
  const auto is_it = [cid](block::VolumeRequest& request) {
    if (is_of_copy(request)) return false;
    const Command& command = command_of(request);
    return command.entry.command_id == cid ||
           (command.partner != nullptr && command.partner->entry.command_id == cid);
  };
  block::VolumeRequest* found = requests_.find_waiting(is_it);
  if (found == nullptr) {
    found = requests_.find_without_room(is_it);
    return found != nullptr ? block::VolumeRequests::take_back(*found) : port_.abort_waiting(cid);
  }
  if (!requests_.cancel(*found)) return false;
  Command& command = command_of(*found);
  if (command.partner != nullptr) {
    end_pair_of(command, cid, nvme::status::abort_requested);
    return true;
  }
  NamespaceUse::end(command);
  CommandPermit::resume(command).respond(nvme::status::abort_requested);
  return true;
}

void IoQueue::preempted(block::BlockVolume& volume) {
  copies_.preempted(volume);
  // One that is admitted already is under way.
  block::VolumeRequest* found = nullptr;
  const auto of_volume = [&volume](block::VolumeRequest& request) {
    return request.volume == &volume && !is_of_copy(request);
  };
  while ((found = requests_.find_waiting(of_volume)) != nullptr && requests_.cancel(*found)) {
    Command& command = command_of(*found);
    if (command.partner != nullptr) {
      Command& compare = command.entry.fuse() == nvme::fuse_first ? command : *command.partner;
      end_pair(compare, nvme::status::aborted_preempted, nvme::status::aborted_preempted);
      continue;
    }
    NamespaceUse::end(command);
    CommandPermit::resume(command).respond(nvme::status::aborted_preempted);
  }
}

}  // namespace target::nvmf
