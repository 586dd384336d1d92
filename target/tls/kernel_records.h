// KernelRecords: a connection whose records the kernel carries, as far as it has taken them over
// from TlsRecords: receiving first, then sending.
#pragma once

#include <sys/uio.h>

#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "target/net/record_socket.h"
#include "target/tls/tls_records.h"

namespace target::tls {

// One reactor's thread.
class KernelRecords {
 public:
  // nullptr: the kernel has no TLS, or the stream no socket. Both outlive it; `records` has what
  // keys there are, also when the kernel uses them.
  static std::unique_ptr<KernelRecords> offer(RecordSocket* socket, TlsRecords& records);
  KernelRecords(const KernelRecords&) = delete;
  KernelRecords& operator=(const KernelRecords&) = delete;

  // Hands a direction over, if that has not been tried yet. Receiving: what has come before the
  // next record is all with `records`, and none of that is there still. Sending: everything sealed
  // so far has been given to the socket.
  void take_receiving();
  void take_sending();
  [[nodiscard]] bool receives() const { return receives_ == Taken::yes; }
  [[nodiscard]] bool sends() const { return sends_ == Taken::yes; }
  // The kernel has said that it cannot: everything goes on as it was.
  [[nodiscard]] bool is_refused() const { return receives_ == Taken::no; }

  struct Read {
    std::size_t bytes = 0;
    bool is_closed = false;              // close_notify
    std::optional<TlsFault> fault = {};  // the peer has been told
  };
  // Once receives(). `reply` gets what shall be sent where the kernel does not send.
  [[nodiscard]] engine::Result<Read, StreamError> read(std::span<const iovec> into,
                                                       std::vector<std::byte>& reply);

  // Once sends().

  // Before data: what the host is owed first. Errors: would_block; broken, when the kernel cannot
  // send with other keys.
  [[nodiscard]] engine::Result<void, StreamError> settle_debts();
  [[nodiscard]] engine::Result<void, StreamError> say(Alert alert);

 private:
  enum class Taken : std::uint8_t { not_yet, no, yes };
  KernelRecords(RecordSocket& socket, TlsRecords& records) : socket_(socket), records_(records) {}

  [[nodiscard]] bool set_keys(RecordSocket::Direction direction);
  [[nodiscard]] Read take_control(std::uint8_t type, std::vector<std::byte>& reply);
  [[nodiscard]] Read follow(bool also_ours, std::vector<std::byte>& reply);
  [[nodiscard]] Read fail(TlsFault fault, Alert alert, std::vector<std::byte>& reply);

  RecordSocket& socket_;
  TlsRecords& records_;
  Taken receives_ = Taken::not_yet;
  Taken sends_ = Taken::not_yet;
  bool is_closed_ = false;
  bool owes_update_ = false;
  std::vector<std::byte> control_;  // of a record that has not come whole
};

}  // namespace target::tls
