// OutputQueue: what a connection has to send, in order, ready for one gathered write. Headers are
// written into small chunks; payload is sent from where it lies, a buffer or the cache, which is
// given back as soon as the kernel has the bytes.
#pragma once

#include <sys/uio.h>

#include <array>
#include <boost/circular_buffer.hpp>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "engine/foundation/clock.h"
#include "engine/media/buffer_pool.h"
#include "engine/volume/pinned_read.h"

namespace target {

// Invariants: bytes() is the sum of the pieces; a chunk lives while a piece lies in it, or while it
// is the one being filled; between the pieces of a pinned read is no other payload. Allocates
// nothing in steady state and nothing at all before the first append.
class OutputQueue {
 public:
  OutputQueue() = default;
  OutputQueue(const OutputQueue&) = delete;
  OutputQueue& operator=(const OutputQueue&) = delete;
  ~OutputQueue() { clear(); }

  static constexpr std::size_t chunk_bytes = 4096;

  // Space for the next `bytes` (at most chunk_bytes) of output, to be filled in by the caller now.
  [[nodiscard]] std::span<std::byte> append(std::size_t bytes);
  // `data` lies in `lease`.
  void append_payload(std::span<const std::byte> data, engine::BufferLease lease);
  // All that was read is sent from where it lies; it is let go of behind its last byte.
  void append_pinned(engine::PinnedRead read, engine::Instant now);

  // The same for payload that goes out in parts, with headers and digests between them: every part
  // but the last is appended first, and lies in the lease or read that comes with the last one. No
  // other payload comes between them. No part is empty.
  void append_payload_part(std::span<const std::byte> data);
  void append_pinned_part(std::span<const std::byte> data, engine::Instant now);
  void append_last_pinned_part(std::span<const std::byte> data, engine::PinnedRead read,
                               engine::Instant now);

  // Describes the front of the queue; returns how many elements of `into` were filled.
  [[nodiscard]] std::size_t gather(std::span<iovec> into) const;
  // The first `bytes` have been sent.
  void sent(std::size_t bytes);
  void clear();

  [[nodiscard]] bool empty() const { return bytes_ == 0; }
  [[nodiscard]] std::size_t bytes() const { return bytes_; }
  // Length of the buffers that are kept for payload.
  [[nodiscard]] std::size_t leased_bytes() const { return leased_bytes_; }

  // Of reads that are sent from where they lie, what is left.
  [[nodiscard]] std::size_t pinned_bytes() const { return pinned_bytes_; }
  struct Pinned {
    engine::Instant since;
    std::size_t bytes = 0;  // that are left
  };
  // The read that has been pinned longest; nullopt: none is.
  [[nodiscard]] std::optional<Pinned> longest_pinned() const;
  // It is sent from a copy in `lease`, which has room for it, and let go of. False: it cannot be
  // read any more, and the queue is fit for clear() alone.
  [[nodiscard]] bool copy_longest_pinned(engine::BufferLease lease);

  void check_invariants() const;

 private:
  struct Chunk {
    std::array<std::byte, chunk_bytes> space;
    std::size_t used = 0;
    std::size_t pieces = 0;  // not sent yet
  };
  struct Piece {
    const std::byte* data = nullptr;
    std::size_t bytes = 0;
    Chunk* chunk = nullptr;  // nullptr: payload
    engine::BufferLease lease;
    // Of a read that is pinned; its last piece has the duty, as with a lease.
    bool is_pinned = false;
    engine::Instant since;
    engine::PinnedRead pin;
  };

  void push(Piece piece);
  void start_chunk();
  void leave_chunk(Chunk& chunk);
  // Where the pieces of the read that has been pinned longest begin.
  [[nodiscard]] std::size_t first_pinned() const;

  static constexpr std::size_t first_capacity = 16;
  static constexpr std::size_t most_spare_chunks = 4;

  boost::circular_buffer<Piece> pieces_;
  std::size_t bytes_ = 0;
  std::size_t leased_bytes_ = 0;
  std::size_t pinned_bytes_ = 0;
  std::unique_ptr<Chunk> filling_;
  std::vector<std::unique_ptr<Chunk>> sending_;  // full ones, oldest first
  std::vector<std::unique_ptr<Chunk>> spare_;
};

}  // namespace target
