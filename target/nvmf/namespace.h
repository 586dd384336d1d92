// Namespace: a volume under a namespace identifier.
#pragma once

#include <atomic>
#include <cstdint>

#include "target/block/access_state.h"
#include "target/block/block_volume.h"

namespace target::nvmf {

// ANA states (NVMe Base, Asymmetric Namespace Access); the group of a namespace is its own. What a
// host sees is the worse of its volume's and its listener's.
using AnaState = block::AccessState;

// A volume under a namespace identifier of one subsystem. Lives as long as the subsystem's table
// says; an I/O queue looks it up for each command and keeps the pointer only until the command
// ends.
struct Namespace {
  std::uint32_t nsid = 0;
  std::uint32_t ana_group = 0;
  block::BlockVolume* volume = nullptr;
  std::atomic<AnaState> ana_state{AnaState::optimized};
};

}  // namespace target::nvmf
