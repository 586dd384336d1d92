#include "tests/client/queue.h"

#include <fmt/format.h>

#include <algorithm>

namespace client {
namespace {

using SteadyClock = std::chrono::steady_clock;

Error violation(std::string what) { return {ErrorKind::violation, std::move(what)}; }

Milliseconds until(SteadyClock::time_point deadline) {
  return std::max(Milliseconds{0}, std::chrono::ceil<Milliseconds>(deadline - SteadyClock::now()));
}

constexpr std::size_t largest_in_flight = 65535;

}  // namespace

Queue::Queue(std::unique_ptr<RawConnection> connection, const TransportOptions& options,
             const IcResponse& negotiated)
    : connection_(std::move(connection)), options_(options), negotiated_(negotiated) {
  connection_->outgoing = {.header_digest = negotiated.header_digest,
                           .data_digest = negotiated.data_digest,
                           .data_alignment = (negotiated.cpda + 1u) * 4};
  connection_->incoming = {.header_digest = negotiated.header_digest,
                           .data_digest = negotiated.data_digest,
                           .data_alignment = (options.hpda + 1u) * 4};
}

Result<std::unique_ptr<Queue>> Queue::open(const Endpoint& endpoint,
                                           const TransportOptions& options) {
  auto opened = options.tls != nullptr
                    ? RawConnection::connect(endpoint, *options.tls, options.time_out)
                    : RawConnection::connect(endpoint, options.time_out);
  TRY(auto connection, std::move(opened));
  const IcRequest request{.hpda = options.hpda,
                          .header_digest = options.header_digest,
                          .data_digest = options.data_digest,
                          .maxr2t = options.outstanding_r2t - 1};
  TRY(connection->send(to_pdu(request), options.time_out));
  TRY(const auto pdu, connection->receive(options.time_out));
  if (pdu.is(PduType::c2h_terminate)) {
    TRY(const auto why, parse_termination(pdu));
    return Error{ErrorKind::terminated, fmt::format("FES {} FEI {}", why.fes, why.fei)};
  }
  TRY(const auto response, parse_ic_response(pdu));
  if (response.pfv != 0) return violation("ICResp with a PFV that was not asked for");
  if (response.cpda > 31) return violation("CPDA over 31 in ICResp");
  if ((response.header_digest && !options.header_digest) ||
      (response.data_digest && !options.data_digest)) {
    return violation("ICResp enables a digest that was not asked for");
  }
  if (response.maxh2cdata < 4096 || response.maxh2cdata % 4 != 0) {
    return violation(fmt::format("MAXH2CDATA {} in ICResp", response.maxh2cdata));
  }
  return std::unique_ptr<Queue>(new Queue(std::move(connection), options, response));
}

Result<Completion> Queue::connect(const ConnectFields& fields) {
  queue_id_ = fields.queue_id;
  connecting_ = true;
  auto done = execute(connect_command(fields));
  connecting_ = false;
  if (!done || !done.value().ok()) return done;
  const bool without = done.value().sq_head == 0xffff;
  if (without && (fields.attributes & disable_sq_flow_control) == 0) {
    return violation("SQHD FFFFh in a Connect response that was not to disable SQ flow control");
  }
  flow_control_ = !without;
  entries_ = static_cast<std::uint16_t>(fields.queue_entries_minus_1 + 1u);
  return done;
}

std::uint16_t Queue::free_cid() {
  while (flights_.contains(next_cid_) || next_cid_ == 0xffff) ++next_cid_;
  return next_cid_++;
}

bool Queue::fits_capsule(const Command& command) const {
  const bool fabrics = get<std::uint8_t>(command.entry.bytes(), 0) == opcode::fabrics;
  const std::uint32_t limit = queue_id_ == 0 || fabrics ? 8192 : options_.in_capsule_bytes;
  return command.data_out.size() <= limit;
}

Result<std::uint16_t> Queue::submit(Command command) {
  if (flights_.size() >= largest_in_flight) return Error{ErrorKind::misuse, "no CID is free"};
  const std::uint16_t cid = command.entry.chosen_cid() ? *command.entry.chosen_cid() : free_cid();
  if (flights_.contains(cid)) return Error{ErrorKind::misuse, fmt::format("CID {} is in use", cid)};
  command.entry.cid(cid);

  const bool in_capsule = !command.data_out.empty() &&
                          (command.transfer == Transfer::in_capsule ||
                           (command.transfer == Transfer::automatic && fits_capsule(command)));
  if (!command.entry.has_sgl()) {
    const auto out = static_cast<std::uint32_t>(command.data_out.size());
    if (in_capsule) {
      command.entry.sgl(sgl_in_capsule, 0, out);
    } else {
      command.entry.sgl(sgl_transport, 0, out != 0 ? out : command.data_in_bytes);
    }
  }
  const Pdu capsule =
      command_capsule(command.entry.bytes(), in_capsule ? command.data_out : Bytes{});
  Flight flight;
  flight.data_in_capsule = in_capsule;
  if (in_capsule) command.data_out.clear();
  flight.command = std::move(command);
  flights_.emplace(cid, std::move(flight));
  TRY(connection_->send(capsule, options_.time_out));
  return cid;
}

Result<Completion> Queue::await(std::uint16_t cid, Milliseconds time_out) {
  const auto deadline = SteadyClock::now() + time_out;
  for (;;) {
    const auto found = std::find_if(completed_.begin(), completed_.end(),
                                    [cid](const Completion& done) { return done.cid == cid; });
    if (found != completed_.end()) {
      Completion done = std::move(*found);
      completed_.erase(found);
      return done;
    }
    if (!flights_.contains(cid)) {
      return Error{ErrorKind::misuse, fmt::format("CID {} is not in flight", cid)};
    }
    TRY(step(until(deadline)));
  }
}

Result<Completion> Queue::await_any(Milliseconds time_out) {
  const auto deadline = SteadyClock::now() + time_out;
  while (completed_.empty()) {
    if (flights_.empty()) return Error{ErrorKind::misuse, "no command is in flight"};
    TRY(step(until(deadline)));
  }
  Completion done = std::move(completed_.front());
  completed_.pop_front();
  return done;
}

Result<Completion> Queue::execute(Command command) {
  TRY(const auto cid, submit(std::move(command)));
  return await(cid);
}

Result<R2t> Queue::await_r2t(std::uint16_t cid) {
  const auto deadline = SteadyClock::now() + options_.time_out;
  for (;;) {
    const auto flight = flights_.find(cid);
    if (flight == flights_.end()) {
      return Error{ErrorKind::refused, fmt::format("CID {} completed without an R2T", cid)};
    }
    if (!flight->second.held.empty()) {
      const R2t r2t = flight->second.held.front();
      flight->second.held.pop_front();
      return r2t;
    }
    TRY(step(until(deadline)));
  }
}

Result<void> Queue::send_data(const R2t& r2t, std::uint32_t offset, std::uint32_t bytes,
                              bool last) {
  const auto flight = flights_.find(r2t.cid);
  Bytes data(bytes);
  if (flight != flights_.end()) {
    const Bytes& source = flight->second.command.data_out;
    for (std::size_t i = 0; i < bytes && offset + i < source.size(); ++i) {
      data[i] = source[offset + i];
    }
    const auto open = flight->second.open_r2ts.find(r2t.ttag);
    if (open != flight->second.open_r2ts.end()) {
      open->second -= std::min(open->second, bytes);
      if (open->second == 0) flight->second.open_r2ts.erase(open);
    }
  }
  return connection_->send(h2c_data(r2t.cid, r2t.ttag, offset, std::move(data), last),
                           options_.time_out);
}

Result<void> Queue::answer(const R2t& r2t) {
  const auto flight = flights_.find(r2t.cid);
  if (flight == flights_.end()) return Error{ErrorKind::misuse, "the command is not in flight"};
  const std::uint32_t wanted = flight->second.command.h2c_piece_bytes;
  const std::uint32_t piece =
      wanted == 0 ? negotiated_.maxh2cdata : std::min(wanted, negotiated_.maxh2cdata);
  for (std::uint32_t sent = 0; sent < r2t.bytes;) {
    const std::uint32_t now = std::min(piece, r2t.bytes - sent);
    TRY(send_data(r2t, r2t.offset + sent, now, sent + now == r2t.bytes));
    sent += now;
  }
  return engine::success();
}

Result<bool> Queue::stays_silent(Milliseconds duration) {
  const auto deadline = SteadyClock::now() + duration;
  bool silent = true;
  for (;;) {
    auto stepped = step(until(deadline));
    if (stepped) {
      silent = false;
    } else if (stepped.error().kind == ErrorKind::time_out) {
      return silent;
    } else {
      return stepped.error();
    }
  }
}

Result<void> Queue::step(Milliseconds time_out) {
  TRY(const auto pdu, connection_->receive(time_out));
  if (!pdu.header_digest_ok) return violation("wrong header digest", pdu);
  if (!pdu.data_digest_ok) return violation("wrong data digest", pdu);
  switch (pdu.type()) {
    case PduType::response:
      return take_response(pdu);
    case PduType::c2h_data:
      return take_data(pdu);
    case PduType::r2t:
      return take_r2t(pdu);
    case PduType::c2h_terminate: {
      TRY(const auto why, parse_termination(pdu));
      return Error{ErrorKind::terminated, fmt::format("FES {} FEI {} offender {}", why.fes, why.fei,
                                                      to_hex(why.offender))};
    }
    default:
      return violation("a PDU that a controller never sends here", pdu);
  }
}

void Queue::complete(std::uint16_t cid, Completion completion) {
  const auto flight = flights_.find(cid);
  completion.data = std::move(flight->second.received);
  flights_.erase(flight);
  completed_.push_back(std::move(completion));
}

}  // namespace client
