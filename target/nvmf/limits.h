// Numbers that Identify and the discovery log tell hosts, and that commands are held to.
#pragma once

#include <chrono>
#include <cstdint>

#include "engine/foundation/clock.h"
#include "engine/foundation/units.h"
#include "target/block/block_volume.h"

namespace target::nvmf {

inline constexpr std::uint32_t admin_queue_entries = 128;  // ASQSZ; more is refused
inline constexpr std::uint32_t async_event_limit = 4;      // AERL, honest
inline constexpr std::uint32_t abort_limit = 4;            // ACL, honest
inline constexpr std::uint32_t error_log_entries = 64;     // ELPE, honest

// CRDT1 to 3: how long a host should wait before it sends a command again that failed of something
// that passes, the first, second and third time. Without it a Linux host tries five times at once
// and gives up.
inline constexpr std::chrono::milliseconds retry_delays[3]{std::chrono::milliseconds(1000),
                                                           std::chrono::milliseconds(2000),
                                                           std::chrono::milliseconds(5000)};

// KAS: Keep Alive Timeouts are rounded up to this.
inline constexpr std::chrono::milliseconds keep_alive_granularity{1000};
// A discovery controller whose host asked for no keep-alive ends after so long without a command
// (Base 2.1, "Discovery Controller").
inline constexpr std::chrono::minutes discovery_activity_timeout{2};
// A disabled or shut-down controller keeps its association at least this long (Base 2.1,
// "Controller Shutdown"), and not longer.
inline constexpr std::chrono::minutes idle_association_timeout{2};

// DMRSL and DMSL count blocks, whatever their size on a namespace: what is left of the limit with
// the largest blocks.
inline constexpr std::uint32_t dataset_range_blocks =
    static_cast<std::uint32_t>(block::largest_zeroing.value / 4096);

// WZSL. Not largest_zeroing: a Linux host takes the limit as it is and cuts the number of blocks
// down to NLB's 16 bits without a word, so that a longer request would leave the rest as it was and
// succeed. As many of the smallest blocks as one command can name. It is what a host should keep
// to; what NLB can say is done, whatever the blocks are.
inline constexpr engine::ByteCount write_zeroes_limit{65536ULL * 512};
static_assert(65536ULL * 4096 <= block::largest_zeroing.value);

// Of one source range of Copy (MSSRL), of all together (MCL) and how many (MSRC): on slow disks too
// it is over before a host loses its patience.
inline constexpr engine::ByteCount largest_copy_range{16U << 20};
inline constexpr engine::ByteCount largest_copy{64U << 20};
inline constexpr std::uint32_t most_copy_ranges = 128;

// There is no sensor: a volume has no temperature. What is shown is a room's, so that tools that
// know only drives see nothing wrong.
inline constexpr std::uint16_t nominal_temperature_kelvin = 298;
inline constexpr std::uint16_t warning_temperature_kelvin = 343;
inline constexpr std::uint16_t critical_temperature_kelvin = 353;

}  // namespace target::nvmf
