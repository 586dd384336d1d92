// From received PDUs to commands and their data.
#include <cstddef>
#include <cstring>
#include <utility>
#include <variant>

#include "engine/foundation/check.h"
#include "target/nvmf/connection.h"
#include "target/reactor/log.h"

namespace target::nvmf {

namespace nvme = protocol::nvme;
namespace nvme_tcp = protocol::nvme_tcp;
using State = CommandSlot::State;

namespace {

nvme_tcp::PduError error_of(HostDataFault fault) {
  switch (fault) {
    case HostDataFault::unknown_transfer:
      break;
    case HostDataFault::out_of_range:
      return nvme_tcp::out_of_range_error();
    case HostDataFault::out_of_order:
      return nvme_tcp::out_of_order_error();
    case HostDataFault::bad_last:
      return nvme_tcp::last_pdu_error();
  }
  return nvme_tcp::unknown_transfer_tag_error();
}

}  // namespace

std::size_t Connection::take_header(std::span<const std::byte> bytes) {
  const auto pdu = decoder_.next(bytes);
  if (!pdu) {
    fail(pdu.error(), bytes);
    return 0;
  }
  if (!pdu.value()) return 0;
  handle(*pdu.value(), bytes);
  return pdu.value()->header_bytes;
}

void Connection::handle(const nvme_tcp::Pdu& pdu, std::span<const std::byte> bytes) {
  data_slot_ = nullptr;
  expect_data({.bytes = pdu.data_bytes, .has_digest = pdu.data_digest_bytes != 0});
  struct Visitor {
    Connection& connection;
    std::span<const std::byte> bytes;
    void operator()(const nvme_tcp::InitializeRequest& r) {
      connection.handle_initialize(r, bytes);
    }
    void operator()(const nvme_tcp::CommandCapsule& c) { connection.handle_capsule(c, bytes); }
    void operator()(const nvme_tcp::HostData& d) { connection.handle_host_data(d, bytes); }
    void operator()(const nvme_tcp::KickstartRequest&) {
      connection.fail(nvme_tcp::kickstart_error(), bytes);
    }
    void operator()(const nvme_tcp::HostTermination& t) { connection.handle_termination(t); }
  };
  std::visit(Visitor{*this, bytes}, pdu.header);
}

void Connection::handle_termination(const nvme_tcp::HostTermination& termination) {
  counters().host_terminations.fetch_add(1, std::memory_order_relaxed);
  if (log_limit().allows(reactor().now())) {
    log_warn("host terminated the connection peer={} listener={} fes={:#x} fei={:#x}",
             link().peer_address, link().listener, termination.fes, termination.fei);
  }
  begin_end(EndReason::host_terminated, Phase::closed);
}

void Connection::handle_initialize(const nvme_tcp::InitializeRequest& request,
                                   std::span<const std::byte> bytes) {
  const bool digests = options_.digests != DigestPolicy::refused;
  const auto link = nvme_tcp::negotiate(
      request,
      {.allow_hdgst = digests, .allow_ddgst = digests, .maxh2cdata = options_.max_h2c_data_bytes});
  if (!link) return fail(link.error(), bytes);
  if (options_.digests == DigestPolicy::required && !(link.value().hdgst && link.value().ddgst)) {
    return fail({nvme_tcp::FatalErrorStatus::unsupported_parameter, offsetof(nvme_tcp::IcReq, dgst),
                 nvme_tcp::PduFault::unsupported_dgst},
                bytes);
  }
  decoder_.establish(link.value());
  wire_link().header_digest = link.value().hdgst;
  wire_link().data_digest = link.value().ddgst;
  (void)nvme_tcp::encode_ic_resp(output().append(nvme_tcp::ic_resp_bytes), link.value());
  is_established_ = true;
  opened_ = reactor().clock().now();
  watch_time_limit();
  send_soon();
}

void Connection::handle_capsule(const nvme_tcp::CommandCapsule& capsule,
                                std::span<const std::byte> bytes) {
  nvme::SubmissionEntry entry;
  std::memcpy(&entry, capsule.sqe.data(), sizeof(entry));
  ++capsules_received_;
  if (slots_.in_use(entry.command_id)) {
    // Its data is thrown away; the command that has the identifier goes on.
    executor_->not_executed(entry);
    return append_completion(entry.command_id, nvme::status::command_id_conflict, 0);
  }
  if (slots_.full()) {
    // More commands than entries (before Connect: than one). The specification names no status for
    // it; it is the order of PDUs that the host got wrong.
    return fail(
        {nvme_tcp::FatalErrorStatus::pdu_sequence_error, 0, nvme_tcp::PduFault::queue_overrun},
        bytes);
  }
  CommandSlot& slot = slots_.take(entry.command_id);
  slot.state = State::capsule;
  slot.entry = entry;
  slot.port = this;
  slot.context = nullptr;
  if (pdu_data_bytes() == 0) return execute(slot);
  if (block::BlockVolume* const volume = executor_->volume_of(slot)) {
    block::begin_command(slot.request, *volume, reactor());
  }
  buffers().wait_in_stream(slot, pdu_data_bytes());
}

void Connection::stream_granted(BufferHolder& holder) {
  auto& slot = static_cast<CommandSlot&>(holder);
  data_slot_ = &slot;
  begin_sums(slot, pdu_data_bytes());
  receive_into(slot.buffer.bytes().data(), engine::PieceSummer(slot.sums.view(), 0));
}

void Connection::stream_refused(BufferHolder& holder) {
  refused_slot_ = static_cast<CommandSlot*>(&holder);
}

void Connection::handle_host_data(const nvme_tcp::HostData& data,
                                  std::span<const std::byte> bytes) {
  CommandSlot* slot = slots_.at(data.ttag / HostTransfer::most_windows);
  if (slot == nullptr || slot->state != State::receiving) {
    return fail(nvme_tcp::unknown_transfer_tag_error(), bytes);
  }
  if (slot->entry.command_id != data.cccid) return fail(nvme_tcp::command_mismatch_error(), bytes);
  const auto expected = slot->transfer.expect(data.ttag % HostTransfer::most_windows, data.offset,
                                              pdu_data_bytes(), data.last);
  if (!expected) return fail(error_of(expected.error()), bytes);
  data_slot_ = slot;
  receive_into(slot->buffer.bytes().data() + data.offset,
               engine::PieceSummer(slot->sums.view(), data.offset));
}

// Of data that is about to come.
void Connection::begin_sums(CommandSlot& slot, std::uint32_t bytes) {
  if (decoder_.link().ddgst) {
    slot.sums.begin(bytes);
  } else {
    slot.sums.clear();
  }
}

// The PDU is complete. A wrong data digest ends the command, not the connection.
void Connection::data_complete(bool digest_matches) {
  if (CommandSlot* refused = std::exchange(refused_slot_, nullptr)) {
    counters().hang_refusals.fetch_add(1, std::memory_order_relaxed);
    executor_->not_executed(refused->entry);
    return answer(*refused, executor_->try_later(*refused), 0);
  }
  CommandSlot* slot = std::exchange(data_slot_, nullptr);
  if (slot == nullptr) return;
  if (!digest_matches) [[unlikely]]
    executor_->digest_failed();
  if (slot->state == State::capsule) {
    slot->capsule_bytes = slot->data_bytes = pdu_data_bytes();
    if (digest_matches) return execute(*slot);
    executor_->not_executed(slot->entry);
    return answer(*slot, nvme::status::transient_transport_error, 0);
  }
  bulk_arrived(pdu_data_bytes());
  if (!digest_matches) slot->transfer.fail();
  slot->transfer.arrived(pdu_data_bytes());
  if (!slot->transfer.complete()) return request_data(*slot);
  data_arrived();
  if (slot->transfer.failed())
    return answer_instead(*slot, nvme::status::transient_transport_error);
  slot->data_bytes = slot->transfer_bytes;
  deliver(*slot);
  if (buffers().has_waiting()) send_soon();  // the connection may hold more for other volumes
}

}  // namespace target::nvmf
