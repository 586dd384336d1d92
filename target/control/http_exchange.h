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

struct HttpLimits {
  std::size_t header_bytes = 16 << 10;
  std::chrono::milliseconds request_time{
      10'000};  // from its first byte, or the connection's, to its last
  std::chrono::milliseconds answer_time{10'000};  // for the client to take it
  std::chrono::milliseconds idle_time{60'000};    // between two requests of one connection
  bool keep_alive = false;                        // false: one request, one answer, then closed
  std::size_t unsent_bytes = 256 << 10;           // of an OpenAnswer whose client does not take it
};

using HttpSocket = boost::asio::basic_stream_socket<boost::asio::generic::stream_protocol,
                                                    boost::asio::any_io_executor>;

// Serves the client until it or its time ends; thread of the socket's executor, which is one
// thread. `routes` outlives that executor's last task. `slot` is let go when nothing is left of
// the exchange.
void serve_http(HttpSocket socket, Caller caller, const RouteTable& routes, HttpLimits limits,
                std::shared_ptr<void> slot);

}  // namespace target::control
