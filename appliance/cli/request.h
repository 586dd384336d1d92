// What forebayctl asks of a volume, pool or cache device of the daemon.
#pragma once

#include <boost/json/object.hpp>
#include <boost/json/value.hpp>
#include <optional>
#include <string>

namespace cli {

// `kind`: "volumes", "pools" or "caches", as in the daemon's API. False: it was not done, and
// stderr says why.
[[nodiscard]] bool ask(const std::string& socket, const std::string& kind, const std::string& name,
                       const std::string& what, const boost::json::object& how);

// The same, with what the daemon answers; nullopt: it was not done.
[[nodiscard]] std::optional<boost::json::value> answer_of(const std::string& socket,
                                                          const std::string& kind,
                                                          const std::string& name,
                                                          const std::string& what,
                                                          const boost::json::object& how);

// The status of one of them, out of the daemon's; null: it does not know it.
[[nodiscard]] boost::json::value find(const boost::json::value& status, const std::string& kind,
                                      const std::string& name);

}  // namespace cli
