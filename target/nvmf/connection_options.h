// What a listener prescribes to its NVMe/TCP connections.
#pragma once

#include <cstdint>
#include <string>

#include "engine/foundation/clock.h"
#include "target/net/pdu_connection.h"

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

  // 0: no limit.
  engine::Duration icreq_timeout = std::chrono::seconds(10);    // from accept to ICReq
  engine::Duration connect_timeout = std::chrono::seconds(10);  // from ICResp to bind()

  PduConnectionLimits limits{};
};

}  // namespace target::nvmf
