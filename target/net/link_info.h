// LinkInfo: between whom a connection is, and what its two ends settled on.
#pragma once

#include <memory>
#include <string>

#include "target/net/stream_security.h"

namespace target {

// For logs, status, and decisions at Connect or login.
struct LinkInfo {
  std::string peer_address;   // "192.0.2.1:51000"
  std::string local_address;  // "192.0.2.10:4420"
  std::string listener;       // its name in the configuration
  bool header_digest = false;
  bool data_digest = false;
  std::string security = "none";                 // for status and log; no blanks
  std::shared_ptr<const StreamSecurity> proved;  // by TLS; nullptr: nothing
};

}  // namespace target
