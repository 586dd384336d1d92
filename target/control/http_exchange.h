// HttpExchange: one client's connection, whatever it has come by; reads requests within limits of
// size and time, has a RouteTable answer them, and sends the answers.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/basic_stream_socket.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <chrono>
#include <cstddef>
#include <memory>

#include "target/control/http.h"

namespace target::control {

class TlsIdentity;

struct HttpLimits {
  std::size_t header_bytes = 16 << 10;
  std::chrono::milliseconds request_time{
      10'000};  // from its first byte, or the connection's, to its last
  std::chrono::milliseconds handshake_time{5'000};  // of TLS
  std::chrono::milliseconds answer_time{10'000};    // for the client to take it
  std::chrono::milliseconds idle_time{60'000};      // between two requests of one connection
  bool keep_alive = false;                          // false: one request, one answer, then closed
  std::size_t unsent_bytes = 256 << 10;  // of an OpenAnswer whose client does not take it
};

using HttpSocket = boost::asio::basic_stream_socket<boost::asio::generic::stream_protocol,
                                                    boost::asio::any_io_executor>;

// One client's connection, for who is to end it before its time; thread of its executor.
class HttpConnection {
 public:
  HttpConnection() = default;
  HttpConnection(const HttpConnection&) = delete;
  HttpConnection& operator=(const HttpConnection&) = delete;
  virtual ~HttpConnection() = default;

  virtual void end() = 0;
  // Of its last request; before the first, as the transport knows it.
  [[nodiscard]] virtual const Caller& caller() const = 0;
};

struct HttpVisit {
  Caller caller{};  // as the transport knows it
  HttpLimits limits{};
  std::shared_ptr<void> slot{};  // let go when nothing is left of the exchange
  // Asked about each request; null: `caller` is all there is to know.
  std::shared_ptr<Gatekeeper> gatekeeper{};
};

// Serves the client until it or its time ends; thread of the socket's executor, which is one
// thread. `routes` outlives that executor's last task.
std::weak_ptr<HttpConnection> serve_http(HttpSocket socket, HttpVisit visit,
                                         const RouteTable& routes);
// The same inside TLS. A handshake must be over within HttpLimits::handshake_time.
std::weak_ptr<HttpConnection> serve_https(HttpSocket socket, HttpVisit visit,
                                          const RouteTable& routes,
                                          std::shared_ptr<const TlsIdentity> identity);

}  // namespace target::control
