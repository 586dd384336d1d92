// The tables of the lists: volumes, pools, cache devices, hosts. Each begins with an empty line,
// and is empty where there is nothing to list.
#pragma once

#include <boost/json/value.hpp>
#include <cstdint>
#include <optional>
#include <string>

namespace cli {

struct HostView;

// `status` is the daemon's /v1/status.
[[nodiscard]] std::string volumes_table(const boost::json::value& status);
[[nodiscard]] std::string pools_table(const boost::json::value& status);
// Empty without a device pool.
[[nodiscard]] std::string members_table(const boost::json::value& status);
[[nodiscard]] std::string disks_table(const boost::json::value& status);
[[nodiscard]] std::string caches_table(const boost::json::value& status);
// `now_ms` since 1970.
[[nodiscard]] std::string cached_volumes_table(const boost::json::value& status,
                                               std::uint64_t now_ms);
[[nodiscard]] std::string listeners_table(const boost::json::value& status);
[[nodiscard]] std::string targets_table(const boost::json::value& status);
[[nodiscard]] std::string sessions_table(const boost::json::value& status);
// One line for each host, and one for each of its paths.
[[nodiscard]] std::string hosts_table(const boost::json::value& status);
[[nodiscard]] std::string paths_table(const boost::json::value& status);
// Of "volumes", "pools" or "caches": state, since when, and why. `now_ms` since 1970.
[[nodiscard]] std::string states_table(const boost::json::value& status, const char* kind,
                                       const char* heading, std::uint64_t now_ms);

// What the tables say of one pool, cache device, volume or host.
[[nodiscard]] std::string state_of_pool(const boost::json::value& pool);
[[nodiscard]] std::string state_of_cache(const boost::json::value& cache);
// "devdax, cache line"
[[nodiscard]] std::string media_in_words(const boost::json::value& cache);
// "write-back, journal"; "-": without a cache.
[[nodiscard]] std::string mode_of(const boost::json::value& volume);
// "87%"
[[nodiscard]] std::string percent_used(std::uint64_t size, std::uint64_t free);
// RPO: how old the moment is that the pool alone has the volume of; 0: it has everything. None:
// nobody knows.
[[nodiscard]] std::optional<std::uint64_t> pool_lag_seconds(const boost::json::value& volume,
                                                            std::uint64_t now_ms);

// By all of its connections.
struct HostPresence {
  std::size_t paths = 0;  // by which it is there
  std::uint64_t queues = 0;
  std::uint64_t seconds = 0;  // since the first of them
  std::string security{};     // "-": it is not there
};
[[nodiscard]] HostPresence presence_of(const HostView& host);

}  // namespace cli
