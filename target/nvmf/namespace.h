// Namespace: a volume under a namespace identifier.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>

#include "target/block/access_state.h"
#include "target/block/block_volume.h"

namespace target::nvmf {

// ANA states (NVMe Base, Asymmetric Namespace Access); the group of a namespace is its own. What a
// host sees is the worse of its volume's and its listener's.
using AnaState = block::AccessState;

// A volume under a namespace identifier of one subsystem, and holds it. Kept by the subsystem's
// table, by the views that have it, and by those that have something under way with it
// (NamespaceUse, ReservationWatch) until that is over.
struct Namespace : std::enable_shared_from_this<Namespace> {
  std::uint32_t nsid = 0;
  std::uint32_t ana_group = 0;
  block::BlockVolume* volume = nullptr;
  engine::HoldCount::Hold hold{};
  std::atomic<AnaState> ana_state{AnaState::optimized};
  std::atomic<bool> removed{false};  // from its table, for good
};

}  // namespace target::nvmf
