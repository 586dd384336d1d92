#include "tests/client/iscsi_connection.h"

namespace client::iscsi {
namespace {

using SteadyClock = std::chrono::steady_clock;

}  // namespace

Result<std::unique_ptr<Connection>> Connection::connect(const Endpoint& endpoint,
                                                        Milliseconds time_out,
                                                        std::optional<int> receive_buffer_bytes) {
  TRY(const int socket, connect_socket(endpoint, time_out, receive_buffer_bytes));
  return std::make_unique<Connection>(socket);
}

Result<void> Connection::send(const Pdu& pdu, Milliseconds time_out) {
  return send(encode(pdu, framing), time_out);
}

Result<ReceivedPdu> Connection::receive(Milliseconds time_out) {
  const auto deadline = SteadyClock::now() + time_out;
  for (;;) {
    TRY(auto pdu, take_pdu(buffer_, framing));
    if (!pdu) {
      TRY(fill(deadline));
      continue;
    }
    if (!pdu->padding_is_zero) return violation("padding is not zero", *pdu);
    return std::move(*pdu);
  }
}

Result<Ending> Connection::await_end(Milliseconds time_out, std::vector<ReceivedPdu>* before) {
  const auto deadline = SteadyClock::now() + time_out;
  for (;;) {
    auto pdu = receive(
        std::max(Milliseconds{0}, std::chrono::ceil<Milliseconds>(deadline - SteadyClock::now())));
    if (pdu) {
      if (before != nullptr) before->push_back(std::move(pdu.value()));
      continue;
    }
    if (pdu.error().kind == ErrorKind::closed) return Ending::closed;
    if (pdu.error().kind == ErrorKind::reset) return Ending::reset;
    return pdu.error();
  }
}

}  // namespace client::iscsi
