// StreamSecurity: what a stream has proved of its peer.
#pragma once

#include <string>

namespace target {

struct StreamSecurity {
  std::string text;           // for status and log, without blanks: "tls1.3/aes-128-gcm/KEY"
  std::string host_nqn;       // whose key it was
  std::string subsystem_nqn;  // and for what
  // Of a PSK that authentication has made (GeneratedKeys); empty: the key is a configured one.
  std::string generated_identity{};
};

}  // namespace target
