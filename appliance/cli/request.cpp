#include "appliance/cli/request.h"

#include <fmt/format.h>

#include <boost/json/array.hpp>
#include <cstdio>

#include "appliance/cli/control_client.h"

namespace cli {

bool ask(const std::string& socket, const std::string& kind, const std::string& name,
         const std::string& what, const boost::json::object& how) {
  return answer_of(socket, kind, name, what, how).has_value();
}

std::optional<boost::json::value> answer_of(const std::string& socket, const std::string& kind,
                                            const std::string& name, const std::string& what,
                                            const boost::json::object& how) {
  // It stands in a path: what a name cannot contain would make another one of it.
  if (name.find_first_of("/?# %\r\n") != std::string::npos) {
    const char* const noun = kind == "caches"  ? "cache device"
                             : kind == "pools" ? "pool"
                                               : "volume";
    fmt::print(stderr, "forebayctl: there is no {} {}\n", noun, name);
    return std::nullopt;
  }
  const auto done = post(socket, "/v1/" + kind + "/" + name + "/" + what, how);
  if (done) return done.value();
  fmt::print(stderr, "forebayctl: {}\n", done.error());
  return std::nullopt;
}

boost::json::value find(const boost::json::value& status, const std::string& kind,
                        const std::string& name) {
  for (const auto& one : status.at(kind).as_array()) {
    if (one.at("name").as_string() == boost::json::string_view(name)) return one;
  }
  return {};
}

}  // namespace cli
