#include "target/net/output_queue.h"

#include <algorithm>
#include <utility>

#include "engine/foundation/check.h"

namespace target {

std::span<std::byte> OutputQueue::append(std::size_t bytes) {
  CHECK(bytes <= chunk_bytes);
  if (filling_ == nullptr || chunk_bytes - filling_->used < bytes) start_chunk();
  const std::span<std::byte> space = std::span(filling_->space).subspan(filling_->used, bytes);
  filling_->used += bytes;
  bytes_ += bytes;
  if (!pieces_.empty()) {
    Piece& last = pieces_.back();
    if (last.chunk == filling_.get() && last.data + last.bytes == space.data()) {
      last.bytes += bytes;
      return space;
    }
  }
  ++filling_->pieces;
  Piece piece;
  piece.data = space.data();
  piece.bytes = bytes;
  piece.chunk = filling_.get();
  push(std::move(piece));
  return space;
}

void OutputQueue::append_payload(std::span<const std::byte> data, engine::BufferLease lease) {
  if (data.empty()) return;
  bytes_ += data.size();
  leased_bytes_ += lease.bytes().size();
  Piece piece;
  piece.data = data.data();
  piece.bytes = data.size();
  piece.lease = std::move(lease);
  push(std::move(piece));
}

void OutputQueue::append_payload_part(std::span<const std::byte> data) {
  append_payload(data, engine::BufferLease());
}

void OutputQueue::append_pinned(engine::PinnedRead read, engine::Instant now) {
  const auto places = read.pieces();
  for (std::size_t at = 0; at + 1 < places.size(); ++at) append_pinned_part(places[at], now);
  append_last_pinned_part(places.back(), std::move(read), now);
}

void OutputQueue::append_pinned_part(std::span<const std::byte> data, engine::Instant now) {
  append_last_pinned_part(data, engine::PinnedRead(), now);
}

void OutputQueue::append_last_pinned_part(std::span<const std::byte> data, engine::PinnedRead read,
                                          engine::Instant now) {
  bytes_ += data.size();
  pinned_bytes_ += data.size();
  Piece piece;
  piece.data = data.data();
  piece.bytes = data.size();
  piece.is_pinned = true;
  piece.since = now;
  piece.pin = std::move(read);
  push(std::move(piece));
}

std::size_t OutputQueue::first_pinned() const {
  std::size_t at = 0;
  while (!pieces_[at].is_pinned) ++at;
  return at;
}

std::optional<OutputQueue::Pinned> OutputQueue::longest_pinned() const {
  if (pinned_bytes_ == 0) return std::nullopt;
  std::size_t at = first_pinned();
  Pinned longest{.since = pieces_[at].since};
  for (;; ++at) {
    if (pieces_[at].is_pinned) longest.bytes += pieces_[at].bytes;
    if (pieces_[at].pin) return longest;
  }
}

bool OutputQueue::copy_longest_pinned(engine::BufferLease lease) {
  const std::size_t first = first_pinned();
  std::size_t last = first;
  while (!pieces_[last].pin) ++last;
  std::span<std::byte> space = lease.bytes();
  for (std::size_t at = first; at <= last; ++at) {
    Piece& piece = pieces_[at];
    if (!piece.is_pinned) continue;
    const auto copy = space.first(piece.bytes);
    if (!pieces_[last].pin.copy({piece.data, piece.bytes}, copy)) return false;
    space = space.subspan(copy.size());
    piece.data = copy.data();
    piece.is_pinned = false;
    pinned_bytes_ -= piece.bytes;
  }
  leased_bytes_ += lease.bytes().size();
  pieces_[last].lease = std::move(lease);
  pieces_[last].pin.release();
  return true;
}

void OutputQueue::push(Piece piece) {
  if (pieces_.full()) pieces_.set_capacity(std::max(first_capacity, 2 * pieces_.capacity()));
  pieces_.push_back(std::move(piece));
}

void OutputQueue::start_chunk() {
  if (filling_ != nullptr) sending_.push_back(std::move(filling_));
  if (spare_.empty()) {
    filling_ = std::make_unique<Chunk>();
  } else {
    filling_ = std::move(spare_.back());
    spare_.pop_back();
  }
}

// A piece of `chunk` has been sent.
void OutputQueue::leave_chunk(Chunk& chunk) {
  if (--chunk.pieces != 0) return;
  chunk.used = 0;
  if (&chunk == filling_.get()) return;
  // Sent in order, so it is the oldest.
  CHECK(sending_.front().get() == &chunk);
  if (spare_.size() < most_spare_chunks) spare_.push_back(std::move(sending_.front()));
  sending_.erase(sending_.begin());
}

std::size_t OutputQueue::gather(std::span<iovec> into) const {
  const std::size_t count = std::min(into.size(), pieces_.size());
  for (std::size_t i = 0; i < count; ++i) {
    // sendmsg() does not write to what it sends; iovec has no const form.
    into[i] = {.iov_base = const_cast<std::byte*>(pieces_[i].data), .iov_len = pieces_[i].bytes};
  }
  return count;
}

void OutputQueue::sent(std::size_t bytes) {
  CHECK(bytes <= bytes_);
  bytes_ -= bytes;
  while (bytes != 0) {
    Piece& front = pieces_.front();
    if (front.is_pinned) pinned_bytes_ -= std::min(bytes, front.bytes);
    if (bytes < front.bytes) {
      front.data += bytes;
      front.bytes -= bytes;
      return;
    }
    bytes -= front.bytes;
    if (front.chunk != nullptr) leave_chunk(*front.chunk);
    leased_bytes_ -= front.lease.bytes().size();
    pieces_.pop_front();
  }
}

void OutputQueue::clear() {
  sent(bytes_);
  spare_.clear();
  filling_.reset();
}

void OutputQueue::check_invariants() const {
  std::size_t bytes = 0;
  std::size_t leased = 0;
  std::size_t pinned = 0;
  std::size_t chunk_pieces = 0;
  bool in_read = false;  // more of a pinned read follows
  for (const Piece& piece : pieces_) {
    CHECK(piece.bytes != 0);
    bytes += piece.bytes;
    leased += piece.lease.bytes().size();
    pinned += piece.is_pinned ? piece.bytes : 0;
    CHECK(piece.is_pinned || !piece.pin);
    CHECK(!in_read || piece.is_pinned || piece.chunk != nullptr);
    if (piece.is_pinned) in_read = !piece.pin;
    chunk_pieces += piece.chunk != nullptr ? 1 : 0;
  }
  CHECK(!in_read);
  CHECK(bytes == bytes_);
  CHECK(leased == leased_bytes_);
  CHECK(pinned == pinned_bytes_);
  std::size_t counted = filling_ != nullptr ? filling_->pieces : 0;
  for (const auto& chunk : sending_) {
    CHECK(chunk->pieces != 0);
    counted += chunk->pieces;
  }
  CHECK(counted == chunk_pieces);
}

}  // namespace target
