// An NVMe/TCP connection that sends any bytes and hands back whole PDUs: the raw layer for hostile
// tests.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "tests/client/byte_connection.h"
#include "tests/client/pdu.h"
#include "tests/client/tls_tunnel.h"

namespace client {

class RawConnection : public ByteConnection {
 public:
  static Result<std::unique_ptr<RawConnection>> connect(
      const Endpoint& endpoint, Milliseconds time_out = default_time_out,
      std::optional<int> receive_buffer_bytes = {});
  // The same inside TLS. Errors: those of TlsTunnel::open().
  static Result<std::unique_ptr<RawConnection>> connect(const Endpoint& endpoint,
                                                        const TlsOptions& tls,
                                                        Milliseconds time_out = default_time_out);
  using ByteConnection::ByteConnection;
  // nullptr: it is plain.
  [[nodiscard]] TlsTunnel* tunnel() { return tunnel_.get(); }

  // Framing used by send(Pdu) and receive(); set it after ICReq/ICResp. Plain at first.
  Framing outgoing;
  Framing incoming;

  using ByteConnection::send;
  [[nodiscard]] Result<void> send(const Pdu& pdu, Milliseconds time_out = default_time_out);

  // The next PDU, whatever it is. Errors: time_out, closed (also in the middle of a PDU; the text
  // says so), reset, violation (a PDU whose end cannot be found).
  [[nodiscard]] Result<ReceivedPdu> receive(Milliseconds time_out = default_time_out);

  // Reads until the peer ends the connection; PDUs that come before are appended to `before` when
  // given. Errors: time_out when the connection is still open then.
  [[nodiscard]] Result<Ending> await_end(Milliseconds time_out = default_time_out,
                                         std::vector<ReceivedPdu>* before = nullptr);

 private:
  std::unique_ptr<TlsTunnel> tunnel_;
};

}  // namespace client
