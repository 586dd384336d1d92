#include "target/net/end_reason.h"

namespace target {

const char* text(EndReason reason) {
  switch (reason) {
    case EndReason::closed_by_host:
      return "closed by host";
    case EndReason::connection_lost:
      return "connection lost";
    case EndReason::protocol_error:
      return "protocol error";
    case EndReason::host_terminated:
      return "terminated by host";
    case EndReason::connect_timeout:
      return "no Connect in time";
    case EndReason::idle_timeout:
      return "host stalled";
    case EndReason::data_not_taken:
      return "host does not take its data, and there is no memory to keep it";
    case EndReason::data_unreadable:
      return "data cannot be read any more: bad memory";
    case EndReason::keep_alive_timeout:
      return "keep-alive timeout";
    case EndReason::controller_reset:
      return "controller reset";
    case EndReason::disconnected:
      return "disconnected";
    case EndReason::refused:
      return "refused";
    case EndReason::removed:
      return "removed from the configuration";
    case EndReason::login_timeout:
      return "no login in time";
    case EndReason::logged_out:
      return "logged out";
    case EndReason::reinstated:
      return "session reinstated by its host";
    case EndReason::nop_timeout:
      return "NOP-In not answered";
    case EndReason::target_reset:
      return "target reset";
    case EndReason::authentication_failed:
      return "authentication failed";
    case EndReason::authentication_timeout:
      return "no authentication in time";
    case EndReason::stopping:
      return "target stops";
  }
  return "unknown";
}

}  // namespace target
