// What a listener prescribes to its NVMe/TCP connections, and what they count.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>

#include "engine/foundation/clock.h"
#include "target/nvmf/command.h"

namespace target::nvmf {

enum class DigestPolicy : std::uint8_t {
  permitted,  // each of header and data digest as the host asks
  required,   // a host that does not ask for both is refused
  refused,    // never granted
};

struct ConnectionOptions {
  std::string listener;  // its name in the configuration
  DigestPolicy digests = DigestPolicy::permitted;
  // Lets C2HData with SUCCESS stand for the response where SQ flow control is disabled.
  bool c2h_success = true;
  // Of I/O queues, 4 KiB to 64 KiB. Admin queues, and any queue until its Connect, take 8 KiB.
  std::uint32_t in_capsule_bytes = 8192;
  // R2Ts that one command may have outstanding, at most 8; the host's MAXR2T also bounds it.
  std::uint32_t max_r2t = 4;
  // Most bytes asked for by one R2T where several may be outstanding; 0: everything that is
  // missing.
  std::uint32_t r2t_bytes = 256 * 1024;
  std::uint32_t max_h2c_data_bytes = 128 * 1024;  // MAXH2CDATA; at least 4096, a multiple of 4

  // Replies waiting for the host to read them; beyond it the host's commands are not read either.
  std::size_t output_bound_bytes = 4U << 20;
  // Transfer buffers that a host which does not read its replies, or does not send its data, can
  // tie up, together with what its replies keep pinned in the cache, and as much again with each
  // volume; less when memory is short. One command beside nothing else may have more.
  std::size_t buffer_ceiling_bytes = 4U << 20;

  // 0: no limit.
  engine::Duration icreq_timeout = std::chrono::seconds(10);    // from accept to ICReq
  engine::Duration connect_timeout = std::chrono::seconds(10);  // from ICResp to bind()
  // No byte arrives although the host owes some (the rest of a PDU, data asked for by R2T), or none
  // leaves although replies wait. Who owes nothing may be silent for ever.
  engine::Duration stall_timeout = std::chrono::seconds(30);
  // After the last reply, or C2HTermReq, the host has so long to close first.
  engine::Duration linger = std::chrono::seconds(2);
};

// Of all connections of one daemon or listener; relaxed, any thread.
struct ConnectionCounters {
  std::atomic<std::uint64_t> opened{0};
  std::atomic<std::uint64_t> closed{0};
  std::atomic<std::uint64_t> bytes_received{0};
  std::atomic<std::uint64_t> bytes_sent{0};
  std::atomic<std::uint64_t> header_digest_errors{0};
  std::atomic<std::uint64_t> data_digest_errors{0};
  std::atomic<std::uint64_t> protocol_errors{0};  // C2HTermReqs sent, header digest errors included
  std::atomic<std::uint64_t> host_terminations{0};
  std::atomic<std::uint64_t> timeouts{0};
  std::atomic<std::uint64_t> buffer_waits{0};   // commands that had to wait for a transfer buffer
  std::atomic<std::uint64_t> pins_copied{0};    // replies that lay in the cache for too long
  std::atomic<std::uint64_t> hang_refusals{0};  // sent back because their volume hangs
  // By EndReason: why connections ended.
  std::array<std::atomic<std::uint64_t>, end_reason_count> ended{};
};

}  // namespace target::nvmf
