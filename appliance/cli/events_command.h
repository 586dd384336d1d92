// `forebayctl events`: what has changed its state, and with --follow what does.
#pragma once

#include <boost/json/value.hpp>
#include <cstdint>
#include <string>

#include "appliance/cli/output.h"

namespace cli {

struct EventsOptions {
  std::string socket;
  Format format = Format::table;
  bool follow = false;
  std::uint64_t since = 0;
  std::size_t last = 50;  // of those that there are; 0: all
};

// Prints them, or on stderr why not. The exit code; with `follow` only when the daemon ends (1).
[[nodiscard]] int show_events(const EventsOptions& options);

// One line for each of `events`, the daemon's /v1/events; the last `most`, or all for 0.
[[nodiscard]] std::string events_screen(const boost::json::value& events, std::size_t most);

}  // namespace cli
