// The life of an NVMe/TCP connection, as far as it is not that of any.
#include "target/nvmf/connection.h"

#include <utility>

#include "engine/foundation/check.h"
#include "target/reactor/log.h"

namespace target::nvmf {

namespace nvme_tcp = protocol::nvme_tcp;
using State = CommandSlot::State;

Connection::Connection(ConnectionRegistry& registry, std::unique_ptr<ByteStream> stream,
                       const ConnectionOptions& options)
    : PduConnection(registry, std::move(stream), options.listener, options.limits,
                    {.largest_header_bytes = nvme_tcp::largest_pdu_header_bytes,
                     .introduction = "Connect",
                     .counted_as = WireProtocol::nvme_tcp}),
      options_(options),
      opened_(registry.reactor().clock().now()) {}

void Connection::open(ConnectionRegistry& registry, std::unique_ptr<ByteStream> stream,
                      const ConnectionOptions& options, const ExecutorFactory& make_executor) {
  Connection& connection = registry.add(
      std::unique_ptr<Connection>(new Connection(registry, std::move(stream), options)));
  connection.executor_ = make_executor(connection);
  connection.start();
}

void Connection::bind(const QueueBinding& binding) {
  CHECK(!is_settled());
  answering_connect_ = true;
  binding_ = binding;
  slots_.grow(binding.entries);
  if (binding.qid != 0) decoder_.limit_in_capsule(options_.in_capsule_bytes);
  if (binding.host != nullptr) count_for_host(*binding.host);
  settle();
}

std::optional<PduConnection::TimeLimit> Connection::time_limit() const {
  if (is_settled()) return std::nullopt;
  const engine::Duration limit =
      is_established_ ? options_.connect_timeout : options_.icreq_timeout;
  if (limit <= engine::Duration{}) return std::nullopt;
  return TimeLimit{opened_ + limit, EndReason::connect_timeout};
}

// The host broke the protocol; `bytes` is the front of the stream from the offending PDU on.
void Connection::fail(const nvme_tcp::PduError& error, std::span<const std::byte> bytes) {
  if (error.fes == nvme_tcp::FatalErrorStatus::header_digest_error) {
    counters().header_digest_errors.fetch_add(1, std::memory_order_relaxed);
    executor_->digest_failed();
  }
  if (log_limit().allows(reactor().now())) {
    log_warn(
        "protocol error peer={} local={} listener={} security={} what=\"{}\" fes={:#x} fei={:#x} "
        "more={}",
        link().peer_address, link().local_address, link().listener, link().security,
        nvme_tcp::describe(error.fault), static_cast<unsigned>(error.fes), error.fei,
        log_limit().suppressed());
  }
  if (error.closes_silently()) return begin_end(EndReason::protocol_error, Phase::closed);
  counters().protocol_errors.fetch_add(1, std::memory_order_relaxed);
  const auto offending = nvme_tcp::offending_header(bytes);
  const auto space = output().append(nvme_tcp::term_req_bytes(offending));
  (void)nvme_tcp::encode_term_req(space, error, offending);
  begin_end(EndReason::protocol_error, Phase::draining);
}

bool Connection::fail_unfinished(std::span<const std::byte> front) {
  const auto error = decoder_.error_at_end(front);
  if (!error) return false;
  fail(*error, front);
  return true;
}

// What the executor does not hold is not executed any more.
void Connection::ended(EndReason reason) {
  refused_slot_ = data_slot_ = nullptr;
  slots_.for_each([this](CommandSlot& slot) {
    if (slot.state != State::unused && slot.state != State::executing) drop(slot);
  });
  executor_->connection_ended(reason);
}

}  // namespace target::nvmf
