// What a host may receive on a queue, PDU by PDU; the part of Queue that judges the target.
// NVMe/TCP Transport 1.1, sections 3.3 (data transfer), 3.6.2.6 to 3.6.2.10 (PDUs).
#include <fmt/format.h>

#include "tests/client/queue.h"

namespace client {
namespace {

// The digest bits of FLAGS that a PDU must carry now.
std::uint8_t digest_flags(const Framing& framing, bool with_data) {
  return static_cast<std::uint8_t>((framing.header_digest ? pdu_flag::header_digest : 0) |
                                   (with_data && framing.data_digest ? pdu_flag::data_digest : 0));
}

// Response and R2T are 24 bytes and nothing else.
bool is_bare_header(const ReceivedPdu& pdu, const Framing& framing) {
  return pdu.hlen() == 24 && pdu.pdo() == 0 &&
         pdu.plen() == 24u + (framing.header_digest ? 4u : 0u) &&
         pdu.flags() == digest_flags(framing, false);
}

}  // namespace

Result<void> Queue::take_response(const ReceivedPdu& pdu) {
  if (!is_bare_header(pdu, connection_->incoming)) {
    return violation("the common header of a response capsule is fixed", pdu);
  }
  const auto status = pdu.field<std::uint16_t>(22);
  Completion completion{.result = pdu.field<std::uint64_t>(8),
                        .sq_head = pdu.field<std::uint16_t>(16),
                        .cid = pdu.field<std::uint16_t>(20),
                        .status = static_cast<std::uint16_t>(status >> 1)};
  if ((status & 1) != 0) return violation("the phase tag is reserved in fabrics", pdu);
  const auto sqid = pdu.field<std::uint16_t>(18);
  if (sqid != 0 && sqid != queue_id_) return violation("a response of another queue", pdu);
  const auto flight = flights_.find(completion.cid);
  if (flight == flights_.end()) {
    return violation("a response for a command that is not in flight", pdu);
  }
  TRY(judge_response(pdu, flight->second, completion));
  complete(completion.cid, std::move(completion));
  return engine::success();
}

Result<void> Queue::judge_response(const ReceivedPdu& pdu, const Flight& flight,
                                   const Completion& completion) const {
  if (!connecting_ && flow_control_ && completion.sq_head >= entries_) {
    return violation("SQHD is outside the queue", pdu);
  }
  if (flight.last_seen == flight.received.empty()) {
    return violation("a response in the middle of C2HData (no LAST_PDU yet)", pdu);
  }
  if (!completion.ok()) return engine::success();
  const Command& command = flight.command;
  if (flight.received.size() < command.data_in_bytes) {
    return violation("success, but not all data was sent", pdu);
  }
  if (flight.requested_bytes < command.data_out.size() || !flight.open_r2ts.empty()) {
    return violation("success before all data was asked for and received", pdu);
  }
  return engine::success();
}

Result<void> Queue::take_data(const ReceivedPdu& pdu) {
  ++c2h_data_seen_;
  const auto cid = pdu.field<std::uint16_t>(8);
  const auto offset = pdu.field<std::uint32_t>(12);
  const auto bytes = pdu.field<std::uint32_t>(16);
  const auto own_flags =
      static_cast<std::uint8_t>(pdu.flags() & ~(pdu_flag::last | pdu_flag::success));
  const bool last = (pdu.flags() & pdu_flag::last) != 0;
  const bool success = (pdu.flags() & pdu_flag::success) != 0;

  if (pdu.hlen() != 24) return violation("HLEN of C2HData is 24", pdu);
  if (own_flags != digest_flags(connection_->incoming, true)) {
    return violation("digest or reserved bits in FLAGS of C2HData", pdu);
  }
  if (pdu.field<std::uint16_t>(10) != 0 || pdu.field<std::uint32_t>(20) != 0) {
    return violation("reserved bytes of C2HData are not zero", pdu);
  }
  if (pdu.pdo() % connection_->incoming.data_alignment != 0) {
    return violation("PDO of C2HData is not aligned as HPDA asks", pdu);
  }
  if (bytes == 0 || bytes != pdu.data().size()) return violation("DATAL does not fit PLEN", pdu);

  const auto found = flights_.find(cid);
  if (found == flights_.end()) return violation("C2HData for a command that is not in flight", pdu);
  Flight& flight = found->second;
  if (flight.last_seen) return violation("C2HData after LAST_PDU", pdu);
  if (offset != flight.received.size()) return violation("C2HData out of sequence", pdu);
  if (std::uint64_t{offset} + bytes > flight.command.data_in_bytes) {
    return violation("C2HData beyond the host's buffer", pdu);
  }
  if (success && !last) return violation("SUCCESS without LAST_PDU", pdu);
  if (success && flow_control_) {
    return violation("SUCCESS on a queue with SQ flow control", pdu);
  }

  const auto data = pdu.data();
  flight.received.reserve(flight.command.data_in_bytes);
  flight.received.insert(flight.received.end(), data.begin(), data.end());
  flight.last_seen = last;
  if (success) {
    if (flight.received.size() < flight.command.data_in_bytes) {
      return violation("SUCCESS, but not all data was sent", pdu);
    }
    complete(cid, Completion{.cid = cid, .by_success_flag = true});
  }
  return engine::success();
}

Result<void> Queue::take_r2t(const ReceivedPdu& pdu) {
  ++r2t_seen_;
  if (!is_bare_header(pdu, connection_->incoming)) {
    return violation("the common header of R2T is fixed", pdu);
  }
  if (pdu.field<std::uint32_t>(20) != 0) {
    return violation("reserved bytes of R2T are not zero", pdu);
  }
  const R2t r2t{.cid = pdu.field<std::uint16_t>(8),
                .ttag = pdu.field<std::uint16_t>(10),
                .offset = pdu.field<std::uint32_t>(12),
                .bytes = pdu.field<std::uint32_t>(16)};
  const auto found = flights_.find(r2t.cid);
  if (found == flights_.end()) return violation("R2T for a command that is not in flight", pdu);
  Flight& flight = found->second;
  const std::size_t total = flight.command.data_out.size();
  if (total == 0) return violation("R2T for a command without data to ask for", pdu);
  if (r2t.bytes == 0 || std::uint64_t{r2t.offset} + r2t.bytes > total) {
    return violation("R2T outside the command's data", pdu);
  }
  if (r2t.offset != flight.requested_bytes) return violation("R2T out of sequence", pdu);
  if (flight.open_r2ts.size() >= options_.outstanding_r2t) {
    return violation("more R2Ts outstanding than MAXR2T allows", pdu);
  }
  if (!flight.open_r2ts.emplace(r2t.ttag, r2t.bytes).second) {
    return violation("a TTAG that is still in use", pdu);
  }
  flight.requested_bytes += r2t.bytes;
  if (flight.command.hold_data) {
    flight.held.push_back(r2t);
    return engine::success();
  }
  return answer(r2t);
}

}  // namespace client
