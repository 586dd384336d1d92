// StageCounters: where reads and writes of blocks spend their time, stage by stage.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "target/reactor/latency_counters.h"

namespace target::block {

// A command's latency is what its stages took together. By the reactor's turns and the commits in
// them: what begins and ends within one of them took nothing.
enum class CommandStage : std::uint8_t {
  receive,   // from the turn that found it until all of its data and a buffer are there
  qos_wait,  // held back by the limits of its volume; only who was
  cache,     // what its volume takes besides: the order of overlapping writes, room, looking up
  commit,    // until the cache had it durably; only what was brought there
  backing,   // until the disks had done their part; only what reached them
  send,      // until the end of the turn that has handed its answer to the socket
};
inline constexpr std::size_t command_stages = 6;

// Of a volume's commands at a reactor, the first and every so manieth after it are timed stage by
// stage; all of them where the configuration names the volume. To time one takes as many
// instructions as to count ten.
inline constexpr std::uint32_t commands_for_one_timed = 64;

// A copy; by CommandStage.
using StageCounts = std::array<LatencyCounts, command_stages>;

// One reactor's; or what it counts of one volume. One thread adds; any thread copies.
class StageCounters {
 public:
  [[nodiscard]] LatencyCounters& of(CommandStage stage) {
    return stages_[static_cast<std::size_t>(stage)];
  }
  [[nodiscard]] StageCounts counts() const {
    StageCounts copy;
    for (std::size_t i = 0; i < command_stages; ++i) copy[i] = stages_[i].counts();
    return copy;
  }

 private:
  std::array<LatencyCounters, command_stages> stages_;
};

inline void add(StageCounts& sum, const StageCounts& other) {
  for (std::size_t i = 0; i < command_stages; ++i) sum[i] += other[i];
}

}  // namespace target::block
