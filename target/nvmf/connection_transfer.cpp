// From commands to bytes: buffers, R2Ts, data to the host and completions.
#include <algorithm>
#include <cstring>
#include <optional>
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
  give_to_volume(slot);
  slot.state = State::executing;
  ++executing_;
  executor_->execute(CommandPermit(slot));
}

// What the executor waited for is in the buffer, or is an empty buffer to fill.
void Connection::deliver(CommandSlot& slot) {
  give_to_volume(slot);
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
      command.sums.clear();  // its pieces are others
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
  VolumeUse& use = use_of(slot.volume);
  (use.last != nullptr ? use.last->next : use.first) = &slot;
  use.last = &slot;
  ++waiting_;
  serve_again_ = true;
  if (use.first == &slot) serve_waiting();
}

// Whoever waits for a buffer tries again: told by the pool, or because this connection holds less.
void Connection::serve_waiting() {
  if (serving_waiting_ || ending()) return;
  serving_waiting_ = true;
  serve_capsule();
  // Should R2Ts go out whose data lies behind the capsule, it may have the reserve: it is served
  // again when they have been sent.
  do {
    serve_again_ = false;
    serve_transfers();
  } while (serve_again_);  // a command that was just served has asked again
  stop_needless_waits();
  serving_waiting_ = false;
}

void Connection::stop_needless_waits() {
  if (waits_for_buffers()) return;
  pool_wait_.stop();
  memory_wait_.stop();
  reserve_wait_.stop();
}

void Connection::serve_capsule() {
  if (blocked_slot_ == nullptr || !lease_for_capsule()) return;
  last_received_ = reactor_.now();  // until now it was us who did not read
  send_soon();  // what is held goes on at the end of the turn, not inside the pool's call
  if (may_read()) reactor_.keep_polling(*this);
}

// First come, first served among the commands of one volume. What one volume is denied, because it
// is slow or wants much, another may get.
void Connection::serve_transfers() {
  if (waiting_ == 0) return;
  const std::size_t first = first_served_++;
  for (std::size_t i = 0; i < uses_.size(); ++i) {
    if (!serve_volume((first + i) % uses_.size())) return;
  }
}

// False if there is no buffer for anybody.
bool Connection::serve_volume(std::size_t at) {
  const bool use_reserve = is_admin();
  while (uses_[at].first != nullptr && !ending()) {
    CommandSlot& slot = *uses_[at].first;
    const Grant grant = lease(slot, slot.transfer_bytes, use_reserve);
    if (grant != Grant::yes) {
      wait_after(grant, slot.transfer_bytes, use_reserve);
      return grant != Grant::no_buffer;
    }
    uses_[at].first = std::exchange(slot.next, nullptr);
    if (uses_[at].first == nullptr) uses_[at].last = nullptr;
    --waiting_;
    if (slot.to_host) {
      deliver(slot);
    } else {
      begin_receiving(slot);
    }
  }
  return true;
}

bool Connection::abort_waiting(std::uint16_t command_id) {
  if (ending()) return false;
  for (VolumeUse& use : uses_) {
    CommandSlot* before = nullptr;
    for (CommandSlot* slot = use.first; slot != nullptr; before = slot, slot = slot->next) {
      if (slot->entry.command_id != command_id) continue;
      (before != nullptr ? before->next : use.first) = slot->next;
      if (use.last == slot) use.last = before;
      slot->next = nullptr;
      --waiting_;
      answer(*slot, nvme::status::abort_requested, 0);
      stop_needless_waits();
      return true;
    }
  }
  return false;
}

// Two bounds. What a volume may hold, over all connections: a disk that hangs gives nothing back.
// And what a connection may hold because of its host, with what it has going on the same volume: a
// host may not send or not read. Both shrink with what is free, so that some always is, however
// many there are; buffers that another volume sits on do not count against this one.
Connection::Grant Connection::may_hold(const CommandSlot& slot, std::uint32_t bytes) const {
  const engine::MemoryBudget& budget = registry_.budget_;
  if (slot.volume != nullptr && !slot.volume->buffers().admits(bytes, budget)) {
    return Grant::volume_over_share;
  }
  const std::uint64_t held = held_by_host() + bytes_with(slot.volume);
  const std::uint64_t with_pinned = held + output_.pinned_bytes();
  // The data of a capsule is bounded by the queue's depth, and the stream would stand still.
  if (with_pinned != 0 && held + bytes > small_bytes && slot.state != State::capsule &&
      with_pinned + bytes > options_.buffer_ceiling_bytes) {
    return Grant::connection_over_share;
  }
  return memory_allows(held, bytes) ? Grant::yes : Grant::memory_short;
}

// Whether enough is left to the others.
bool Connection::memory_allows(std::uint64_t held, std::uint64_t bytes) const {
  const std::uint64_t wanted = held + bytes;
  const bool is_little = held == 0 || wanted <= small_bytes;
  return registry_.budget_.has_free({is_little ? 2 * bytes : 4 * wanted});
}

Connection::Grant Connection::lease(CommandSlot& slot, std::uint32_t bytes, bool use_reserve) {
  release_buffer(slot);
  const Grant allowed = may_hold(slot, bytes);
  std::optional<engine::BufferLease> got;
  if (allowed == Grant::yes) got = reactor_.lane().buffers().lease({bytes});
  if (!got && allowed != Grant::volume_over_share && use_reserve &&
      bytes <= largest_reserve_bytes) {
    got = registry_.reserve_.lease({bytes});
  }
  if (!got) return allowed == Grant::yes ? Grant::no_buffer : allowed;
  slot.buffer = std::move(*got);
  slot.held_bytes = slot.buffer.bytes().size();
  slot.held_for = slot.volume;
  held_bytes_ += slot.held_bytes;
  if (slot.held_for != nullptr) slot.held_for->buffers().take(slot.held_bytes, reactor_.now());
  return Grant::yes;
}

// Sees to it that serve_waiting() is called when it is worth trying again.
void Connection::wait_after(Grant denied, std::uint32_t bytes, bool use_reserve) {
  if (denied == Grant::no_buffer) {
    if (!pool_wait_.is_linked()) {
      registry_.counters_.buffer_waits.fetch_add(1, std::memory_order_relaxed);
      reactor_.lane().buffers().wait(pool_wait_);
    }
  } else if (denied != Grant::connection_over_share) {  // flush(), release() and finish_data() call
    if (!memory_wait_.is_linked()) reactor_.lane().buffers().watch(memory_wait_);
  }
  if (use_reserve && bytes <= largest_reserve_bytes && !reserve_wait_.is_linked()) {
    registry_.reserve_.wait(reserve_wait_);
  }
}

Connection::VolumeUse& Connection::use_of(block::BlockVolume* volume) {
  VolumeUse* unused = nullptr;
  for (VolumeUse& use : uses_) {
    if (use.volume == volume) return use;
    if (use.bytes == 0 && use.first == nullptr) unused = &use;
  }
  if (unused == nullptr) {
    unused = &uses_.emplace_back();
    serve_again_ = true;  // who walks through them has lost count
  }
  unused->volume = volume;
  return *unused;
}

std::size_t Connection::bytes_with(const block::BlockVolume* volume) const {
  for (const VolumeUse& use : uses_) {
    if (use.volume == volume) return use.bytes;
  }
  return 0;
}

// From here on it is not the host on whom the buffer depends.
void Connection::give_to_volume(CommandSlot& slot) {
  if (slot.held_for == nullptr || slot.with_volume) return;
  slot.with_volume = true;
  use_of(slot.held_for).bytes += slot.held_bytes;
  bytes_with_volumes_ += slot.held_bytes;
}

// The buffer is given back, or is the output's from here on.
void Connection::stop_counting(CommandSlot& slot) {
  const std::size_t bytes = std::exchange(slot.held_bytes, 0);
  held_bytes_ -= bytes;
  block::BlockVolume* volume = std::exchange(slot.held_for, nullptr);
  if (volume == nullptr) return;
  volume->buffers().give_back(bytes, reactor_.now());
  if (!std::exchange(slot.with_volume, false)) return;
  use_of(volume).bytes -= bytes;
  bytes_with_volumes_ -= bytes;
}

void Connection::begin_receiving(CommandSlot& slot) {
  const auto windows =
      std::min<std::uint64_t>(decoder_.link().outstanding_r2t, std::max(options_.max_r2t, 1U));
  slot.state = State::receiving;
  begin_sums(slot, slot.transfer_bytes);
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
  const bool elided = begin_data_to_host(slot, bytes, result);
  const std::span<const std::byte> data = command.buffer.bytes().first(bytes);
  nvme_tcp::DataDigest digest;
  if (decoder_.link().ddgst) digest = nvme_tcp::DataDigest(command.io.sums.whole(data));
  stop_counting(slot);
  output_.append_payload(data, std::move(command.buffer));
  end_data_to_host(slot, digest, elided, result);
}

// A host that takes nothing ties up no more than with buffers: what it leaves in the cache may have
// to be copied.
bool Connection::may_respond_in_place(const Command& command, std::uint32_t bytes) const {
  const nvme::SglDescriptor& sgl = command.entry.data_pointer;
  if (sgl.identifier != nvme::sgl_transport || sgl.length < bytes ||
      bytes > engine::BufferPool::largest.value) {
    return false;  // lease_for_host() says why
  }
  return held_by_host() + output_.pinned_bytes() + bytes <= options_.buffer_ceiling_bytes;
}

void Connection::respond_in_place(Command& command, engine::PinnedRead read) {
  auto& slot = static_cast<CommandSlot&>(command);
  CHECK(slot.state == State::executing);
  if (!may_answer()) return respond(command, nvme::status::success, 0);
  --executing_;
  const bool elided = begin_data_to_host(slot, static_cast<std::uint32_t>(read.bytes()), 0);
  const nvme_tcp::DataDigest digest(read.checksum());
  output_.append_pinned(std::move(read), reactor_.now());
  end_data_to_host(slot, digest, elided, 0);
}

bool Connection::begin_data_to_host(const CommandSlot& slot, std::uint32_t bytes,
                                    std::uint64_t result) {
  const nvme_tcp::NegotiatedLink& link = decoder_.link();
  const bool elided = options_.c2h_success && binding_.sq_flow_control_disabled && result == 0 &&
                      !answering_connect_;
  const auto header = output_.append(nvme_tcp::c2h_data_header_bytes(link));
  (void)nvme_tcp::encode_c2h_data_header(header, link,
                                         {.cccid = slot.entry.command_id,
                                          .offset = 0,
                                          .length = bytes,
                                          .last = true,
                                          .success = elided});
  return elided;
}

void Connection::end_data_to_host(CommandSlot& slot, const nvme_tcp::DataDigest& digest,
                                  bool elided, std::uint64_t result) {
  if (decoder_.link().ddgst) digest.write(output_.append(nvme_tcp::digest_bytes).first<4>());
  if (!elided) append_completion(slot.entry.command_id, nvme::status::success, result);
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
  if (!slot.buffer) return;
  slot.buffer.release();
  stop_counting(slot);
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
  if (waits_for_buffers() || ending()) send_soon();
}

// The connection ends: what the executor does not hold is not executed any more.
void Connection::drop_transfers() {
  pool_wait_.stop();
  memory_wait_.stop();
  reserve_wait_.stop();
  for (VolumeUse& use : uses_) use.first = use.last = nullptr;
  waiting_ = 0;
  blocked_slot_ = refused_slot_ = data_slot_ = nullptr;
  receiving_ = 0;
  bulk_expected_ = 0;
  slots_.for_each([this](CommandSlot& slot) {
    if (slot.state != State::unused && slot.state != State::executing) release(slot);
  });
}

}  // namespace target::nvmf
