#include "target/process_limits.h"

#include <fmt/format.h>
#include <sys/resource.h>

namespace target {

std::optional<std::string> raise_descriptor_limit(std::uint64_t needed) {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return std::nullopt;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);  // what was achieved is read back below
  getrlimit(RLIMIT_NOFILE, &limit);
  if (limit.rlim_cur >= needed) return std::nullopt;
  return fmt::format(
      "may open {} files, but {} may be needed (connections, volumes, reactors); raise "
      "LimitNOFILE= of the unit, "
      "or lower max_connections of the listeners",
      limit.rlim_cur, needed);
}

}  // namespace target
