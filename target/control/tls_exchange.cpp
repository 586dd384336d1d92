// serve_https(): an Exchange inside TLS.
#include <boost/asio/ssl/stream_base.hpp>
#include <boost/beast/ssl/ssl_stream.hpp>
#include <utility>

#include "target/control/exchange.h"
#include "target/control/tls_identity.h"

namespace target::control {

std::weak_ptr<HttpConnection> serve_https(HttpSocket socket, HttpVisit visit,
                                          const RouteTable& routes,
                                          std::shared_ptr<const TlsIdentity> identity) {
  auto& context = identity->context();
  const auto exchange = std::make_shared<Exchange<beast::ssl_stream<HttpStream>>>(
      std::move(visit), routes, std::move(identity), std::move(socket), context);
  exchange->start();
  return exchange;
}

}  // namespace target::control
