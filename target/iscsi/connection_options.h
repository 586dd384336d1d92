// What a listener prescribes to its iSCSI connections: what they negotiate (RFC 7143, section 13)
// and how long they wait.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "engine/foundation/clock.h"
#include "protocol/iscsi/negotiation.h"

namespace target::iscsi {

// permitted: as the initiator asks; required: one that does not offer CRC32C is refused; refused:
// never granted.
using protocol::iscsi::DigestPolicy;

// What comes unasked must find room, however short memory is: the reserve has buffers of this size.
inline constexpr std::uint32_t largest_first_burst_bytes = 64U << 10;

struct ConnectionOptions {
  std::string listener;  // its name in the configuration
  DigestPolicy header_digest = DigestPolicy::permitted;
  DigestPolicy data_digest = DigestPolicy::permitted;
  // What is answered is never more generous than this; the initiator may narrow it.
  bool initial_r2t = false;    // true: no unsolicited Data-Out at all
  bool immediate_data = true;  // false: no data behind a command's header
  // FirstBurstLength, 512 .. largest_first_burst_bytes.
  std::uint32_t first_burst_bytes = 64U << 10;
  std::uint32_t max_burst_bytes = 1U << 20;  // MaxBurstLength, at least FirstBurstLength
  std::uint32_t max_outstanding_r2t = 4;     // of one task, 1 .. 8
  // MaxRecvDataSegmentLength that is declared: 4 KiB .. 16 MiB - 4.
  std::uint32_t max_receive_bytes = 256U << 10;
  // Commands that a session may have outstanding, 1 .. 1024: the CmdSN window is as deep.
  std::uint32_t queue_depth = 128;

  // Replies waiting for the initiator to read them; beyond it its commands are not read either.
  std::size_t output_bound_bytes = 4U << 20;
  // Transfer buffers that an initiator which does not read its replies, or does not send its data,
  // can tie up, and as much again with each volume; less when memory is short.
  std::size_t buffer_ceiling_bytes = 4U << 20;

  // 0: no limit.
  engine::Duration login_timeout = std::chrono::seconds(15);  // from accept to full feature phase
  // An initiator that has been silent for so long is asked (NOP-In) whether it is there ...
  engine::Duration nop_interval = std::chrono::seconds(30);
  // ... and has so long to answer.
  engine::Duration nop_timeout = std::chrono::seconds(30);
  // No byte arrives although the initiator owes some (the rest of a PDU, data asked for by R2T), or
  // none leaves although replies wait.
  engine::Duration stall_timeout = std::chrono::seconds(30);
  // A discovery session without a request ends after so long.
  engine::Duration discovery_timeout = std::chrono::minutes(2);
  // After the last reply the initiator has so long to close first.
  engine::Duration linger = std::chrono::seconds(2);
};

}  // namespace target::iscsi
