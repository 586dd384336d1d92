// One request to the daemon's control socket.
#pragma once

#include <boost/json/value.hpp>
#include <string>

#include "engine/foundation/result.h"

namespace cli {

// The JSON answer of GET `resource`. The error is one line that says what to do.
[[nodiscard]] engine::Result<boost::json::value, std::string> get(const std::string& socket,
                                                                  const std::string& resource);

// The same with `body`.
[[nodiscard]] engine::Result<boost::json::value, std::string> post(const std::string& socket,
                                                                   const std::string& resource,
                                                                   const boost::json::value& body);

}  // namespace cli
