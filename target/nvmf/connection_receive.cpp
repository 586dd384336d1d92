// From received bytes to commands and their data.
#include <algorithm>
#include <cstring>
#include <utility>
#include <variant>

#include "engine/foundation/check.h"
#include "target/nvmf/connection.h"
#include "target/nvmf/connection_registry.h"

namespace target::nvmf {

namespace nvme = protocol::nvme;
namespace nvme_tcp = protocol::nvme_tcp;
using State = CommandSlot::State;

bool Connection::may_read() const {
  if (ending()) return phase_ != Phase::closed;
  return blocked_slot_ == nullptr && held_input_.empty() && !output_full_;
}

bool Connection::poll() { return may_read() && receive(); }

void Connection::polling_ended() { arm_reading(); }

void Connection::arm_reading() {
  if (reading_armed_ || !may_read()) return;
  reading_armed_ = true;
  stream_->when_readable([this] {
    reading_armed_ = false;
    if (!may_read()) return;
    if (receive()) {
      if (may_read()) reactor_.keep_polling(*this);
    } else {
      arm_reading();
    }
  });
}

// Reads what is there; true if anything came. The connection may have ended afterwards.
bool Connection::receive() {
  bool any = false;
  for (int i = 0; i < most_reads && may_read(); ++i) {
    if (ending()) {
      discard_input();
      return false;
    }
    std::array<iovec, 2> into;
    std::size_t count = 0;
    std::size_t direct = 0;
    if (stage_ == Stage::data && data_slot_ != nullptr && data_left_ >= direct_read_bytes) {
      direct = data_left_;
      into[count++] = {.iov_base = data_slot_->buffer.bytes().data() + data_offset_,
                       .iov_len = direct};
    }
    const std::span<std::byte> scratch = std::span(registry_.scratch_).first(read_limit());
    into[count++] = {.iov_base = scratch.data(), .iov_len = scratch.size()};
    const auto got = stream_->read(std::span(into).first(count));
    if (!got) {
      if (got.error() != StreamError::would_block) lost(got.error());
      break;
    }
    any = true;
    last_received_ = reactor_.now();
    registry_.counters_.bytes_received.fetch_add(got.value(), std::memory_order_relaxed);
    const std::size_t placed = std::min(direct, got.value());
    if (placed != 0) data_received(placed);
    consume(scratch.first(got.value() - placed));
    if (got.value() < direct + scratch.size()) break;  // that was all for now
  }
  if (any && host_owes()) watch_for_stall();
  return any;
}

// Headers and small data may come in any number; what follows bulk data shall rather be read
// straight to where it belongs.
std::size_t Connection::read_limit() const {
  // While buffers are short, what is read may have to be kept until there is one.
  if (reactor_.lane().buffers().has_waiters()) return read_beside_bulk_bytes;
  return bulk_expected_ >= 2 * read_beside_bulk_bytes ? read_beside_bulk_bytes
                                                      : registry_.scratch_.size();
}

void Connection::discard_input() {
  const iovec into{.iov_base = registry_.scratch_.data(), .iov_len = registry_.scratch_.size()};
  for (int i = 0; i < most_reads; ++i) {
    const auto got = stream_->read({&into, 1});
    if (got) continue;
    if (got.error() != StreamError::would_block) lost(got.error());
    return;
  }
}

void Connection::consume(std::span<const std::byte> bytes) {
  while (!bytes.empty() && !ending()) {
    if (blocked_slot_ != nullptr) {
      held_input_.assign(bytes.begin(), bytes.end());
      return;
    }
    switch (stage_) {
      case Stage::header:
        bytes = take_header(bytes);
        break;
      case Stage::data:
        bytes = take_data(bytes);
        break;
      case Stage::digest:
        bytes = take_digest(bytes);
        break;
    }
  }
}

// Goes on where a missing buffer stopped it.
void Connection::consume_held_input() {
  if (blocked_slot_ != nullptr || held_input_.empty() || ending()) return;
  const std::vector<std::byte> input = std::exchange(held_input_, {});
  consume(input);
  if (host_owes()) watch_for_stall();
  if (may_read()) reactor_.keep_polling(*this);
}

// Each take_ function consumes from the front of `bytes` and returns the rest.
std::span<const std::byte> Connection::take_header(std::span<const std::byte> bytes) {
  if (stash_bytes_ == 0) {
    const auto pdu = decoder_.next(bytes);
    if (!pdu) {
      fail(pdu.error(), bytes);
      return {};
    }
    if (!pdu.value()) {
      std::memcpy(stash_.data(), bytes.data(), bytes.size());  // it is shorter than a header
      stash_bytes_ = bytes.size();
      return {};
    }
    handle(*pdu.value(), bytes);
    return bytes.subspan(pdu.value()->header_bytes);
  }
  // The front of the header came earlier.
  const std::size_t before = stash_bytes_;
  const std::size_t more = std::min(bytes.size(), stash_.size() - before);
  std::memcpy(stash_.data() + before, bytes.data(), more);
  const std::span<const std::byte> joined(stash_.data(), before + more);
  const auto pdu = decoder_.next(joined);
  if (!pdu) {
    fail(pdu.error(), joined);
    return {};
  }
  if (!pdu.value()) {
    stash_bytes_ = before + more;
    return bytes.subspan(more);
  }
  stash_bytes_ = 0;
  handle(*pdu.value(), joined);
  return bytes.subspan(pdu.value()->header_bytes - before);
}

void Connection::handle(const nvme_tcp::Pdu& pdu, std::span<const std::byte> bytes) {
  data_slot_ = nullptr;
  data_offset_ = 0;
  data_left_ = data_pdu_bytes_ = pdu.data_bytes;
  data_digest_bytes_ = pdu.data_digest_bytes;
  summer_ = {};
  stage_ = pdu.data_bytes != 0 ? Stage::data : Stage::header;
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
    void operator()(const nvme_tcp::HostTermination& t) {
      connection.registry_.counters_.host_terminations.fetch_add(1, std::memory_order_relaxed);
      if (connection.registry_.log_limit_.allows(connection.reactor_.now())) {
        log_warn("host terminated the connection peer={} listener={} fes={:#x} fei={:#x}",
                 connection.link_.peer_address, connection.link_.listener, t.fes, t.fei);
      }
      connection.begin_end(EndReason::host_terminated, Phase::closed);
    }
  };
  std::visit(Visitor{*this, bytes}, pdu.header);
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
  link_.header_digest = link.value().hdgst;
  link_.data_digest = link.value().ddgst;
  (void)nvme_tcp::encode_ic_resp(output_.append(nvme_tcp::ic_resp_bytes), link.value());
  phase_ = Phase::serving;
  timer_.disarm();
  opened_ = reactor_.clock().now();
  if (options_.connect_timeout > engine::Duration{}) {
    reactor_.timers().arm(timer_, opened_ + options_.connect_timeout);
  }
  send_soon();
}

void Connection::handle_capsule(const nvme_tcp::CommandCapsule& capsule,
                                std::span<const std::byte> bytes) {
  nvme::SubmissionEntry entry;
  std::memcpy(&entry, capsule.sqe.data(), sizeof(entry));
  ++capsules_received_;
  if (slots_.in_use(entry.command_id)) {
    // Its data is thrown away; the command that has the identifier goes on.
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
  slot.started_ns = static_cast<std::uint64_t>(reactor_.now().since_start.count());
  if (data_left_ == 0) return execute(slot);
  slot.volume = executor_->volume_of(slot);
  blocked_slot_ = &slot;
  if (!lease_for_capsule()) {
    registry_.counters_.buffer_waits.fetch_add(1, std::memory_order_relaxed);
  }
}

// Gets a buffer for the capsule at which the input stands, or waits for one; true if it goes on.
bool Connection::lease_for_capsule() {
  CommandSlot& slot = *blocked_slot_;
  // Buffers given out for R2Ts come back only when their data, which lies behind this capsule, has
  // been read: then, and for Admin queues, the reserve helps.
  const bool use_reserve = receiving_ != 0 || is_admin();
  const Grant grant = lease(slot, data_left_, use_reserve);
  if (grant == Grant::yes) {
    data_slot_ = std::exchange(blocked_slot_, nullptr);
    begin_sums(slot, data_left_);
    summer_ = engine::PieceSummer(slot.sums.view(), 0);
    return true;
  }
  if (slot.volume != nullptr && (grant == Grant::volume_over_share ||
                                 (grant == Grant::memory_short && bytes_with(slot.volume) != 0))) {
    // It waits for its volume, and commands to others wait behind it in the stream. If the volume
    // hangs, this one is sent back instead.
    const block::BufferShare& share = slot.volume->buffers();
    if (share.hangs(reactor_.now())) {
      refused_slot_ = std::exchange(blocked_slot_, nullptr);
      return true;
    }
    look_again(std::max(share.hangs_from(), reactor_.now() + shortest_look));
  }
  wait_after(grant, data_left_, use_reserve);
  return false;
}

void Connection::handle_host_data(const nvme_tcp::HostData& data,
                                  std::span<const std::byte> bytes) {
  CommandSlot* slot = slots_.at(data.ttag / HostTransfer::most_windows);
  if (slot == nullptr || slot->state != State::receiving) {
    return fail(nvme_tcp::unknown_transfer_tag_error(), bytes);
  }
  if (slot->entry.command_id != data.cccid) return fail(nvme_tcp::command_mismatch_error(), bytes);
  const auto expected = slot->transfer.expect(data.ttag % HostTransfer::most_windows, data.offset,
                                              data_pdu_bytes_, data.last);
  if (!expected) return fail(expected.error(), bytes);
  data_slot_ = slot;
  data_offset_ = data.offset;
  summer_ = engine::PieceSummer(slot->sums.view(), data.offset);
}

// Of data that is about to come.
void Connection::begin_sums(CommandSlot& slot, std::uint32_t bytes) {
  if (decoder_.link().ddgst) {
    slot.sums.begin(bytes);
  } else {
    slot.sums.clear();
  }
}

std::span<const std::byte> Connection::take_data(std::span<const std::byte> bytes) {
  const auto piece = bytes.first(std::min<std::size_t>(bytes.size(), data_left_));
  if (data_slot_ != nullptr) {
    std::memcpy(data_slot_->buffer.bytes().data() + data_offset_, piece.data(), piece.size());
  }
  data_received(piece.size());
  return bytes.subspan(piece.size());
}

// `bytes` more of the PDU's data have come, and lie where they belong.
void Connection::data_received(std::size_t bytes) {
  if (data_slot_ != nullptr && data_digest_bytes_ != 0) {
    summer_.take(data_slot_->buffer.bytes().subspan(data_offset_, bytes));
  }
  data_offset_ += static_cast<std::uint32_t>(bytes);
  data_left_ -= static_cast<std::uint32_t>(bytes);
  if (data_left_ != 0) return;
  if (data_digest_bytes_ != 0) {
    stage_ = Stage::digest;
  } else {
    finish_data(true);
  }
}

std::span<const std::byte> Connection::take_digest(std::span<const std::byte> bytes) {
  const std::size_t more = std::min(bytes.size(), nvme_tcp::digest_bytes - stash_bytes_);
  std::memcpy(stash_.data() + stash_bytes_, bytes.data(), more);
  stash_bytes_ += more;
  if (stash_bytes_ == nvme_tcp::digest_bytes) {
    stash_bytes_ = 0;
    const nvme_tcp::DataDigest digest(summer_.finish());
    finish_data(digest.matches(std::span<const std::byte>(stash_).first<nvme_tcp::digest_bytes>()));
  }
  return bytes.subspan(more);
}

// The PDU is complete. A wrong data digest ends the command, not the connection.
void Connection::finish_data(bool digest_matches) {
  stage_ = Stage::header;
  if (CommandSlot* refused = std::exchange(refused_slot_, nullptr)) {
    registry_.counters_.hang_refusals.fetch_add(1, std::memory_order_relaxed);
    return answer(*refused, executor_->try_later(), 0);
  }
  CommandSlot* slot = std::exchange(data_slot_, nullptr);
  if (slot == nullptr) return;
  if (!digest_matches) {
    registry_.counters_.data_digest_errors.fetch_add(1, std::memory_order_relaxed);
  }
  if (slot->state == State::capsule) {
    slot->capsule_bytes = slot->data_bytes = data_pdu_bytes_;
    if (!digest_matches) return answer(*slot, nvme::status::transient_transport_error, 0);
    return execute(*slot);
  }
  bulk_expected_ -= data_pdu_bytes_;
  if (!digest_matches) slot->transfer.fail();
  slot->transfer.arrived(data_pdu_bytes_);
  if (!slot->transfer.complete()) return request_data(*slot);
  --receiving_;
  if (slot->transfer.failed()) return answer(*slot, nvme::status::transient_transport_error, 0);
  slot->data_bytes = slot->transfer_bytes;
  deliver(*slot);
  if (waits_for_buffers()) send_soon();  // the connection may hold more for other volumes
}

}  // namespace target::nvmf
