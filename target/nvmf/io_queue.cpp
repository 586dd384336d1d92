#include "target/nvmf/io_queue.h"

#include <algorithm>
#include <array>
#include <boost/intrusive/parent_from_member.hpp>
#include <cstring>

#include "protocol/nvme/dataset_management.h"
#include "target/reactor/reactor.h"

namespace target::nvmf {

namespace nvme = protocol::nvme;
using engine::IoStatus;
using engine::VolumeIo;

namespace {

Command& command_of(VolumeIo& io) {
  return *boost::intrusive::get_parent_from_member(&io, &Command::io);
}
Command& command_of(block::OrderedWrite& write) {
  return *boost::intrusive::get_parent_from_member(&write, &Command::order);
}

bool is_write_side(VolumeIo::Kind kind) {
  return kind == VolumeIo::Kind::write || kind == VolumeIo::Kind::write_zeroes ||
         kind == VolumeIo::Kind::deallocate;
}

// The one place where an outcome of the engine becomes a status of NVMe.
nvme::Status status_of(IoStatus outcome, VolumeIo::Kind kind) {
  switch (outcome) {
    case IoStatus::ok:
      return nvme::status::success;
    case IoStatus::media_error:
      return is_write_side(kind) ? nvme::status::write_fault : nvme::status::unrecovered_read_error;
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
      return nvme::status::command_interrupted;
    case IoStatus::read_only:
      return nvme::status::namespace_write_protected;
  }
  return nvme::status::internal_error;
}

// What may be over when the host tries again a little later.
bool passes(IoStatus outcome) {
  switch (outcome) {
    case IoStatus::unavailable:
    case IoStatus::timed_out:
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

nvme::Status status_of(AnaState state) {
  switch (state) {
    case AnaState::optimized:
    case AnaState::non_optimized:
      return nvme::status::success;
    case AnaState::inaccessible:
      return nvme::status::ana_inaccessible;
    case AnaState::persistent_loss:
      return nvme::status::ana_persistent_loss;
    case AnaState::change:
      return nvme::status::ana_transition;
  }
  return nvme::status::internal_error;
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

// The engine verifies with a buffer of its own, no longer than this.
constexpr std::uint64_t longest_verify_buffer = 256U << 10;

std::uint64_t verify_buffer_bytes(const Command& command) {
  return std::min(longest_verify_buffer, (command.io.blocks * block_size(*command.volume)).value);
}

}  // namespace

// Ascending and disjoint, without the empty ones. Where ranges overlap or touch they are one.
std::span<const block::Extent> join(std::span<block::Extent> extents) {
  std::sort(extents.begin(), extents.end(),
            [](const block::Extent& a, const block::Extent& b) { return a.begin < b.begin; });
  std::size_t count = 0;
  for (const block::Extent& extent : extents) {
    if (extent.begin == extent.end) continue;
    if (count != 0 && extent.begin <= extents[count - 1].end) {
      extents[count - 1].end = std::max(extents[count - 1].end, extent.end);
    } else {
      extents[count++] = extent;
    }
  }
  return extents.first(count);
}

// A Compare holds the host's data in the command's buffer and reads the volume's into one of its
// own.
struct IoQueue::Compare {
  Command& command;
  std::span<std::byte> expected;
  engine::BufferLease found;
};

IoQueue::IoQueue(IoQueueOwner& owner, CommandPort& port, std::uint16_t qid)
    : owner_(owner), port_(port), qid_(qid) {}

IoQueue::~IoQueue() { CHECK(waiting_.empty() && compares_.empty()); }

block::BlockVolume* IoQueue::volume_of(const Command& command) {
  const Namespace* found = owner_.find_namespace(command.entry.nsid);
  return found == nullptr ? nullptr : found->volume;
}

void IoQueue::execute(CommandPermit permit) {
  owner_.note_traffic();
  run(std::move(permit), /*data_is_ready=*/false);
}

void IoQueue::data_ready(CommandPermit permit) { run(std::move(permit), /*data_is_ready=*/true); }

void IoQueue::run(CommandPermit permit, bool data_is_ready) {
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
  const auto reachable = status_of(found->ana_state.load(std::memory_order_acquire));
  if (!reachable.is_success()) return permit.respond(reachable);

  command.context = this;
  command.volume = found->volume;
  command.io.sums = {};
  struct Visitor {
    IoQueue& queue;
    CommandPermit& permit;
    bool data_is_ready;
    void operator()(const nvme::Read& c) { queue.run_read(std::move(permit), c, data_is_ready); }
    void operator()(const nvme::Write& c) { queue.run_write(std::move(permit), c, data_is_ready); }
    void operator()(const nvme::Flush&) { permit.respond(nvme::status::success); }
    void operator()(const nvme::WriteZeroes& c) { queue.run_write_zeroes(std::move(permit), c); }
    void operator()(const nvme::Verify& c) { queue.run_verify(std::move(permit), c); }
    void operator()(const nvme::Compare& c) {
      queue.run_compare(std::move(permit), c, data_is_ready);
    }
    void operator()(const nvme::DatasetManagement& c) {
      queue.run_deallocate(std::move(permit), c, data_is_ready);
    }
  };
  std::visit(Visitor{*this, permit, data_is_ready}, parsed.value());
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
  const auto checked = check_transfer(*command.volume, read.blocks);
  if (!checked.is_success()) return refuse(std::move(permit), {checked, nvme::at_dword(10)});
  const auto bytes = bytes_of(*command.volume, read.blocks);
  if (!data_is_ready) {
    if (const auto fits = nvme::check_data_length(read.data, bytes); !fits) {
      return refuse(std::move(permit), fits.error());
    }
    if (read_in_place(permit, read, transfer_bytes(bytes))) return;
    return permit.lease_for_host(transfer_bytes(bytes));
  }
  command.io.kind = VolumeIo::Kind::read;
  command.io.lba = read.blocks.first;
  command.io.blocks = read.blocks.count;
  command.io.data = command.buffer.bytes().first(bytes.value);
  if (port_.link().data_digest) command.io.sums = command.sums.begin(transfer_bytes(bytes));
  submit(permit.park());
}

bool IoQueue::read_in_place(CommandPermit& permit, const nvme::Read& read, std::uint32_t bytes) {
  if (bytes <= largest_copied_read || !permit.may_respond_in_place(bytes)) return false;
  engine::Volume& volume = permit.command().volume->volume();
  auto found =
      volume.read_in_place(port_.reactor().lane(), {.lba = read.blocks.first,
                                                    .blocks = read.blocks.count,
                                                    .needs_checksum = port_.link().data_digest});
  if (!found) return false;
  count_read(bytes);
  permit.respond_in_place(std::move(found));
  return true;
}

void IoQueue::count_read(std::uint64_t bytes) {
  IoCounters& counters = owner_.counters();
  counters.read_commands.fetch_add(1, std::memory_order_relaxed);
  counters.bytes_read.fetch_add(bytes, std::memory_order_relaxed);
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
  const auto checked = check_transfer(*command.volume, write.blocks);
  if (!checked.is_success()) return refuse(std::move(permit), {checked, nvme::at_dword(10)});
  const auto data =
      host_data(permit, write.data, bytes_of(*command.volume, write.blocks), data_is_ready);
  if (!data) return;
  command.io.kind = VolumeIo::Kind::write;
  command.io.lba = write.blocks.first;
  command.io.blocks = write.blocks.count;
  command.io.data = *data;
  command.io.sums = sums_of(command, *data);
  submit_ordered(permit.park());
}

void IoQueue::run_write_zeroes(CommandPermit permit, const nvme::WriteZeroes& zeroes) {
  Command& command = permit.command();
  const auto checked = check_range(*command.volume, zeroes.blocks);
  if (!checked.is_success()) return refuse(std::move(permit), {checked, nvme::at_dword(10)});
  command.io.kind = VolumeIo::Kind::write_zeroes;
  command.io.may_deallocate = zeroes.deallocate;
  command.io.lba = zeroes.blocks.first;
  command.io.blocks = zeroes.blocks.count;
  command.io.data = {};
  submit_ordered(permit.park());
}

void IoQueue::run_verify(CommandPermit permit, const nvme::Verify& verify) {
  Command& command = permit.command();
  const auto checked = check_range(*command.volume, verify.blocks);
  if (!checked.is_success()) return refuse(std::move(permit), {checked, nvme::at_dword(10)});
  command.io.kind = VolumeIo::Kind::verify;
  command.io.lba = verify.blocks.first;
  command.io.blocks = verify.blocks.count;
  command.io.data = {};
  block::BufferShare& share = command.volume->buffers();
  const std::uint64_t needed = verify_buffer_bytes(command);
  if (!share.admits(needed, buffers().budget())) {
    return permit.respond(try_later());
  }
  share.take(needed, port_.reactor().now());
  submit(permit.park());
}

void IoQueue::run_compare(CommandPermit permit, const nvme::Compare& compare, bool data_is_ready) {
  Command& command = permit.command();
  const auto checked = check_transfer(*command.volume, compare.blocks);
  if (!checked.is_success()) return refuse(std::move(permit), {checked, nvme::at_dword(10)});
  const auto data =
      host_data(permit, compare.data, bytes_of(*command.volume, compare.blocks), data_is_ready);
  if (!data) return;
  // Waiting for it while holding the first buffer could make Compares wait for each other for ever.
  block::BufferShare& share = command.volume->buffers();
  std::optional<engine::BufferLease> found;
  if (share.admits(data->size(), buffers().budget())) found = buffers().lease({data->size()});
  if (!found) return permit.respond(try_later());
  share.take(found->bytes().size(), port_.reactor().now());
  command.io.kind = VolumeIo::Kind::read;
  command.io.lba = compare.blocks.first;
  command.io.blocks = compare.blocks.count;
  command.io.data = found->bytes().first(data->size());
  compares_.push_back({command, *data, std::move(*found)});
  submit(permit.park());
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
    const auto checked = check_range(*command.volume, range);
    if (!checked.is_success()) return refuse(std::move(permit), {checked});
    total = total + range.count;
    if (bytes_of(*command.volume, range) > block::largest_zeroing) {  // DMRSL
      return refuse(std::move(permit), {nvme::status::command_size_limit_exceeded});
    }
  }
  if (total * block_size(*command.volume) > block::largest_zeroing) {  // DMSL
    return refuse(std::move(permit), {nvme::status::command_size_limit_exceeded});
  }
  if (!management.deallocate)
    return permit.respond(nvme::status::success);  // IDR and IDW are hints
  std::array<block::Extent, nvme::max_dataset_ranges> list;
  std::transform(ranges.value().span().begin(), ranges.value().span().end(), list.begin(),
                 [](const nvme::BlockRange& range) {
                   return block::Extent{range.first, range.first + range.count};
                 });
  const auto extents = join(std::span(list).first(management.range_count));
  if (extents.empty()) return permit.respond(nvme::status::success);
  // What is to be done stays in the command's buffer, in the place of the list: it is no longer.
  static_assert(sizeof(block::Extent) <= nvme::dataset_range_bytes);
  const std::size_t count = extents.size();
  std::memcpy(command.buffer.bytes().data(), extents.data(), count * sizeof(block::Extent));
  command.order.pieces = {reinterpret_cast<const block::Extent*>(command.buffer.bytes().data()),
                          count};
  command.order.begin = command.order.pieces.front().begin;
  command.order.end = command.order.pieces.back().end;
  command.io.kind = VolumeIo::Kind::deallocate;
  command.io.data = {};
  command.step = 0;
  enter_order(permit.park());
}

// All ranges hold their place in the order until the last one is done: a newer write to one of them
// may not come before it.
void IoQueue::deallocate_next_range(Command& command) {
  const block::Extent& extent = command.order.pieces[command.step++];
  command.io.lba = extent.begin;
  command.io.blocks = extent.end - extent.begin;
  submit(command);
}

engine::BufferPool& IoQueue::buffers() const { return port_.reactor().lane().buffers(); }

void IoQueue::submit(Command& command) {
  command.io.done = &IoQueue::completed;
  command.volume->volume().submit(port_.reactor().lane(), command.io);
}

void IoQueue::submit_ordered(Command& command) {
  command.order.begin = command.io.lba;
  command.order.end = command.io.lba + command.io.blocks;
  command.order.pieces = {};
  enter_order(command);
}

void IoQueue::enter_order(Command& command) {
  command.order.admitted = [](block::OrderedWrite& write) noexcept {
    Command& waited = command_of(write);
    auto* queue = static_cast<IoQueue*>(waited.context);
    queue->port_.reactor().post([queue, &waited] { queue->admitted(waited); });
  };
  // Before enter(): another thread may admit it at once, and post.
  waiting_.push_back(&command);
  if (!command.volume->write_order().enter(command.order)) return;
  waiting_.pop_back();
  start_ordered(command);
}

void IoQueue::start_ordered(Command& command) {
  if (command.io.kind == VolumeIo::Kind::deallocate) return deallocate_next_range(command);
  submit(command);
}

void IoQueue::admitted(Command& command) {
  std::erase(waiting_, &command);
  if (!ended_ && owner_.ready()) return start_ordered(command);
  command.volume->write_order().leave(command.order);
  CommandPermit::resume(command).respond(nvme::status::aborted_queue_deleted);
}

void IoQueue::completed(VolumeIo& io, IoStatus status) noexcept {
  Command& command = command_of(io);
  static_cast<IoQueue*>(command.context)->complete(command, status);
}

void IoQueue::complete(Command& command, IoStatus outcome) {
  const auto kind = command.io.kind;
  const bool more = kind == VolumeIo::Kind::deallocate && outcome == IoStatus::ok &&
                    command.step < command.order.pieces.size();
  const bool serving = !ended_ && owner_.ready();
  if (more && serving) return deallocate_next_range(command);
  if (is_write_side(kind)) command.volume->write_order().leave(command.order);
  if (kind == VolumeIo::Kind::verify) {
    command.volume->buffers().give_back(verify_buffer_bytes(command), port_.reactor().now());
  }
  auto permit = CommandPermit::resume(command);
  const auto opcode = static_cast<nvme::IoOpcode>(command.entry.opcode);

  const bool differs = opcode == nvme::IoOpcode::compare && !take_compare(command);
  if (outcome != IoStatus::ok) {
    if (outcome == IoStatus::media_error) {
      owner_.counters().media_errors.fetch_add(1, std::memory_order_relaxed);
    }
    const auto status = status_of(outcome, kind);
    return refuse(std::move(permit), {passes(outcome) ? later(status) : status});
  }
  if (differs) return refuse(std::move(permit), {nvme::status::compare_failure});

  IoCounters& counters = owner_.counters();
  switch (opcode) {
    case nvme::IoOpcode::read:
      count_read(command.io.data.size());
      return permit.respond_with_data(static_cast<std::uint32_t>(command.io.data.size()));
    case nvme::IoOpcode::compare:  // counts as a read (Base 2.1, SMART: Host Read Commands)
      count_read(command.io.data.size());
      return permit.respond(nvme::status::success);
    case nvme::IoOpcode::write:
      counters.write_commands.fetch_add(1, std::memory_order_relaxed);
      counters.bytes_written.fetch_add(command.io.data.size(), std::memory_order_relaxed);
      return permit.respond(nvme::status::success);
    case nvme::IoOpcode::dataset_management:
      return permit.respond(more ? nvme::status::aborted_queue_deleted : nvme::status::success);
    case nvme::IoOpcode::flush:
    case nvme::IoOpcode::write_zeroes:
    case nvme::IoOpcode::verify:
      return permit.respond(nvme::status::success);
  }
  permit.respond(nvme::status::internal_error);
}

nvme::Status IoQueue::try_later() const { return later(nvme::status::command_interrupted); }

nvme::Status IoQueue::later(nvme::Status status) const {
  constexpr std::uint8_t crdt1 = 1;
  return owner_.delays_retries() ? status.with_retry_delay(crdt1) : status;
}

void IoQueue::refuse(CommandPermit permit, const nvme::Refusal& refusal) {
  const Command& command = permit.command();
  owner_.command_failed(
      {.qid = qid_,
       .cid = command.entry.command_id,
       .status = refusal.status,
       .lba = command.entry.cdw10.value() | (std::uint64_t{command.entry.cdw11} << 32),
       .nsid = command.entry.nsid,
       .parameter_location = refusal.location.value,
       .opcode = command.entry.opcode});
  permit.respond(refusal.status.with_more(), refusal.dword0);
}

bool IoQueue::take_compare(const Command& command) {
  const auto it = std::find_if(compares_.begin(), compares_.end(), [&](const Compare& compare) {
    return &compare.command == &command;
  });
  const Compare compare = std::move(*it);
  compares_.erase(it);
  command.volume->buffers().give_back(compare.found.bytes().size(), port_.reactor().now());
  return std::memcmp(compare.expected.data(), compare.found.bytes().data(),
                     compare.expected.size()) == 0;
}

void IoQueue::end() {
  ended_ = true;
  // Those that another thread admits meanwhile have been posted, and find `ended_`.
  std::vector<Command*> cancelled;
  for (Command* command : waiting_) {
    if (command->volume->write_order().cancel(command->order)) cancelled.push_back(command);
  }
  for (Command* command : cancelled) {
    std::erase(waiting_, command);
    CommandPermit::resume(*command).respond(nvme::status::aborted_queue_deleted);
  }
}

bool IoQueue::abort(std::uint16_t cid) {
  const auto found = std::find_if(waiting_.begin(), waiting_.end(), [&](const Command* command) {
    return command->entry.command_id == cid;
  });
  if (found == waiting_.end()) return port_.abort_waiting(cid);
  Command& command = **found;
  if (!command.volume->write_order().cancel(command.order)) return false;
  waiting_.erase(found);
  CommandPermit::resume(command).respond(nvme::status::abort_requested);
  return true;
}

}  // namespace target::nvmf
