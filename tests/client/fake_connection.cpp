#include "tests/client/fake_connection.h"

#include <algorithm>

#include "tests/client/controller.h"

namespace client {
namespace {

constexpr Milliseconds for_ever{3'600'000};
constexpr std::uint16_t invalid_opcode = 0x001;
constexpr std::uint16_t invalid_field = 0x002;
constexpr std::uint16_t lba_out_of_range = 0x080;
constexpr std::uint16_t connect_invalid_parameters = 0x182;
constexpr std::uint16_t do_not_retry = 0x4000;
constexpr std::uint64_t spoiled_every = 16;

}  // namespace

void FakeConnection::serve() {
  if (!negotiate()) return;
  while (alive_) {
    auto pdu = connection_.receive(for_ever);
    if (!pdu) return;
    if (!pdu.value().header_digest_ok || !pdu.value().data_digest_ok) return;
    if (pdu.value().is(PduType::command)) {
      take_command(pdu.value());
    } else if (pdu.value().is(PduType::h2c_data)) {
      take_data(pdu.value());
    } else {
      return;
    }
  }
}

bool FakeConnection::negotiate() {
  auto request = connection_.receive(for_ever);
  if (!request || !request.value().is(PduType::ic_request)) return false;
  const auto digests = target_.options().digests ? request.value().field<std::uint8_t>(11) : 0;
  const IcResponse response{.cpda = target_.options().cpda,
                            .header_digest = (digests & 1) != 0,
                            .data_digest = (digests & 2) != 0,
                            .maxh2cdata = target_.options().maxh2cdata};
  send(to_pdu(response));
  const auto hpda = request.value().field<std::uint8_t>(10);
  connection_.incoming = {.header_digest = response.header_digest,
                          .data_digest = response.data_digest,
                          .data_alignment = (response.cpda + 1u) * 4};
  connection_.outgoing = {.header_digest = response.header_digest,
                          .data_digest = response.data_digest,
                          .data_alignment = (hpda + 1u) * 4};
  return alive_;
}

void FakeConnection::take_command(const ReceivedPdu& pdu) {
  const auto entry = pdu.header().subspan(common_header_bytes);
  sq_head_ = static_cast<std::uint16_t>((sq_head_ + 1u) % entries_);
  if (get<std::uint8_t>(entry, 0) == opcode::fabrics) {
    fabrics(pdu, entry);
  } else if (queue_id_ == 0) {
    admin(entry);
  } else {
    io(pdu, entry);
  }
}

void FakeConnection::fabrics(const ReceivedPdu& pdu, std::span<const std::byte> entry) {
  const auto cid = get<std::uint16_t>(entry, 2);
  switch (get<std::uint8_t>(entry, 4)) {
    case fabrics_type::connect: {
      const std::string nqn =
          pdu.data().size() == 1024 ? get_text(pdu.data().subspan(256, 256)) : std::string();
      if (nqn != discovery_nqn && nqn != FakeTarget::subsystem_nqn) {
        return respond(cid, connect_invalid_parameters | do_not_retry, 1u << 16 | 256);
      }
      queue_id_ = get<std::uint16_t>(entry, 42);
      entries_ = static_cast<std::uint16_t>(get<std::uint16_t>(entry, 44) + 1u);
      flow_control_ = (get<std::uint8_t>(entry, 46) & disable_sq_flow_control) == 0;
      respond(cid, 0, 1);
      connected_ = true;
      return;
    }
    case fabrics_type::property_set:
      cc_ = get<std::uint32_t>(entry, 48);
      return respond(cid);
    case fabrics_type::property_get:
      switch (get<std::uint32_t>(entry, 44)) {
        case property::cap:
          return respond(cid, 0, 1023 | 1u << 16 | std::uint64_t{1} << 37);
        case property::csts:
          return respond(cid, 0, (cc_ & 1) | ((cc_ >> 14 & 3) != 0 ? 2u << 2 : 0u));
        default:
          return respond(cid);
      }
    default:
      return respond(cid);
  }
}

void FakeConnection::admin(std::span<const std::byte> entry) {
  const auto cid = get<std::uint16_t>(entry, 2);
  switch (get<std::uint8_t>(entry, 0)) {
    case opcode::identify:
      switch (get<std::uint8_t>(entry, 40)) {
        case 0:
          return reply_data(cid, namespace_page());
        case 1:
          return reply_data(cid, controller_page());
        case 2: {
          Bytes page(4096);
          put(std::span(page), 0, std::uint32_t{1});
          return reply_data(cid, page);
        }
        default:
          return respond(cid, invalid_field | do_not_retry);
      }
    case opcode::get_log_page: {
      const Bytes page = discovery_page();
      const auto at = get<std::uint64_t>(entry, 48);
      const std::size_t bytes = (get<std::uint16_t>(entry, 42) + 1u) * 4;
      Bytes piece(bytes);
      for (std::size_t i = 0; i < bytes && at + i < page.size(); ++i) piece[i] = page[at + i];
      return reply_data(cid, piece);
    }
    case opcode::set_features:
    case opcode::get_features:
      return respond(cid, 0, get<std::uint32_t>(entry, 44));
    case opcode::keep_alive:
      ++target_.keep_alives;
      return respond(cid);
    case opcode::async_event_request:
      return;
    default:
      return respond(cid, invalid_opcode | do_not_retry);
  }
}

void FakeConnection::io(const ReceivedPdu& pdu, std::span<const std::byte> entry) {
  const auto cid = get<std::uint16_t>(entry, 2);
  if (fails(Fault::terminate)) {
    Pdu end{.type = PduType::c2h_terminate, .specific = Bytes(16), .data = Bytes(24)};
    put(std::span(end.specific), 0, fatal::sequence_error);
    send(end);
    alive_ = false;
    return;
  }
  switch (get<std::uint8_t>(entry, 0)) {
    case opcode::read:
      return read(entry);
    case opcode::write:
      return write(pdu, entry);
    case opcode::flush:
      return respond(cid);
    default:
      return respond(cid, invalid_opcode | do_not_retry);
  }
}

void FakeConnection::read(std::span<const std::byte> entry) {
  const auto cid = get<std::uint16_t>(entry, 2);
  const auto lba = get<std::uint64_t>(entry, 40);
  const std::uint32_t blocks = get<std::uint16_t>(entry, 48) + 1u;
  if (lba + blocks > target_.options().blocks) return respond(cid, lba_out_of_range | do_not_retry);
  const std::size_t unit = target_.options().block_bytes;
  Bytes data(blocks * unit);
  {
    const std::lock_guard lock(target_.storage_mutex());
    std::copy_n(target_.storage().begin() + static_cast<std::ptrdiff_t>(lba * unit), data.size(),
                data.begin());
  }
  if (fails(Fault::data_beyond_buffer)) data.resize(data.size() + unit);
  if (fails(Fault::short_data)) data.resize(data.size() / 2);
  reply_data(cid, data);
}

void FakeConnection::write(const ReceivedPdu& pdu, std::span<const std::byte> entry) {
  const auto cid = get<std::uint16_t>(entry, 2);
  const auto lba = get<std::uint64_t>(entry, 40);
  const std::uint32_t blocks = get<std::uint16_t>(entry, 48) + 1u;
  if (lba + blocks > target_.options().blocks) return respond(cid, lba_out_of_range | do_not_retry);
  if (pdu.data_bytes != 0) {
    store(lba, pdu.data());
    return respond(cid);
  }
  Waiting& waiting = waiting_[cid];
  waiting = {.lba = lba, .data = Bytes(blocks * target_.options().block_bytes)};
  ask(cid, waiting);
  if (fails(Fault::r2t_too_many)) ask(cid, waiting);
  if (fails(Fault::success_too_early)) respond(cid);
}

void FakeConnection::ask(std::uint16_t cid, Waiting& waiting) {
  const auto total = static_cast<std::uint32_t>(waiting.data.size());
  std::uint32_t offset = waiting.requested;
  std::uint32_t bytes = std::min(total - offset, target_.options().r2t_bytes);
  if (fails(Fault::r2t_beyond_data)) bytes = total - offset + 4;
  if (fails(Fault::r2t_out_of_sequence)) offset += 4, bytes -= 4;
  Pdu r2t{.type = PduType::r2t, .specific = Bytes(16)};
  put(std::span(r2t.specific), 0, cid);
  put(std::span(r2t.specific), 2, static_cast<std::uint16_t>(waiting.requested / 4));
  put(std::span(r2t.specific), 4, offset);
  put(std::span(r2t.specific), 8, bytes);
  waiting.requested += bytes;
  send(r2t);
}

void FakeConnection::take_data(const ReceivedPdu& pdu) {
  const auto cid = pdu.field<std::uint16_t>(8);
  const auto offset = pdu.field<std::uint32_t>(12);
  const auto found = waiting_.find(cid);
  if (found == waiting_.end() || offset + pdu.data_bytes > found->second.data.size()) {
    alive_ = false;
    return;
  }
  Waiting& waiting = found->second;
  std::copy(pdu.data().begin(), pdu.data().end(), waiting.data.begin() + offset);
  waiting.received += static_cast<std::uint32_t>(pdu.data_bytes);
  if (waiting.received < waiting.requested) return;
  if (waiting.requested < waiting.data.size()) return ask(cid, waiting);
  store(waiting.lba, waiting.data);
  waiting_.erase(found);
  respond(cid);
}

void FakeConnection::store(std::uint64_t lba, std::span<const std::byte> data) {
  const bool spoil = ++target_.writes % spoiled_every == 0;
  const std::size_t unit = target_.options().block_bytes;
  if (spoil && fails(Fault::lost_write)) return;
  if (spoil && fails(Fault::torn_write)) data = data.first(unit / 2);
  if (spoil && fails(Fault::misplaced_write)) lba = (lba + 1) % target_.options().blocks;
  const std::lock_guard lock(target_.storage_mutex());
  const std::size_t at = lba * unit;
  const std::size_t bytes = std::min(data.size(), target_.storage().size() - at);
  std::copy_n(data.begin(), bytes, target_.storage().begin() + static_cast<std::ptrdiff_t>(at));
}

Bytes FakeConnection::controller_page() const {
  Bytes page(4096);
  const std::span at(page);
  put_text(at.subspan(4, 20), "FAKE0001", ' ');
  put_text(at.subspan(24, 40), "Fake target for the client's tests", ' ');
  put(at, 77, std::uint8_t{8});
  put(at, 78, std::uint16_t{1});
  put(at, 516, std::uint32_t{1});
  put_text(at.subspan(768, 256), FakeTarget::subsystem_nqn);
  put(at, 1792, (target_.options().in_capsule_bytes + 64) / 16);
  put(at, 1796, std::uint32_t{1});
  return page;
}

Bytes FakeConnection::namespace_page() const {
  Bytes page(4096);
  const std::span at(page);
  put(at, 0, target_.options().blocks);
  put(at, 8, target_.options().blocks);
  std::uint32_t shift = 9;
  while ((1u << shift) < target_.options().block_bytes) ++shift;
  put(at, 128, shift << 16);
  return page;
}

Bytes FakeConnection::discovery_page() const {
  Bytes page(2048);
  const std::span at(page);
  put(at, 0, std::uint64_t{7});
  put(at, 8, std::uint64_t{1});
  put(at, 1024, std::uint8_t{3});
  put(at, 1025, std::uint8_t{1});
  put(at, 1026, std::uint8_t{2});
  put_text(at.subspan(1024 + 32, 32), std::to_string(target_.endpoint().port), ' ');
  put_text(at.subspan(1024 + 256, 256), FakeTarget::subsystem_nqn);
  put_text(at.subspan(1024 + 512, 256), target_.endpoint().host, ' ');
  return page;
}

void FakeConnection::reply_data(std::uint16_t cid, const Bytes& data) {
  const bool flag =
      (target_.options().success_flag && !flow_control_) || fails(Fault::success_with_flow_control);
  const auto total = static_cast<std::uint32_t>(data.size());
  for (std::uint32_t offset = 0; offset < total;) {
    const std::uint32_t bytes = std::min(total - offset, target_.options().c2h_piece_bytes);
    const bool last = offset + bytes == total;
    auto flags = static_cast<std::uint8_t>((last ? pdu_flag::last : 0) |
                                           (last && flag ? pdu_flag::success : 0));
    if (fails(Fault::success_without_last)) flags = pdu_flag::success;
    if (fails(Fault::no_last_flag)) flags = 0;
    send_data(cid, fails(Fault::data_out_of_sequence) ? offset + 4 : offset,
              Bytes(data.begin() + offset, data.begin() + offset + bytes), flags);
    offset += bytes;
  }
  if (!flag || fails(Fault::response_for_success) || fails(Fault::no_last_flag)) respond(cid);
}

void FakeConnection::send_data(std::uint16_t cid, std::uint32_t offset, Bytes data,
                               std::uint8_t flags) {
  Pdu pdu{
      .type = PduType::c2h_data, .flags = flags, .specific = Bytes(16), .data = std::move(data)};
  put(std::span(pdu.specific), 0, cid);
  put(std::span(pdu.specific), 4, offset);
  put(std::span(pdu.specific), 8, static_cast<std::uint32_t>(pdu.data.size()));
  if (fails(Fault::wrong_data_digest)) pdu.data_digest_flip = 1;
  if (fails(Fault::wrong_header_digest)) pdu.header_digest_flip = 1;
  if (fails(Fault::unaligned_data)) {
    // Encoded by hand: the framing would align it.
    Framing packed = connection_.outgoing;
    packed.data_alignment = 4;
    alive_ = alive_ && connection_.send(encode(pdu, packed)).has_value();
    return;
  }
  send(pdu);
}

void FakeConnection::respond(std::uint16_t cid, std::uint16_t status, std::uint64_t result) {
  Pdu pdu{.type = PduType::response, .specific = Bytes(16)};
  const std::span at(pdu.specific);
  put(at, 0, result);
  put(at, 8, flow_control_ ? sq_head_ : std::uint16_t{0xffff});
  put(at, 12, fails(Fault::response_of_nobody) ? std::uint16_t{0xfffe} : cid);
  put(at, 14, static_cast<std::uint16_t>(status << 1));
  send(pdu);
  if (fails(Fault::response_twice)) send(pdu);
}

}  // namespace client
