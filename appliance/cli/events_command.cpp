#include "appliance/cli/events_command.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <cstdio>
#include <utility>

#include "appliance/cli/control_client.h"
#include "appliance/cli/json_view.h"
#include "appliance/cli/table.h"
#include "appliance/cli/time_text.h"

namespace cli {
namespace {

namespace json = boost::json;

std::string line_of(const json::value& event) {
  const bool is_trouble = text(event, "severity") != "info";
  return fmt::format("{}{}  {}  {}{}{}\n", is_trouble ? "! " : "  ",
                     time_text(number(event, "time_ms")), text(event, "name"),
                     text(event, "subject"), text(event, "subject").empty() ? "" : ": ",
                     text(event, "text"));
}

// The last of them, as the daemon would answer.
json::value last_of(const json::value& answer, std::size_t most) {
  json::object kept = answer.as_object();
  json::array& events = kept["events"].as_array();
  if (most != 0 && events.size() > most) {
    events.erase(events.begin(), events.end() - static_cast<std::ptrdiff_t>(most));
  }
  return kept;
}

void print_event(const json::value& event, Format format) {
  if (format == Format::table) return print(line_of(event));
  if (format == Format::yaml) fmt::print("---\n");
  print(event, format);
}

int follow(const EventsOptions& options, std::uint64_t since) {
  const std::string reason = follow_events(
      options.socket, since, [&options](const auto& event) { print_event(event, options.format); });
  fmt::print(stderr, "forebayctl: {}\n", reason);
  return 1;
}

}  // namespace

int show_events(const EventsOptions& options) {
  const auto answer = get(options.socket, fmt::format("/v1/events?since={}", options.since));
  if (!answer) {
    fmt::print(stderr, "forebayctl: {}\n", answer.error());
    return 1;
  }
  const json::value shown = last_of(answer.value(), options.last);
  if (options.follow) {
    for (const auto& event : list(shown, "events")) print_event(event, options.format);
    return follow(options, number(shown, "last_id"));
  }
  if (options.format == Format::table) {
    print(events_screen(answer.value(), options.last));
  } else {
    print(shown, options.format);
  }
  return 0;
}

std::string events_screen(const json::value& events, std::size_t most) {
  const json::value shown = last_of(events, most);
  std::string out;
  for (const auto& event : list(shown, "events")) out += line_of(event);
  if (out.empty()) out = "No events.\n";
  if (flag(events, "has_gap")) out = "(older events are not kept any more)\n" + out;
  return out;
}

}  // namespace cli
