// An iSCSI connection that sends any bytes and hands back whole PDUs: the raw layer for hostile
// tests.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "tests/client/byte_connection.h"
#include "tests/client/iscsi_pdu.h"

namespace client::iscsi {

class Connection : public ByteConnection {
 public:
  static Result<std::unique_ptr<Connection>> connect(const Endpoint& endpoint,
                                                     Milliseconds time_out = default_time_out,
                                                     std::optional<int> receive_buffer_bytes = {});
  using ByteConnection::ByteConnection;

  // Of both directions; set it after login. Plain at first.
  Framing framing;

  using ByteConnection::send;
  [[nodiscard]] Result<void> send(const Pdu& pdu, Milliseconds time_out = default_time_out);

  // The next PDU, whatever it is. Errors: time_out, closed (also in the middle of a PDU), reset,
  // violation (a wrong header digest, padding that is not zero).
  [[nodiscard]] Result<ReceivedPdu> receive(Milliseconds time_out = default_time_out);

  // Reads until the peer ends the connection; PDUs that come before are appended to `before` when
  // given. Errors: time_out when the connection is still open then.
  [[nodiscard]] Result<Ending> await_end(Milliseconds time_out = default_time_out,
                                         std::vector<ReceivedPdu>* before = nullptr);
};

}  // namespace client::iscsi
