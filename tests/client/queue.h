// One NVMe/TCP queue pair (a connection): negotiation, commands in flight, data transfers; and a
// referee that turns every illegal thing the target does into a `violation`.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <vector>

#include "tests/client/command.h"
#include "tests/client/connection.h"

namespace client {

// What the host asks for in ICReq.
struct TransportOptions {
  bool header_digest = false;
  bool data_digest = false;
  std::uint8_t hpda = 0;              // dwords, 0's based
  std::uint32_t outstanding_r2t = 1;  // honest: at least 1
  // Largest in-capsule data in bytes; admin queues always have 8 KiB, I/O queues (IOCCSZ * 16 -
  // 64).
  std::uint32_t in_capsule_bytes = 8192;
  Milliseconds time_out = default_time_out;
  std::shared_ptr<const TlsOptions> tls = {};  // nullptr: plain
};

struct R2t {
  std::uint16_t cid = 0;
  std::uint16_t ttag = 0;
  std::uint32_t offset = 0;  // of the command's data
  std::uint32_t bytes = 0;
};

// Not thread safe. After any error but time_out the connection is useless: throw the queue away.
class Queue {
 public:
  // TCP connect and ICReq/ICResp. Violations: see parse_ic_response, a digest switched on that was
  // not asked for, MAXH2CDATA under 4096, CPDA over 31.
  static Result<std::unique_ptr<Queue>> open(const Endpoint& endpoint,
                                             const TransportOptions& options = {});

  // Fabrics Connect on this queue. The completion is returned whatever its status; on success the
  // queue takes on the size and flow control that were agreed.
  [[nodiscard]] Result<Completion> connect(const ConnectFields& fields);

  // Sends the capsule and returns its CID. The SGL is filled in unless the entry has one.
  // Errors: misuse when 65,535 commands are in flight or a chosen CID is in use; those of send.
  [[nodiscard]] Result<std::uint16_t> submit(Command command);
  // The completion of `cid` (others that arrive meanwhile are kept for their own await).
  [[nodiscard]] Result<Completion> await(std::uint16_t cid) {
    return await(cid, options_.time_out);
  }
  [[nodiscard]] Result<Completion> await(std::uint16_t cid, Milliseconds time_out);
  // Whichever completes next.
  [[nodiscard]] Result<Completion> await_any() { return await_any(options_.time_out); }
  [[nodiscard]] Result<Completion> await_any(Milliseconds time_out);
  // submit and await.
  [[nodiscard]] Result<Completion> execute(Command command);

  // The next R2T of a command with hold_data.
  [[nodiscard]] Result<R2t> await_r2t(std::uint16_t cid);
  // Sends `bytes` of the command's data from `offset`, as one H2CData. It need not be legal.
  [[nodiscard]] Result<void> send_data(const R2t& r2t, std::uint32_t offset, std::uint32_t bytes,
                                       bool last);
  // Answers the whole R2T as the command's options say.
  [[nodiscard]] Result<void> answer(const R2t& r2t);
  // Forgets a CID whose completion will not come (aborted by a reset, say), so that it may be used
  // again.
  void forget(std::uint16_t cid) { flights_.erase(cid); }

  // Processes whatever arrives within `duration`. True when no PDU at all came.
  [[nodiscard]] Result<bool> stays_silent(Milliseconds duration);

  [[nodiscard]] RawConnection& raw() { return *connection_; }
  [[nodiscard]] const IcResponse& negotiated() const { return negotiated_; }
  [[nodiscard]] const TransportOptions& options() const { return options_; }
  [[nodiscard]] std::uint16_t id() const { return queue_id_; }
  [[nodiscard]] std::uint16_t entries() const { return entries_; }
  [[nodiscard]] bool flow_control() const { return flow_control_; }
  [[nodiscard]] std::size_t in_flight() const { return flights_.size(); }
  // C2HData PDUs and R2Ts seen so far: for tests of how the target transfers.
  [[nodiscard]] std::uint64_t c2h_data_seen() const { return c2h_data_seen_; }
  [[nodiscard]] std::uint64_t r2t_seen() const { return r2t_seen_; }

 private:
  // A command sent and not yet completed.
  struct Flight {
    Command command;
    bool data_in_capsule = false;
    Bytes received;
    bool last_seen = false;             // C2HData with LAST_PDU
    std::uint32_t requested_bytes = 0;  // sum of R2Ts: the next one starts here
    std::deque<R2t> held;
    std::map<std::uint16_t, std::uint32_t> open_r2ts;  // TTAG -> bytes not yet sent
  };

  Queue(std::unique_ptr<RawConnection> connection, const TransportOptions& options,
        const IcResponse& negotiated);
  [[nodiscard]] std::uint16_t free_cid();
  [[nodiscard]] bool fits_capsule(const Command& command) const;
  // Receives and judges one PDU.
  [[nodiscard]] Result<void> step(Milliseconds time_out);
  [[nodiscard]] Result<void> take_response(const ReceivedPdu& pdu);
  [[nodiscard]] Result<void> take_data(const ReceivedPdu& pdu);
  [[nodiscard]] Result<void> take_r2t(const ReceivedPdu& pdu);
  [[nodiscard]] Result<void> judge_response(const ReceivedPdu& pdu, const Flight& flight,
                                            const Completion& completion) const;
  void complete(std::uint16_t cid, Completion completion);

  std::unique_ptr<RawConnection> connection_;
  TransportOptions options_;
  IcResponse negotiated_;
  std::uint16_t queue_id_ = 0;
  std::uint16_t entries_ = 32;
  bool flow_control_ = true;
  bool connecting_ = false;
  std::uint16_t next_cid_ = 0;
  std::map<std::uint16_t, Flight> flights_;
  std::deque<Completion> completed_;
  std::uint64_t c2h_data_seen_ = 0;
  std::uint64_t r2t_seen_ = 0;
};

}  // namespace client
