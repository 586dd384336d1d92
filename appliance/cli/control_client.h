// One request to the daemon's control socket.
#pragma once

#include <boost/json/value.hpp>
#include <cstdint>
#include <functional>
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

// What the daemon answers to a text, whether it says yes or no.
struct RawAnswer {
  unsigned status = 0;  // of HTTP
  boost::json::value body{};
};
[[nodiscard]] engine::Result<RawAnswer, std::string> post_text(const std::string& socket,
                                                               const std::string& resource,
                                                               std::string text);

// Calls `take` with each event after `since`, until the daemon ends or does not answer: what is
// returned says which.
[[nodiscard]] std::string follow_events(
    const std::string& socket, std::uint64_t since,
    const std::function<void(const boost::json::value& event)>& take);

}  // namespace cli
