// From received bytes to PDUs and their data.
#include <algorithm>
#include <cstring>
#include <utility>

#include "engine/foundation/check.h"
#include "engine/foundation/crc32c.h"
#include "target/net/pdu_connection.h"

namespace target {

bool PduConnection::may_read() const {
  if (ending()) return phase_ != Phase::closed;
  return !buffers_.blocks_stream() && held_input_.empty() && !output_full_;
}

bool PduConnection::poll() { return may_read() && receive(); }

void PduConnection::polling_ended() { arm_reading(); }

void PduConnection::arm_reading() {
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
bool PduConnection::receive() {
  bool any = false;
  for (int i = 0; i < most_reads && may_read(); ++i) {
    if (ending()) {
      discard_input();
      return false;
    }
    std::array<iovec, 2> into;
    std::size_t count = 0;
    std::size_t direct = 0;
    if (stage_ == Stage::data && data_place_ != nullptr && data_left_ >= direct_read_bytes) {
      direct = data_left_;
      into[count++] = {.iov_base = data_place_, .iov_len = direct};
    }
    const std::span<std::byte> scratch = std::span(registry_.scratch_).first(read_limit());
    into[count++] = {.iov_base = scratch.data(), .iov_len = scratch.size()};
    const auto got = stream_->read(std::span(into).first(count));
    if (!got) {
      if (got.error() != StreamError::would_block) lost(got.error());
      break;
    }
    any = true;
    if (std::exchange(nothing_received_, false)) take_security();
    last_received_ = reactor_.now();
    counters().bytes_received.fetch_add(got.value(), std::memory_order_relaxed);
    const std::size_t placed = std::min(direct, got.value());
    if (placed != 0) data_received(placed);
    consume(scratch.first(got.value() - placed));
    if (got.value() < direct + scratch.size()) break;  // that was all for now
  }
  if (any && host_owes()) watch_for_stall();
  return any;
}

// By now the stream knows what its peer has proved.
void PduConnection::take_security() {
  link_.proved = stream_->security();
  if (link_.proved != nullptr) link_.security = link_.proved->text;
}

// Headers and small data may come in any number; what follows bulk data shall rather be read
// straight to where it belongs.
std::size_t PduConnection::read_limit() const {
  // While buffers are short, what is read may have to be kept until there is one.
  if (reactor_.lane().buffers().has_waiters()) return read_beside_bulk_bytes;
  return bulk_expected_ >= 2 * read_beside_bulk_bytes ? read_beside_bulk_bytes
                                                      : registry_.scratch_.size();
}

void PduConnection::discard_input() {
  const iovec into{.iov_base = registry_.scratch_.data(), .iov_len = registry_.scratch_.size()};
  for (int i = 0; i < most_reads; ++i) {
    const auto got = stream_->read({&into, 1});
    if (got) continue;
    if (got.error() != StreamError::would_block) lost(got.error());
    return;
  }
}

void PduConnection::consume(std::span<const std::byte> bytes) {
  while (!bytes.empty() && !ending()) {
    if (buffers_.blocks_stream()) {
      held_input_.assign(bytes.begin(), bytes.end());
      return;
    }
    switch (stage_) {
      case Stage::header:
        bytes = take_from_header(bytes);
        break;
      case Stage::data:
        bytes = take_data(bytes);
        break;
      case Stage::trailer:
        bytes = take_trailer(bytes);
        break;
    }
  }
}

// Goes on where a missing buffer stopped it.
void PduConnection::consume_held_input() {
  if (buffers_.blocks_stream() || held_input_.empty() || ending()) return;
  const std::vector<std::byte> input = std::exchange(held_input_, {});
  consume(input);
  if (host_owes()) watch_for_stall();
  if (may_read()) reactor_.keep_polling(*this);
}

void PduConnection::expect_data(const PduData& data) {
  data_place_ = nullptr;
  summer_ = {};
  data_left_ = pdu_data_bytes_ = data.bytes;
  padding_ = data.padding;
  has_digest_ = data.has_digest;
  stage_ = data.bytes != 0 ? Stage::data : Stage::header;
}

// Each take_ function consumes from the front of `bytes` and returns the rest.
std::span<const std::byte> PduConnection::take_from_header(std::span<const std::byte> bytes) {
  if (stash_bytes_ == 0) {
    const std::size_t taken = take_header(bytes);
    if (ending()) return {};
    if (taken == 0) {
      CHECK(bytes.size() < stash_.size());
      std::memcpy(stash_.data(), bytes.data(), bytes.size());
      stash_bytes_ = bytes.size();
      return {};
    }
    return bytes.subspan(taken);
  }
  // The front of the header came earlier.
  const std::size_t before = stash_bytes_;
  const std::size_t more = std::min(bytes.size(), stash_.size() - before);
  std::memcpy(stash_.data() + before, bytes.data(), more);
  stash_bytes_ = 0;
  const std::size_t taken = take_header({stash_.data(), before + more});
  if (ending()) return {};
  if (taken == 0) {
    CHECK(before + more < stash_.size());
    stash_bytes_ = before + more;
    return bytes.subspan(more);
  }
  return bytes.subspan(taken - before);
}

std::span<const std::byte> PduConnection::take_data(std::span<const std::byte> bytes) {
  const auto piece = bytes.first(std::min<std::size_t>(bytes.size(), data_left_));
  if (data_place_ != nullptr) std::memcpy(data_place_, piece.data(), piece.size());
  data_received(piece.size());
  return bytes.subspan(piece.size());
}

// `bytes` more of the PDU's data have come, and lie where they belong.
void PduConnection::data_received(std::size_t bytes) {
  if (data_place_ != nullptr) {
    if (has_digest_) summer_.take({data_place_, bytes});
    data_place_ += bytes;
  }
  data_left_ -= static_cast<std::uint32_t>(bytes);
  if (data_left_ != 0) return;
  if (has_digest_ || padding_ != 0) {
    stage_ = Stage::trailer;
  } else {
    finish_data(true);
  }
}

std::span<const std::byte> PduConnection::take_trailer(std::span<const std::byte> bytes) {
  const std::size_t length = padding_ + (has_digest_ ? digest_bytes : 0);
  const std::size_t more = std::min(bytes.size(), length - stash_bytes_);
  std::memcpy(stash_.data() + stash_bytes_, bytes.data(), more);
  stash_bytes_ += more;
  if (stash_bytes_ == length) {
    stash_bytes_ = 0;
    bool matches = true;
    if (has_digest_) {
      const auto trailer = std::span<const std::byte>(stash_).first(length);
      const std::uint32_t computed =
          engine::crc32c_extend(summer_.finish(), trailer.first(padding_));
      std::uint32_t received = 0;  // least significant byte first, in NVMe/TCP as in iSCSI
      for (std::size_t i = digest_bytes; i-- != 0;) {
        received = received << 8 | std::to_integer<std::uint32_t>(trailer[padding_ + i]);
      }
      matches = received == computed;
    }
    finish_data(matches);
  }
  return bytes.subspan(more);
}

// The PDU is complete. A wrong data digest ends the command, not the connection.
void PduConnection::finish_data(bool digest_matches) {
  stage_ = Stage::header;
  if (data_place_ != nullptr && !digest_matches) {
    counters().data_digest_errors.fetch_add(1, std::memory_order_relaxed);
  }
  data_complete(digest_matches);
}

}  // namespace target
