// What a daemon has at one moment on account of its hosts, counted exactly.
#pragma once

#include <boost/json/value.hpp>
#include <cstdint>
#include <iosfwd>

namespace end_to_end {

struct Holdings {
  std::uint64_t connections = 0;   // objects: those that have ended and are not destroyed included
  std::uint64_t places = 0;        // taken of the listeners' max_connections
  std::uint64_t associations = 0;  // and sessions of iSCSI
  std::uint64_t timers = 0;        // but for the one with which each waiting listener tries again
  std::uint64_t disk_operations = 0;
  std::uint64_t removed_volumes = 0;

  bool operator==(const Holdings&) const = default;
};
std::ostream& operator<<(std::ostream& out, const Holdings& holdings);

// Out of what `forebayctl status --json` prints.
[[nodiscard]] Holdings holdings_of(const boost::json::value& status);

}  // namespace end_to_end
