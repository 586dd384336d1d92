#include "tests/client/connection.h"

namespace client {
namespace {

using SteadyClock = std::chrono::steady_clock;

}  // namespace

Result<std::unique_ptr<RawConnection>> RawConnection::connect(
    const Endpoint& endpoint, Milliseconds time_out, std::optional<int> receive_buffer_bytes) {
  TRY(const int socket, connect_socket(endpoint, time_out, receive_buffer_bytes));
  return std::make_unique<RawConnection>(socket);
}

Result<std::unique_ptr<RawConnection>> RawConnection::connect(const Endpoint& endpoint,
                                                              const TlsOptions& tls,
                                                              Milliseconds time_out) {
  TRY(auto tunnel, TlsTunnel::open(endpoint, tls, time_out));
  auto connection = std::make_unique<RawConnection>(tunnel->take_socket());
  connection->tunnel_ = std::move(tunnel);
  return connection;
}

Result<void> RawConnection::send(const Pdu& pdu, Milliseconds time_out) {
  return send(encode(pdu, outgoing), time_out);
}

Result<ReceivedPdu> RawConnection::receive(Milliseconds time_out) {
  const auto deadline = SteadyClock::now() + time_out;
  for (;;) {
    TRY(auto pdu, take_pdu(buffer_, incoming));
    if (pdu) return std::move(*pdu);
    TRY(fill(deadline));
  }
}

Result<Ending> RawConnection::await_end(Milliseconds time_out, std::vector<ReceivedPdu>* before) {
  const auto deadline = SteadyClock::now() + time_out;
  for (;;) {
    auto filled = fill(deadline);
    for (;;) {
      auto pdu = take_pdu(buffer_, incoming);
      if (!pdu) return pdu.error();
      if (!pdu.value()) break;
      if (before != nullptr) before->push_back(std::move(*pdu.value()));
    }
    if (filled) continue;
    if (filled.error().kind == ErrorKind::closed) return Ending::closed;
    if (filled.error().kind == ErrorKind::reset) return Ending::reset;
    return filled.error();
  }
}

}  // namespace client
