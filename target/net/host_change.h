// HostChange: what the protocols tell of hosts that come, go or are turned away; for events.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "target/net/end_reason.h"

namespace target {

// Of a controller or a session: an I/O queue's connection, and discovery, are not worth one.
struct HostChange {
  enum class What : std::uint8_t { connected, ended, refused };
  What what = What::connected;
  const char* protocol = "nvme-tcp";
  std::string host{};      // its NQN or initiator name, as it says
  std::string exported{};  // the subsystem or target that it names
  std::string peer{};      // its address
  std::string listener{};
  std::string security = "none";
  std::optional<EndReason> end{};  // of one that has ended
  std::string why{};               // it was refused
};

// Any reactor's thread; must not wait, nor call who tells.
using HostObserver = std::function<void(const HostChange& change)>;

}  // namespace target
