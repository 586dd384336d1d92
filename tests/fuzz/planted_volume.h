// FuzzedVolume: the volume in memory behind a fuzzed connection. With FOREBAY_PLANTED_BUG it has
// the bug that a fuzzer has to find to be believed.
#pragma once

#include <cstddef>
#include <cstdint>

#include "tests/target/nvmf/held_volume.h"

namespace fuzz {

#ifdef FOREBAY_PLANTED_BUG
// A read that ends with the volume's last block reads one byte more.
class FuzzedVolume final : public target::nvmf::HeldVolume {
 public:
  using HeldVolume::HeldVolume;
  void submit(engine::IoLane& lane, engine::VolumeIo& io) override {
    const std::uint64_t blocks = size().value;
    if (io.kind == engine::VolumeIo::Kind::read && io.lba.value + io.blocks.value == blocks) {
      const auto last = block(blocks - 1);
      const volatile std::byte beyond = *(last.data() + last.size());
      (void)beyond;
    }
    HeldVolume::submit(lane, io);
  }
};
#else
using FuzzedVolume = target::nvmf::HeldVolume;
#endif

}  // namespace fuzz
