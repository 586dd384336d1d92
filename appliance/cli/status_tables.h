// The tables of `forebayctl status`: of each thing one line, narrow enough for 80 columns as long
// as names are; the lists (volumes, hosts, pools, cache) have the rest. Each begins with an empty
// line, and is empty where there is nothing to list.
#pragma once

#include <boost/json/value.hpp>
#include <cstdint>
#include <string>

namespace cli {

// `status` is the daemon's /v1/status, `rates` what rates_between() has made of two of them, or
// null: nobody has looked twice. `now_ms` since 1970.
[[nodiscard]] std::string volumes_overview(const boost::json::value& status,
                                           const boost::json::value& rates);
[[nodiscard]] std::string caches_overview(const boost::json::value& status, std::uint64_t now_ms);
[[nodiscard]] std::string pools_overview(const boost::json::value& status);
// Those of the configuration and those that are there without it, by name, with all their paths.
[[nodiscard]] std::string hosts_overview(const boost::json::value& status);

}  // namespace cli
