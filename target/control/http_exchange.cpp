#include "target/control/http_exchange.h"

#include <boost/asio/ssl/stream_base.hpp>
#include <utility>

#include "target/control/exchange.h"

namespace target::control {

std::weak_ptr<HttpConnection> serve_http(HttpSocket socket, HttpVisit visit,
                                         const RouteTable& routes) {
  const auto exchange =
      std::make_shared<Exchange<HttpStream>>(std::move(visit), routes, nullptr, std::move(socket));
  exchange->start();
  return exchange;
}

}  // namespace target::control
