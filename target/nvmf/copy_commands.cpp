#include "target/nvmf/copy_commands.h"

#include <algorithm>
#include <array>

#include "target/nvmf/io_queue.h"
#include "target/nvmf/limits.h"

namespace target::nvmf {

namespace nvme = protocol::nvme;
using block::VolumeCopy;
using engine::VolumeIo;
using nvme::Parsed;
using nvme::Refusal;

namespace {

engine::BlockCount blocks_of(engine::ByteCount bytes, const block::BlockVolume& volume) {
  return {bytes.value / volume.volume().identity().block_size.bytes};
}

bool overlap(nvme::BlockRange a, nvme::BlockRange b) {
  return a.first < b.first + b.count && b.first < a.first + a.count;
}

}  // namespace

// ---- CopyCommands

void CopyCommands::start(Command& command, const nvme::Copy& copy) {
  all_.emplace_back(*this, command, copy);
  begin_waiting();
}

// Not from inside itself: the stack would grow with those that wait.
void CopyCommands::begin_waiting() {
  if (std::exchange(is_beginning_, true)) return;
  while (true) {
    const auto under_way = std::count_if(
        all_.begin(), all_.end(), [](const Copying& copying) { return copying.is_under_way; });
    if (static_cast<std::size_t>(under_way) >= most_at_once) break;
    const auto next = std::find_if(all_.begin(), all_.end(),
                                   [](const Copying& copying) { return !copying.is_under_way; });
    if (next == all_.end()) break;
    next->is_under_way = true;
    begin_range(*next);
  }
  is_beginning_ = false;
}

nvme::CopySource CopyCommands::source_of(const Copying& copying) const {
  const auto list = std::span<const std::byte>(copying.command.buffer.bytes())
                        .subspan(copying.command.data_offset);
  return nvme::copy_source(list, copying.copy, copying.range);
}

void CopyCommands::begin_range(Copying& copying) {
  if (copying.range == copying.copy.range_count) return end(copying, {nvme::status::success});
  const nvme::CopySource source = source_of(copying);
  const auto place = queue_.place_of_copy(copying.command, source);
  if (!place) return end(copying, place.error());
  const block::BlockVolume& from = *place.value().from;
  copying.copier.start(
      {.from = place.value().from,
       .to = place.value().to,
       .from_first = source.blocks.first,
       .to_first = copying.next_block,
       .bytes = (source.blocks.count * from.volume().identity().block_size).value});
}

void CopyCommands::copy_ended(VolumeCopy& copy, VolumeCopy::End how,
                              engine::IoStatus outcome) noexcept {
  Copying& copying = *std::find_if(all_.begin(), all_.end(),
                                   [&](const Copying& each) { return &each.copier == &copy; });
  switch (how) {
    case VolumeCopy::End::done:
      copying.next_block = copying.next_block + source_of(copying).blocks.count;
      ++copying.range;
      return begin_range(copying);
    case VolumeCopy::End::read_failed:
      return end(copying, {queue_.copy_failure(outcome, VolumeIo::Kind::read)});
    case VolumeCopy::End::write_failed:
      return end(copying, {queue_.copy_failure(outcome, VolumeIo::Kind::write)});
    case VolumeCopy::End::no_room:
      return end(copying, {queue_.copy_busy()});
    case VolumeCopy::End::cancelled:
      return end(copying, {nvme::status::aborted_queue_deleted});
  }
}

void CopyCommands::end(Copying& copying, const Refusal& result) {
  Refusal told = result;
  told.dword0 = result.status.is_success() ? 0 : copying.range;
  Command& command = copying.command;
  all_.remove_if([&](const Copying& each) { return &each == &copying; });
  queue_.copy_ended(command, told);
  begin_waiting();
}

bool CopyCommands::take_back(Copying& copying, nvme::Status status) {
  if (copying.is_under_way && !copying.copier.take_back()) return false;
  end(copying, {status});
  return true;
}

bool CopyCommands::abort(std::uint16_t command_id, nvme::Status status) {
  const auto found = std::find_if(all_.begin(), all_.end(), [&](const Copying& copying) {
    return copying.command.entry.command_id == command_id;
  });
  return found != all_.end() && take_back(*found, status);
}

// One that is at the disk goes on to the end of its range, and is looked at anew there.
void CopyCommands::preempted(const block::BlockVolume& volume) {
  const bool was_beginning = std::exchange(is_beginning_, true);  // nobody else comes or goes
  for (auto next = all_.begin(); next != all_.end();) {
    Copying& copying = *next++;
    if (copying.command.request.volume != &volume) continue;
    (void)take_back(copying, nvme::status::aborted_preempted);
  }
  is_beginning_ = was_beginning;
  begin_waiting();
}

void CopyCommands::end() {
  is_beginning_ = true;  // for good: none begins any more
  for (auto next = all_.begin(); next != all_.end();) {
    Copying& copying = *next++;
    if (!copying.is_under_way) end(copying, {nvme::status::aborted_queue_deleted});
  }
}

// ---- IoQueue

void IoQueue::run_copy(CommandPermit permit, const nvme::Copy& copy, bool data_is_ready) {
  Command& command = permit.command();
  NamespaceUse* const of_destination = use_;
  if (copy.format == nvme::CopyFormat::any_namespace && !owner_.copies_between_namespaces()) {
    return refuse(std::move(permit), {nvme::status::invalid_field, nvme::at_dword(12, 8)});
  }
  if (copy.range_count > most_copy_ranges) {
    return refuse(std::move(permit), {nvme::status::command_size_limit_exceeded});
  }
  const engine::ByteCount needed{std::uint64_t{copy.range_count} * nvme::copy_range_bytes};
  const auto data = host_data(permit, copy.data, needed, data_is_ready);
  if (!data) return;
  const auto checked = check_copy(command, copy, *data);
  if (!checked) return refuse(std::move(permit), checked.error());
  command.data_offset = static_cast<std::uint32_t>(data->data() - command.buffer.bytes().data());
  command.request.io.data = {};
  use_ = of_destination;
  (void)begin(permit);
  copies_.start(command, copy);
}

// All ranges are checked before the first is copied.
Parsed<void> IoQueue::check_copy(const Command& command, const nvme::Copy& copy,
                                 std::span<const std::byte> list) {
  const block::BlockVolume& to = *command.request.volume;
  engine::BlockCount total{};
  for (std::uint32_t i = 0; i < copy.range_count; ++i) {
    const engine::BlockCount blocks = nvme::copy_source(list, copy, i).blocks.count;
    if (blocks > blocks_of(largest_copy_range, to)) {
      return Refusal{nvme::status::command_size_limit_exceeded};
    }
    total = total + blocks;
  }
  if (total > blocks_of(largest_copy, to)) {
    return Refusal{nvme::status::command_size_limit_exceeded};
  }
  const nvme::BlockRange destination{copy.destination, total};
  const auto fits = check_range(to, destination);
  if (!fits.is_success()) return Refusal{fits, nvme::at_dword(10)};
  for (std::uint32_t i = 0; i < copy.range_count; ++i) {
    const nvme::CopySource source = nvme::copy_source(list, copy, i);
    // What is here moves through memory, however it is asked for.
    if (source.fast_only) return Refusal{nvme::status::fast_copy_not_possible};
    TRY(const auto place, place_of_copy(command, source));
    if (place.from->volume().identity().block_size != to.volume().identity().block_size) {
      return Refusal{nvme::status::incompatible_namespace};
    }
    const auto exists = check_range(*place.from, source.blocks);
    if (!exists.is_success()) return Refusal{exists};
    if (place.from == &to && overlap(source.blocks, destination)) {
      return Refusal{nvme::status::overlapping_io_range};
    }
  }
  return engine::success();
}

Parsed<CopyCommands::Queue::Place> IoQueue::place_of_copy(const Command& command,
                                                          const nvme::CopySource& source) {
  Place place;
  const struct {
    std::uint32_t nsid;
    block::ReservationAccess access;
    block::BlockVolume** volume;
  } sides[] = {{source.nsid.value, block::ReservationAccess::read, &place.from},
               {command.entry.nsid, block::ReservationAccess::write, &place.to}};
  for (const auto& side : sides) {
    Namespace* const found = owner_.find_namespace(side.nsid);
    if (found == nullptr) return Refusal{nvme::status::invalid_namespace};
    const auto reachable = check_access(*found);
    if (!reachable.is_success()) return Refusal{reachable};
    use_ = &use_of(*found);
    const auto permitted = check_reservations(side.access);
    if (!permitted.is_success()) return Refusal{permitted};
    *side.volume = found->volume;
  }
  return place;
}

void IoQueue::copy_ended(Command& command, const Refusal& result) {
  NamespaceUse::end(command);
  auto permit = CommandPermit::resume(command);
  const nvme::Status status = result.status;
  if (!is_error(status)) return permit.respond(status, result.dword0);
  refuse(std::move(permit), result);
}

}  // namespace target::nvmf
