// EndReason: why a connection ended. One line in the log, one label in metrics.
#pragma once

#include <cstddef>
#include <cstdint>

namespace target {

enum class EndReason : std::uint8_t {
  closed_by_host,   // TCP FIN, in order
  connection_lost,  // reset, or the socket failed
  protocol_error,   // the host broke the protocol, and has been told so where it can be
  host_terminated,  // NVMe: H2CTermReq was received
  connect_timeout,  // NVMe: no ICReq or no Connect in time
  idle_timeout,
  data_not_taken,      // it kept data of the cache pinned for long, and no buffer was free for it
  data_unreadable,     // what was being sent lies in memory that has gone bad
  keep_alive_timeout,  // NVMe: KATO passed
  controller_reset,    // NVMe: CC.EN 1 -> 0, or shutdown finished and the host left
  disconnected,        // NVMe: Fabrics Disconnect on this queue
  refused,             // Connect or login was refused; the host has been told why
  removed,             // configuration took it away
  login_timeout,       // iSCSI: no full feature phase in time
  logged_out,          // iSCSI: Logout, in order
  reinstated,          // iSCSI: the host logged in again in the place of this session
  nop_timeout,         // iSCSI: a NOP-In was not answered
  target_reset,        // iSCSI: TARGET COLD RESET
  authentication_failed,   // NVMe: the host has not proved who it is, or gives us up
  authentication_timeout,  // NVMe: a transaction has not ended in time
  stopping,                // the daemon ends
};
inline constexpr std::size_t end_reason_count = static_cast<std::size_t>(EndReason::stopping) + 1;
[[nodiscard]] const char* text(EndReason reason);

}  // namespace target
