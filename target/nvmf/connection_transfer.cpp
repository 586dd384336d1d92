// From commands to bytes: buffers, R2Ts, data to the host and completions.
#include <algorithm>
#include <cstring>
#include <utility>

#include "engine/foundation/byte_cursor.h"
#include "engine/foundation/check.h"
#include "protocol/nvme/sgl.h"
#include "target/nvmf/connection.h"
#include "target/nvmf/connection_registry.h"

namespace target::nvmf {

namespace nvme = protocol::nvme;
namespace nvme_tcp = protocol::nvme_tcp;
using State = CommandSlot::State;

void Connection::execute(CommandSlot& slot) {
  slot.state = State::executing;
  ++executing_;
  executor_->execute(CommandPermit(slot));
}

// What the executor waited for is in the buffer, or is an empty buffer to fill.
void Connection::deliver(CommandSlot& slot) {
  slot.state = State::executing;
  ++executing_;
  executor_->data_ready(CommandPermit(slot));
}

void Connection::receive_from_host(Command& command, std::uint32_t bytes) {
  auto& slot = static_cast<CommandSlot&>(command);
  CHECK(slot.state == State::executing && bytes != 0);
  --executing_;
  if (ending()) return release(slot);
  const nvme::SglDescriptor& sgl = command.entry.data_pointer;
  if (sgl.identifier == nvme::sgl_in_capsule) {
    const auto inside = nvme::in_capsule_bytes(
        {.offset = sgl.address, .length = sgl.length},
        std::span<const std::byte>(command.buffer.bytes()).first(slot.capsule_bytes));
    if (!inside) return answer(slot, inside.error().status, 0);
    if (inside.value().size() < bytes) {
      return answer(slot, nvme::status::data_sgl_length_invalid, 0);
    }
    if (sgl.address != 0) {
      std::memmove(command.buffer.bytes().data(), inside.value().data(), bytes);
    }
    command.data_bytes = bytes;
    return deliver(slot);
  }
  if (sgl.identifier != nvme::sgl_transport) {
    return answer(slot, nvme::status::sgl_descriptor_type_invalid, 0);
  }
  if (sgl.length < bytes || bytes > engine::BufferPool::largest.value) {
    return answer(slot, nvme::status::data_sgl_length_invalid, 0);
  }
  wait_for_buffer(slot, bytes, /*to_host=*/false);
}

void Connection::lease_for_host(Command& command, std::uint32_t bytes) {
  auto& slot = static_cast<CommandSlot&>(command);
  CHECK(slot.state == State::executing && bytes != 0);
  --executing_;
  if (ending()) return release(slot);
  const nvme::SglDescriptor& sgl = command.entry.data_pointer;
  if (sgl.identifier != nvme::sgl_transport) {
    return answer(slot, nvme::status::sgl_descriptor_type_invalid, 0);
  }
  if (sgl.length < bytes || bytes > engine::BufferPool::largest.value) {
    return answer(slot, nvme::status::data_sgl_length_invalid, 0);
  }
  wait_for_buffer(slot, bytes, /*to_host=*/true);
}

void Connection::wait_for_buffer(CommandSlot& slot, std::uint32_t bytes, bool to_host) {
  slot.state = State::waiting;
  slot.to_host = to_host;
  slot.transfer_bytes = bytes;
  slot.next = nullptr;
  (last_waiting_ != nullptr ? last_waiting_->next : first_waiting_) = &slot;
  last_waiting_ = &slot;
  if (first_waiting_ == &slot) serve_waiting();
}

// First come, first served; also told by the pool when a buffer has come free.
void Connection::serve_waiting() {
  if (serving_waiting_) return;  // a command that was just served asks again: the loop goes on
  serving_waiting_ = true;
  while (first_waiting_ != nullptr && !ending()) {
    CommandSlot& slot = *first_waiting_;
    // Over its share a connection waits for its own buffers: flush() and release() call again.
    if (!may_hold(slot.transfer_bytes)) break;
    const bool use_reserve = !bound_ || binding_.qid == 0;
    if (!lease(slot, slot.transfer_bytes, use_reserve)) {
      if (!transfer_wait_.is_linked()) {
        registry_.counters_.buffer_waits.fetch_add(1, std::memory_order_relaxed);
        reactor_.lane().buffers().wait(transfer_wait_);
      }
      break;
    }
    first_waiting_ = slot.next;
    if (first_waiting_ == nullptr) last_waiting_ = nullptr;
    slot.next = nullptr;
    if (slot.to_host) {
      deliver(slot);
    } else {
      begin_receiving(slot);
    }
  }
  serving_waiting_ = false;
}

// A connection may always hold the floor; beyond it, up to the ceiling, as much as a quarter of what
// nobody uses: so a host that takes buffers and does nothing with them leaves enough for the others.
bool Connection::may_hold(std::uint32_t bytes) const {
  const std::size_t wanted = held_buffer_bytes() + bytes;
  if (wanted <= options_.buffer_floor_bytes || held_buffer_bytes() == 0) return true;
  if (wanted > options_.buffer_ceiling_bytes) return false;
  const engine::MemoryBudget& budget = registry_.budget_;
  const std::uint64_t used = std::min(budget.used(), budget.limit()).value;
  return wanted <= (budget.limit().value - used) / 4;
}

bool Connection::lease(CommandSlot& slot, std::uint32_t bytes, bool use_reserve) {
  release_buffer(slot);
  auto lease = reactor_.lane().buffers().lease({bytes});
  if (!lease && use_reserve && bytes <= largest_reserve_bytes) {
    lease = registry_.reserve_.lease({bytes});
  }
  if (!lease) return false;
  slot.buffer = std::move(*lease);
  slot.held_bytes = slot.buffer.bytes().size();
  held_bytes_ += slot.held_bytes;
  return true;
}

void Connection::begin_receiving(CommandSlot& slot) {
  const auto windows =
      std::min<std::uint64_t>(decoder_.link().outstanding_r2t, std::max(options_.max_r2t, 1U));
  slot.state = State::receiving;
  // One at a time asks for everything: pieces would only cost round trips.
  slot.transfer.begin(slot.transfer_bytes, windows > 1 ? options_.r2t_bytes : 0, windows);
  if (receiving_++ == 0) last_received_ = reactor_.now();
  request_data(slot);
  watch_for_stall();
}

void Connection::request_data(CommandSlot& slot) {
  const nvme_tcp::NegotiatedLink& link = decoder_.link();
  while (const auto request = slot.transfer.next_request()) {
    bulk_expected_ += request->length;
    const auto space = output_.append(nvme_tcp::r2t_bytes(link));
    (void)nvme_tcp::encode_r2t(space, link,
                               {.cccid = slot.entry.command_id,
                                .ttag = static_cast<std::uint16_t>(
                                    slot.index * HostTransfer::most_windows + request->window),
                                .offset = request->offset,
                                .length = request->length});
    send_soon();
  }
}

void Connection::respond(Command& command, nvme::Status status, std::uint64_t result) {
  auto& slot = static_cast<CommandSlot&>(command);
  CHECK(slot.state == State::executing);
  --executing_;
  answer(slot, status, result);
}

void Connection::answer(CommandSlot& slot, nvme::Status status, std::uint64_t result) {
  if (may_answer()) append_completion(slot.entry.command_id, status, result);
  release(slot);
}

void Connection::respond_with_data(Command& command, std::uint32_t bytes, std::uint64_t result) {
  auto& slot = static_cast<CommandSlot&>(command);
  CHECK(slot.state == State::executing && bytes <= command.buffer.bytes().size());
  if (!may_answer() || bytes == 0) {
    return respond(command, nvme::status::success, result);
  }
  --executing_;
  const nvme_tcp::NegotiatedLink& link = decoder_.link();
  const bool elide = options_.c2h_success && binding_.sq_flow_control_disabled && result == 0 &&
                     !answering_connect_;
  const auto header = output_.append(nvme_tcp::c2h_data_header_bytes(link));
  (void)nvme_tcp::encode_c2h_data_header(header, link,
                                         {.cccid = slot.entry.command_id,
                                          .offset = 0,
                                          .length = bytes,
                                          .last = true,
                                          .success = elide});
  const std::span<const std::byte> data = command.buffer.bytes().first(bytes);
  nvme_tcp::DataDigest digest;
  if (link.ddgst) digest.update(data);
  held_bytes_ -= std::exchange(slot.held_bytes, 0);  // counted by the output from here on
  output_.append_payload(data, std::move(command.buffer));
  if (link.ddgst) digest.write(output_.append(nvme_tcp::digest_bytes).first<4>());
  if (!elide) append_completion(slot.entry.command_id, nvme::status::success, result);
  send_soon();
  release(slot);
}

void Connection::append_completion(std::uint16_t command_id, nvme::Status status,
                                   std::uint64_t result) {
  const nvme::CompletionEntry entry =
      nvme::make_completion(command_id, status, reported_sq_head(), result);
  const nvme_tcp::NegotiatedLink& link = decoder_.link();
  (void)nvme_tcp::encode_capsule_resp(output_.append(nvme_tcp::capsule_resp_bytes(link)), link,
                                      engine::bytes_of(entry).first<nvme_tcp::cqe_bytes>());
  send_soon();
}

// SQHD: how far the queue has been consumed. Where the host has asked for no SQ flow control, FFFFh
// in the response to Connect tells it so and the field is reserved from then on (NVMe Base 2.1,
// "Connect Command and Response").
std::uint16_t Connection::reported_sq_head() {
  const bool of_connect = std::exchange(answering_connect_, false);
  if (binding_.sq_flow_control_disabled) return of_connect ? 0xffff : 0;
  return static_cast<std::uint16_t>(capsules_received_ % binding_.entries);
}

void Connection::release_buffer(CommandSlot& slot) {
  held_bytes_ -= std::exchange(slot.held_bytes, 0);
  slot.buffer.release();
  tell_reserve_waiters();
}

// A buffer may have gone back to the reserve, which nobody else looks after.
void Connection::tell_reserve_waiters() {
  if (registry_.reserve_.has_waiters()) reactor_.at_turn_end(registry_);
}

// The command has been answered or dropped.
void Connection::release(CommandSlot& slot) {
  release_buffer(slot);
  slots_.give_back(slot);
  if (first_waiting_ != nullptr || ending()) send_soon();
}

// The connection ends: what the executor does not hold is not executed any more.
void Connection::drop_transfers() {
  transfer_wait_.stop();
  capsule_wait_.stop();
  first_waiting_ = last_waiting_ = nullptr;
  blocked_slot_ = data_slot_ = nullptr;
  receiving_ = 0;
  bulk_expected_ = 0;
  slots_.for_each([this](CommandSlot& slot) {
    if (slot.state != State::unused && slot.state != State::executing) release(slot);
  });
}

}  // namespace target::nvmf
