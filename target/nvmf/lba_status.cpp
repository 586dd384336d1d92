// AdminQueue: Get LBA Status, out of what is known of a volume without reading it.
#include <algorithm>
#include <cstring>
#include <vector>

#include "protocol/nvme/lba_status.h"
#include "target/block/block_status.h"
#include "target/nvmf/admin_queue.h"
#include "target/nvmf/subsystem.h"

namespace target::nvmf {

namespace nvme = protocol::nvme;
using nvme::Parsed;
using nvme::Refusal;

namespace {

// The blocks that are asked about; RL 0: up to the end.
Parsed<block::Extent> asked_blocks(const engine::Volume& volume,
                                   const nvme::GetLbaStatus& command) {
  const std::uint64_t size = volume.size().value;
  const std::uint64_t first = command.first.value;
  if (first >= size) return Refusal{nvme::status::lba_out_of_range, nvme::at_dword(10)};
  const std::uint64_t blocks = command.blocks.value == 0 ? size - first : command.blocks.value;
  if (blocks > size - first) return Refusal{nvme::status::lba_out_of_range, nvme::at_dword(13)};
  return block::Extent{.begin = {first}, .end = {first + blocks}};
}

}  // namespace

void AdminQueue::get_lba_status(CommandPermit permit, const nvme::GetLbaStatus& command,
                                bool data_is_ready) {
  if (command.length > controller_->subsystem().limits().max_transfer) {
    return refuse(std::move(permit), {nvme::status::invalid_field, nvme::at_dword(12)});
  }
  const auto page = lba_status(command);
  if (!page) return refuse(std::move(permit), page.error());
  const auto length = static_cast<std::uint32_t>(command.length.value);
  if (!data_is_ready) return permit.lease_for_host(length);
  const auto buffer = permit.command().buffer.bytes().first(length);
  std::ranges::fill(buffer, std::byte{0});
  std::ranges::copy(page.value(), buffer.begin());
  permit.respond_with_data(length);
}

Parsed<std::vector<std::byte>> AdminQueue::lba_status(const nvme::GetLbaStatus& command) const {
  const auto view = controller_->subsystem().view_for(controller_->association().host_nqn);
  const Namespace* const found = view->find(command.nsid.value);
  if (found == nullptr) return Refusal{nvme::status::invalid_namespace, nvme::at_byte(4)};
  const engine::Volume& volume = found->volume->volume();
  if (volume.state() == engine::VolumeState::late) {
    return Refusal{nvme::status::namespace_not_ready, nvme::at_byte(4)};
  }
  TRY(const block::Extent asked, asked_blocks(volume, command));
  std::vector<block::Extent> extents;
  switch (command.action) {
    case nvme::LbaStatusAction::allocated: {
      const block::Extent mapped = block::mapped_from(volume, asked.begin);
      extents.push_back({mapped.begin, std::min(mapped.end, asked.end)});
      break;
    }
    // A scan looks at the same list: what has to be read to be found out is Verify's, and the
    // operator's scrub.
    case nvme::LbaStatusAction::scan:
    case nvme::LbaStatusAction::tracked:
      extents = block::lost_in(volume, asked);
      break;
  }
  std::vector<nvme::BlockRange> ranges;
  for (const block::Extent& extent : extents) {
    ranges.push_back({.first = extent.begin, .count = {extent.end.value - extent.begin.value}});
  }
  return nvme::build_lba_status(ranges, command.length.value);
}

}  // namespace target::nvmf
