#include "appliance/cli/request.h"

#include <fmt/format.h>

#include <boost/json/array.hpp>

#include "appliance/cli/control_client.h"

namespace cli {

engine::Result<boost::json::value, std::string> ask(
    const std::string& socket, const std::string& kind, const std::string& name,
    const std::string& what, const boost::json::object& how, const std::string& if_match) {
  // It stands in a path: what a name cannot contain would make another one of it.
  if (name.find_first_of("/?# %\r\n") != std::string::npos) {
    const char* const noun = kind == "caches"   ? "cache device"
                             : kind == "pools"  ? "pool"
                             : kind == "tokens" ? "token"
                                                : "volume";
    return fmt::format("there is no {} {}", noun, name);
  }
  return post(socket, "/v1/" + kind + "/" + name + "/" + what, how, if_match);
}

boost::json::value find(const boost::json::value& status, const std::string& kind,
                        const std::string& name) {
  for (const auto& one : status.at(kind).as_array()) {
    if (one.at("name").as_string() == boost::json::string_view(name)) return one;
  }
  return {};
}

}  // namespace cli
