#include "target/tls/tls_records.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "engine/foundation/check.h"
#include "engine/media/fault_guard.h"

namespace target::tls {

namespace ptls = protocol::tls;
using engine::Result;
using ptls::ContentType;

namespace {

// A record whose content is no longer may be about the connection itself, and is opened where it
// lies; data is opened to where it belongs.
constexpr std::size_t small_content_bytes = 64;
// RFC 8446, 5.5, asks for one in many gigabytes; so many in a megabyte are an attack.
constexpr std::uint32_t most_updates = 16;
constexpr std::uint64_t updates_per_bytes = 1U << 20;
constexpr std::size_t most_spare_buffers = 4;
constexpr std::byte warning_level{1};
constexpr std::byte fatal_level{2};

std::size_t length_of(std::span<const std::byte> header) {
  return std::to_integer<std::size_t>(header[3]) << 8 | std::to_integer<std::size_t>(header[4]);
}

}  // namespace

std::array<std::byte, 2> content_of(Alert alert) {
  return {alert == Alert::close_notify ? warning_level : fatal_level,
          static_cast<std::byte>(alert)};
}

void append_plain_alert(Alert alert, std::vector<std::byte>& out) {
  for (const std::byte byte :
       {static_cast<std::byte>(ContentType::alert), std::byte{3}, std::byte{3}, std::byte{0},
        std::byte{2}, fatal_level, static_cast<std::byte>(alert)}) {
    out.push_back(byte);
  }
}

std::vector<std::unique_ptr<InputBuffer::Space>>& InputBuffer::spares() {
  static thread_local std::vector<std::unique_ptr<Space>> spares;
  return spares;
}

std::span<std::byte> InputBuffer::room() {
  if (space_ == nullptr) {
    if (spares().empty()) {
      space_ = std::make_unique<Space>();
    } else {
      space_ = std::move(spares().back());
      spares().pop_back();
    }
  }
  if (begin_ != 0) {
    std::memmove(space_->data(), space_->data() + begin_, bytes_);
    begin_ = 0;
  }
  return std::span(*space_).subspan(bytes_);
}

void InputBuffer::consume(std::size_t bytes) {
  begin_ += bytes;
  bytes_ -= bytes;
  if (bytes_ == 0) give_back();
}

void InputBuffer::give_back() {
  begin_ = 0;
  if (space_ == nullptr) return;
  if (spares().size() < most_spare_buffers) spares().push_back(std::move(space_));
  space_.reset();
}

// The places of one read, filled one after the other.
class TlsRecords::Places {
 public:
  explicit Places(std::span<const iovec> into) : into_(into) {
    for (const iovec& place : into_) left_ += place.iov_len;
  }
  [[nodiscard]] std::size_t left() const { return left_; }
  [[nodiscard]] std::size_t filled() const { return filled_; }

  // The next at most `bytes` that lie together.
  [[nodiscard]] std::span<std::byte> next(std::size_t bytes) const {
    std::size_t at = at_;
    std::size_t offset = offset_;
    while (offset == into_[at].iov_len) {
      ++at;
      offset = 0;
    }
    return {static_cast<std::byte*>(into_[at].iov_base) + offset,
            std::min(bytes, into_[at].iov_len - offset)};
  }
  void advance(std::size_t bytes) {
    filled_ += bytes;
    left_ -= bytes;
    while (bytes != 0) {
      const std::size_t step = std::min(bytes, into_[at_].iov_len - offset_);
      offset_ += step;
      bytes -= step;
      if (offset_ == into_[at_].iov_len && at_ + 1 < into_.size()) {
        ++at_;
        offset_ = 0;
      } else if (step == 0) {
        return;
      }
    }
  }
  // What has been filled last is given back.
  void take_back(std::size_t bytes) {
    filled_ -= bytes;
    left_ += bytes;
    while (bytes != 0) {
      if (offset_ == 0) offset_ = into_[--at_].iov_len;
      const std::size_t step = std::min(bytes, offset_);
      offset_ -= step;
      bytes -= step;
    }
  }
  // The byte that was filled last.
  [[nodiscard]] std::byte last() const {
    std::size_t at = at_;
    std::size_t offset = offset_;
    while (offset == 0) offset = into_[--at].iov_len;
    return static_cast<const std::byte*>(into_[at].iov_base)[offset - 1];
  }

 private:
  std::span<const iovec> into_;
  std::size_t at_ = 0;
  std::size_t offset_ = 0;
  std::size_t left_ = 0;
  std::size_t filled_ = 0;
};

TlsRecords::TlsRecords(const ptls::HandshakeResult& result, std::span<const std::byte> rest,
                       TlsCounters& counters)
    : counters_(counters),
      opener_(result.suite, result.client_secret, ptls::RecordCipher::Direction::open),
      sealer_(result.suite, result.server_secret, ptls::RecordCipher::Direction::seal) {
  if (rest.empty()) return;
  const auto room = input_.room();
  CHECK(rest.size() <= room.size());
  std::copy(rest.begin(), rest.end(), room.begin());
  input_.filled(rest.size());
}

bool TlsRecords::has_input() const {
  if (is_closed_ || !rest_.empty()) return true;
  const auto bytes = input_.received();
  if (bytes.size() < ptls::record_header_bytes) return false;
  const std::size_t length = length_of(bytes);
  // One that is too long is an error, which read() finds.
  return length > ptls::largest_protected_bytes ||
         bytes.size() >= ptls::record_header_bytes + length;
}

Result<TlsRecords::Taken, TlsFault> TlsRecords::read(std::span<const iovec> into,
                                                     std::vector<std::byte>& reply) {
  Places places(into);
  for (;;) {
    deliver_rest(places);
    if (is_closed_ || places.left() == 0 || !has_input()) break;
    const auto bytes = input_.received();
    const std::size_t length = length_of(bytes);
    if (length > ptls::largest_protected_bytes) {
      return fail(TlsFault::bad_record, Alert::record_overflow, reply);
    }
    if (bytes[0] != static_cast<std::byte>(ContentType::application_data)) {
      return fail(TlsFault::unexpected, Alert::unexpected_message, reply);
    }
    if (length <= ptls::record_tag_bytes) {
      return fail(TlsFault::bad_record, Alert::decode_error, reply);
    }
    TRY(const bool is_taken,
        open_record(bytes.first(ptls::record_header_bytes + length), places, reply));
    if (is_taken) input_.consume(ptls::record_header_bytes + length);
  }
  note_received(places.filled());
  return Taken{.bytes = places.filled(), .is_closed = is_closed_ && places.filled() == 0};
}

// What had no room before.
void TlsRecords::deliver_rest(Places& places) {
  if (rest_.empty()) return;
  while (!rest_.empty() && places.left() != 0) {
    const auto place = places.next(rest_.size());
    std::memcpy(place.data(), rest_.data(), place.size());
    rest_ = rest_.subspan(place.size());
    places.advance(place.size());
  }
  if (rest_.empty()) input_.consume(std::exchange(rest_record_bytes_, 0));
}

// False: the record stays where it is, for its rest.
Result<bool, TlsFault> TlsRecords::open_record(std::span<std::byte> record, Places& places,
                                               std::vector<std::byte>& reply) {
  const auto header = record.first(ptls::record_header_bytes);
  const auto body = record.subspan(ptls::record_header_bytes);
  const std::size_t inner_bytes = body.size() - ptls::record_tag_bytes;  // with the type
  opener_.begin_opening(header, body);
  if (inner_bytes <= small_content_bytes || inner_bytes - 1 > places.left()) {
    auto content = body.first(inner_bytes);
    opener_.take(content);
    if (!opener_.end_opening()) {
      return fail(TlsFault::bad_record, Alert::bad_record_mac, reply);
    }
    while (!content.empty() && content.back() == std::byte{0}) {
      content = content.first(content.size() - 1);  // padding
    }
    if (content.empty()) return fail(TlsFault::unexpected, Alert::unexpected_message, reply);
    const auto type = static_cast<ContentType>(content.back());
    return take_content(type, content.first(content.size() - 1), places, reply);
  }
  const std::size_t content_bytes = inner_bytes - 1;
  for (std::size_t left = content_bytes; left != 0;) {
    const auto place = places.next(left);
    opener_.take(place);
    places.advance(place.size());
    left -= place.size();
  }
  std::byte type{};
  opener_.take({&type, 1});
  if (!opener_.end_opening()) return fail(TlsFault::bad_record, Alert::bad_record_mac, reply);
  for (std::size_t left = content_bytes; type == std::byte{0} && left != 0; --left) {
    type = places.last();  // padding, or the type in front of it
    places.take_back(1);
  }
  if (type != static_cast<std::byte>(ContentType::application_data)) {
    return fail(TlsFault::unexpected, Alert::unexpected_message, reply);
  }
  return true;
}

Result<bool, TlsFault> TlsRecords::take_content(ContentType type, std::span<std::byte> content,
                                                Places& places, std::vector<std::byte>& reply) {
  switch (type) {
    case ContentType::application_data:
      if (content.empty()) return true;
      if (content.size() > ptls::largest_content_bytes) break;
      rest_ = content;
      rest_record_bytes_ = ptls::record_header_bytes + length_of(input_.received());
      deliver_rest(places);
      return false;  // deliver_rest() lets go of it
    case ContentType::alert:
    case ContentType::handshake:
      return take_control(type, content, reply);
    case ContentType::change_cipher_spec:
      break;
  }
  return fail(TlsFault::unexpected, Alert::unexpected_message, reply);
}

// RFC 8446, 4.6.3. A KeyUpdate is answered when the peer asks for it, and never begun by us: hosts
// whose kernel carries the records cannot follow.
Result<bool, TlsFault> TlsRecords::take_control(ContentType type,
                                                std::span<const std::byte> content,
                                                std::vector<std::byte>& reply) {
  const auto meaning = judge(type, content);
  if (!meaning) {
    if (meaning.error() == TlsFault::peer_alert) return meaning.error();
    return fail(meaning.error(), Alert::unexpected_message, reply);
  }
  if (meaning.value() == Control::closed) {
    is_closed_ = true;
    return true;
  }
  update_receiving();
  if (meaning.value() == Control::new_keys_of_both) append_key_update(reply);
  return true;
}

Result<TlsRecords::Control, TlsFault> TlsRecords::judge(ContentType type,
                                                        std::span<const std::byte> content) {
  if (type == ContentType::alert && content.size() == 2) {
    if (content[1] != static_cast<std::byte>(Alert::close_notify)) return TlsFault::peer_alert;
    return Control::closed;
  }
  const bool is_update = type == ContentType::handshake && content.size() == key_update.size() &&
                         std::ranges::equal(content.first(4), std::span(key_update).first(4)) &&
                         content[4] <= std::byte{1};
  if (!is_update) return TlsFault::unexpected;
  if (++updates_ > most_updates) return TlsFault::too_many_updates;
  counters_.key_updates.fetch_add(1, std::memory_order_relaxed);
  return content[4] == std::byte{0} ? Control::new_keys : Control::new_keys_of_both;
}

void TlsRecords::append_key_update(std::vector<std::byte>& out) {
  append_sealed(ContentType::handshake, key_update, out);
  sealer_.update();
}

void TlsRecords::note_received(std::size_t bytes) {
  bytes_since_ += bytes;
  if (bytes_since_ >= updates_per_bytes) bytes_since_ = updates_ = 0;
}

std::size_t TlsRecords::missing_bytes() const {
  const auto bytes = input_.received();
  if (bytes.size() < ptls::record_header_bytes) return ptls::record_header_bytes - bytes.size();
  return ptls::record_header_bytes + length_of(bytes) - bytes.size();
}

TlsRecords::Sealed TlsRecords::seal(std::span<const iovec> from, std::size_t skip,
                                    std::span<std::byte> out) {
  Sealed sealed;
  std::size_t total = 0;
  for (const iovec& piece : from) total += piece.iov_len;
  std::size_t left = total - skip;
  while (!from.empty() && skip >= from.front().iov_len) {
    skip -= from.front().iov_len;
    from = from.subspan(1);
  }
  while (left != 0) {
    const std::size_t content_bytes = std::min(left, ptls::largest_content_bytes);
    if (out.size() - sealed.length < content_bytes + ptls::record_overhead_bytes) break;
    sealer_.begin_sealing(content_bytes, out.subspan(sealed.length));
    for (std::size_t wanted = content_bytes; wanted != 0;) {
      const std::span<const std::byte> piece{
          static_cast<const std::byte*>(from.front().iov_base) + skip,
          std::min(wanted, from.front().iov_len - skip)};
      // It may lie in the cache, on media that can fail at any moment; the cipher is then left in
      // the middle and never used again.
      if (engine::touch_guarded(piece, [&]() noexcept { sealer_.add(piece); })) {
        sealed.is_unreadable = true;
        return sealed;
      }
      wanted -= piece.size();
      skip += piece.size();
      if (skip == from.front().iov_len) {
        skip = 0;
        from = from.subspan(1);
      }
    }
    sealer_.end_sealing(ContentType::application_data);
    sealed.length += content_bytes + ptls::record_overhead_bytes;
    sealed.bytes += content_bytes;
    left -= content_bytes;
  }
  return sealed;
}

void TlsRecords::append_sealed(ContentType type, std::span<const std::byte> content,
                               std::vector<std::byte>& out) {
  const std::size_t before = out.size();
  out.resize(before + content.size() + ptls::record_overhead_bytes);
  sealer_.begin_sealing(content.size(), std::span(out).subspan(before));
  sealer_.add(content);
  sealer_.end_sealing(type);
}

void TlsRecords::append_alert(Alert alert, std::vector<std::byte>& out) {
  append_sealed(ContentType::alert, content_of(alert), out);
}

TlsFault TlsRecords::fail(TlsFault fault, Alert alert, std::vector<std::byte>& reply) {
  append_alert(alert, reply);
  return fault;
}

}  // namespace target::tls
