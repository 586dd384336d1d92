// TlsRecords: both directions of an established TLS 1.3 connection: from what a protocol writes to
// records, from received bytes to what it reads, and what the peer says about the connection
// itself. Knows no socket.
#pragma once

#include <sys/uio.h>

#include <array>
#include <cstddef>
#include <memory>
#include <span>
#include <vector>

#include "engine/foundation/result.h"
#include "protocol/tls/record_cipher.h"
#include "protocol/tls/server_handshake.h"
#include "target/tls/tls_fault.h"

namespace target::tls {

enum class Alert : std::uint8_t {
  close_notify = 0,
  unexpected_message = 10,
  bad_record_mac = 20,
  record_overflow = 22,
  handshake_failure = 40,
  decode_error = 50,
  decrypt_error = 51,
  protocol_version = 70,
};
[[nodiscard]] std::array<std::byte, 2> content_of(Alert alert);
// An alert before there are keys, as a record.
void append_plain_alert(Alert alert, std::vector<std::byte>& out);

// Room for what is received and not opened yet; taken from the thread that receives, and given back
// as soon as it is empty.
class InputBuffer {
 public:
  InputBuffer() = default;
  InputBuffer(InputBuffer&&) = default;
  InputBuffer& operator=(InputBuffer&&) = default;
  ~InputBuffer() { give_back(); }

  [[nodiscard]] std::span<std::byte> received() const {
    return space_ == nullptr ? std::span<std::byte>() : std::span(*space_).subspan(begin_, bytes_);
  }
  // Room behind what is there, enough for the rest of any record.
  [[nodiscard]] std::span<std::byte> room();
  void filled(std::size_t bytes) {
    bytes_ += bytes;
    if (bytes_ == 0) give_back();
  }
  void consume(std::size_t bytes);

 private:
  static constexpr std::size_t most_bytes =
      4 * (protocol::tls::record_header_bytes + protocol::tls::largest_protected_bytes);
  using Space = std::array<std::byte, most_bytes>;
  void give_back();
  static std::vector<std::unique_ptr<Space>>& spares();

  std::unique_ptr<Space> space_;
  std::size_t begin_ = 0;
  std::size_t bytes_ = 0;
};

class TlsRecords {
 public:
  // `rest`: bytes that came behind the handshake.
  TlsRecords(const protocol::tls::HandshakeResult& result, std::span<const std::byte> rest,
             TlsCounters& counters);

  // Receiving.

  // Where to put what comes next. Not while has_input().
  [[nodiscard]] std::span<std::byte> room() { return input_.room(); }
  void received(std::size_t bytes) { input_.filled(bytes); }
  // read() has something to work on.
  [[nodiscard]] bool has_input() const;
  [[nodiscard]] bool has_part_of_record() const { return !input_.received().empty(); }

  struct Taken {
    std::size_t bytes = 0;
    bool is_closed = false;  // the peer has said close_notify: nothing follows the bytes
  };
  // Opens what is there to the front of `into`, each byte straight to its place. Unlike bytes from
  // a socket, a place may have been written to although an error is returned. `reply` gets what
  // shall be sent for it.
  [[nodiscard]] engine::Result<Taken, TlsFault> read(std::span<const iovec> into,
                                                     std::vector<std::byte>& reply);

  // Sending.

  struct Sealed {
    std::size_t bytes = 0;       // of `from`
    std::size_t length = 0;      // of `out`
    bool is_unreadable = false;  // memory has gone bad: the cipher is of no use any more
  };
  // Seals from the front of `from`, `skip` bytes in, as many whole records as `out` has room for.
  [[nodiscard]] Sealed seal(std::span<const iovec> from, std::size_t skip,
                            std::span<std::byte> out);
  void append_alert(Alert alert, std::vector<std::byte>& out);
  // Says that our keys change, and changes them.
  void append_key_update(std::vector<std::byte>& out);

  // Handing over to the kernel.

  // How much more makes the next step of a record that has begun: room() for no more than that ends
  // where a record does.
  [[nodiscard]] std::size_t missing_bytes() const;
  [[nodiscard]] protocol::tls::RecordKeys receiving_keys() const { return opener_.keys(); }
  [[nodiscard]] protocol::tls::RecordKeys sending_keys() const { return sealer_.keys(); }
  void update_receiving() { opener_.update(); }
  void update_sending() { sealer_.update(); }

  // What the peer says of the connection itself.
  enum class Control : std::uint8_t {
    closed,            // close_notify
    new_keys,          // its next record has other keys
    new_keys_of_both,  // and it asks for the same of us
  };
  [[nodiscard]] engine::Result<Control, TlsFault> judge(protocol::tls::ContentType type,
                                                        std::span<const std::byte> content);
  // So much data has come.
  void note_received(std::size_t bytes);
  // A KeyUpdate that asks for nothing.
  static constexpr std::array<std::byte, 5> key_update{std::byte{24}, std::byte{0}, std::byte{0},
                                                       std::byte{1}, std::byte{0}};

 private:
  class Places;
  [[nodiscard]] engine::Result<bool, TlsFault> open_record(std::span<std::byte> record,
                                                           Places& places,
                                                           std::vector<std::byte>& reply);
  [[nodiscard]] engine::Result<bool, TlsFault> take_content(protocol::tls::ContentType type,
                                                            std::span<std::byte> content,
                                                            Places& places,
                                                            std::vector<std::byte>& reply);
  [[nodiscard]] engine::Result<bool, TlsFault> take_control(protocol::tls::ContentType type,
                                                            std::span<const std::byte> content,
                                                            std::vector<std::byte>& reply);
  void deliver_rest(Places& places);
  void append_sealed(protocol::tls::ContentType type, std::span<const std::byte> content,
                     std::vector<std::byte>& out);
  [[nodiscard]] TlsFault fail(TlsFault fault, Alert alert, std::vector<std::byte>& reply);

  TlsCounters& counters_;
  protocol::tls::RecordCipher opener_;
  protocol::tls::RecordCipher sealer_;
  InputBuffer input_;
  std::span<std::byte> rest_;  // opened, where it lay, and not taken yet
  std::size_t rest_record_bytes_ = 0;
  bool is_closed_ = false;
  std::uint32_t updates_ = 0;  // of keys, since so much data has come:
  std::uint64_t bytes_since_ = 0;
};

}  // namespace target::tls
