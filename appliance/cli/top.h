// `forebayctl top`: what volumes and hosts do at this moment, out of two looks at the status.
#pragma once

#include <boost/json/value.hpp>
#include <cstdint>
#include <string>

#include "appliance/cli/output.h"

namespace cli {

struct TopOptions {
  std::string socket;
  Format format = Format::table;
  double interval_seconds = 2;
  std::uint64_t count = 0;  // tables to show; 0: until SIGINT
};

// Shows one table after the other, on a terminal in its place. The exit code.
[[nodiscard]] int show_top(const TopOptions& options);

// What happened between two looks: {"seconds": N, "volumes": [...], "hosts": [...]}, all of them
// rates for a second. What has begun in between counts from nothing.
[[nodiscard]] boost::json::value rates_between(const boost::json::value& before,
                                               const boost::json::value& after, double seconds);
// As tables show them, of one volume out of `rates`: "41.2k"; "310/95", of reads and of writes, by
// the key of a percentile; "93%". "-": there was none.
[[nodiscard]] std::string count_text(double count);
[[nodiscard]] std::string latencies_text(const boost::json::value& volume, const char* percentile);
[[nodiscard]] std::string hits_text(const boost::json::value& volume);
// The busiest first.
[[nodiscard]] std::string top_screen(const boost::json::value& rates);

}  // namespace cli
