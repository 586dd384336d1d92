#include "target/scsi/block_commands.h"

#include <algorithm>
#include <boost/intrusive/parent_from_member.hpp>
#include <cstring>

#include "protocol/scsi/unmap.h"
#include "target/scsi/block_range.h"
#include "target/scsi/data_phase.h"
#include "target/scsi/outcome.h"
#include "target/scsi/unit_limits.h"

namespace target::scsi {

namespace command = protocol::scsi;
namespace sense = protocol::scsi::sense;
using engine::IoStatus;
using engine::VolumeIo;
using protocol::scsi::BlockRange;
using protocol::scsi::ByteCheck;
using protocol::scsi::Sense;
using protocol::scsi::Status;

namespace {

// A copy costs less than what it takes to keep more where it lies.
constexpr std::uint32_t largest_copied_read = 16U << 10;
// The medium is verified in requests of this size: an abort waits for one of them only.
constexpr engine::ByteCount verify_step{64U << 20};

block::Extent extent_of(BlockRange blocks) { return {blocks.first, blocks.first + blocks.count}; }

std::uint32_t transfer_bytes(std::uint64_t bytes) { return static_cast<std::uint32_t>(bytes); }

std::uint64_t bytes_of(const ItlNexus& itl, engine::BlockCount blocks) {
  return (blocks * block_size(itl)).value;
}

bool is_zero(std::span<const std::byte> bytes) {
  return std::all_of(bytes.begin(), bytes.end(), [](std::byte b) { return b == std::byte{0}; });
}

// MISCOMPARE tells where in the host's data the first difference is (SBC-4, COMPARE AND WRITE).
std::optional<Sense> compare(std::span<const std::byte> host, std::span<const std::byte> medium) {
  if (std::memcmp(host.data(), medium.data(), host.size()) == 0) return std::nullopt;
  const auto differs = std::mismatch(host.begin(), host.end(), medium.begin());
  return sense::miscompare.with_information(
      static_cast<std::uint64_t>(differs.first - host.begin()));
}

void set_io(block::VolumeRequest& request, VolumeIo::Kind kind, block::Extent blocks,
            std::span<std::byte> data) {
  request.io.kind = kind;
  request.io.may_deallocate = false;
  request.io.is_use = true;
  request.io.lba = blocks.begin;
  request.io.blocks = blocks.end - blocks.begin;
  request.io.data = data;
  request.io.sums = {};
}

// The first blocks of what is still to be done, and what is left then.
block::Extent take_step(Task& task, engine::ByteCount most) {
  const engine::BlockCount step =
      std::min(task.rest.end - task.rest.begin, blocks_of(most, block_size(*task.itl)));
  const block::Extent part{task.rest.begin, task.rest.begin + step};
  task.rest.begin = part.end;
  return part;
}

}  // namespace

Task& BlockCommands::task_of(Request& request) {
  return *boost::intrusive::get_parent_from_member(&request, &Task::request);
}

BlockCommands& BlockCommands::self(Request& request) {
  return *static_cast<BlockCommands*>(request.context);
}

// READ

void BlockCommands::run(TaskPermit permit, const command::Read& read, bool ready) {
  Task& task = permit.task();
  ItlNexus& itl = *task.itl;
  const engine::BlockSize size = block_size(itl);
  if (const auto bad = check_range(itl, read.blocks, blocks_of(largest_transfer, size))) {
    return sink_.answer(std::move(permit), *bad);
  }
  task.command_bytes = transfer_bytes(bytes_of(itl, read.blocks.count));
  const std::uint32_t wanted = std::min(task.command_bytes, host_takes(task));
  if (wanted == 0) return sink_.good(std::move(permit));
  const engine::BlockCount blocks{(std::uint64_t{wanted} + size.bytes - 1) / size.bytes};
  const std::uint32_t bytes = transfer_bytes(bytes_of(itl, blocks));
  if (!ready) {
    if (bytes == wanted && read_in_place(permit, read.blocks.first, blocks)) return;
    return permit.lease_for_host(bytes);
  }
  task.request.context = this;
  set_io(task.request, VolumeIo::Kind::read, extent_of({read.blocks.first, blocks}),
         task.buffer.bytes().first(bytes));
  if (sink_.port().wants_sums()) task.request.io.sums = task.sums.begin(bytes);
  requests_.submit(permit.park().request, &read_done);
}

bool BlockCommands::read_in_place(TaskPermit& permit, engine::Lba first,
                                  engine::BlockCount blocks) {
  Task& task = permit.task();
  const std::uint32_t bytes = transfer_bytes(bytes_of(*task.itl, blocks));
  if (bytes <= largest_copied_read || !permit.may_respond_in_place(bytes)) return false;
  auto found = task.itl->volume().volume().read_in_place(
      sink_.port().reactor().lane(),
      {.lba = first, .blocks = blocks, .needs_checksum = sink_.port().wants_sums()});
  if (!found) return false;
  TaskCounters& counters = task.itl->counters;
  TaskCounters::add(counters.read_commands);
  TaskCounters::add(counters.bytes_read, bytes);
  sink_.answer_in_place(std::move(permit), std::move(found));
  return true;
}

void BlockCommands::read_done(Request& request, IoStatus outcome) noexcept {
  Task& task = task_of(request);
  BlockCommands& self = BlockCommands::self(request);
  if (outcome == IoStatus::media_error && !task.aborted) return self.find_bad_block(task);
  if (self.ends(task, outcome)) return;
  const std::uint32_t bytes = std::min(task.command_bytes, host_takes(task));
  TaskCounters& counters = task.itl->counters;
  TaskCounters::add(counters.read_commands);
  TaskCounters::add(counters.bytes_read, bytes);
  self.sink_.answer_with_data(TaskPermit::resume(task), bytes);
}

// WRITE

void BlockCommands::write(TaskPermit permit, BlockRange blocks, std::span<std::byte> data) {
  Task& task = permit.park();
  task.request.context = this;
  set_io(task.request, VolumeIo::Kind::write, extent_of(blocks), data);
  task.request.io.sums = task.sums.view().part(0, data.size());
  requests_.submit_ordered(task.request, &write_done);
}

void BlockCommands::run(TaskPermit permit, const command::Write& write_, bool ready) {
  ItlNexus& itl = *permit.task().itl;
  const auto most = blocks_of(largest_transfer, block_size(itl));
  if (const auto bad = check_range(itl, write_.blocks, most)) {
    return sink_.answer(std::move(permit), *bad);
  }
  BlockRange blocks = write_.blocks;
  const auto data = data_to_write(sink_, permit, blocks, ready);
  if (data) write(std::move(permit), blocks, *data);
}

// All of it or nothing, as every write that the volume promises this for.
void BlockCommands::run(TaskPermit permit, const command::WriteAtomic& atomic, bool ready) {
  ItlNexus& itl = *permit.task().itl;
  const block::AtomicWrites promised = itl.unit().atomic_writes();
  auto bad = check_range(itl, atomic.blocks, atomic_blocks(promised, block_size(itl)));
  const std::uint64_t alignment = promised.boundary_bytes / block_size(itl).bytes;
  if (!bad && alignment > 1 && atomic.blocks.first.value % alignment != 0) {
    bad = sense::invalid_cdb(2);  // ATOMIC ALIGNMENT (SBC-4, Block Limits VPD page)
  }
  if (bad) return sink_.answer(std::move(permit), *bad);
  if (atomic.blocks.count.value == 0) return sink_.good(std::move(permit));
  const auto data = host_data(sink_, permit, bytes_of(itl, atomic.blocks.count), ready);
  if (data) write(std::move(permit), atomic.blocks, *data);
}

void BlockCommands::write_done(Request& request, IoStatus outcome) noexcept {
  Task& task = task_of(request);
  BlockCommands& self = BlockCommands::self(request);
  if (self.ends(task, outcome)) return;
  self.finish(task, IoStatus::ok);
}

// WRITE AND VERIFY, VERIFY: one place in the order for both halves, so that no other write comes
// between what is written and what is verified.

void BlockCommands::run(TaskPermit permit, const command::WriteAndVerify& both, bool ready) {
  ItlNexus& itl = *permit.task().itl;
  const auto most = blocks_of(largest_transfer, block_size(itl));
  if (const auto bad = check_range(itl, both.blocks, most)) {
    return sink_.answer(std::move(permit), *bad);
  }
  BlockRange blocks = both.blocks;
  const auto data = data_to_write(sink_, permit, blocks, ready);
  if (!data) return;
  Task& task = permit.park();
  task.request.context = this;
  set_io(task.request, VolumeIo::Kind::write, extent_of(blocks), *data);
  task.request.io.sums = task.sums.view().part(0, data->size());
  task.rest = extent_of(blocks);
  const auto write_in_place = [](Request& request) noexcept {
    BlockCommands& self = BlockCommands::self(request);
    if (task_of(request).aborted) return self.finish(task_of(request), IoStatus::cancelled);
    self.requests_.submit(request, &written_to_verify);
  };
  requests_.hold(task.request, task.rest, write_in_place, &refused);
}

void BlockCommands::written_to_verify(Request& request, IoStatus outcome) noexcept {
  Task& task = task_of(request);
  BlockCommands& self = BlockCommands::self(request);
  if (self.ends(task, outcome)) return;
  TaskCounters::add(task.itl->counters.bytes_written, request.io.data.size());
  const auto parsed = protocol::scsi::parse_command(task.cdb, {});
  const auto* both = parsed ? std::get_if<command::WriteAndVerify>(&parsed.value()) : nullptr;
  if (both == nullptr || both->check == ByteCheck::none) return self.verify_medium(task);
  if (!self.lease_second(task, request.io.data.size())) return;
  self.read_aside(task, &read_to_verify);
}

// Into the second buffer: all that is still to be done, or as much as there is room for.
void BlockCommands::read_aside(Task& task, Request::Done then) {
  const std::span<std::byte> room = task.request.second.bytes();
  const block::Extent part = take_step(task, {room.size()});
  const std::uint64_t bytes = bytes_of(*task.itl, part.end - part.begin);
  set_io(task.request, VolumeIo::Kind::read, part, room.first(bytes));
  requests_.submit(task.request, then);
}

void BlockCommands::read_to_verify(Request& request, IoStatus outcome) noexcept {
  Task& task = task_of(request);
  BlockCommands& self = BlockCommands::self(request);
  if (self.ends(task, outcome)) return;
  const auto differs = compare(task.buffer.bytes().first(request.io.data.size()), request.io.data);
  if (differs) return self.finish(task, *differs);
  self.finish(task, IoStatus::ok);
}

void BlockCommands::run(TaskPermit permit, const command::Verify& verify, bool ready) {
  ItlNexus& itl = *permit.task().itl;
  const engine::BlockSize size = block_size(itl);
  const bool each = verify.check == ByteCheck::each_block;
  const auto bad = each ? check_range(itl, verify.blocks, blocks_of(largest_transfer, size))
                        : check_range(itl, verify.blocks);
  if (bad) return sink_.answer(std::move(permit), *bad);
  if (verify.blocks.count.value == 0) return sink_.good(std::move(permit));
  if (verify.check != ByteCheck::none) {
    const std::uint64_t needed = each ? bytes_of(itl, verify.blocks.count) : size.bytes;
    if (!host_data(sink_, permit, needed, ready)) return;
  }
  Task& task = permit.park();
  task.request.context = this;
  task.rest = extent_of(verify.blocks);
  switch (verify.check) {
    case ByteCheck::none:
      return verify_medium(task);
    case ByteCheck::each_block:
      if (!lease_second(task, bytes_of(itl, verify.blocks.count))) return;
      return read_aside(task, &read_to_verify);
    case ByteCheck::single_block:
      if (!lease_second(task, side_buffer.value)) return;
      return read_aside(task, &read_to_compare_block);
  }
}

void BlockCommands::verify_medium(Task& task) {
  set_io(task.request, VolumeIo::Kind::verify, take_step(task, verify_step), {});
  if (!requests_.submit_verify(task.request, &medium_verified)) {
    let_go(task);
    sink_.answer(TaskPermit::resume(task), status_without_room(task));
  }
}

void BlockCommands::medium_verified(Request& request, IoStatus outcome) noexcept {
  Task& task = task_of(request);
  BlockCommands& self = BlockCommands::self(request);
  if (outcome == IoStatus::media_error && !task.aborted) return self.find_bad_block(task);
  if (self.ends(task, outcome)) return;
  if (task.rest.begin == task.rest.end) return self.finish(task, IoStatus::ok);
  self.go_on(task, [](Task& next) noexcept {
    BlockCommands& commands = BlockCommands::self(next.request);
    if (!commands.ends(next, IoStatus::ok)) commands.verify_medium(next);
  });
}

void BlockCommands::read_to_compare_block(Request& request, IoStatus outcome) noexcept {
  Task& task = task_of(request);
  BlockCommands& self = BlockCommands::self(request);
  if (self.ends(task, outcome)) return;
  const std::uint32_t size = block_size(*task.itl).bytes;
  const auto block = task.buffer.bytes().first(size);
  for (auto found = request.io.data; !found.empty(); found = found.subspan(size)) {
    if (const auto differs = compare(block, found.first(size))) {
      return self.finish(task, *differs);
    }
  }
  if (task.rest.begin == task.rest.end) return self.finish(task, IoStatus::ok);
  self.go_on(task, [](Task& next) noexcept {
    BlockCommands& commands = BlockCommands::self(next.request);
    if (!commands.ends(next, IoStatus::ok)) commands.read_aside(next, &read_to_compare_block);
  });
}

// COMPARE AND WRITE, ORWRITE: the place in the order is held from before the read until after the
// write, so that it is atomic against every other path.

void BlockCommands::run(TaskPermit permit, const command::CompareAndWrite& both, bool ready) {
  ItlNexus& itl = *permit.task().itl;
  if (const auto bad = check_range(itl, both.blocks, {most_compared_blocks})) {
    return sink_.answer(std::move(permit), *bad);
  }
  if (both.blocks.count.value == 0) {
    // Of a host that sends data all the same, it is a count of 256 that the byte does not hold.
    if (host_sends(permit.task()) != 0) {
      return sink_.answer(std::move(permit), sense::invalid_cdb(13));
    }
    return sink_.good(std::move(permit));
  }
  if (!host_data(sink_, permit, 2 * bytes_of(itl, both.blocks.count), ready, /*exact=*/true))
    return;
  Task& task = permit.park();
  task.request.context = this;
  task.rest = extent_of(both.blocks);
  const auto read_in_order = [](Request& request) noexcept {
    Task& held = task_of(request);
    BlockCommands& self = BlockCommands::self(request);
    if (held.aborted) return self.finish(held, IoStatus::cancelled);
    if (!self.lease_second(held, bytes_of(*held.itl, held.rest.end - held.rest.begin))) return;
    self.read_aside(held, &read_to_compare);
  };
  requests_.hold(task.request, task.rest, read_in_order, &refused);
}

void BlockCommands::read_to_compare(Request& request, IoStatus outcome) noexcept {
  Task& task = task_of(request);
  BlockCommands& self = BlockCommands::self(request);
  if (self.ends(task, outcome)) return;
  const std::size_t bytes = request.io.data.size();
  const auto data = task.buffer.bytes().first(2 * bytes);
  if (const auto differs = compare(data.first(bytes), request.io.data)) {
    return self.finish(task, *differs);
  }
  set_io(request, VolumeIo::Kind::write, {request.io.lba, request.io.lba + request.io.blocks},
         data.last(bytes));
  request.io.sums = task.sums.view().part(bytes, bytes);
  self.requests_.submit(request, &write_done);
}

void BlockCommands::run(TaskPermit permit, const command::OrWrite& both, bool ready) {
  ItlNexus& itl = *permit.task().itl;
  const auto most = blocks_of(largest_transfer, block_size(itl));
  if (const auto bad = check_range(itl, both.blocks, most)) {
    return sink_.answer(std::move(permit), *bad);
  }
  if (both.blocks.count.value == 0) return sink_.good(std::move(permit));
  if (!host_data(sink_, permit, bytes_of(itl, both.blocks.count), ready)) return;
  Task& task = permit.park();
  task.request.context = this;
  task.rest = extent_of(both.blocks);
  const auto read_in_order = [](Request& request) noexcept {
    Task& held = task_of(request);
    BlockCommands& self = BlockCommands::self(request);
    if (held.aborted) return self.finish(held, IoStatus::cancelled);
    if (!self.lease_second(held, bytes_of(*held.itl, held.rest.end - held.rest.begin))) return;
    self.read_aside(held, &read_to_or);
  };
  requests_.hold(task.request, task.rest, read_in_order, &refused);
}

void BlockCommands::read_to_or(Request& request, IoStatus outcome) noexcept {
  Task& task = task_of(request);
  BlockCommands& self = BlockCommands::self(request);
  if (self.ends(task, outcome)) return;
  const auto data = task.buffer.bytes().first(request.io.data.size());
  std::transform(data.begin(), data.end(), request.io.data.begin(), data.begin(),
                 [](std::byte ours, std::byte found) { return ours | found; });
  set_io(request, VolumeIo::Kind::write, {request.io.lba, request.io.lba + request.io.blocks},
         data);
  self.requests_.submit(request, &write_done);
}

// WRITE SAME, UNMAP

void BlockCommands::run(TaskPermit permit, const command::WriteSame& same, bool ready) {
  Task& task = permit.task();
  ItlNexus& itl = *task.itl;
  const engine::BlockSize size = block_size(itl);
  // WSNZ: "to the end of the unit" is refused.
  if (same.blocks.count.value == 0) {
    return sink_.answer(std::move(permit), sense::invalid_cdb(same.ten_byte_cdb ? 7 : 10));
  }
  const auto most = largest_write_same(size);
  if (const auto bad = check_range(itl, same.blocks, most)) {
    return sink_.answer(std::move(permit), *bad);
  }
  bool zero = same.no_data_out;
  if (!zero) {
    const auto data = host_data(sink_, permit, size.bytes, ready, /*exact=*/true);
    if (!data) return;
    zero = is_zero(*data);
  }
  task.request.context = this;
  task.rest = extent_of(same.blocks);
  if (zero) {
    // What is unmapped reads as zeros (LBPRZ), so with data of zeros, and only then, UNMAP is
    // honoured (SBC-4, "WRITE SAME (10) command").
    set_io(task.request, same.unmap ? VolumeIo::Kind::deallocate : VolumeIo::Kind::write_zeroes,
           task.rest, {});
    return requests_.submit_ordered(permit.park().request, &write_done);
  }
  const auto fill_and_write = [](Request& request) noexcept {
    Task& held = task_of(request);
    BlockCommands& self = BlockCommands::self(request);
    if (held.aborted) return self.finish(held, IoStatus::cancelled);
    if (!self.lease_second(held, side_buffer.value)) return;
    const std::uint32_t block_bytes = block_size(*held.itl).bytes;
    const auto block = held.buffer.bytes().first(block_bytes);
    for (auto room = request.second.bytes(); !room.empty(); room = room.subspan(block_bytes)) {
      std::memcpy(room.data(), block.data(), block_bytes);
    }
    self.write_pattern(held);
  };
  const block::Extent whole = task.rest;
  requests_.hold(permit.park().request, whole, fill_and_write, &refused);
}

void BlockCommands::write_pattern(Task& task) {
  const std::span<std::byte> pattern = task.request.second.bytes();
  const block::Extent part = take_step(task, {pattern.size()});
  set_io(task.request, VolumeIo::Kind::write, part,
         pattern.first(bytes_of(*task.itl, part.end - part.begin)));
  requests_.submit(task.request, &pattern_written);
}

void BlockCommands::pattern_written(Request& request, IoStatus outcome) noexcept {
  Task& task = task_of(request);
  BlockCommands& self = BlockCommands::self(request);
  if (self.ends(task, outcome)) return;
  if (task.rest.begin == task.rest.end) return self.finish(task, IoStatus::ok);
  self.go_on(task, [](Task& next) noexcept {
    BlockCommands& commands = BlockCommands::self(next.request);
    if (!commands.ends(next, IoStatus::ok)) commands.write_pattern(next);
  });
}

void BlockCommands::run(TaskPermit permit, const command::Unmap& unmap, bool ready) {
  Task& task = permit.task();
  ItlNexus& itl = *task.itl;
  if (unmap.parameter_bytes == 0) return sink_.good(std::move(permit));
  // One descriptor more than the most shows that there are too many.
  const std::uint32_t most_bytes = protocol::scsi::max_unmap_list_bytes + 16;
  const auto data = host_data(sink_, permit, std::min(unmap.parameter_bytes, most_bytes), ready);
  if (!data) return;
  task.command_bytes = unmap.parameter_bytes;
  const auto list = protocol::scsi::parse_unmap_list(*data, largest_unmap(block_size(itl)));
  if (!list) return sink_.answer(std::move(permit), list.error());
  std::array<block::Extent, protocol::scsi::max_unmap_descriptors> extents;
  std::size_t count = 0;
  for (const BlockRange& range : list.value().span()) {
    // All are checked before the first changes anything.
    if (const auto bad = check_range(itl, range)) return sink_.answer(std::move(permit), *bad);
    extents[count++] = extent_of(range);
  }
  const auto pieces = block::join(std::span(extents).first(count));
  if (pieces.empty()) return sink_.good(std::move(permit));
  // What is to be done stays in the task's buffer, in the place of the list: it is no longer.
  static_assert(sizeof(block::Extent) <= 16);
  std::memcpy(task.buffer.bytes().data(), pieces.data(), pieces.size_bytes());
  const auto* kept = reinterpret_cast<const block::Extent*>(task.buffer.bytes().data());
  task.request.context = this;
  set_io(task.request, VolumeIo::Kind::deallocate, {}, {});
  requests_.submit_pieces(permit.park().request, {kept, pieces.size()}, &write_done);
}

// The rest

// GOOD, not CONDITION MET: nothing says that all of it is in the cache, and stays there.
void BlockCommands::run(TaskPermit permit, const command::Prefetch& prefetch, bool /*ready*/) {
  ItlNexus& itl = *permit.task().itl;
  if (const auto bad = check_range(itl, prefetch.blocks)) {
    return sink_.answer(std::move(permit), *bad);
  }
  BlockRange blocks = to_the_end(itl, prefetch.blocks);
  if (prefetch.immediate || blocks.count.value == 0) return sink_.good(std::move(permit));
  blocks.count = std::min(blocks.count, blocks_of(largest_prefetch, block_size(itl)));
  Task& task = permit.park();
  task.request.context = this;
  task.rest = extent_of(blocks);
  if (!lease_second(task, side_buffer.value)) return;
  read_aside(task, &prefetched);
}

void BlockCommands::prefetched(Request& request, IoStatus outcome) noexcept {
  Task& task = task_of(request);
  BlockCommands& self = BlockCommands::self(request);
  if (self.ends(task, outcome)) return;
  if (task.rest.begin == task.rest.end) return self.finish(task, IoStatus::ok);
  self.go_on(task, [](Task& next) noexcept {
    BlockCommands& commands = BlockCommands::self(next.request);
    if (!commands.ends(next, IoStatus::ok)) commands.read_aside(next, &prefetched);
  });
}

// Every write is durable when it is answered.
void BlockCommands::run(TaskPermit permit, const command::SynchronizeCache& synchronize,
                        bool /*ready*/) {
  if (const auto bad = check_range(*permit.task().itl, synchronize.blocks)) {
    return sink_.answer(std::move(permit), *bad);
  }
  sink_.good(std::move(permit));
}

// Ends

void BlockCommands::go_on(Task& task, void (*next)(Task& task) noexcept) {
  task.later.go = next;
  sink_.port().reactor().post(task.later);
}

void BlockCommands::refused(Request& request, IoStatus outcome) noexcept {
  self(request).finish(task_of(request), outcome);
}

bool BlockCommands::lease_second(Task& task, std::uint64_t bytes) {
  if (requests_.lease_second(task.request, bytes)) return true;
  let_go(task);
  sink_.answer(TaskPermit::resume(task), status_without_room(task));
  return false;
}

bool BlockCommands::ends(Task& task, IoStatus outcome) {
  if (outcome == IoStatus::ok && !task.aborted) return false;
  finish(task, outcome == IoStatus::ok ? IoStatus::cancelled : outcome);
  return true;
}

void BlockCommands::let_go(Task& task) {
  if (task.request.stage == Request::Stage::held) requests_.leave(task.request);
  requests_.release_second(task.request);
}

void BlockCommands::finish(Task& task, const Sense& why) {
  let_go(task);
  sink_.answer(TaskPermit::resume(task), why);
}

void BlockCommands::finish(Task& task, IoStatus outcome) {
  const VolumeIo::Kind kind = task.request.io.kind;
  let_go(task);
  auto permit = TaskPermit::resume(task);
  TaskCounters& counters = task.itl->counters;
  if (outcome == IoStatus::ok) {
    const bool writes = kind == VolumeIo::Kind::write;
    TaskCounters::add(writes ? counters.write_commands : counters.other_commands);
    if (writes) TaskCounters::add(counters.bytes_written, task.request.io.data.size());
    return sink_.good(std::move(permit));
  }
  if (outcome == IoStatus::no_room) {
    task.itl->volume().overload().given_back(task.request.held_since, sink_.port().reactor().now());
    return sink_.answer(std::move(permit), status_without_room(task));
  }
  if (outcome == IoStatus::media_error) TaskCounters::add(counters.media_errors);
  const engine::VolumeState state = task.itl->volume().volume().state();
  const Outcome answer = outcome_of(outcome, kind, state);
  std::visit([&](const auto& what) { sink_.answer(std::move(permit), what); }, answer);
}

}  // namespace target::scsi
