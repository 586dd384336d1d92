#include "target/scsi/traffic.h"

#include <algorithm>
#include <cstdint>
#include <variant>

#include "target/scsi/block_range.h"
#include "target/scsi/data_phase.h"
#include "target/scsi/unit_limits.h"

namespace target::scsi {

namespace command = protocol::scsi;
using block::Traffic;

namespace {

using Counted = std::optional<Traffic>;

struct TrafficOf {
  const Task& task;

  Counted operator()(const command::Read& c) const {
    const std::uint64_t bytes = std::min<std::uint64_t>(bytes_of(c.blocks), host_takes(task));
    if (bytes == 0) return std::nullopt;
    return Traffic{Traffic::Kind::read, bytes};
  }
  Counted operator()(const command::Verify& c) const {
    if (c.blocks.count.value == 0) return std::nullopt;
    return Traffic{Traffic::Kind::read, bytes_of(c.blocks)};
  }
  Counted operator()(const command::Prefetch& c) const {
    if (c.immediate) return std::nullopt;
    std::uint64_t bytes = largest_prefetch.value;
    if (c.blocks.count.value != 0) bytes = std::min(bytes, bytes_of(c.blocks));
    return Traffic{Traffic::Kind::read, bytes};
  }
  Counted operator()(const command::Write& c) const { return sent(c.blocks); }
  Counted operator()(const command::WriteAtomic& c) const { return sent(c.blocks); }
  Counted operator()(const command::WriteAndVerify& c) const { return sent(c.blocks); }
  Counted operator()(const command::CompareAndWrite& c) const { return sent(c.blocks); }
  Counted operator()(const command::OrWrite& c) const { return sent(c.blocks); }
  Counted operator()(const command::WriteSame& c) const {
    if (c.blocks.count > largest_write_same(block_size(*task.itl))) return std::nullopt;
    return Traffic{Traffic::Kind::write, c.no_data_out ? 0 : bytes_of(c.blocks)};
  }
  Counted operator()(const command::Unmap& /*c*/) const { return Traffic{Traffic::Kind::write, 0}; }
  // What is told from memory, and what is counted elsewhere: copies, piece by piece.
  template <class Other>
  Counted operator()(const Other& /*c*/) const {
    return std::nullopt;
  }

  [[nodiscard]] std::uint64_t bytes_of(command::BlockRange blocks) const {
    return (blocks.count * block_size(*task.itl)).value;
  }
  // What the host has to write, of those blocks.
  [[nodiscard]] Counted sent(command::BlockRange blocks) const {
    const std::uint64_t bytes = std::min<std::uint64_t>(bytes_of(blocks), host_sends(task));
    if (bytes == 0 || bytes > largest_transfer.value) return std::nullopt;
    return Traffic{Traffic::Kind::write, bytes};
  }
};

}  // namespace

std::optional<Traffic> traffic_of(const Task& task, const command::Command& command) {
  return std::visit(TrafficOf{task}, command);
}

}  // namespace target::scsi
