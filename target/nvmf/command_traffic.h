// What I/O commands count as among the limits of their volume (docs/qos.md).
#pragma once

#include <cstdint>
#include <optional>

#include "protocol/nvme/io_command.h"
#include "target/block/block_volume.h"

namespace target::nvmf {

// nullopt: it is free, as is what is going to be refused for its length.
[[nodiscard]] std::optional<block::Traffic> traffic_of(const protocol::nvme::IoCommand& command,
                                                       const block::BlockVolume& volume,
                                                       std::uint32_t largest_transfer_bytes);

}  // namespace target::nvmf
