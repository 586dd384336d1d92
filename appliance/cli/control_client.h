// One request to the daemon, by its control socket; or by TCP, if use_server() has said so.
#pragma once

#include <boost/json/value.hpp>
#include <cstdint>
#include <functional>
#include <string>

#include "appliance/cli/wire.h"
#include "engine/foundation/result.h"

namespace cli {

// From then on whatever is asked here goes to `server`, and no socket counts.
void use_server(Server server);

// The JSON answer of GET `resource`. The error is one line that says what to do.
[[nodiscard]] engine::Result<boost::json::value, std::string> get(const std::string& socket,
                                                                  const std::string& resource);

// The same with `body`. `if_match`: the hash of the configuration that it is for; empty: of any.
[[nodiscard]] engine::Result<boost::json::value, std::string> post(
    const std::string& socket, const std::string& resource, const boost::json::value& body,
    const std::string& if_match = {});

// What the daemon answers to a text, whether it says yes or no.
struct RawAnswer {
  unsigned status = 0;  // of HTTP
  boost::json::value body{};
};
// `if_match`: as above.
[[nodiscard]] engine::Result<RawAnswer, std::string> post_text(const std::string& socket,
                                                               const std::string& resource,
                                                               std::string text,
                                                               const std::string& if_match = {});

// Calls `take` with each event after `since`, until the daemon ends or does not answer: what is
// returned says which.
[[nodiscard]] std::string follow_events(
    const std::string& socket, std::uint64_t since,
    const std::function<void(const boost::json::value& event)>& take);

}  // namespace cli
