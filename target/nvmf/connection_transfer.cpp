// From commands to bytes: buffers, R2Ts, data to the host and completions.
#include <algorithm>
#include <cstring>
#include <optional>
#include <utility>

#include "engine/foundation/byte_cursor.h"
#include "engine/foundation/check.h"
#include "protocol/nvme/io_command.h"
#include "protocol/nvme/sgl.h"
#include "target/nvmf/command_outcome.h"
#include "target/nvmf/connection.h"

namespace target::nvmf {

namespace nvme = protocol::nvme;
namespace nvme_tcp = protocol::nvme_tcp;
using State = CommandSlot::State;

void Connection::execute(CommandSlot& slot) {
  buffers().give_to_volume(slot);
  slot.state = State::executing;
  command_began();
  executor_->execute(CommandPermit(slot));
}

// What the executor waited for is in the buffer, or is an empty buffer to fill.
void Connection::deliver(CommandSlot& slot) {
  buffers().give_to_volume(slot);
  slot.state = State::executing;
  command_began();
  executor_->data_ready(CommandPermit(slot));
}

void Connection::receive_from_host(Command& command, std::uint32_t bytes) {
  auto& slot = static_cast<CommandSlot&>(command);
  CHECK(slot.state == State::executing && bytes != 0);
  command_ended();
  if (ending()) return drop(slot);
  const nvme::SglDescriptor& sgl = command.entry.data_pointer;
  if (sgl.identifier == nvme::sgl_in_capsule) {
    const auto inside = nvme::in_capsule_bytes(
        {.offset = sgl.address, .length = sgl.length},
        std::span<const std::byte>(command.buffer.bytes()).first(slot.capsule_bytes));
    if (!inside) return answer_instead(slot, inside.error().status);
    if (inside.value().size() < bytes) {
      return answer_instead(slot, nvme::status::data_sgl_length_invalid);
    }
    if (sgl.address != 0) {
      std::memmove(command.buffer.bytes().data(), inside.value().data(), bytes);
      command.sums.clear();  // its pieces are others
    }
    command.data_bytes = bytes;
    return deliver(slot);
  }
  if (sgl.identifier != nvme::sgl_transport) {
    return answer_instead(slot, nvme::status::sgl_descriptor_type_invalid);
  }
  if (sgl.length < bytes || bytes > engine::BufferPool::largest.value) {
    return answer_instead(slot, nvme::status::data_sgl_length_invalid);
  }
  wait_for_buffer(slot, bytes, /*to_host=*/false);
}

void Connection::lease_for_host(Command& command, std::uint32_t bytes) {
  auto& slot = static_cast<CommandSlot&>(command);
  CHECK(slot.state == State::executing && bytes != 0);
  command_ended();
  if (ending()) return drop(slot);
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
  if (slot.partner != nullptr && slot.partner->buffer) {
    // If all who hold one buffer waited for another, they could wait for ever.
    if (buffers().lease_now(slot, bytes)) return begin_receiving(slot);
    return answer_instead(slot, executor_->try_later(slot));
  }
  buffers().wait(slot, bytes);
}

void Connection::buffer_granted(BufferHolder& holder) {
  auto& slot = static_cast<CommandSlot&>(holder);
  if (slot.to_host) {
    deliver(slot);
  } else {
    begin_receiving(slot);
  }
}

bool Connection::abort_waiting(std::uint16_t command_id) {
  if (ending()) return false;
  BufferHolder* found = buffers().find_waiting([command_id](const BufferHolder& holder) {
    return static_cast<const CommandSlot&>(holder).entry.command_id == command_id;
  });
  if (found == nullptr || !buffers().stop_waiting(*found)) return false;
  answer_instead(static_cast<CommandSlot&>(*found), nvme::status::abort_requested);
  return true;
}

Command* Connection::take_waiting(const block::BlockVolume& volume) {
  if (ending()) return nullptr;
  BufferHolder* found = buffers().find_waiting(
      [&volume](const BufferHolder& holder) { return holder.volume == &volume; });
  if (found == nullptr || !buffers().stop_waiting(*found)) return nullptr;
  auto& slot = static_cast<CommandSlot&>(*found);
  slot.state = State::executing;
  return &slot;
}

void Connection::begin_receiving(CommandSlot& slot) {
  const auto windows =
      std::min<std::uint64_t>(decoder_.link().outstanding_r2t, std::max(options_.max_r2t, 1U));
  slot.state = State::receiving;
  begin_sums(slot, slot.transfer_bytes);
  // One at a time asks for everything: pieces would only cost round trips.
  slot.transfer.begin(slot.transfer_bytes, windows > 1 ? options_.r2t_bytes : 0, windows);
  data_asked_for();
  request_data(slot);
  watch_for_stall();
}

void Connection::request_data(CommandSlot& slot) {
  const nvme_tcp::NegotiatedLink& link = decoder_.link();
  while (const auto request = slot.transfer.next_request()) {
    expect_bulk(request->length);
    const auto space = output().append(nvme_tcp::r2t_bytes(link));
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
  command_ended();
  answer(slot, status, result);
}

// Here, as it is a part of each answer below. A branch for each kind that there is much of, so that
// nothing has to be looked up.
[[gnu::always_inline]] inline void Connection::count(CommandSlot& slot, nvme::Status status,
                                                     std::uint64_t bytes) {
  if (!status.is_success()) [[unlikely]]
    return count_failure(slot, status);
  const auto opcode = static_cast<nvme::IoOpcode>(slot.entry.opcode);
  if (opcode == nvme::IoOpcode::read) {
    return count_success(slot.request, block::CommandKind::read, bytes);
  }
  if (opcode == nvme::IoOpcode::write) {
    return count_success(slot.request, block::CommandKind::write, bytes);
  }
  count_answered(slot.request, {.kind = counted_kind(slot.entry.opcode), .bytes = bytes});
}

void Connection::count_failure(CommandSlot& slot, nvme::Status status) {
  count_answered(slot.request,
                 {.kind = counted_kind(slot.entry.opcode), .outcome = counted_failure(status)});
}

void Connection::answer(CommandSlot& slot, nvme::Status status, std::uint64_t result) {
  if (may_answer()) append_completion(slot.entry.command_id, status, result);
  count(slot, status, slot.request.io.data.size());
  release(slot);
}

void Connection::answer_instead(CommandSlot& slot, nvme::Status status) {
  if (slot.partner != nullptr) executor_->partner_lost(slot);
  answer(slot, status, 0);
}

void Connection::respond_with_data(Command& command, std::uint32_t bytes, std::uint64_t result) {
  auto& slot = static_cast<CommandSlot&>(command);
  CHECK(slot.state == State::executing && bytes <= command.buffer.bytes().size());
  if (!may_answer() || bytes == 0) {
    return respond(command, nvme::status::success, result);
  }
  command_ended();
  const bool elided = begin_data_to_host(slot, bytes, result);
  const std::span<const std::byte> data = command.buffer.bytes().first(bytes);
  nvme_tcp::DataDigest digest;
  if (decoder_.link().ddgst) digest = nvme_tcp::DataDigest(command.request.io.sums.whole(data));
  buffers().hand_over(slot);
  output().append_payload(data, std::move(command.buffer));
  end_data_to_host(slot, bytes, digest, elided, result);
}

// A host that takes nothing ties up no more than with buffers: what it leaves in the cache may have
// to be copied.
bool Connection::may_respond_in_place(const Command& command, std::uint32_t bytes) const {
  const nvme::SglDescriptor& sgl = command.entry.data_pointer;
  if (sgl.identifier != nvme::sgl_transport || sgl.length < bytes ||
      bytes > engine::BufferPool::largest.value) {
    return false;  // lease_for_host() says why
  }
  return buffers().may_pin(bytes);
}

void Connection::respond_in_place(Command& command, engine::PinnedRead read) {
  auto& slot = static_cast<CommandSlot&>(command);
  CHECK(slot.state == State::executing);
  if (!may_answer()) return respond(command, nvme::status::success, 0);
  command_ended();
  if (slot.request.io.is_timed) slot.request.began = slot.request.ended = reactor().now();
  const auto bytes = static_cast<std::uint32_t>(read.bytes());
  const bool elided = begin_data_to_host(slot, bytes, 0);
  const nvme_tcp::DataDigest digest(read.checksum());
  output().append_pinned(std::move(read), reactor().now());
  end_data_to_host(slot, bytes, digest, elided, 0);
}

bool Connection::begin_data_to_host(const CommandSlot& slot, std::uint32_t bytes,
                                    std::uint64_t result) {
  const nvme_tcp::NegotiatedLink& link = decoder_.link();
  const bool elided = options_.c2h_success && binding_.sq_flow_control_disabled && result == 0 &&
                      !answering_connect_;
  const auto header = output().append(nvme_tcp::c2h_data_header_bytes(link));
  (void)nvme_tcp::encode_c2h_data_header(header, link,
                                         {.cccid = slot.entry.command_id,
                                          .offset = 0,
                                          .length = bytes,
                                          .last = true,
                                          .success = elided});
  return elided;
}

void Connection::end_data_to_host(CommandSlot& slot, std::uint32_t bytes,
                                  const nvme_tcp::DataDigest& digest, bool elided,
                                  std::uint64_t result) {
  if (decoder_.link().ddgst) digest.write(output().append(nvme_tcp::digest_bytes).first<4>());
  if (!elided) append_completion(slot.entry.command_id, nvme::status::success, result);
  send_soon();
  count(slot, nvme::status::success, bytes);
  release(slot);
}

void Connection::append_completion(std::uint16_t command_id, nvme::Status status,
                                   std::uint64_t result) {
  const nvme::CompletionEntry entry =
      nvme::make_completion(command_id, status, reported_sq_head(), result);
  const nvme_tcp::NegotiatedLink& link = decoder_.link();
  (void)nvme_tcp::encode_capsule_resp(output().append(nvme_tcp::capsule_resp_bytes(link)), link,
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

void Connection::drop(CommandSlot& slot) {
  if (slot.partner != nullptr) executor_->partner_lost(slot);
  count_dropped(slot.request);
  release(slot);
}

// The command has been answered or dropped.
void Connection::release(CommandSlot& slot) {
  buffers().release(slot);
  slots_.give_back(slot);
  if (buffers().has_waiting() || ending()) send_soon();
}

}  // namespace target::nvmf
