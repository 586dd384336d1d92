// What forebayctl asks of a volume, pool or cache device of the daemon.
#pragma once

#include <boost/json/object.hpp>
#include <boost/json/value.hpp>
#include <string>

#include "engine/foundation/result.h"

namespace cli {

// Asks, and gives what the daemon answers; the error is one line that says why it was not done.
// `kind`: "volumes", "pools", "caches", "paths" or "tokens", as in the daemon's API.
[[nodiscard]] engine::Result<boost::json::value, std::string> ask(
    const std::string& socket, const std::string& kind, const std::string& name,
    const std::string& what, const boost::json::object& how, const std::string& if_match = {});

// The status of one of them, out of the daemon's; null: it does not know it.
[[nodiscard]] boost::json::value find(const boost::json::value& status, const std::string& kind,
                                      const std::string& name);

}  // namespace cli
