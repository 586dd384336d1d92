// The receiving half of LoadConnection: replies are taken apart in place, as they arrive.
#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "engine/foundation/crc32c.h"
#include "tests/bench/load/connection.h"

namespace bench {
namespace {
constexpr std::size_t header_bytes = 24;  // of every PDU that a controller sends after ICResp
}  // namespace

bool LoadConnection::parse(std::span<const std::byte>& bytes, std::vector<Done>& done) {
  for (;;) {
    switch (expect_) {
      case Expect::header: {
        const std::size_t wanted =
            header_bytes + (settings_.incoming.header_digest ? digest_bytes : 0);
        if (bytes.size() >= 1 && client::get<std::uint8_t>(bytes, 0) ==
                                     static_cast<std::uint8_t>(client::PduType::c2h_terminate)) {
          if (bytes.size() < header_bytes) return true;
          return fail(fmt::format("the target terminated the connection: FES {} FEI {}",
                                  client::get<std::uint16_t>(bytes, 8),
                                  client::get<std::uint32_t>(bytes, 10)));
        }
        if (bytes.size() < wanted) return true;
        const auto header = bytes.first(header_bytes);
        if (settings_.incoming.header_digest &&
            engine::crc32c(header) != client::get<std::uint32_t>(bytes, header_bytes)) {
          return fail("wrong header digest");
        }
        bytes = bytes.subspan(wanted);
        if (!take_header(header, done)) return false;
        break;
      }
      case Expect::padding: {
        const std::size_t skipped = std::min<std::size_t>(left_, bytes.size());
        bytes = bytes.subspan(skipped);
        left_ -= static_cast<std::uint32_t>(skipped);
        if (left_ != 0) return true;
        expect_ = Expect::payload;
        left_ = payload_bytes_;
        break;
      }
      case Expect::payload: {
        const std::size_t now = std::min<std::size_t>(left_, bytes.size());
        take_payload(bytes.first(now));
        bytes = bytes.subspan(now);
        left_ -= static_cast<std::uint32_t>(now);
        if (left_ != 0) return true;
        if (settings_.incoming.data_digest) {
          expect_ = Expect::data_digest;
          break;
        }
        if (!end_of_data(done)) return false;
        break;
      }
      case Expect::data_digest:
        if (bytes.size() < digest_bytes) return true;
        if (client::get<std::uint32_t>(bytes, 0) != payload_digest_) {
          return fail("wrong data digest");
        }
        bytes = bytes.subspan(digest_bytes);
        if (!end_of_data(done)) return false;
        break;
    }
  }
}

bool LoadConnection::take_header(std::span<const std::byte> header, std::vector<Done>& done) {
  if (client::get<std::uint8_t>(header, 2) != header_bytes) {
    return fail(fmt::format("illegal HLEN: header {}", client::to_hex(header)));
  }
  switch (static_cast<client::PduType>(client::get<std::uint8_t>(header, 0))) {
    case client::PduType::c2h_data:
      return take_data_header(header);
    case client::PduType::response:
      return take_response(header, done);
    case client::PduType::r2t:
      return take_r2t(header);
    default:
      return fail(fmt::format("unexpected PDU: header {}", client::to_hex(header)));
  }
}

bool LoadConnection::take_data_header(std::span<const std::byte> header) {
  const auto slot = client::get<std::uint16_t>(header, 8);
  const auto offset = client::get<std::uint32_t>(header, 12);
  payload_bytes_ = client::get<std::uint32_t>(header, 16);
  payload_flags_ = client::get<std::uint8_t>(header, 1);
  payload_slot_ = slot;
  payload_digest_ = 0;
  const std::size_t after_header =
      header_bytes + (settings_.incoming.header_digest ? digest_bytes : 0);
  const std::size_t pdo = client::get<std::uint8_t>(header, 3);
  if (slot >= slots_.size() || !slots_[slot].submitted || !slots_[slot].request.read ||
      offset != slots_[slot].received || payload_bytes_ > settings_.unit_bytes - offset ||
      payload_bytes_ == 0 || pdo < after_header ||
      client::get<std::uint32_t>(header, 4) !=
          pdo + payload_bytes_ + (settings_.incoming.data_digest ? digest_bytes : 0)) {
    return fail(fmt::format("illegal C2HData: header {}", client::to_hex(header)));
  }
  expect_ = Expect::padding;
  left_ = static_cast<std::uint32_t>(pdo - after_header);
  return true;
}

void LoadConnection::take_payload(std::span<const std::byte> bytes) {
  if (bytes.empty()) return;
  Slot& slot = slots_[payload_slot_];
  if (settings_.incoming.data_digest)
    payload_digest_ = engine::crc32c_extend(payload_digest_, bytes);
  if (!buffers_.empty()) {
    std::memcpy(data(payload_slot_).data() + slot.received, bytes.data(), bytes.size());
  }
  slot.received += static_cast<std::uint32_t>(bytes.size());
}

bool LoadConnection::end_of_data(std::vector<Done>& done) {
  expect_ = Expect::header;
  if ((payload_flags_ & client::pdu_flag::success) == 0) return true;
  if ((payload_flags_ & client::pdu_flag::last) == 0 ||
      slots_[payload_slot_].received != settings_.unit_bytes) {
    return fail("SUCCESS before all data was sent");
  }
  complete(payload_slot_, 0, done);
  return true;
}

bool LoadConnection::take_response(std::span<const std::byte> header, std::vector<Done>& done) {
  const auto slot = client::get<std::uint16_t>(header, 20);
  const auto status = static_cast<std::uint16_t>(client::get<std::uint16_t>(header, 22) >> 1);
  if (slot >= slots_.size() || !slots_[slot].submitted) {
    return fail(fmt::format("response for no command: header {}", client::to_hex(header)));
  }
  const Slot& answered = slots_[slot];
  const std::uint32_t moved = answered.request.read ? answered.received
                              : answered.by_r2t     ? answered.requested
                                                    : settings_.unit_bytes;
  if (status == 0 && moved != settings_.unit_bytes) {
    return fail("success before all data was transferred");
  }
  complete(slot, status, done);
  return true;
}

bool LoadConnection::take_r2t(std::span<const std::byte> header) {
  const auto slot = client::get<std::uint16_t>(header, 8);
  const auto offset = client::get<std::uint32_t>(header, 12);
  const auto bytes = client::get<std::uint32_t>(header, 16);
  if (slot >= slots_.size() || !slots_[slot].submitted || slots_[slot].request.read ||
      !slots_[slot].by_r2t || offset != slots_[slot].requested || bytes == 0 ||
      bytes > settings_.unit_bytes - offset) {
    return fail(fmt::format("illegal R2T: header {}", client::to_hex(header)));
  }
  slots_[slot].requested += bytes;
  queue_h2c_data(slot, client::get<std::uint16_t>(header, 10), offset, bytes);
  return true;
}

void LoadConnection::complete(std::uint16_t slot, std::uint16_t status, std::vector<Done>& done) {
  slots_[slot].submitted = false;
  done.push_back({.slot = slot, .status = status});
}

}  // namespace bench
