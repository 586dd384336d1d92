// HttpPort: HTTP on a TCP address, on the control thread.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "target/control/http.h"
#include "target/net/socket_address.h"

namespace boost::asio {
class io_context;
}

namespace target::control {

struct HttpPortOptions {
  std::string name;  // in log lines: "metrics"
  SocketAddress address;
  std::size_t most_clients = 16;  // at the same time; more wait in the backlog
};

// Serves `routes` to whoever reaches the address. One that cannot be bound, because somebody else
// has it or the machine does not have it yet, is tried again every second; the log says so once.
class HttpPort {
 public:
  // `context` is run by one thread, and outlives the port. Whoever connects from now on is served,
  // if the address could be bound.
  static std::unique_ptr<HttpPort> open(boost::asio::io_context& context, HttpPortOptions options,
                                        std::vector<Route> routes);
  HttpPort() = default;
  HttpPort(const HttpPort&) = delete;
  HttpPort& operator=(const HttpPort&) = delete;
  // Any thread: accepts nobody any more. Who is being served is served on.
  virtual ~HttpPort() = default;
};

}  // namespace target::control
