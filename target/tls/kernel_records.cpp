#include "target/tls/kernel_records.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "target/tls/kernel_keys.h"

namespace target::tls {

namespace ptls = protocol::tls;
using engine::Result;

namespace {

// What speaks of the connection itself is an alert or a KeyUpdate; nothing longer has a place here.
constexpr std::size_t most_control_bytes = 16;

}  // namespace

std::unique_ptr<KernelRecords> KernelRecords::offer(RecordSocket* socket, TlsRecords& records) {
  if (socket == nullptr || !socket->attach()) return nullptr;
  return std::unique_ptr<KernelRecords>(new KernelRecords(*socket, records));
}

bool KernelRecords::set_keys(RecordSocket::Direction direction) {
  auto keys = direction == RecordSocket::Direction::send ? records_.sending_keys()
                                                         : records_.receiving_keys();
  auto info = kernel_keys(keys);
  const bool is_set = socket_.set_keys(direction, info);
  explicit_bzero(info.data(), info.size());
  explicit_bzero(keys.key.space.data(), keys.key.space.size());
  return is_set;
}

void KernelRecords::take_receiving() {
  if (receives_ != Taken::not_yet) return;
  receives_ = set_keys(RecordSocket::Direction::receive) ? Taken::yes : Taken::no;
}

void KernelRecords::take_sending() {
  if (sends_ != Taken::not_yet) return;
  sends_ = set_keys(RecordSocket::Direction::send) ? Taken::yes : Taken::no;
}

Result<KernelRecords::Read, StreamError> KernelRecords::read(std::span<const iovec> into,
                                                             std::vector<std::byte>& reply) {
  for (;;) {
    if (is_closed_) return Read{.is_closed = true};
    TRY(const auto received, socket_.receive(into));
    if (received.is_damaged) return fail(TlsFault::bad_record, Alert::bad_record_mac, reply);
    if (received.type == static_cast<std::uint8_t>(ptls::ContentType::application_data)) {
      records_.note_received(received.bytes);
      return Read{.bytes = received.bytes};
    }
    std::size_t left = received.bytes;
    for (const iovec& place : into) {
      const auto* const from = static_cast<const std::byte*>(place.iov_base);
      const std::size_t bytes = std::min(left, place.iov_len);
      control_.insert(control_.end(), from, from + bytes);
      left -= bytes;
    }
    if (control_.size() > most_control_bytes) {
      return fail(TlsFault::unexpected, Alert::unexpected_message, reply);
    }
    if (!received.is_whole) continue;
    Read taken = take_control(received.type, reply);
    control_.clear();
    if (taken.fault) return taken;
  }
}

KernelRecords::Read KernelRecords::take_control(std::uint8_t type, std::vector<std::byte>& reply) {
  const auto meaning = records_.judge(static_cast<ptls::ContentType>(type), control_);
  if (!meaning) return fail(meaning.error(), Alert::unexpected_message, reply);
  switch (meaning.value()) {
    case TlsRecords::Control::closed:
      is_closed_ = true;
      return {};
    case TlsRecords::Control::new_keys:
      return follow(false, reply);
    case TlsRecords::Control::new_keys_of_both:
      return follow(true, reply);
  }
  return {};
}

// Linux can take other keys for a direction since 6.14; before that the connection ends here.
KernelRecords::Read KernelRecords::follow(bool also_ours, std::vector<std::byte>& reply) {
  records_.update_receiving();
  if (!set_keys(RecordSocket::Direction::receive)) {
    return fail(TlsFault::kernel_key_update, Alert::unexpected_message, reply);
  }
  if (!also_ours) return {};
  if (!sends()) {
    records_.append_key_update(reply);
    return {};
  }
  owes_update_ = true;
  const auto settled = settle_debts();
  if (!settled && settled.error() != StreamError::would_block) {
    return {.fault = TlsFault::kernel_key_update};
  }
  return {};
}

Result<void, StreamError> KernelRecords::settle_debts() {
  if (!owes_update_) return engine::success();
  TRY(socket_.send(static_cast<std::uint8_t>(ptls::ContentType::handshake),
                   TlsRecords::key_update));
  owes_update_ = false;
  records_.update_sending();
  if (!set_keys(RecordSocket::Direction::send)) return StreamError::broken;
  return engine::success();
}

Result<void, StreamError> KernelRecords::say(Alert alert) {
  return socket_.send(static_cast<std::uint8_t>(ptls::ContentType::alert), content_of(alert));
}

KernelRecords::Read KernelRecords::fail(TlsFault fault, Alert alert,
                                        std::vector<std::byte>& reply) {
  if (fault == TlsFault::peer_alert) return {.fault = fault};
  if (sends()) {
    (void)say(alert);  // as far as there is room
  } else {
    records_.append_alert(alert, reply);
  }
  return {.fault = fault};
}

}  // namespace target::tls
