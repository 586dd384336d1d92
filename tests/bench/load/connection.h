// One I/O queue under load: commands go out gathered, replies are parsed where the kernel put them;
// nothing is allocated and nothing blocks between submit and completion.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "tests/bench/load/outbox.h"
#include "tests/client/pdu.h"
#include "tests/client/tls_client.h"

namespace bench {

inline constexpr std::size_t digest_bytes = 4;

// A connected and negotiated queue, as the client library left it.
struct ConnectionSettings {
  int socket = -1;                              // owned by the connection from then on
  std::shared_ptr<client::TlsClient> tls = {};  // on that socket; nullptr: plain
  client::Framing outgoing = {};
  client::Framing incoming = {};
  std::uint32_t maxh2cdata = 0;
  std::uint32_t in_capsule_bytes = 0;
  std::uint32_t nsid = 1;
  std::uint32_t lba_bytes = 4096;
  std::uint32_t unit_bytes = 4096;  // one I/O
  std::uint32_t depth = 32;
  bool keep_data = false;  // each command has a buffer of its own (verification)
};

// What the caller knows about a command; the connection only carries it.
struct Request {
  bool read = true;
  std::uint64_t unit = 0;
  std::uint64_t start_ns = 0;
  std::uint32_t generation = 0;  // written, or the floor of a read
};

struct Done {
  std::uint16_t slot = 0;
  std::uint16_t status = 0;  // 15 bits; 0 is success
};

// Not thread safe; used by the thread that owns it.
class LoadConnection {
 public:
  // `pattern` is what writes carry without keep_data: at least unit_bytes, alive as long as this.
  LoadConnection(const ConnectionSettings& settings, std::span<const std::byte> pattern);
  LoadConnection(const LoadConnection&) = delete;
  LoadConnection& operator=(const LoadConnection&) = delete;
  ~LoadConnection();

  // A slot for one more command; nullopt when `depth` are in flight.
  [[nodiscard]] std::optional<std::uint16_t> acquire();
  // Gives back a slot that was not submitted, or whose Done has been dealt with.
  void release(std::uint16_t slot) { free_.push_back(slot); }
  [[nodiscard]] Request& request(std::uint16_t slot) { return slots_[slot].request; }
  // The buffer of a slot; empty without keep_data.
  [[nodiscard]] std::span<std::byte> data(std::uint16_t slot);
  // Queues the command of a slot; flush() sends.
  void submit(std::uint16_t slot);

  // One recv, of TLS with all that came with it; appends what completed. False when the connection
  // is lost or the target broke the protocol: error() says why.
  [[nodiscard]] bool receive(std::vector<Done>& done);
  [[nodiscard]] bool flush();
  // Something is left to send that the socket did not take.
  [[nodiscard]] bool blocked() const { return !outbox_.empty(); }

  [[nodiscard]] const std::string& error() const { return error_; }
  [[nodiscard]] int socket() const { return settings_.socket; }
  [[nodiscard]] std::uint32_t in_flight() const {
    return static_cast<std::uint32_t>(slots_.size() - free_.size());
  }

 private:
  struct Slot {
    Request request;
    std::uint32_t received = 0;   // bytes of C2HData
    std::uint32_t requested = 0;  // bytes asked for by R2T
    bool submitted = false;
    bool by_r2t = false;
  };
  // Where in the stream of PDUs the next byte belongs.
  enum class Expect { header, padding, payload, data_digest };

  void write_capsule(std::uint16_t slot);
  void queue_h2c_data(std::uint16_t slot, std::uint16_t ttag, std::uint32_t offset,
                      std::uint32_t bytes);
  [[nodiscard]] std::span<const std::byte> write_data(std::uint16_t slot) const;
  void queue_digest(std::uint32_t digest);

  [[nodiscard]] bool take(std::size_t received, std::vector<Done>& done);
  [[nodiscard]] bool receive_sealed(std::vector<Done>& done);
  [[nodiscard]] bool flush_sealed();
  [[nodiscard]] bool parse(std::span<const std::byte>& bytes, std::vector<Done>& done);
  [[nodiscard]] bool take_header(std::span<const std::byte> header, std::vector<Done>& done);
  [[nodiscard]] bool take_data_header(std::span<const std::byte> header);
  [[nodiscard]] bool take_response(std::span<const std::byte> header, std::vector<Done>& done);
  [[nodiscard]] bool take_r2t(std::span<const std::byte> header);
  void take_payload(std::span<const std::byte> bytes);
  [[nodiscard]] bool end_of_data(std::vector<Done>& done);
  void complete(std::uint16_t slot, std::uint16_t status, std::vector<Done>& done);
  [[nodiscard]] bool fail(std::string what);

  ConnectionSettings settings_;
  std::span<const std::byte> pattern_;
  std::uint32_t pattern_digest_ = 0;
  std::vector<Slot> slots_;
  std::vector<std::uint16_t> free_;
  std::vector<std::byte> buffers_;
  std::vector<std::byte> read_template_;
  std::vector<std::byte> write_template_;
  Outbox outbox_;

  std::vector<std::byte> inbox_;
  std::size_t inbox_used_ = 0;
  std::vector<std::byte> record_;  // TLS: gathered to be sealed
  Expect expect_ = Expect::header;
  std::uint32_t left_ = 0;  // of the padding, payload or digest
  std::uint32_t payload_bytes_ = 0;
  std::uint16_t payload_slot_ = 0;
  std::uint8_t payload_flags_ = 0;
  std::uint32_t payload_digest_ = 0;
  std::string error_;
};

}  // namespace bench
