// The tables of the lists: volumes, pools, cache devices, hosts. Each begins with an empty line,
// and is empty where there is nothing to list.
#pragma once

#include <boost/json/value.hpp>
#include <cstdint>
#include <string>

namespace cli {

// `status` is the daemon's /v1/status.
[[nodiscard]] std::string volumes_table(const boost::json::value& status);
[[nodiscard]] std::string pools_table(const boost::json::value& status);
// Empty without a device pool.
[[nodiscard]] std::string members_table(const boost::json::value& status);
[[nodiscard]] std::string disks_table(const boost::json::value& status);
[[nodiscard]] std::string caches_table(const boost::json::value& status);
[[nodiscard]] std::string cached_volumes_table(const boost::json::value& status);
[[nodiscard]] std::string targets_table(const boost::json::value& status);
[[nodiscard]] std::string sessions_table(const boost::json::value& status);
// One line for each host, and one for each of its paths.
[[nodiscard]] std::string hosts_table(const boost::json::value& status);
[[nodiscard]] std::string paths_table(const boost::json::value& status);
// Of "volumes", "pools" or "caches": state, since when, and why. `now_ms` since 1970.
[[nodiscard]] std::string states_table(const boost::json::value& status, const char* kind,
                                       const char* heading, std::uint64_t now_ms);

}  // namespace cli
