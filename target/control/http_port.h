// HttpPort: HTTP on a TCP address, on the control thread.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "target/control/http.h"
#include "target/net/socket_address.h"

namespace boost::asio {
class io_context;
}

namespace target::control {

class TlsIdentity;

struct HttpPortOptions {
  std::string name;  // in log lines: "metrics"
  SocketAddress address;
  std::size_t most_clients = 16;  // at the same time; more wait in the backlog
  // Of those, from one network (Caller::network); more are sent away. 0: it does not matter.
  std::size_t most_of_network = 0;
  std::shared_ptr<Gatekeeper> gatekeeper{};          // null: everybody is Role::anyone
  std::shared_ptr<const TlsIdentity> identity = {};  // null: HTTP without TLS
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
  // Any thread: accepts nobody any more. Who is being served is served on, unless there is a
  // gatekeeper: then nobody is.
  virtual ~HttpPort() = default;

  // The context's thread. Whoever comes from now on is shown another identity.
  virtual void take(std::shared_ptr<const TlsIdentity> identity) = 0;
  // The same thread. Ends the connections of whom `is_meant` says so.
  virtual void end_clients(const std::function<bool(const Caller&)>& is_meant) = 0;
};

}  // namespace target::control
